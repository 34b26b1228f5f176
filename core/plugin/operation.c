/* plugin/operation.c: one call of an operation, from the service's question to its one answer.
 *
 * Two ends are kept apart: the plugin's (complete() was called, or never will be) and the service's (the
 * answer was delivered, or nobody wants it any more). The operation is freed when both have come; until the
 * plugin's has, it counts as in flight and its instance can't be closed. */
#include "base/clock.h"
#include "base/error.h"
#include "plugin/instance.h"
#include "plugin/sanitize.h"

#include <stdlib.h>
#include <string.h>

enum {
    STREAM_STOP_AT = 64 * 1024, /* more waiting than that: the plugin is told to stop */
    STREAM_MAX = 1024 * 1024,   /* waiting at most, also of a plugin that wasn't told yet */
    STREAM_PIECE = 64 * 1024,   /* delivered at once */
    RESULT_MAX = 64 * 1024,     /* of describe and image */
    CANCEL_GRACE_MS = 10000,    /* an operation without a timeout is given up so long after cancel */
    CANCEL_EARLY_MS = 1000      /* at most; a tenth of the timeout where that is less */
};

struct backend_operation {
    struct backend *backend; /* a reference */
    enum operation_verb verb;
    sbx_op id; /* 0: the plugin was never called */
    backend_done done;
    backend_data data;
    void *arg;

    bool completed;       /* the plugin's end */
    bool answered;        /* the service's end */
    bool queued;          /* its answer is in the queue of deliveries */
    bool waiting;         /* its answer waits for the rest of the stream */
    bool pumping;         /* data() is on the stack */
    bool cancelling;      /* the plugin was asked to end it */
    bool cancel_answered; /* by the service, which takes SBX_ERR_CANCELLED for an answer */

    bool failed;
    struct sbx_error error;
    char *result;
    size_t result_len;
    uint64_t began_ms, lost_before;

    struct event timer;
    bool timer_is_final; /* else it is the one that cancels */
    uint32_t timeout_ms; /* 0: none */
    uint32_t early_ms;   /* from that one to the final one */

    struct buffer stream;
    bool broken;    /* the plugin misused it; the answer is an error */
    bool told_stop; /* the plugin waits for stream_ready() */
    bool held;      /* the service waits to say backend_stream_ready() */
    struct loop_task pump;
};

static const char *const verb_names[] = {
    [OPERATION_PAUSE] = "pause",   [OPERATION_RESUME] = "resume",   [OPERATION_STOP] = "stop",
    [OPERATION_REMOVE] = "remove", [OPERATION_CONFIRM] = "confirm", [OPERATION_OPEN] = "open",
    [OPERATION_START] = "start",   [OPERATION_LIST] = "list",       [OPERATION_DESCRIBE] = "describe",
    [OPERATION_IMAGE] = "image",   [OPERATION_LOGS] = "logs",       [OPERATION_BUILD] = "build",
};

static void free_if_over(struct backend_operation *operation)
{
    if (!operation->completed || !operation->answered || operation->queued || operation->pumping)
        return;
    struct backend *backend = operation->backend;
    event_del(&operation->timer);
    loop_undefer(backend->env->loop, &operation->pump);
    buffer_finish(&operation->stream);
    free(operation->result);
    free(operation);
    backend_unref(backend);
}

static void answer(struct backend_operation *operation)
{
    backend_ref(operation->backend);
    struct backend *backend = operation->backend;
    operation->answered = true;
    operation->done(operation->arg, operation->failed ? &operation->error : NULL, operation->result,
                    operation->result_len);
    free_if_over(operation);
    backend_unref(backend);
}

static void queue_answer(struct backend_operation *operation)
{
    operation->queued = true;
    deliveries_answer(operation->backend, operation);
}

void operation_deliver(struct backend_operation *operation)
{
    operation->queued = false;
    if (operation->answered)
        free_if_over(operation);
    else if (operation->stream.len > 0)
        operation->waiting = true;
    else
        answer(operation);
}

