/* store/ballast.h: a file that only takes up room beside the store's, to be given back when the disk is full, so that
 * deletions still can be written down. Knows nothing of what is stored. Used by one thread at a time. */
#ifndef STORE_BALLAST_H
#define STORE_BALLAST_H

#include <stdbool.h>
#include <stdint.h>

#define BALLAST_FILE "sandboxd.ballast"

struct ballast {
    char *path;
    uint64_t size;  /* that it is to have; 0: the file system is too small for one */
    uint64_t held;  /* that it has */
    int failure;    /* why it could not be made the last time: an errno; 0: for lack of room */
    uint64_t slice; /* that is given back at once: others write to the same disk, and would take it all */
};

/* In the folder of the state. What an earlier daemon left of it is taken over; nothing is made yet. */
void ballast_init(struct ballast *ballast, const char *directory);
void ballast_finish(struct ballast *ballast); /* the file stays */

/* Makes it whole, every block of it. It blocks for as long as that takes. False: there is not enough room for it with some
 * to spare, or it can't be made. */
bool ballast_fill(struct ballast *ballast);
/* Gives a slice of it back. False: nothing is left of it. */
bool ballast_give(struct ballast *ballast);
bool ballast_is_whole(const struct ballast *ballast);

/* Bytes that this program may still write to the disk. */
uint64_t ballast_room(const struct ballast *ballast);

#endif
