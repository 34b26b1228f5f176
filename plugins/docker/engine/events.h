/* events.h: the engine's event stream (GET /events, Engine API 1.41): pieces of bytes become events.
 *
 * Pure: one JSON object follows another, each on a line of its own; what is no event is skipped, and what is
 * longer than EVENT_MAX ends the stream as broken.
 */
#ifndef DOCKER_EVENTS_H
#define DOCKER_EVENTS_H

#include "common/bytes.h"
#include "containers/container.h"

enum { EVENT_MAX = 256 * 1024 };

enum event_kind {
    EVENT_CREATE, /* and rename: there may be a new name */
    EVENT_START,  /* and unpause, pause, restart: its state changed */
    EVENT_KILL,   /* a signal was sent */
    EVENT_OOM,
    EVENT_DIE,
    EVENT_STOP, /* the end of a stop by somebody, after its die */
    EVENT_DESTROY
};

struct event { /* borrowed texts */
    enum event_kind kind;
    const char *id;       /* the engine's, of the container */
    const char *name;     /* without a slash */
    const char *backend;  /* LABEL_BACKEND; NULL: none */
    const char *instance; /* LABEL_INSTANCE; NULL: none */
    int signal;           /* KILL; 0: not known */
    int exit_code;        /* DIE; -1: not known */
    uint64_t time_ns;
};

struct event_reader {
    const struct sbx_json_api *json;
    struct bytes line;
};

void event_reader_init(struct event_reader *reader, const struct sbx_json_api *json);
void event_reader_finish(struct event_reader *reader);
/* Calls `tell` for each event that the bytes complete. False: the stream makes no sense any more. */
bool event_reader_feed(struct event_reader *reader, const void *bytes, size_t len,
                       void (*tell)(void *arg, const struct event *event), void *arg);

#endif
