/* build/builds.h: the images that clients have built here: their contexts, what a backend made of them, and whose they
 * are. A build is on disk before its client is told of it, and so is its end; one that a crash cut off has ended.
 * Loop thread only.
 */
#ifndef BUILD_BUILDS_H
#define BUILD_BUILDS_H

#include "base/buffer.h"
#include "base/pool.h"
#include "config/reload.h"
#include "sandbox/service.h"
#include "store/store.h"

struct builds;
struct build_upload;

struct builds_deps {
    struct loop *loop;
    struct pool *pool;
    struct store *store;
    struct service *service;
};

enum {
    BUILDS_AT_WORK_MAX = 16,  /* of all users */
    BUILDS_KEPT_MAX = 1000,   /* of all; the oldest that have ended are forgotten */
    BUILDS_OF_USER_MAX = 100, /* likewise */
    BUILD_TAGS_MAX = 16,
    BUILD_ID_SIZE = 24,
    BUILD_LOG_MAX = 8 * 1024
};

enum build_status {
    BUILD_BUILDING,
    BUILD_SUCCESS,
    BUILD_FAILURE,        /* the context can't be built, or its image not be pushed */
    BUILD_INTERNAL_ERROR, /* the engine, or this daemon, was lost or has no room */
    BUILD_TIMEOUT,
    BUILD_CANCELLED
};

struct build {
    struct build *next; /* newest first */
    char id[BUILD_ID_SIZE];
    char *owner; /* NULL: where there were no users */
    char *backend;
    char *names[1 + BUILD_TAGS_MAX + 1]; /* full ones; the first is the target; ends in NULL */
    char *image;                         /* the target as the client wrote it */
    enum build_status status;
    char *error; /* NULL: none */
    char *log;   /* its end, any bytes but NUL; NULL: none */
    int64_t began_us, ended_us;

    /* While it goes on. */
    struct builds *builds;
    struct backend_operation *operation;
    struct buffer output;
    bool push;
    uint32_t timeout_ms;
};

struct builds *builds_create(const struct builds_deps *deps);
/* A reload part. The first time it reads what is known and clears away contexts that were left. */
void builds_prepare(struct builds *builds, const struct config *old, struct config *next,
                    struct config_problems *problems, reload_prepared prepared, void *transaction);
/* The daemon stops: what goes on is CANCELLED. Nothing is begun from now on. */
void builds_stop(struct builds *builds);
/* After pool_destroy(). */
void builds_destroy(struct builds *builds);

/* The builds that a viewer may know of; NULL: there is none. */
const struct build *builds_find(const struct builds *builds, const struct viewer *viewer, const char *id);
/* The newest build of a viewer's, successful, that has this full name. */
const struct build *builds_of_image(const struct builds *builds, const struct viewer *viewer,
                                    const char *full_name);
/* Is it the name of what somebody else has built? */
bool builds_taken(const struct builds *builds, const struct viewer *viewer, const char *full_name);
unsigned builds_at_work(const struct builds *builds);

/* ---- a new one ---- */

struct build_upload_events {
    void (*ready)(void *arg); /* for more of the context */
    /* Once: it goes on under this id, or there will be no build. The upload is gone then. */
    void (*done)(void *arg, const struct sbx_error *err, const char *build_id);
    void *arg;
};
/* Begins to take a context on runtime_api.backend. NULL with err: LIMIT, UNSUPPORTED, UNAVAILABLE. */
struct build_upload *builds_upload(struct builds *builds, const struct config *config,
                                   const struct viewer *viewer, const struct build_upload_events *events,
                                   struct sbx_error *err);
/* False: no more until `ready`. */
bool build_upload_write(struct build_upload *upload, const void *bytes, size_t len);
/* The context is complete. `names` are full ones, the target first, at most 1 + BUILD_TAGS_MAX. */
void build_upload_finish(struct build_upload *upload, const char *image, const char *const *names,
                         size_t count);
/* The client is gone, or what it sent is wrong: no event comes any more. */
void build_upload_drop(struct build_upload *upload);

#endif