/* ---- time and cancelling ---- */

static void ask_to_cancel(struct backend_operation *operation)
{
    struct backend *backend = operation->backend;
    if (operation->cancelling || operation->completed)
        return;
    operation->cancelling = true;
    if (backend->ops->cancel)
        backend->ops->cancel(&backend->abi, operation->id);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct backend_operation *operation = arg;
    struct backend *backend = operation->backend;
    if (!operation->timer_is_final) {
        operation->timer_is_final = true;
        loop_arm_ms(&operation->timer, operation->early_ms);
        ask_to_cancel(operation);
        return;
    }
    unsigned long long after = clock_ms() - operation->began_ms;
    instance_complain(backend, NULL,
                      "the plugin did not end `%s` within %llu ms; what it answers later is "
                      "ignored",
                      verb_names[operation->verb], after);
    if (operation->answered)
        return;
    operation->failed = true;
    error_set(&operation->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
              "The backend did not end `%s` within %llu ms.", verb_names[operation->verb], after);
    buffer_clear(&operation->stream);
    answer(operation);
}

static void arm(struct backend_operation *operation)
{
    uint32_t timeout_ms = operation->timeout_ms;
    if (timeout_ms == 0)
        return;
    operation->early_ms = timeout_ms / 10 < CANCEL_EARLY_MS ? timeout_ms / 10 : CANCEL_EARLY_MS;
    loop_arm_ms(&operation->timer, timeout_ms - operation->early_ms);
}

void operation_progress(struct backend *backend, sbx_op op)
{
    struct backend_operation *operation = handles_get(&backend->handles, HANDLE_OPERATION, op);
    if (!operation || operation->verb != OPERATION_START)
        instance_complain(backend, NULL,
                          "the plugin told of progress in operation %llx, which is no `start` in flight; "
                          "ignored",
                          (unsigned long long)op);
    else if (!operation->cancelling && !operation->answered) /* it is to end, else */
        arm(operation);
}

void backend_cancel(struct backend_operation *operation, bool forget)
{
    if (!forget)
        operation->cancel_answered = true;
    if (!operation->completed && !event_pending(&operation->timer, EV_TIMEOUT, NULL)) {
        operation->timer_is_final = true;
        loop_arm_ms(&operation->timer, CANCEL_GRACE_MS);
    }
    ask_to_cancel(operation);
    if (forget) {
        operation->answered = true;
        if (operation->queued)
            deliveries_withdraw(operation->backend, operation);
        operation->queued = false;
        buffer_clear(&operation->stream);
        free_if_over(operation);
    }
}

/* ---- streams ---- */

/* False when the operation is over, and gone. */
static bool deliver_piece(struct backend_operation *operation)
{
    char piece[STREAM_PIECE];
    size_t len = operation->stream.len < sizeof piece ? operation->stream.len : sizeof piece;
    memcpy(piece, operation->stream.data, len);
    buffer_drop_front(&operation->stream, len);
    operation->held = true; /* from inside, the service may already ask for more, or cancel and forget */
    operation->pumping = true;
    if (operation->data(operation->arg, piece, len))
        operation->held = false;
    operation->pumping = false;
    bool over = operation->answered;
    if (over)
        free_if_over(operation);
    return !over;
}

static void pump(void *arg)
{
    struct backend_operation *operation = arg;
    struct backend *backend = operation->backend;
    if (operation->broken) {
        ask_to_cancel(operation);
        return;
    }
    while (operation->stream.len > 0 && !operation->held && !operation->answered)
        if (!deliver_piece(operation))
            return;
    if (operation->stream.len > 0 || operation->answered)
        return;
    if (operation->waiting)
        answer(operation);
    else if (operation->told_stop && !operation->held && !operation->completed) {
        operation->told_stop = false;
        backend->ops->stream_ready(&backend->abi, operation->id);
    }
}

