/* store/room.c: see room.h. Owns the decision; how room is made is the ballast's business. */
#include "store/room.h"

#include "base/error.h"
#include "base/log.h"
#include "store/database.h"

#include <stdlib.h>
#include <string.h>

enum { CHECK_S = 30, CHECK_LACKING_S = 2 };

void room_init(struct room *room, const char *directory)
{
    *room = (struct room){.directory = strdup(directory)};
    if (!room->directory)
        abort();
    ballast_init(&room->ballast, directory);
}

void room_finish(struct room *room)
{
    ballast_finish(&room->ballast);
    free(room->directory);
    room->directory = NULL;
}

bool room_make_to_open(struct room *room)
{
    return ballast_give(&room->ballast);
}

/* A promise, and what goes with what was promised. */
static bool frees(const struct operation *op)
{
    return op->kind == DELETE_SANDBOX || op->kind == DELETE ||
           (op->kind == PUT_SANDBOX && op->sandbox.deleting);
}

/* Without any ballast there is nothing to be saved for deletions: whatever fits may have the room. */
static bool saves_room(const struct room *room)
{
    return room->full && room->ballast.size > 0;
}

bool room_refuses(const struct room *room, struct operation *op)
{
    if (!saves_room(room) || !operation_writes(op) || frees(op))
        return false;
    struct sbx_error err;
    error_set(&err, SBX_ERR_UNAVAILABLE, STORE_NO_SPACE,
              "the disk of state_dir (%s) is full, and what room is left is kept for deletions: delete "
              "sandboxes, or "
              "free some space there",
              room->directory);
    operation_fail(op, &err);
    return true;
}

static void become_full(struct room *room)
{
    if (room->full)
        return;
    room->full = true;
    log_error("state_dir: the disk of %s is full: sandboxes can be deleted, and nothing new is stored until "
              "there is "
              "room; delete some, or free space there",
              room->directory);
}

/* Its own size may be the reason: then the log, which it has made grow, gives back what it took. */
static bool was_too_large(struct room *room, struct database *database, const struct operation *op)
{
    return !room->full && op->size > room->ballast.slice && room->ballast.size > 0 &&
           (database_cut_log(database) || (ballast_give(&room->ballast) && database_cut_log(database))) &&
           ballast_room(&room->ballast) > room->ballast.slice;
}

bool room_make(struct room *room, struct database *database, const struct operation *op)
{
    if (was_too_large(room, database, op))
        return false;
    bool was_full = room->full;
    become_full(room);
    if (!frees(op))
        return !was_full && saves_room(room); /* to be refused in so many words */
    /* The log goes on from its beginning once it is in the file, and then needs no room. */
    do {
        if (!ballast_give(&room->ballast))
            return false;
    } while (!database_move_log(database));
    return true;
}

void room_note_success(struct room *room)
{
    if (room->full && room->ballast.size == 0) {
        room->full = false;
        log_info("state_dir: the disk of %s has room again", room->directory);
    }
}

static void tell_lack(struct room *room)
{
    const struct ballast *ballast = &room->ballast;
    if (room->lack_told)
        return;
    room->lack_told = true;
    log_warn("state_dir: %s/" BALLAST_FILE
             " (%llu KiB), which lets sandboxes be deleted once the disk is full, can't be "
             "made: %s",
             room->directory, (unsigned long long)(ballast->size / 1024),
             ballast->failure ? strerrordesc_np(ballast->failure) : "there is too little room");
}

void room_check(struct room *room)
{
    const struct ballast *ballast = &room->ballast;
    if (ballast->size == 0)
        return;
    bool whole = ballast_fill(&room->ballast);
    uint64_t left = ballast_room(ballast);
    if (left < ballast->slice) {
        become_full(room);
    } else if (whole && room->full && left >= ballast->size / 2) {
        room->full = false;
        log_info("state_dir: the disk of %s has room again", room->directory);
    }
    if (whole)
        room->lack_told = false;
    else if (!room->full)
        tell_lack(room);
}

unsigned room_check_after_s(const struct room *room)
{
    return room->full || !ballast_is_whole(&room->ballast) ? CHECK_LACKING_S : CHECK_S;
}
