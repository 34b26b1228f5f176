/* trivial.c: a backend whose sandboxes are nothing but memory and a record in the host's store.
 *
 * Well-behaved, and as cheap as can be: what a sandbox costs with it is what the daemon itself costs. Its
 * options: `delay` (milliseconds that a start takes), `url` (which every sandbox reports as AGENT_SERVER),
 * `agent_url` (where the daemon is to ask for its health), `session_key` (that every sandbox gets instead of the
 * host's), `id_prefix` (of its sandboxes' ids), `health_path`, `health_body` and `polling` (that it gives in open()), `start_error` (a code: every start fails with it), `unavailable` (a sentence: it says so at once), `log_lines` (how many lines of
 * output a sandbox has) and `on_shutdown` (keep, pause, stop, remove). */
#include <sandboxd/backend.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, ID_BYTES = 128 };

struct box {
    struct box *next;
    uint64_t incarnation;
    uint32_t state;
    char id[];
};

struct trivial {
    const struct sbx_host *host;
    struct sbx_backend *backend;
    uint64_t delay_us;
    char url[1024], agent_url[1024], session_key[256], start_error[32];
    int64_t log_lines;
    struct box *buckets[BUCKETS];
    struct call *calls; /* those that can be cancelled or go on: delayed starts and streams */
};

/* An operation that does not end in its own call. */
struct call {
    struct call *next;
    struct trivial *self;
    sbx_op op;
    struct box *box; /* start: to be; pause, resume: what it will be like is in `state` */
    uint32_t state;
    sbx_timer timer;
    int64_t line; /* logs: the next one */
    int follow;
    size_t loading; /* open, list: records still to come */
    struct sbx_error error;
    char id[ID_BYTES];
};

/* ---- sandboxes ---- */

static struct box **find(struct trivial *self, const char *id)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (const char *c = id; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    struct box **at = &self->buckets[hash % BUCKETS];
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static struct box *add(struct trivial *self, const char *id)
{
    struct box **at = find(self, id);
    if (*at)
        return *at;
    size_t size = strlen(id) + 1;
    struct box *box = calloc(1, sizeof *box + size);
    if (!box)
        abort();
    memcpy(box->id, id, size);
    *at = box;
    return box;
}

static void drop(struct trivial *self, const char *id)
{
    struct box **at = find(self, id);
    struct box *box = *at;
    if (!box)
        return;
    *at = box->next;
    free(box);
}

static void drop_all(struct trivial *self)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (self->buckets[i]) {
            struct box *box = self->buckets[i];
            self->buckets[i] = box->next;
            free(box);
        }
}

static void report(struct trivial *self, const struct box *box)
{
    struct sbx_url url = {.name = "AGENT_SERVER", .url = self->url};
    struct sbx_observation observation = {.size = sizeof observation,
                                          .state = box->state,
                                          .sandbox_id = box->id,
                                          .urls = &url,
                                          .urls_count = 1,
                                          .exit_code = -1,
                                          .incarnation = box->incarnation,
                                          .session_key = self->session_key,
                                          .flags = self->session_key[0] ? SBX_OBSERVED_KEY : 0,
                                          .agent_url = self->agent_url[0] ? self->agent_url : NULL};
    self->host->report(self->backend, &observation);
}

/* ---- calls ---- */

static struct call *call_new(struct sbx_backend *backend, sbx_op op, const char *id)
{
    struct trivial *self = backend->self;
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        abort();
    *call = (struct call){.self = self, .op = op, .next = self->calls};
    snprintf(call->id, sizeof call->id, "%s", id);
    self->calls = call;
    return call;
}

static void call_end(struct call *call, const struct sbx_error *error)
{
    struct trivial *self = call->self;
    struct call **at = &self->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    sbx_op op = call->op;
    self->host->timer_cancel(self->backend, call->timer);
    struct sbx_error copy;
    if (error)
        copy = *error;
    free(call);
    self->host->complete(self->backend, op, error ? &copy : NULL);
}

static struct call *call_find(struct trivial *self, sbx_op op)
{
    struct call *call = self->calls;
    while (call && call->op != op)
        call = call->next;
    return call;
}

