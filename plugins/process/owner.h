/* owner.h: whose a sandbox is: which control directory its processes and its files belong to.
 *
 * A state that is copied holds the records of sandboxes that run under another daemon. The identity of a control
 * directory (device and inode) tells the two apart: it stands in the record, in the environment of each process of the
 * sandbox, and in what its supervisor says. What belongs to another directory is not touched. Blocks for a look
 * at /proc.
 */
#ifndef PROCESS_OWNER_H
#define PROCESS_OWNER_H

#include "record.h"

#include <stdbool.h>

/* A variable of each process of a sandbox; its value is a mark. */
#define OWNER_VARIABLE "SANDBOX_CONTROL"

/* The code of the errors that say so. */
#define OWNER_OTHER "STATE_COPIED"

struct owner {
    uint64_t device, inode;
};

enum { OWNER_MARK_SIZE = 48 };

/* The identity of an open control directory; false with errno. */
bool owner_of(int control_dir, struct owner *owner);
/* Its text, at most OWNER_MARK_SIZE bytes. */
void owner_mark(const struct owner *owner, char *mark);

/* Writes into the record that its next run belongs to this directory. -1 with errno. */
int owner_record(struct record *record, int control_dir);
/* The mark of the run in the record; "": there is none. */
const char *owner_recorded(const struct record *record);

/* Does the sandbox of this record belong to another control directory: one that is still there, or whose supervisor
 * lives? True: `err` names it. */
bool owner_is_other(const struct record *record, int control_dir, const char *sandbox_id,
                    struct sbx_error *err);

/* Does a living supervisor of another control directory have a sandbox of this id? `folder` is the path of ours, which
 * need not be there. True: `err` names the other. `left` (may be NULL) receives the mark of a supervisor whose
 * directory was at `folder` and has been removed: it is ours; "": none. */
bool owner_is_elsewhere(const char *folder, const char *sandbox_id, char *left, struct sbx_error *err);

#endif
