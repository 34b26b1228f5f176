/* act.c: pause, resume and stop of a sandbox. Makes and removes nothing.
 *
 * The table says what to ask the engine for, and may be stale: where the engine refuses, its own word on the
 * container is got, and the decision made once more by that, once. Each operation that had an answer ends in a look,
 * so that the new state is reported before the operation is complete.
 */
#include "common/failure.h"
#include "docker.h"
#include "engine/refusal.h"
#include "operations/halt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MAX = 200 /* bytes of the engine's, in a message of ours */
};

struct acting {
    struct docker *docker;
    enum verb verb;
    sbx_op op;
    char name[SANDBOX_ID_MAX + 1];
    enum container_state state; /* that was decided by */
    bool looked;                /* the engine was asked for that */
    bool refused;
    struct sbx_error error; /* how it refused */
};

static void decide(struct acting *acting, struct container *container);

/* ---- how it ends ---- */

static void end(struct acting *acting, const struct sbx_error *err)
{
    struct docker *docker = acting->docker;
    if (err && refusal_is_unknown(err))
        watch_doubt(docker);
    operation_end(docker, acting->name);
    docker->host->complete(docker->public, acting->op, err);
    free(acting);
}

static void end_not_found(struct acting *acting)
{
    failure_set(&acting->error, SBX_ERR_NOT_FOUND, "NOT_FOUND", "its container does not exist any more");
    end(acting, &acting->error);
}

static void looked_at_last(void *arg, const struct sbx_error *err, struct container *container)
{
    struct acting *acting = arg;
    if (!err && !container)
        end_not_found(acting);
    else
        end(acting, err);
}

static void looked(void *arg, const struct sbx_error *err, struct container *container)
{
    struct acting *acting = arg;
    if (err)
        end(acting, acting->refused ? &acting->error : err); /* the first failure is the reason */
    else if (!container)
        end_not_found(acting);
    else if (acting->refused && (acting->looked || container->facts.state == acting->state)) {
        if (container->facts.state == CONTAINER_RUNNING)
            container->killed = false; /* it was not stopped: an end to come is another one */
        end(acting, &acting->error);   /* it is as was thought, and the engine does not do it */
    } else {
        acting->looked = true;
        decide(acting, container);
    }
}

/* A container keeps the host ports that it was made with, and whoever took one meanwhile has to give it back. */
static void explain_port(struct acting *acting, const struct sbx_error *error)
{
    const struct container *container = table_find(acting->docker, acting->name);
    char ports[120] = "";
    size_t len = 0;
    for (uint32_t i = 0; container && i < container->facts.ports_len && len < sizeof ports - 16; i++)
        len += (size_t)snprintf(ports + len, sizeof ports - len, "%s%u", i > 0 ? ", " : "",
                                (unsigned)container->facts.ports[i].host_port);
    const char *words = error->message; /* which one it is stands last in them */
    size_t words_len = strlen(words);
    if (words_len > WORDS_MAX)
        for (words += words_len - WORDS_MAX; ((unsigned char)*words & 0xc0) == 0x80;)
            words++; /* not from the middle of a character */
    failure_set(
        &acting->error, SBX_ERR_CONFLICT, error->code,
        "one of its host ports (%s) is taken, and a container's ports can't be changed: end what uses "
        "it, and resume again (%s%s)",
        ports, words == error->message ? "" : "[...] ", words);
    acting->error.retryable = 1;
}

static void done(struct acting *acting, const struct sbx_error *error)
{
    if (!error) {
        operation_look(acting->docker, acting->name, looked_at_last, acting);
        return;
    }
    if (refusal_is_unknown(error)) {
        end(acting, error);
        return;
    }
    acting->refused = true;
    acting->error = *error;
    if (refusal_is_port_taken(error))
        explain_port(acting, error);
    operation_look(acting->docker, acting->name, looked, acting);
}

/* ---- what is asked of the engine ---- */

static void answered(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    (void)body;
    done(arg, error);
}

static void halted(void *arg, const struct sbx_error *err)
{
    done(arg, err);
}

static void call(struct acting *acting, const struct container *container, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "/containers/%s/%s", container->facts.id, what);
    struct engine_request request = {.method = "POST", .path = path, .timeout_ms = CALL_TIMEOUT_MS};
    engine_call(&acting->docker->engine, &request, answered, acting);
}

/* ---- what is to be done in each state ---- */

enum deed { DEED_NONE, DEED_PAUSE, DEED_UNPAUSE, DEED_START, DEED_HALT, DEED_REFUSE };

static enum deed deed_of(const struct acting *acting, const struct container *container)
{
    bool freezes = acting->docker->options.pause_mode == PAUSE_FREEZE;
    switch (container->facts.state) {
    case CONTAINER_RUNNING:
    case CONTAINER_RESTARTING:
        if (acting->verb == VERB_RESUME)
            return DEED_NONE;
        /* What is between two runs can't be frozen. */
        return acting->verb == VERB_PAUSE && freezes && container->facts.state == CONTAINER_RUNNING
                   ? DEED_PAUSE
                   : DEED_HALT;
    case CONTAINER_PAUSED:
        if (acting->verb == VERB_RESUME)
            return DEED_UNPAUSE;
        return acting->verb == VERB_PAUSE ? DEED_NONE : DEED_HALT;
    case CONTAINER_CREATED:
    case CONTAINER_EXITED:
    case CONTAINER_DEAD:
        if (acting->verb == VERB_RESUME)
            return DEED_START;
        return acting->verb == VERB_STOP || container->killed ? DEED_NONE : DEED_REFUSE;
    case CONTAINER_REMOVING:
    case CONTAINER_UNKNOWN: break;
    }
    return DEED_REFUSE;
}

static void refuse(struct acting *acting, const struct container *container)
{
    bool goes = container->facts.state == CONTAINER_REMOVING;
    failure_set(&acting->error, SBX_ERR_CONFLICT, goes ? "REMOVAL_IN_PROGRESS" : "NOT_RUNNING", "%s",
                goes ? "its container is being removed"
                     : "its program does not run, so that it can't be paused: resume it, or delete it");
    end(acting, &acting->error);
}

static void decide(struct acting *acting, struct container *container)
{
    enum deed deed = deed_of(acting, container);
    acting->state = container->facts.state;
    if ((deed == DEED_NONE || deed == DEED_REFUSE) && !acting->looked) {
        operation_look(acting->docker, acting->name, looked,
                       acting); /* to do nothing, the table's word is too little */
        return;
    }
    switch (deed) {
    case DEED_NONE: end(acting, NULL); break;
    case DEED_PAUSE: call(acting, container, "pause"); break;
    case DEED_UNPAUSE: call(acting, container, "unpause"); break;
    case DEED_START: call(acting, container, "start"); break;
    case DEED_HALT:
        halt_run(acting->docker, acting->name, container->facts.id,
                 container->facts.state == CONTAINER_PAUSED, halted, acting);
        break;
    case DEED_REFUSE: refuse(acting, container); break;
    }
}

void act_begin(struct docker *docker, enum verb verb, const char *sandbox_id, sbx_op op)
{
    struct acting *acting = calloc(1, sizeof *acting);
    if (!acting)
        abort();
    acting->docker = docker;
    acting->verb = verb;
    acting->op = op;
    snprintf(acting->name, sizeof acting->name, "%s", sandbox_id);
    operation_begin(docker, sandbox_id);
    struct container *container = table_find(docker, sandbox_id);
    if (*container->facts.id)
        decide(acting, container);
    else
        operation_look(docker, acting->name, looked, acting);
}
