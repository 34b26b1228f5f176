/* See fakes.h. */
#include "fakes.h"

#include "plugin/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- backends ---- */

static struct backend_operation *flights, **flights_last = &flights;

static struct backend_operation *take_off(struct backend *backend, const char *verb, const char *sandbox,
                                          backend_done done, void *arg)
{
    struct backend_operation *operation = calloc(1, sizeof *operation);
    snprintf(operation->verb, sizeof operation->verb, "%s", verb);
    snprintf(operation->sandbox, sizeof operation->sandbox, "%s", sandbox ? sandbox : "");
    operation->backend = backend;
    operation->done = done;
    operation->arg = arg;
    *flights_last = operation;
    flights_last = &operation->next;
    return operation;
}

static void land(struct backend_operation *operation)
{
    struct backend_operation **at = &flights;
    while (*at != operation)
        at = &(*at)->next;
    *at = operation->next;
    if (flights_last == &operation->next)
        flights_last = at;
}

struct backend_operation *backend_start(struct backend *backend, const struct sbx_start *start,
                                        uint32_t timeout_ms, backend_done done, void *arg)
{
    (void)timeout_ms;
    struct backend_operation *operation = take_off(backend, "start", start->sandbox_id, done, arg);
    operation->again = start->again;
    snprintf(operation->spec, sizeof operation->spec, "%s", start->spec_json);
    return operation;
}

struct backend_operation *backend_act(struct backend *backend, enum backend_verb verb, const char *sandbox_id,
                                      uint32_t timeout_ms, backend_done done, void *arg)
{
    static const char *const verbs[] = {"pause", "resume", "stop", "remove", "confirm"};
    (void)timeout_ms;
    return take_off(backend, verbs[verb], sandbox_id, done, arg);
}

struct backend_operation *backend_list(struct backend *backend, uint32_t timeout_ms, backend_done done,
                                       void *arg)
{
    (void)timeout_ms;
    return take_off(backend, "list", NULL, done, arg);
}

struct backend_operation *backend_logs(struct backend *backend, const struct sbx_logs *logs,
                                       uint32_t timeout_ms, backend_data data, backend_done done, void *arg)
{
    (void)timeout_ms;
    (void)data;
    return take_off(backend, "logs", logs->sandbox_id, done, arg);
}

void backend_cancel(struct backend_operation *operation, bool forget)
{
    operation->cancelled = true;
    if (forget) {
        land(operation);
        free(operation);
    }
}

const char *backend_name(const struct backend *backend)
{
    return backend->name;
}
const char *backend_plugin_name(const struct backend *backend)
{
    return backend->name;
}
const char *backend_plugin_version(const struct backend *backend)
{
    (void)backend;
    return "1";
}
const char *backend_default_health_path(const struct backend *backend)
{
    return backend->health_path;
}
const char *backend_default_health_body(const struct backend *backend)
{
    return backend->health_body;
}
size_t backend_drop_health_checks(const struct backend *backend, char *text, size_t len)
{
    return access_log_drop_checks(text, len, backend->health_path);
}
uint32_t backend_polling_ms(const struct backend *backend)
{
    (void)backend;
    return 0;
}
uint32_t backend_default_max_sandboxes(const struct backend *backend)
{
    (void)backend;
    return 0;
}
enum sbx_shutdown_scope backend_shutdown_scope(const struct backend *backend)
{
    return backend->shutdown_scope;
}

enum sbx_on_shutdown backend_on_shutdown(const struct backend *backend)
{
    return backend->on_shutdown;
}
const char *backend_id_prefix(const struct backend *backend)
{
    return backend->id_prefix;
}
bool backend_isolates(const struct backend *backend)
{
    return backend->isolates;
}
bool backend_has_logs(const struct backend *backend)
{
    return backend->has_logs;
}
const struct sbx_error *backend_unavailable(const struct backend *backend)
{
    return backend->down ? &backend->why : NULL;
}
struct backend *backend_ref(struct backend *backend)
{
    return backend;
}
void backend_unref(struct backend *backend)
{
    (void)backend;
}
const char *backend_default_spec(const struct backend *backend, size_t *len)
{
    (void)backend;
    (void)len;
    return NULL;
}

