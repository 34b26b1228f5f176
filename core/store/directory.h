/* store/directory.h: the state directory: made, checked and locked. Knows nothing of what is kept in it. */
#ifndef STORE_DIRECTORY_H
#define STORE_DIRECTORY_H

#include <sandboxd/error.h>
#include <stdbool.h>

#define STORE_FILE "sandboxd.db"

/* Makes `path` (its last component only) when it is missing, refuses one that others could tamper with,
 * takes the lock, and makes the store's file (0600). Returns the descriptor that holds the lock; closing
 * it lets go. -1 with a sentence that says what is wrong and what to do. */
int directory_open(const char *path, struct sbx_error *err);

/* "no space" in any of its forms: a full disk, a quota. */
bool directory_is_full(int saved_errno);
/* Is there no room for one more file beside the file `path`? Tries it. */
bool directory_takes_no_file(const char *path);

#endif
