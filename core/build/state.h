/* build/state.h: the builds as builds.c (their lives) and load.c (what the last daemon left) share them. */
#ifndef BUILD_STATE_H
#define BUILD_STATE_H

#include "build/builds.h"

#define CONTEXT_SUFFIX ".tar.gz" /* behind a build's id */

enum { PATH_BYTES = 4096 + 64 };

struct builds {
    struct builds_deps deps;
    struct build *first; /* newest first */
    struct build_upload *uploads;
    struct context *contexts; /* of uploads, or dropped */
    char *folder;             /* of contexts; NULL: not made yet */
    bool stopping;

    /* While it is loaded. */
    struct config_problems *problems;
    reload_prepared prepared;
    void *transaction;
    size_t awaited;
    int number; /* errno of the folder's making */
};

extern const char builds_space[]; /* in the store */

/* The end of a build, with its reason; NULL: it succeeded. */
void builds_end(struct build *build, enum build_status status, const char *why);

#endif