static struct backend *only_backend;
size_t backend_set_count(const struct backend_set *set)
{
    (void)set;
    return only_backend ? 1 : 0;
}
struct backend *backend_set_at(const struct backend_set *set, size_t index)
{
    (void)set;
    (void)index;
    return only_backend;
}

struct backend_operation *flight_find(const char *verb, const char *sandbox)
{
    for (struct backend_operation *at = flights; at; at = at->next)
        if (strcmp(at->verb, verb) == 0 && (!sandbox || strcmp(at->sandbox, sandbox) == 0))
            return at;
    return NULL;
}

unsigned flight_count(const char *verb)
{
    unsigned count = 0;
    for (struct backend_operation *at = flights; at; at = at->next)
        count += strcmp(at->verb, verb) == 0;
    return count;
}

static void tell(struct world *world, const char *sandbox, enum sbx_state state, uint64_t incarnation,
                 const char *agent_url)
{
    char text[96];
    snprintf(text, sizeof text, "http://agent/%s", sandbox);
    struct sbx_url url = {.name = "AGENT_SERVER", .url = text, .port = 1};
    struct sbx_observation observation = {.size = sizeof observation,
                                          .state = state,
                                          .sandbox_id = sandbox,
                                          .urls = &url,
                                          .urls_count = 1,
                                          .exit_code = 7,
                                          .incarnation = incarnation,
                                          .agent_url = agent_url};
    struct backend_events events = service_backend_events(world->service);
    events.report(events.arg, &world->backend, &observation);
    world_turn(world);
}

void report(struct world *world, const char *sandbox, enum sbx_state state)
{
    static uint64_t incarnation;
    tell(world, sandbox, state, ++incarnation, NULL);
}

void report_key(struct world *world, const char *sandbox, enum sbx_state state, const char *key)
{
    struct sbx_observation observation = {.size = sizeof observation,
                                          .state = state,
                                          .sandbox_id = sandbox,
                                          .exit_code = -1,
                                          .incarnation = UINT64_MAX,
                                          .session_key = key,
                                          .flags = SBX_OBSERVED_KEY};
    struct backend_events events = service_backend_events(world->service);
    events.report(events.arg, &world->backend, &observation);
    world_turn(world);
}

void report_unused(struct world *world, const char *sandbox)
{
    struct sbx_observation observation = {.size = sizeof observation,
                                          .state = SBX_STATE_ENDED,
                                          .sandbox_id = sandbox,
                                          .exit_code = -1,
                                          .flags = SBX_OBSERVED_UNUSED};
    struct backend_events events = service_backend_events(world->service);
    events.report(events.arg, &world->backend, &observation);
    world_turn(world);
}

void report_unreached(struct world *world, const char *sandbox)
{
    struct sbx_observation observation = {.size = sizeof observation,
                                          .state = SBX_STATE_RUNNING,
                                          .sandbox_id = sandbox,
                                          .exit_code = -1,
                                          .incarnation = UINT64_MAX,
                                          .flags = SBX_OBSERVED_UNREACHED};
    struct backend_events events = service_backend_events(world->service);
    events.report(events.arg, &world->backend, &observation);
    world_turn(world);
}

void report_agent(struct world *world, const char *sandbox, enum sbx_state state, const char *agent_url)
{
    tell(world, sandbox, state, UINT64_MAX, agent_url);
}

static void finish(struct world *world, struct backend_operation *operation, const struct sbx_error *err)
{
    land(operation);
    operation->done(operation->arg, err, NULL, 0);
    free(operation);
    world_turn(world);
}