void backend_stream_ready(struct backend_operation *operation)
{
    operation->held = false;
    loop_defer(operation->backend->env->loop, &operation->pump);
}

/* The plugin does with its stream what it must not: the operation ends here for the service. */
static enum sbx_stream break_stream(struct backend_operation *operation, const char *why)
{
    const char *verb = verb_names[operation->verb];
    instance_complain(operation->backend, NULL, "the plugin %s in `%s`; the stream was cut off", why, verb);
    operation->failed = true;
    error_set(&operation->error, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "The backend %s in `%s`.", why, verb);
    buffer_clear(&operation->stream);
    operation->broken = true;
    loop_defer(operation->backend->env->loop, &operation->pump); /* to cancel it, not inside its own call */
    operation->timer_is_final = true;
    loop_arm_ms(&operation->timer, CANCEL_GRACE_MS);
    queue_answer(operation);
    return SBX_STREAM_STOP;
}

enum sbx_stream operation_write(struct backend *backend, sbx_op op, const void *bytes, size_t len)
{
    struct backend_operation *operation = handles_get(&backend->handles, HANDLE_OPERATION, op);
    if (!operation || (operation->verb != OPERATION_LOGS && operation->verb != OPERATION_BUILD)) {
        instance_complain(backend, NULL,
                          "the plugin wrote to operation %llx, which is no `logs` or `build` in flight",
                          (unsigned long long)op);
        return SBX_STREAM_STOP;
    }
    if (operation->answered || operation->broken)
        return SBX_STREAM_STOP;
    if (operation->told_stop)
        return break_stream(operation, "wrote after it was told to stop");
    if (len == 0 || !bytes)
        return SBX_STREAM_GO;
    if (buffer_add(&operation->stream, bytes, len) < 0)
        return break_stream(operation, "wrote more than 1 MiB at once");
    loop_defer(backend->env->loop, &operation->pump);
    operation->told_stop = operation->stream.len >= STREAM_STOP_AT || operation->held;
    return operation->told_stop ? SBX_STREAM_STOP : SBX_STREAM_GO;
}

/* ---- the plugin's end ---- */

static void take_error(struct backend_operation *operation, const struct sbx_error *error)
{
    struct backend *backend = operation->backend;
    const char *verb = verb_names[operation->verb];
    operation->failed = error != NULL;
    if (error)
        sanitize_error(&operation->error, error);
    else if (operation->verb == OPERATION_LIST && operation->lost_before != backend->lost) {
        operation->failed = true;
        error_set(&operation->error, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL,
                  "The backend's listing has reports that were refused (see the log): what it leaves out "
                  "may be there.");
    }
    if (!error || operation->error.kind != SBX_ERR_CANCELLED || operation->cancel_answered)
        return;
    if (operation->cancelling) {
        error_set(&operation->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                  "The backend did not end `%s` within %llu ms.", verb,
                  (unsigned long long)(clock_ms() - operation->began_ms));
    } else {
        operation->error.kind = SBX_ERR_INTERNAL;
        instance_complain(backend, NULL, "the plugin says that `%s` was cancelled, which nobody asked for",
                          verb);
    }
}

void operation_complete(struct backend *backend, sbx_op op, const struct sbx_error *error)
{
    struct backend_operation *operation = handles_get(&backend->handles, HANDLE_OPERATION, op);
    if (!operation) {
        instance_complain(backend, NULL, "the plugin completed operation %llx, which %s; ignored",
                          (unsigned long long)op,
                          handles_known(op) ? "has ended already" : "was never given out");
        return;
    }
    handles_remove(&backend->handles, op);
    operation->completed = true;
    backend->in_flight--;
    if (operation->verb == OPERATION_OPEN && !error) {
        backend->opened = true;
        if (backend->state == INSTANCE_OPENING)
            backend->state = INSTANCE_OPEN;
    }
    event_del(&operation->timer);
    if (operation->answered) {
        if (operation->timer_is_final)
            log_line(LOG_INFO, &(struct log_context){.backend = backend->name},
                     "the plugin ended `%s` after %llu ms", verb_names[operation->verb],
                     (unsigned long long)(clock_ms() - operation->began_ms));
        free_if_over(operation);
    } else if (!operation->queued) { /* a broken stream's answer is there already */
        take_error(operation, error);
        if (operation->verb == OPERATION_OPEN)
            loop_defer(backend->env->loop, &operation->pump);
        else
            queue_answer(operation);
    }
    instance_settle(backend);
}

