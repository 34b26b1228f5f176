/* store/identity.h: which state this is, and whether it is a copy of one that is still in use.
 *
 * A state has a random id, which goes with it wherever it is moved or restored, and the folder at which it was last
 * served. Both stand in the folder's file `sandboxd.id` (0600), which the daemon of another folder may read, and in
 * the database, which is what a backup has. Knows neither the lock nor what else is kept. Blocks.
 */
#ifndef STORE_IDENTITY_H
#define STORE_IDENTITY_H

#include "base/clock.h"

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>

#define IDENTITY_FILE "sandboxd.id"

enum { IDENTITY_TEXT_MAX = 4096 + 256 };

struct identity {
    char id[BASE62_SIZE_16];          /* "": none yet */
    char *folder;                     /* where it is served now: absolute, without symbolic links; owned */
    unsigned long long device, inode; /* of the folder; other ones after a reboot or a remount mean nothing */
    int alive_fd; /* says to others on this machine that it is served; -1: nobody is told */
    bool file_is_old, record_is_old; /* what is written there is not what holds now */
};

/* Reads the file in the state folder `path`. -1: it can't be read, makes no sense, or the folder is a copy of one
 * that is still there; identity_finish() is due either way. */
int identity_read_file(struct identity *identity, const char *path, struct sbx_error *err);
/* Takes what the database says (NULL: nothing), which goes before the file's word, and makes an id where neither has
 * one. -1: as above, or a daemon on this machine serves a state of that id. */
int identity_settle(struct identity *identity, const char *record, size_t len, struct sbx_error *err);
/* What is to be in the database. `text` has IDENTITY_TEXT_MAX bytes. */
size_t identity_text(const struct identity *identity, char *text);
/* Brings the file up to date where it is old. A failure is a line in the log: the next start tries it again. */
void identity_write_file(const struct identity *identity);
void identity_finish(struct identity *identity);
/* Lets those go who asked, once `alive_fd` is readable: only so many may wait there, and none can
 * ask beside them. Does not block. */
void identity_answer(const struct identity *identity);
/* Does a daemon serve a state of that id now, on this machine and in this network namespace? */
bool identity_is_served(const char *id);

#endif