void flight_end(struct world *world, struct backend_operation *operation, const struct sbx_error *err)
{
    assert_non_null(operation);
    char sandbox[64];
    snprintf(sandbox, sizeof sandbox, "%s", operation->sandbox);
    if (!err && (strcmp(operation->verb, "start") == 0 || strcmp(operation->verb, "resume") == 0))
        report(world, sandbox, SBX_STATE_RUNNING);
    if (!err && strcmp(operation->verb, "pause") == 0)
        report(world, sandbox, SBX_STATE_PAUSED);
    if (!err && strcmp(operation->verb, "stop") == 0)
        report(world, sandbox, SBX_STATE_STOPPED);
    finish(world, operation, err);
}

void flight_end_silently(struct world *world, struct backend_operation *operation)
{
    assert_non_null(operation);
    finish(world, operation, NULL);
}

/* ---- the store ---- */

struct row {
    char id[64], owner[32], error[256], session[64], spec[256], key[64], pause_reason[256];
    int64_t sequence, created_at_us;
    bool has_owner, has_error, begun, deleting, there;
};
static struct row rows[256];
static size_t rows_len;

struct write {
    struct row row; /* there: put, else delete */
    store_done done;
    void *arg;
    struct write *next;
};
static struct write *writes, **writes_last = &writes;

static void queue(const struct row *row, store_done done, void *arg)
{
    struct write *write = calloc(1, sizeof *write);
    *write = (struct write){.row = *row, .done = done, .arg = arg};
    *writes_last = write;
    writes_last = &write->next;
}

static struct row *find_row(const char *id)
{
    for (size_t i = 0; i < rows_len; i++)
        if (strcmp(rows[i].id, id) == 0)
            return &rows[i];
    return NULL;
}

void store_put_sandbox(struct store *store, const struct store_sandbox *sandbox, store_done done, void *arg)
{
    (void)store;
    struct row row = {.begun = sandbox->begun, .deleting = sandbox->deleting, .there = true};
    snprintf(row.id, sizeof row.id, "%s", sandbox->id);
    snprintf(row.session, sizeof row.session, "%s", sandbox->session_id ? sandbox->session_id : "");
    snprintf(row.spec, sizeof row.spec, "%s", sandbox->spec_json ? sandbox->spec_json : "");
    snprintf(row.key, sizeof row.key, "%s", sandbox->session_key);
    snprintf(row.pause_reason, sizeof row.pause_reason, "%s",
             sandbox->pause_reason ? sandbox->pause_reason : "");
    row.sequence = sandbox->sequence;
    row.created_at_us = sandbox->created_at_us;
    queue(&row, done, arg);
}

const char *store_session(const char *id)
{
    return find_row(id)->session;
}

const char *store_spec(const char *id)
{
    return find_row(id)->spec;
}

const char *store_key(const char *id)
{
    return find_row(id)->key;
}

const char *store_pause_reason(const char *id)
{
    return find_row(id)->pause_reason;
}

int64_t store_sequence(const char *id)
{
    return find_row(id)->sequence;
}

void store_seed_created(const char *id, int64_t sequence, int64_t created_at_us, const char *pause_reason)
{
    store_seed(id, NULL, true, false, NULL);
    find_row(id)->sequence = sequence;
    find_row(id)->created_at_us = created_at_us;
    snprintf(find_row(id)->pause_reason, sizeof rows[0].pause_reason, "%s", pause_reason);
}

void store_seed_session(const char *id, bool begun, const char *session_id, const char *spec_json)
{
    store_seed(id, NULL, begun, false, NULL);
    snprintf(find_row(id)->session, sizeof rows[0].session, "%s", session_id);
    snprintf(find_row(id)->spec, sizeof rows[0].spec, "%s", spec_json);
}

void store_delete_sandbox(struct store *store, const char *id, store_done done, void *arg)
{
    (void)store;
    struct row row = {0};
    snprintf(row.id, sizeof row.id, "%s", id);
    queue(&row, done, arg);
}

void store_flush(struct world *world, const struct sbx_error *err)
{
    while (writes) {
        struct write *write = writes;
        writes = write->next;
        if (!writes)
            writes_last = &writes;
        struct row *row = find_row(write->row.id);
        if (!err && !row)
            row = &rows[rows_len++];
        if (!err)
            *row = write->row;
        if (write->done)
            write->done(write->arg, err);
        free(write);
    }
    world_turn(world);
}