void operations_abandon(struct backend *backend)
{
    struct backend_operation *operation;
    for (size_t i = 0; (operation = handles_next(&backend->handles, HANDLE_OPERATION, &i));) {
        event_del(&operation->timer);
        loop_undefer(backend->env->loop, &operation->pump);
        operation->answered = true;
    }
}

void operation_result(struct backend *backend, sbx_op op, const char *json, size_t len)
{
    struct backend_operation *operation = handles_get(&backend->handles, HANDLE_OPERATION, op);
    const char *why = "it is not a JSON object";
    if (!operation || (operation->verb != OPERATION_DESCRIBE && operation->verb != OPERATION_IMAGE)) {
        instance_complain(backend, NULL,
                          "the plugin gave a result for operation %llx, which is no `describe` or `image` "
                          "in flight; ignored",
                          (unsigned long long)op);
        return;
    }
    sbx_json *parsed = NULL;
    if (json && len <= RESULT_MAX)
        parsed = json_table()->parse(json, len, &why);
    if (json && len > RESULT_MAX)
        why = "it is over 64 KiB";
    if (json && json_table()->type(parsed) == SBX_JSON_OBJECT) {
        free(operation->result);
        operation->result = strndup(json, len);
        operation->result_len = operation->result ? len : 0;
    } else {
        instance_complain(backend, NULL, "the plugin's result of `%s` is ignored: %s",
                          verb_names[operation->verb], why);
    }
    json_table()->free(parsed);
}

/* ---- the service's side ---- */

static struct backend_operation *operation_new(struct backend *backend, enum operation_verb verb,
                                               backend_done done, void *arg)
{
    struct backend_operation *operation = calloc(1, sizeof *operation);
    if (!operation)
        abort();
    operation->backend = backend_ref(backend);
    operation->verb = verb;
    operation->done = done;
    operation->arg = arg;
    operation->began_ms = clock_ms();
    operation->lost_before = backend->lost;
    operation->stream = buffer_init(STREAM_MAX);
    operation->pump = (struct loop_task){.run = pump, .arg = operation};
    evtimer_assign(&operation->timer, loop_base(backend->env->loop), on_timer, operation);
    if (backend->state == INSTANCE_OPEN)
        instance_activate(backend); /* somebody uses it: whose events it has, he will want to know */
    return operation;
}

/* An answer that needs no plugin. */
static struct backend_operation *finish(struct backend_operation *operation, enum sbx_error_kind kind,
                                        const char *code, const char *text)
{
    operation->completed = true;
    if (kind != SBX_ERR_NONE) {
        operation->failed = true;
        error_set(&operation->error, kind, code, "%s", text);
    }
    queue_answer(operation);
    return operation;
}

/* False when there is an answer already. */
static bool begin(struct backend_operation *operation, bool has, uint32_t timeout_ms)
{
    struct backend *backend = operation->backend;
    if (backend->state != INSTANCE_CURRENT && operation->verb != OPERATION_OPEN) {
        finish(operation, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
               "The backend is being replaced or was removed.");
        return false;
    }
    if (!has) {
        finish(operation, SBX_ERR_UNSUPPORTED, "UNSUPPORTED", "The backend has no such operation.");
        return false;
    }
    operation->id = handles_add(&backend->handles, HANDLE_OPERATION, operation);
    if (operation->id == 0) {
        finish(operation, SBX_ERR_LIMIT, "TOO_MANY_OPERATIONS", "The backend has too much in flight.");
        return false;
    }
    backend->in_flight++;
    operation->timeout_ms = timeout_ms;
    arm(operation);
    return true;
}