static struct sbx_error failure(int32_t kind, const char *code, const char *message)
{
    struct sbx_error error = {.kind = kind};
    snprintf(error.code, sizeof error.code, "%s", code);
    snprintf(error.message, sizeof error.message, "%s", message);
    return error;
}

/* ---- start, pause, resume, remove: the record first, then the thing ---- */

static void on_recorded(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    (void)value;
    (void)len;
    struct call *call = arg;
    if (!error) {
        struct box *box = add(call->self, call->id);
        if (call->state == SBX_STATE_RUNNING && box->state != SBX_STATE_RUNNING)
            call->self->host->random(&box->incarnation, sizeof box->incarnation);
        box->state = call->state;
        report(call->self, box);
    }
    call_end(call, error);
}

static void record(struct call *call, uint32_t state)
{
    const char *text = state == SBX_STATE_RUNNING ? "running" : "paused";
    call->state = state;
    call->timer = 0;
    call->self->host->store_put(call->self->backend, call->id, text, strlen(text), on_recorded, call);
}

static void on_delay(void *arg)
{
    record(arg, SBX_STATE_RUNNING);
}

static void start(struct sbx_backend *backend, const struct sbx_start *start, sbx_op op)
{
    struct trivial *self = backend->self;
    if (self->start_error[0]) {
        struct sbx_error error =
            failure(SBX_ERR_REFUSED, self->start_error, "This backend fails every start.");
        self->host->complete(backend, op, &error);
        return;
    }
    struct call *call = call_new(backend, op, start->sandbox_id);
    if (self->delay_us == 0) {
        record(call, SBX_STATE_RUNNING);
        return;
    }
    struct sbx_url url = {.name = "AGENT_SERVER", .url = self->url};
    struct sbx_observation waiting = {.size = sizeof waiting,
                                      .state = SBX_STATE_STARTING,
                                      .sandbox_id = start->sandbox_id,
                                      .urls = &url,
                                      .urls_count = 1,
                                      .detail = "It waits for its delay."};
    self->host->report(backend, &waiting);
    call->timer = self->host->timer_start(backend, self->delay_us, on_delay, call);
}

static void change(struct sbx_backend *backend, const char *id, sbx_op op, uint32_t state)
{
    struct trivial *self = backend->self;
    if (!*find(self, id)) {
        struct sbx_error error = failure(SBX_ERR_NOT_FOUND, "NOT_FOUND", "There is no such sandbox.");
        self->host->complete(backend, op, &error);
        return;
    }
    record(call_new(backend, op, id), state);
}

static void pause_box(struct sbx_backend *backend, const char *id, sbx_op op)
{
    change(backend, id, op, SBX_STATE_PAUSED);
}

static void resume_box(struct sbx_backend *backend, const char *id, sbx_op op)
{
    change(backend, id, op, SBX_STATE_RUNNING);
}

static void on_removed(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    (void)value;
    (void)len;
    struct call *call = arg;
    if (!error)
        drop(call->self, call->id);
    call_end(call, error);
}

static void remove_box(struct sbx_backend *backend, const char *id, sbx_op op)
{
    backend->host->store_delete(backend, id, on_removed, call_new(backend, op, id));
}

/* ---- open and list: what the records say ---- */

struct loading {
    struct call *call;
    char id[ID_BYTES];
};

static void on_loaded(struct call *call)
{
    if (--call->loading > 0)
        return;
    bool failed = call->error.kind != SBX_ERR_NONE;
    struct sbx_error error = call->error;
    for (size_t i = 0; i < BUCKETS && !failed; i++)
        for (struct box *box = call->self->buckets[i]; box; box = box->next)
            report(call->self, box);
    call_end(call, failed ? &error : NULL);
}

static void on_record(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    struct loading *loading = arg;
    struct call *call = loading->call;
    if (error) {
        call->error = *error;
    } else if (value) {
        struct box *box = add(call->self, loading->id);
        box->state = len == 7 && memcmp(value, "running", 7) == 0 ? SBX_STATE_RUNNING : SBX_STATE_PAUSED;
    }
    free(loading);
    on_loaded(call);
}

