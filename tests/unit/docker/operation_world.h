/* operation_world.h: what the tests of the operations on a container have in their hands: an engine that says what
 * each case wants, and the rest of the plugin. Each call waits in a queue until the case answers it. */
#ifndef OPERATION_WORLD_H
#define OPERATION_WORLD_H

#include "docker.h"
#include "engine/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "sb-1"
#define ID "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"
#define NO_SUCH_CONTAINER "No such container: " ID
#define PORT_TAKEN_WORDS                                                                                     \
    "driver failed programming external connectivity on endpoint " NAME ": Bind for 127.0.0.1:1 failed: "    \
    "port is already allocated"

enum { OP = 7, CALLS_MAX = 8, CREATED_AT_US = 1767225600, SLOW_US = 5000000 };

struct engine_call {
    char method[8], path[512];
    engine_done done;
    void *arg;
    uint32_t timeout_ms;
};

extern struct world {
    struct docker docker;
    struct sbx_backend backend;
    struct sbx_host host;
    struct engine_call *calls[CALLS_MAX]; /* not answered, the oldest first */
    unsigned calls_len;
    bool looks; /* one is under way */
    look_done looked;
    void *look_arg;
    struct image_waiter *pull;
    unsigned pulls, builds, builds_left;
    char created_of[64];                     /* the image in the last request for a container */
    sbx_callback timer, work_run, work_done; /* NULL: there is none */
    void *timer_arg, *work_arg;
    sbx_callback slow; /* the timer of a start that takes SLOW_US */
    void *slow_arg;
    uint64_t timer_delay_us;
    uint64_t now_ms;
    uint16_t next_port;
    uint16_t told_port;   /* on the host, in the last report of a start */
    int created_at_us;    /* on the label of the container that is there */
    const char *instance; /* likewise: of another daemon, which runs; NULL: there is no such label */
    bool exhausted;       /* there is no port */
    int reserved, reserved_most, overlays_made, overlays_removed, forgotten, log_ends, doubts, progresses,
        warnings;
    int completions;
    bool failed;
    struct sbx_error error;
} world;

int set_up(void **state);
/* Fails where an answer is still awaited, a port reserved or an operation in flight. */
int tear_down(void **state);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The oldest call that has no answer is this one. */
void expect(const char *method, const char *path);
/* Answer it: with a JSON text (NULL: none), in the engine's words of refusal, or not at all. */
void answer(int status, const char *text);
void refuse(int status, const char *message);
void volumes_are(const char *list); /* it asks for those that bear its id: a JSON list */
void no_answer(void);
/* It asks for the container of NAME: there is one in this state, of that backend and of world.created_at_us. */
void inspected_as(const char *state, const char *backend);

struct container *know(enum container_state state); /* puts it into the table */
void look_finds(enum container_state state);        /* the look that is under way */
void look_finds_none(void);
void time_comes(void);
void it_is_slow(void); /* the start */
void pool_works(void);

void assert_succeeded(void);
void assert_failed(enum sbx_error_kind kind, const char *code);

#endif