static void run_opened(void *arg)
{
    answer(arg);
}

void instance_open(struct backend *backend, const struct sbx_backend_config *config, uint32_t timeout_ms,
                   backend_done done, void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_OPEN, done, arg);
    operation->pump.run = run_opened; /* the queue of deliveries is still closed */
    if (begin(operation, true, timeout_ms))
        backend->ops->open(&backend->abi, config, operation->id);
}

struct backend_operation *backend_start(struct backend *backend, const struct sbx_start *start,
                                        uint32_t timeout_ms, backend_done done, void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_START, done, arg);
    if (begin(operation, true, timeout_ms))
        backend->ops->start(&backend->abi, start, operation->id);
    return operation;
}

struct backend_operation *backend_act(struct backend *backend, enum backend_verb verb, const char *sandbox_id,
                                      uint32_t timeout_ms, backend_done done, void *arg)
{
    const struct sbx_backend_ops *ops = backend->ops;
    void (*call)(struct sbx_backend *, const char *, sbx_op) = NULL;
    switch (verb) {
    case BACKEND_PAUSE: call = ops->pause; break;
    case BACKEND_RESUME: call = ops->resume; break;
    case BACKEND_STOP: call = ops->stop ? ops->stop : ops->pause; break;
    case BACKEND_REMOVE: call = ops->remove; break;
    case BACKEND_CONFIRM: call = ops->confirm; break;
    }
    struct backend_operation *operation = operation_new(backend, (enum operation_verb)verb, done, arg);
    if (verb == BACKEND_CONFIRM && !call && backend->state == INSTANCE_CURRENT)
        return finish(operation, SBX_ERR_NONE, NULL, NULL); /* taken to be so */
    if (begin(operation, call != NULL, timeout_ms))
        call(&backend->abi, sandbox_id, operation->id);
    return operation;
}

struct backend_operation *backend_list(struct backend *backend, uint32_t timeout_ms, backend_done done,
                                       void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_LIST, done, arg);
    if (begin(operation, true, timeout_ms))
        backend->ops->list(&backend->abi, operation->id);
    return operation;
}

struct backend_operation *backend_describe(struct backend *backend, uint32_t timeout_ms, backend_done done,
                                           void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_DESCRIBE, done, arg);
    if (begin(operation, backend->ops->describe != NULL, timeout_ms))
        backend->ops->describe(&backend->abi, operation->id);
    return operation;
}

struct backend_operation *backend_image(struct backend *backend, const char *image, uint32_t timeout_ms,
                                        backend_done done, void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_IMAGE, done, arg);
    if (begin(operation, backend->ops->image != NULL, timeout_ms))
        backend->ops->image(&backend->abi, image, operation->id);
    return operation;
}

struct backend_operation *backend_logs(struct backend *backend, const struct sbx_logs *logs,
                                       uint32_t timeout_ms, backend_data data, backend_done done, void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_LOGS, done, arg);
    operation->data = data;
    if (begin(operation, backend->ops->logs != NULL, logs->follow ? 0 : timeout_ms))
        backend->ops->logs(&backend->abi, logs, operation->id);
    return operation;
}

struct backend_operation *backend_build(struct backend *backend, const struct sbx_build *build,
                                        uint32_t timeout_ms, backend_data data, backend_done done, void *arg)
{
    struct backend_operation *operation = operation_new(backend, OPERATION_BUILD, done, arg);
    operation->data = data;
    if (begin(operation, backend->ops->build != NULL, timeout_ms))
        backend->ops->build(&backend->abi, build, operation->id);
    return operation;
}
