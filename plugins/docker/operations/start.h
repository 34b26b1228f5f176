/* start.h: one start in flight, and what the files of it share: start.c (the operation, from its beginning to its
 * end) and make.c (the steps to a container that runs).
 *
 * Each step ends in a callback, which first takes note of what was made, then asks start_given_up(), then goes on.
 */
#ifndef DOCKER_START_H
#define DOCKER_START_H

#include "docker.h"

enum {
    TRIES_MAX = 10, /* of ports, and of a name that something half gone still has */
    SLOW_MS = 5000  /* the host waits 10 s for a URL, and clients 15 s for the host */
};

struct starting {
    struct starting *next; /* docker->starts */
    struct docker *docker;
    sbx_op op;
    char name[SANDBOX_ID_MAX + 1];
    char *session_key, *owner, *spec_id;
    const char *image; /* of `spec`, or its base image */
    char *built;       /* the image that was made for `build` of the spec; NULL: none yet */
    bool builds;       /* `pull` is of that, and not of a pull alone */
    bool built_again;  /* it was gone before its container was made */
    sbx_json *spec;
    int64_t created_at_us;
    uint64_t span_ms;      /* the time that progress gives anew */
    uint64_t pull_ends_ms; /* and not after that, however much comes */
    uint64_t deadline_ms;
    bool again;
    bool cancelled;

    /* What it waits for; none of them: the pool, a removal or a look, which always come. */
    struct engine_call *call;
    engine_done called; /* where the answer to `call` goes */
    struct image_waiter *pull;
    sbx_timer timer; /* the end of a pull, or of a call after a cancel; or before the next try of a name */

    sbx_timer slow_timer;
    bool slow; /* SLOW_MS are over: ports are told as soon as they are chosen */

    bool pulled, overlaid;
    bool has_ports;   /* for the container that comes next, or is there */
    bool holds_ports; /* they are reserved, perhaps for having been taken */
    bool doubtful;    /* there may be a container of it, and only the engine knows */
    bool foreign;     /* somebody else's container has its name */
    char id[ENGINE_ID_SIZE];
    unsigned tries, name_tries;
    uint16_t container_ports[OPTIONS_PORTS_MAX], host_ports[OPTIONS_PORTS_MAX];
    int result; /* of the pool's part */
    struct sbx_error error;
};

/* ---- start.c ---- */

/* Each is the last thing that a step does: `starting` may be gone afterwards. start_fail() first removes what was
 * made. start_given_up(): if it was cancelled it fails with that, and the answer is true. start_clear() removes its
 * container, and goes on with make_go_on(). start_find() looks for a container of its name, to take it over or clear
 * it away. */
void start_end(struct starting *starting, const struct sbx_error *err);
void start_fail(struct starting *starting, const struct sbx_error *err);
bool start_given_up(struct starting *starting);
void start_call(struct starting *starting, const char *method, const char *path, const sbx_json *body,
                engine_done called);
void start_clear(struct starting *starting);
void start_find(void *arg);
void start_stop_timer(struct starting *starting);

/* ---- make.c ---- */

void make_go_on(struct starting *starting);       /* with the first of the steps that was not made yet */
void make_run(struct starting *starting);         /* from a container that was created */
void make_look(struct starting *starting);        /* from one that runs */
void make_is_slow(void *arg);                     /* the end of SLOW_MS */
void make_leave_image(struct starting *starting); /* the pull, or what it is a part of */
void make_release_ports(struct starting *starting);

#endif
