/* working_dir.h: where a program begins, from the `working_dir` that a spec or a request names.
 *
 * Each sandbox has a folder of its own, and a path is taken inside it. An absolute path means a folder of this host,
 * which all sandboxes would have in common: only below the operator's `shared_dirs` is it one. Pure.
 */
#ifndef PROCESS_WORKING_DIR_H
#define PROCESS_WORKING_DIR_H

#include "options.h"

struct working_dir {
    const char *shared; /* one of `shared_dirs`, borrowed; NULL: the sandbox's own folder */
    const char *inner;  /* relative to that, borrowed; may be "" */
};

/* `text` may be NULL. "/" is what clients of containers send who want no folder in particular: it is the sandbox's own.
 * -1 with `err`. */
int working_dir_find(struct working_dir *dir, const struct options *options, const char *text,
                     struct sbx_error *err);

#endif