static void on_keys(const struct sbx_error *error, const char *const *keys, size_t count, void *arg)
{
    struct call *call = arg;
    struct trivial *self = call->self;
    call->loading = 1;
    if (error)
        call->error = *error;
    for (size_t i = 0; i < count && !error; i++) {
        if (*find(self, keys[i]))
            continue;
        struct loading *loading = calloc(1, sizeof *loading);
        if (!loading)
            abort();
        loading->call = call;
        snprintf(loading->id, sizeof loading->id, "%s", keys[i]);
        call->loading++;
        self->host->store_get(self->backend, loading->id, on_record, loading);
    }
    on_loaded(call);
}

static void list(struct sbx_backend *backend, sbx_op op)
{
    backend->host->store_list(backend, "", on_keys, call_new(backend, op, ""));
}

/* ---- logs ---- */

static void write_lines(struct call *call)
{
    struct trivial *self = call->self;
    while (call->line < self->log_lines) {
        char line[ID_BYTES + 64];
        int len = snprintf(line, sizeof line, "%s: line %lld\n", call->id, (long long)++call->line);
        if (self->host->stream_write(self->backend, call->op, line, (size_t)len) == SBX_STREAM_STOP)
            return;
    }
    if (!call->follow)
        call_end(call, NULL);
}

static void logs(struct sbx_backend *backend, const struct sbx_logs *logs, sbx_op op)
{
    struct trivial *self = backend->self;
    struct call *call = call_new(backend, op, logs->sandbox_id);
    call->line = logs->tail < self->log_lines ? self->log_lines - logs->tail : 0;
    call->follow = logs->follow != 0;
    write_lines(call);
}

static void stream_ready(struct sbx_backend *backend, sbx_op op)
{
    struct call *call = call_find(backend->self, op);
    if (call)
        write_lines(call);
}

/* ---- the rest ---- */

static void cancel(struct sbx_backend *backend, sbx_op op)
{
    struct call *call = call_find(backend->self, op);
    struct sbx_error error = failure(SBX_ERR_CANCELLED, "CANCELLED", "It was cancelled.");
    if (call && (call->timer != 0 || call->follow || call->line > 0))
        call_end(call, &error); /* what waits for the store ends with the store's answer */
}

static void describe(struct sbx_backend *backend, sbx_op op)
{
    static const char facts[] = "{\"technology\":\"memory\"}";
    backend->host->result(backend, op, facts, sizeof facts - 1);
    backend->host->complete(backend, op, NULL);
}

/* There is every image but those whose name has "missing" in it. */
static void image(struct sbx_backend *backend, const char *name, sbx_op op)
{
    char facts[128];
    bool exists = strstr(name, "missing") == NULL;
    int len = snprintf(facts, sizeof facts, "{\"exists\":%s,\"upload_time\":null,\"image_size_bytes\":%s}",
                       exists ? "true" : "false", exists ? "0" : "null");
    backend->host->result(backend, op, facts, (size_t)len);
    backend->host->complete(backend, op, NULL);
}

static const char *const shutdowns[] = {"keep", "pause", "stop", "remove"};

static int shutdown_number(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(name, shutdowns[i]) == 0)
            return i;
    return -1;
}

static int validate(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config)
{
    static const struct {
        const char *name;
        enum sbx_json_type type;
        const char *must;
    } known[] = {
        {"delay", SBX_JSON_INT, "must be a number of milliseconds"},
        {"url", SBX_JSON_STRING, "must be a URL"},
        {"agent_url", SBX_JSON_STRING, "must be a URL"},
        {"session_key", SBX_JSON_STRING, "must be a key"},
        {"health_path", SBX_JSON_STRING, "must be a path"},
        {"health_body", SBX_JSON_STRING, "must be a JSON object as text"},
        {"polling", SBX_JSON_INT, "must be a number of milliseconds"},
        {"id_prefix", SBX_JSON_STRING, "must be at most 63 letters, digits, '-', '_' and '.'"},
        {"start_error", SBX_JSON_STRING, "must be an error code"},
        {"unavailable", SBX_JSON_STRING, "must be a sentence"},
        {"log_lines", SBX_JSON_INT, "must be a number of lines"},
        {"on_shutdown", SBX_JSON_STRING, "must be keep, pause, stop or remove"},
    };
    const struct sbx_json_api *json = host->json;
    sbx_json *options = json->parse(config->options_json, config->options_len, NULL);
    int errors = 0;
    const sbx_json *value;
    const char *name;
    for (size_t i = 0; (name = json->member(options, i, &value)); i++) {
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && strcmp(known[k].name, name) != 0)
            k++;
        const char *wrong = NULL;
        if (k == sizeof known / sizeof known[0])
            wrong = "there is no such option; known are delay, url, agent_url, session_key, health_path, "
                    "health_body, "
                    "polling, id_prefix, "
                    "start_error, "
                    "unavailable, log_lines and on_shutdown";
        else if (json->type(value) != known[k].type ||
                 (known[k].type == SBX_JSON_INT && json->integer(value, 0) < 0) ||
                 (strcmp(name, "on_shutdown") == 0 && shutdown_number(json->string(value, "")) < 0))
            wrong = known[k].must;
        if (wrong)
            host->option_error(check, name, wrong);
        errors += wrong != NULL;
    }
    json->free(options);
    return errors > 0 ? -1 : 0;
}

