/* halt.c: see halt.h. Deletes nothing, and does not look at what came of it. */
#include "operations/halt.h"

#include "engine/refusal.h"

#include <stdio.h>
#include <stdlib.h>

enum { HALT_GRACE_MS = 10000 }; /* for the engine, beyond the time that the program has */

struct halt {
    struct docker *docker;
    char id[ENGINE_ID_SIZE];
    void (*done)(void *arg, const struct sbx_error *err);
    void *arg;
};

static void stopped(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    (void)body;
    struct halt *halt = arg;
    halt->done(halt->arg, error);
    free(halt);
}

static void stop(struct halt *halt)
{
    uint64_t timeout_ms = halt->docker->options.stop_timeout_ms;
    uint64_t call_ms = timeout_ms + HALT_GRACE_MS;
    char path[160];
    snprintf(path, sizeof path, "/containers/%s/stop?t=%llu", halt->id,
             (unsigned long long)((timeout_ms + 999) / 1000));
    struct engine_request request = {
        .method = "POST", .path = path, .timeout_ms = call_ms < UINT32_MAX ? (uint32_t)call_ms : UINT32_MAX};
    engine_call(&halt->docker->engine, &request, stopped, halt);
}

static void thawed(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    (void)body;
    struct halt *halt = arg;
    if (error && refusal_is_unknown(error)) {
        halt->done(halt->arg, error);
        free(halt);
    } else {
        stop(halt); /* it may have been thawed by somebody else, or have ended */
    }
}

void halt_run(struct docker *docker, const char *name, const char *engine_id, bool frozen,
              void (*done)(void *arg, const struct sbx_error *err), void *arg)
{
    struct halt *halt = calloc(1, sizeof *halt);
    if (!halt)
        abort();
    halt->docker = docker;
    snprintf(halt->id, sizeof halt->id, "%s", engine_id);
    halt->done = done;
    halt->arg = arg;
    struct container *container = table_find(docker, name);
    if (container) {
        container->killed = true;
        container->killed_until_ns = 0;
    }
    if (!frozen) {
        stop(halt);
        return;
    }
    /* A frozen program can't hear SIGTERM: the engine would wait out the whole time, and kill it then. */
    char path[128];
    snprintf(path, sizeof path, "/containers/%s/unpause", halt->id);
    struct engine_request request = {.method = "POST", .path = path, .timeout_ms = CALL_TIMEOUT_MS};
    engine_call(&docker->engine, &request, thawed, halt);
}