unsigned store_waiting(void)
{
    unsigned count = 0;
    for (struct write *at = writes; at; at = at->next)
        count++;
    return count;
}

bool store_has(const char *id, bool *deleting)
{
    struct row *row = find_row(id);
    if (row && row->there && deleting)
        *deleting = row->deleting;
    return row && row->there;
}

void store_seed(const char *id, const char *owner, bool begun, bool deleting, const char *error_json)
{
    struct row *row = &rows[rows_len++];
    *row = (struct row){.begun = begun,
                        .deleting = deleting,
                        .there = true,
                        .has_owner = owner != NULL,
                        .sequence = (int64_t)rows_len,
                        .created_at_us = 999 + (int64_t)rows_len,
                        .has_error = error_json != NULL};
    snprintf(row->id, sizeof row->id, "%s", id);
    snprintf(row->owner, sizeof row->owner, "%s", owner ? owner : "");
    snprintf(row->error, sizeof row->error, "%s", error_json ? error_json : "");
}

int store_load_sandboxes(struct store *store, void (*each)(void *arg, const struct store_sandbox *sandbox),
                         void *arg, struct sbx_error *err)
{
    (void)store;
    (void)err;
    for (size_t i = 0; i < rows_len; i++) {
        struct store_sandbox sandbox = {.id = rows[i].id,
                                        .backend = "b",
                                        .spec_id = "spec",
                                        .session_key = rows[i].key[0] ? rows[i].key : "key",
                                        .session_id = rows[i].session[0] ? rows[i].session : NULL,
                                        .spec_json = rows[i].spec[0] ? rows[i].spec : NULL,
                                        .owner = rows[i].has_owner ? rows[i].owner : NULL,
                                        .sequence = rows[i].sequence,
                                        .created_at_us = rows[i].created_at_us,
                                        .pause_reason = rows[i].pause_reason[0] ? rows[i].pause_reason : NULL,
                                        .begun = rows[i].begun,
                                        .deleting = rows[i].deleting,
                                        .error_json = rows[i].has_error ? rows[i].error : NULL};
        each(arg, &sandbox);
    }
    return 0;
}

/* ---- agents ---- */

struct client_transfer {
    char url[128];
    bool discard_body, cut_short;
    const struct client_handler *handler;
    void *arg;
    struct client_transfer *next;
};
static struct client_transfer *transfers;

struct client_transfer *client_start(struct client *client, const struct client_request *request,
                                     const struct client_handler *handler, void *arg, struct sbx_error *err)
{
    (void)client;
    (void)err;
    struct client_transfer *transfer = calloc(1, sizeof *transfer);
    snprintf(transfer->url, sizeof transfer->url, "%s", request->url);
    transfer->handler = handler;
    transfer->discard_body = request->discard_body;
    transfer->cut_short = request->cut_short;
    transfer->arg = arg;
    transfer->next = transfers;
    transfers = transfer;
    return transfer;
}

static void unlink_transfer(struct client_transfer *transfer)
{
    struct client_transfer **at = &transfers;
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
}

void client_cancel(struct client_transfer *transfer)
{
    if (!transfer)
        return;
    unlink_transfer(transfer);
    free(transfer);
}

static struct client_transfer *find_transfer(const char *url)
{
    for (struct client_transfer *at = transfers; at; at = at->next)
        if (strcmp(at->url, url) == 0)
            return at;
    return NULL;
}

static struct client_transfer *take_transfer(struct world *world, const char *sandbox)
{
    char url[128];
    snprintf(url, sizeof url, "http://agent/%s%s", sandbox,
             world->asked_path ? world->asked_path : world->backend.health_path);
    struct client_transfer *transfer;
    while (!(transfer = find_transfer(url)))
        event_base_loop(loop_base(world->loop), EVLOOP_ONCE); /* its check is on a timer */
    unlink_transfer(transfer);
    return transfer;
}