static void open_backend(struct sbx_backend *backend, const struct sbx_backend_config *config, sbx_op op)
{
    const struct sbx_host *host = backend->host;
    const struct sbx_json_api *json = host->json;
    struct trivial *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    sbx_json *options = json->parse(config->options_json, config->options_len, NULL);
    self->host = host;
    self->backend = backend;
    self->delay_us = (uint64_t)json->integer(json->get(options, "delay"), 0) * 1000;
    self->log_lines = json->integer(json->get(options, "log_lines"), 1);
    snprintf(self->url, sizeof self->url, "%s",
             json->string(json->get(options, "url"), "http://127.0.0.1:9"));
    snprintf(self->agent_url, sizeof self->agent_url, "%s",
             json->string(json->get(options, "agent_url"), ""));
    snprintf(self->session_key, sizeof self->session_key, "%s",
             json->string(json->get(options, "session_key"), ""));
    if (SBX_HAS(host, health_check))
        host->health_check(backend, json->string(json->get(options, "health_path"), NULL),
                           json->string(json->get(options, "health_body"), NULL));
    if (SBX_HAS(host, polling_interval))
        host->polling_interval(backend, (uint32_t)json->integer(json->get(options, "polling"), 0));
    host->id_prefix(backend, json->string(json->get(options, "id_prefix"), ""));
    snprintf(self->start_error, sizeof self->start_error, "%s",
             json->string(json->get(options, "start_error"), ""));
    const char *unavailable = json->string(json->get(options, "unavailable"), NULL);
    struct sbx_error why =
        failure(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, unavailable ? unavailable : "");
    if (unavailable)
        host->available(backend, &why);
    host->on_shutdown(backend, (enum sbx_on_shutdown)shutdown_number(
                                   json->string(json->get(options, "on_shutdown"), "keep")));
    json->free(options);
    backend->self = self;
    list(backend, op); /* reads the records; what it reports is told once it is open */
}

static void quiesce(struct sbx_backend *backend)
{
    (void)backend; /* nothing here reports by itself */
}

static void close_backend(struct sbx_backend *backend)
{
    struct trivial *self = backend->self;
    drop_all(self);
    free(self);
}

static const struct sbx_backend_ops ops = {
    .size = sizeof ops,
    .flags = SBX_BACKEND_ISOLATES,
    .validate = validate,
    .open = open_backend,
    .quiesce = quiesce,
    .close = close_backend,
    .start = start,
    .pause = pause_box,
    .resume = resume_box,
    .remove = remove_box,
    .list = list,
    .cancel = cancel,
    .logs = logs,
    .stream_ready = stream_ready,
    .describe = describe,
    .image = image,
};

const struct sbx_plugin sandboxd_plugin = {
    .magic = SBX_PLUGIN_MAGIC,
    .size = sizeof sandboxd_plugin,
    .abi_major = SBX_ABI_MAJOR,
    .abi_minor = SBX_ABI_MINOR,
    .min_host_minor = 1, /* id_prefix(), agent_url */
    .name = "trivial",
    .version = "1.0",
    .health_check_path = "", /* nothing answers there */
    .ops = &ops,
    .default_spec_json = "{\"id\":\"trivial\",\"command\":null,\"initial_env\":{},\"working_dir\":null}",
};
