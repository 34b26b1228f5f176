/* directory.h: directories in which a sandbox may have done anything. All of it blocks.
 */
#ifndef PROCESS_DIRECTORY_H
#define PROCESS_DIRECTORY_H

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Opens the folder in which sandboxes have theirs, and makes it (0711, its parents too) when it is
 * missing. Refuses a symbolic link, one that belongs to somebody else, and one that others may write to.
 * `uid`: who has to pass through it, with his `gid`. The descriptor, or -1. */
int directory_open_base(const char *path, uid_t uid, gid_t gid, struct sbx_error *err);

/* Could it be that folder, as lstat(2) saw it? 0, or -1 with `err`. Looks at nothing itself. */
int directory_check_base(const char *path, const struct stat *status, struct sbx_error *err);

/* Makes `name` in `base` with mode 0700, owned by uid and gid, and in it the folders of `inner` (may be NULL
 * or ""; a leading slash does not count). Returns a descriptor of the innermost; -1 with `err`. */
int directory_make(int base, const char *name, const char *inner, uid_t uid, gid_t gid,
                   struct sbx_error *err);
/* Opens what directory_make() made. */
int directory_open(int base, const char *name, const char *inner, struct sbx_error *err);
/* Goes down `inner` from `fd`, which it takes, without following links; where `make` it makes what is missing, for
 * uid and gid. The descriptor of the innermost; -1 with `err`. */
int directory_enter(int fd, const char *inner, bool make, uid_t uid, gid_t gid, struct sbx_error *err);

#endif
