/* hello.c: the smallest backend that does all that a backend must. The example of plugin-author-guide.md.
 *
 * A sandbox of it is nothing but a record in the daemon's store, so it needs no memory of its own, and a
 * restart or a reload finds everything again. Build it with
 *
 *     cc -std=c11 -shared -fPIC -fvisibility=hidden -I/usr/local/include -o hello.so hello.c
 */
#include <sandboxd/backend.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one backend keeps: here, its one option. */
struct hello {
    char greeting[256];
};

/* One operation on its way: it begins in a call of the host, and ends in a callback of the store. */
struct call {
    struct sbx_backend *backend;
    sbx_op op;
    uint32_t state; /* what the sandbox will be */
    size_t left;    /* list: records that are still to come, and one */
    struct sbx_error error;
    char id[128];
};

static struct call *call_new(struct sbx_backend *backend, sbx_op op, const char *id)
{
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    call->backend = backend;
    call->op = op;
    snprintf(call->id, sizeof call->id, "%s", id);
    return call;
}

static void call_end(struct call *call, const struct sbx_error *error)
{
    call->backend->host->complete(call->backend, call->op, error);
    free(call);
}

static void report(struct sbx_backend *backend, const char *id, uint32_t state)
{
    struct sbx_observation observation = {
        .size = sizeof observation, .state = state, .sandbox_id = id, .exit_code = -1};
    backend->host->report(backend, &observation);
}

/* ---- start, pause, resume, remove ---- */

static void on_written(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    struct call *call = arg;
    (void)value;
    (void)len;
    if (!error)
        report(call->backend, call->id, call->state); /* first the report, then the completion */
    call_end(call, error);
}

static void write_state(struct sbx_backend *backend, const char *id, sbx_op op, uint32_t state)
{
    struct call *call = call_new(backend, op, id);
    const char *text = state == SBX_STATE_RUNNING ? "running" : "paused";
    call->state = state;
    backend->host->store_put(backend, id, text, strlen(text), on_written, call);
}

static void start(struct sbx_backend *backend, const struct sbx_start *start, sbx_op op)
{
    write_state(backend, start->sandbox_id, op, SBX_STATE_RUNNING);
}

static void pause_sandbox(struct sbx_backend *backend, const char *id, sbx_op op)
{
    write_state(backend, id, op, SBX_STATE_PAUSED);
}

static void resume_sandbox(struct sbx_backend *backend, const char *id, sbx_op op)
{
    write_state(backend, id, op, SBX_STATE_RUNNING);
}

static void on_deleted(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    (void)value;
    (void)len;
    call_end(arg, error);
}

static void remove_sandbox(struct sbx_backend *backend, const char *id, sbx_op op)
{
    backend->host->store_delete(backend, id, on_deleted, call_new(backend, op, id));
}

/* ---- list ---- */

struct reading {
    struct call *list;
    char id[128];
};

static void list_one_less(struct call *list)
{
    if (--list->left > 0)
        return;
    struct sbx_error error = list->error;
    call_end(list, error.kind == SBX_ERR_NONE ? NULL : &error);
}

static void on_read(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    struct reading *reading = arg;
    struct call *list = reading->list;
    if (error)
        list->error = *error;
    else if (value) {
        int runs = len == strlen("running") && memcmp(value, "running", len) == 0;
        report(list->backend, reading->id, runs ? SBX_STATE_RUNNING : SBX_STATE_PAUSED);
    }
    free(reading);
    list_one_less(list);
}

static void on_keys(const struct sbx_error *error, const char *const *keys, size_t count, void *arg)
{
    struct call *list = arg;
    list->left = 1;
    if (error)
        list->error = *error;
    for (size_t i = 0; !error && i < count; i++) {
        struct reading *reading = calloc(1, sizeof *reading);
        if (!reading)
            abort();
        reading->list = list;
        snprintf(reading->id, sizeof reading->id, "%s", keys[i]);
        list->left++;
        list->backend->host->store_get(list->backend, reading->id, on_read, reading);
    }
    list_one_less(list);
}

static void list(struct sbx_backend *backend, sbx_op op)
{
    backend->host->store_list(backend, "", on_keys, call_new(backend, op, ""));
}

/* ---- logs ---- */

static void logs(struct sbx_backend *backend, const struct sbx_logs *logs, sbx_op op)
{
    struct hello *self = backend->self;
    if (logs->tail > 0)
        backend->host->stream_write(backend, op, self->greeting, strlen(self->greeting));
    backend->host->complete(backend, op, NULL); /* nothing more will ever come, also where it is followed */
}

static void stream_ready(struct sbx_backend *backend, sbx_op op)
{
    (void)backend; /* logs() writes once, and does not wait to go on */
    (void)op;
}

/* ---- options and life ---- */

static int validate(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config)
{
    const struct sbx_json_api *json = host->json;
    sbx_json *options = json->parse(config->options_json, config->options_len, NULL);
    int errors = 0;
    const char *name;
    const sbx_json *value;
    for (size_t i = 0; (name = json->member(options, i, &value)); i++) {
        const char *wrong = NULL;
        if (strcmp(name, "greeting") != 0)
            wrong = "there is no such option; the only one is greeting";
        else if (json->type(value) != SBX_JSON_STRING || strlen(json->string(value, "")) > 254)
            wrong = "must be a text of at most 254 bytes";
        if (wrong)
            host->option_error(check, name, wrong);
        errors += wrong != NULL;
    }
    json->free(options);
    return errors > 0 ? -1 : 0;
}

static void open_backend(struct sbx_backend *backend, const struct sbx_backend_config *config, sbx_op op)
{
    const struct sbx_json_api *json = backend->host->json;
    struct hello *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    sbx_json *options = json->parse(config->options_json, config->options_len, NULL);
    snprintf(self->greeting, sizeof self->greeting, "%s\n",
             json->string(json->get(options, "greeting"), "Hello."));
    json->free(options);
    backend->self = self;
    backend->host->complete(backend, op, NULL);
}

static void quiesce(struct sbx_backend *backend)
{
    (void)backend; /* it watches nothing, and reports only in operations */
}

static void close_backend(struct sbx_backend *backend)
{
    free(backend->self);
}

static const struct sbx_backend_ops ops = {
    .size = sizeof ops,
    .validate = validate,
    .open = open_backend,
    .quiesce = quiesce,
    .close = close_backend,
    .start = start,
    .pause = pause_sandbox,
    .resume = resume_sandbox,
    .remove = remove_sandbox,
    .list = list,
    .logs = logs,
    .stream_ready = stream_ready,
};

const struct sbx_plugin sandboxd_plugin = {
    .magic = SBX_PLUGIN_MAGIC,
    .size = sizeof sandboxd_plugin,
    .abi_major = SBX_ABI_MAJOR,
    .abi_minor = SBX_ABI_MINOR,
    .min_host_minor = 0,
    .name = "hello",
    .version = "1.0",
    .health_check_path = "", /* its sandboxes have no agent server to ask */
    .ops = &ops,
    .default_spec_json = "{\"id\":\"hello\",\"command\":null,\"initial_env\":{},\"working_dir\":null}",
};
