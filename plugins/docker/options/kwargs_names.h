/* kwargs_names.h: the names that `kwargs` may have, in both worlds: docker-py's and the engine's.
 */
#ifndef DOCKER_OPTIONS_KWARGS_NAMES_H
#define DOCKER_OPTIONS_KWARGS_NAMES_H

#include <stdbool.h>

enum kwarg_kind {
    KWARG_REFUSED,     /* `why` says what is right */
    KWARG_BOOLEAN,     /* the same for both, as the next four */
    KWARG_INTEGER,     /* */
    KWARG_TEXT,        /* a whole number too, for ids */
    KWARG_TEXTS,       /* a list of texts; a whole number is a text */
    KWARG_OBJECTS,     /* a list of mappings with the engine's names */
    KWARG_OBJECT,      /* a mapping with the engine's names, which it reads in any case ("name" for "Name") */
    KWARG_BYTES,       /* a number of bytes, or "512m", "4g" */
    KWARG_SWAP,        /* as KWARG_BYTES; -1: no limit */
    KWARG_TEXT_MAP,    /* a mapping of names to texts; numbers and booleans become texts */
    KWARG_LABELS,      /* as KWARG_TEXT_MAP, or a list of names */
    KWARG_ENVIRONMENT, /* a mapping, or a list of NAME=VALUE: the latter */
    KWARG_HOSTS,       /* a mapping of names to addresses, or a list of NAME:ADDRESS: the latter */
    KWARG_DEVICES,     /* a list of "/dev/a[:/dev/b[:rwm]]": mappings */
    KWARG_TMPFS,       /* a mapping of folders to options, or a list of folders: the former */
    KWARG_HEALTH       /* a mapping, whose `test` may be a text */
};

struct kwarg {
    const char *name;   /* docker-py's, of its containers.run(); exactly so */
    const char *engine; /* the engine's; NULL: it has none */
    const char *why;    /* KWARG_REFUSED: what is right in its place */
    enum kwarg_kind kind;
    bool host; /* a member of HostConfig */
};

/* NULL: docker-py has no such name. */
const struct kwarg *kwarg_find(const char *name);

/* The one whose engine's name that is, in any case; NULL: none. */
const struct kwarg *kwarg_of_engine(const char *engine, bool host);

/* Has the engine's create request (Engine API 1.41 to 1.51, ContainerCreate) such a member, or its HostConfig (`host`)?
 * In any case, as the engine reads it. */
bool kwarg_engine_has(const char *name, bool host);

#endif
