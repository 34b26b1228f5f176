/* store/room.h: is there room on the disk, and what is still written where there is not: deletions first, by means of the
 * ballast; what would make anything new is refused. The store's thread only. */
#ifndef STORE_ROOM_H
#define STORE_ROOM_H

#include "store/ballast.h"
#include "store/operation.h"

struct database;

struct room {
    struct ballast ballast;
    char *directory; /* for what is told */
    bool full;       /* and was told */
    bool lack_told;  /* that there is no whole ballast */
};

void room_init(struct room *room, const char *directory);
void room_finish(struct room *room);

/* Opening failed for lack of room: makes some. False: there is nothing to make it of. */
bool room_make_to_open(struct room *room);

/* True: it is refused, since the disk is full and it frees nothing. The operation has the error. */
bool room_refuses(const struct room *room, struct operation *op);
/* It was tried, and failed for lack of room. True: some was made, and it is worth another try. */
bool room_make(struct room *room, struct database *database, const struct operation *op);
/* A write went well. */
void room_note_success(struct room *room);

/* Looks at the disk: makes the ballast whole again, and notes when the disk is full or has room. Not within a
 * transaction. */
void room_check(struct room *room);
/* How long the next look may wait. */
unsigned room_check_after_s(const struct room *room);

#endif