void agent_answer_body(struct world *world, const char *sandbox, const char *body)
{
    struct client_transfer *transfer = take_transfer(world, sandbox);
    assert_int_equal(transfer->discard_body, body == NULL);
    transfer->handler->done(transfer->arg, NULL, 200, body, body ? strlen(body) : 0);
    free(transfer);
    world_turn(world);
}

void agent_answer(struct world *world, const char *sandbox, int status)
{
    struct client_transfer *transfer = take_transfer(world, sandbox);
    struct sbx_error refused;
    if (status == AGENT_HANGS)
        error_set(&refused, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT, "no answer%s",
                  transfer->cut_short ? " in the time that was left" : "");
    else
        error_set(&refused, SBX_ERR_UNAVAILABLE, status == AGENT_NOT_ASKED ? SBX_CODE_INTERNAL : "X",
                  "no connection");
    transfer->handler->done(transfer->arg, status > 0 ? NULL : &refused, status > 0 ? status : 0, NULL, 0);
    free(transfer);
    world_turn(world);
}

/* ---- the world ---- */

void world_turn(struct world *world)
{
    for (int i = 0; i < 4; i++)
        event_base_loop(loop_base(world->loop), EVLOOP_NONBLOCK);
}

/* The configuration's own functions, without its YAML. */
struct config *config_ref(struct config *config)
{
    config->refs++;
    return config;
}
void config_unref(struct config *config)
{
    if (config)
        config->refs--;
}
const struct config_backend *config_find_backend(const struct config *config, const char *name)
{
    return config->backends_len && strcmp(config->backends[0].name, name) == 0 ? &config->backends[0] : NULL;
}

struct world *world_create(uint32_t max_sandboxes, enum over_limit over_limit)
{
    struct world *world = calloc(1, sizeof *world);
    world->loop = loop_create();
    struct service_deps deps = {.loop = world->loop};
    world->service = service_create(&deps);
    world->backend = (struct backend){.name = "b"};
    only_backend = &world->backend;
    world->settings = (struct config_backend){.name = "b",
                                              .plugin = "b",
                                              .max_sandboxes_given = max_sandboxes > 0,
                                              .max_sandboxes = max_sandboxes,
                                              .over_limit = over_limit,
                                              .health_interval_ms = 20,
                                              .startup_timeout_ms = 60000};
    world->spec = (struct config_spec){.id = "spec", .backend = "b", .json = "{}", .json_len = 2};
    world->config = calloc(1, sizeof *world->config);
    *world->config = (struct config){.refs = 1,
                                     .backends = &world->settings,
                                     .backends_len = 1,
                                     .default_backend = "b",
                                     .specs = &world->spec,
                                     .specs_len = 1};
    log_configure(LOG_ERROR, false);
    return world;
}

static void prepared(void *transaction, bool ok)
{
    assert_true(ok);
    *(bool *)transaction = true;
}

void world_begin(struct world *world)
{
    assert_int_equal(service_load(world->service, NULL), 0);
    service_prepare(world->service, (struct backend_set *)world, NULL, world->config, NULL, prepared,
                    &world->prepared);
    service_commit(world->service, (struct backend_set *)world, world->config);
}

static void reload(struct world *world, struct backend *backend)
{
    only_backend = backend;
    world->config->backends_len = backend ? 1 : 0;
    service_commit(world->service, (struct backend_set *)world, world->config);
    world_turn(world);
}

void world_replace_backend(struct world *world)
{
    world->replaced = world->backend;
    reload(world, only_backend == &world->backend ? &world->replaced : &world->backend);
}

void world_remove_backend(struct world *world)
{
    reload(world, NULL);
}

void world_destroy(struct world *world)
{
    service_destroy(world->service);
    world_turn(world);
    loop_destroy(world->loop);
    assert_int_equal(world->config->refs, 1); /* every generation that was pinned was let go of */
    free(world->config);
    free(world);
    while (flights) {
        struct backend_operation *operation = flights;
        land(operation);
        free(operation);
    }
    while (writes) {
        struct write *write = writes;
        writes = write->next;
        free(write);
    }
    writes_last = &writes;
    rows_len = 0;
    assert_null(transfers);
}
