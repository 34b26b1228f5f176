/* See world.h. */
#include "world.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world world;

/* The service's own; the API only compares their addresses. */
struct home {
    char unused;
};
static struct home homes[2];

static const struct config_pair env[] = {{"A", "b"}};
static const char *command[] = {"agent", "{port}"};

int world_setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.loop = loop_create();
    table_init(&world.table);
    struct api_deps deps = {.loop = world.loop, .version = "9.9.9"};
    world.api = api_create(&deps);
    world.backends[0] = (struct config_backend){.name = "local", .startup_timeout_ms = 120000};
    world.backends[1] = (struct config_backend){.name = "remote", .startup_timeout_ms = 5000};
    world.specs[0] = (struct config_spec){.id = "first", .backend = "local"};
    world.specs[1] = (struct config_spec){.id = "second",
                                          .backend = "remote",
                                          .command = command,
                                          .command_len = 2,
                                          .initial_env = env,
                                          .initial_env_len = 1,
                                          .working_dir = "/work"};
    world.specs[2] = (struct config_spec){.id = "third", .backend = "local"};
    world.config = (struct config){.number = 4,
                                   .max_body = 1000,
                                   .backends = world.backends,
                                   .backends_len = 2,
                                   .default_backend = "local",
                                   .specs = world.specs,
                                   .specs_len = 3};
    return 0;
}

int world_teardown(void **state)
{
    (void)state;
    api_destroy(world.api);
    table_finish(&world.table);
    loop_destroy(world.loop);
    return 0;
}

void world_use_keys(void)
{
    world.keys[0] = (struct config_key){.user = "alice"};
    world.keys[1] = (struct config_key){.user = "ops", .admin = true};
    SHA256((const unsigned char *)"alice-key", 9, world.keys[0].sha256);
    SHA256((const unsigned char *)"ops-key", 7, world.keys[1].sha256);
    world.config.keys = world.keys;
    world.config.keys_len = 2;
}

static char *copy(const char *text)
{
    char *result = strdup(text);
    assert_non_null(result);
    return result;
}

struct sandbox *world_add(const char *id, const char *owner)
{
    static int64_t now = 1767323045678901; /* 2026-01-02T03:04:05.678901Z */
    struct sandbox *sandbox = table_add(&world.table, id, owner);
    sandbox->service = (struct service *)&world;
    sandbox->home = &homes[0];
    sandbox->spec_id = copy("first");
    char key[BASE62_SIZE_32];
    snprintf(key, sizeof key, "key-of-%.30s", id);
    table_set_key(&world.table, sandbox, key);
    sandbox->created_at_us = now++;
    sandbox->status = SANDBOX_RUNNING;
    sandbox->urls = calloc(1, sizeof *sandbox->urls);
    assert_non_null(sandbox->urls);
    *sandbox->urls = (struct sandbox_url){copy("AGENT_SERVER"), copy("http://127.0.0.1:8000"), 8000};
    sandbox->urls_len = 1;
    table_show(&world.table, sandbox);
    return sandbox;
}

void world_answer(const struct sandbox *sandbox, const struct sbx_error *err)
{
    world.wait.done(world.wait.arg, sandbox, err);
}

void world_request(struct http_request *request, const char *method, const char *path)
{
    request->method = method;
    request->path = path;
    request->config = &world.config;
    api_head(world.api, request);
}

void world_query(struct http_request *request, const char *method, const char *path, const char *name,
                 const char *value)
{
    request->query[0] = (struct pair){name, value};
    world_request(request, method, path);
}

/* ---- sandbox/service.h ---- */

const struct table *service_table(const struct service *service)
{
    (void)service;
    return &world.table;
}

static bool refused(struct sbx_error *err)
{
    if (world.refuse)
        *err = world.error;
    return world.refuse;
}

static struct sandbox_wait *call(const char *what, const struct viewer *viewer, const char *id,
                                 service_done done, void *arg, struct sbx_error *err)
{
    world.calls++;
    snprintf(world.called, sizeof world.called, "%s", what);
    snprintf(world.id, sizeof world.id, "%s", id);
    snprintf(world.user, sizeof world.user, "%s", viewer->user ? viewer->user : "");
    world.everything = viewer->everything;
    if (refused(err))
        return NULL;
    world.wait = (struct sandbox_wait){done, arg};
    return &world.wait;
}

struct sandbox_wait *service_start(struct service *service, struct config *config,
                                   const struct viewer *viewer, const char *spec_id, uint32_t wait_ms,
                                   service_done done, void *arg, struct sbx_error *err)
{
    (void)service;
    assert_ptr_equal(config, &world.config);
    world.has_spec_id = spec_id != NULL;
    snprintf(world.spec_id, sizeof world.spec_id, "%s", spec_id ? spec_id : "");
    world.wait_ms = wait_ms;
    return call("start", viewer, "", done, arg, err);
}

struct sandbox_wait *service_start_session(struct service *service, struct config *config,
                                           const struct viewer *viewer, const struct service_session *session,
                                           service_done done, void *arg, struct sbx_error *err)
{
    (void)service;
    assert_ptr_equal(config, &world.config);
    snprintf(world.session_id, sizeof world.session_id, "%s",
             session->session_id ? session->session_id : "-");
    snprintf(world.image, sizeof world.image, "%s", session->spec_id);
    snprintf(world.backend, sizeof world.backend, "%s", session->backend);
    snprintf(world.own_spec, sizeof world.own_spec, "%s", session->spec_json);
    return call("session", viewer, "", done, arg, err);
}

struct sandbox_wait *service_pause(struct service *service, const struct viewer *viewer, const char *id,
                                   service_done done, void *arg, struct sbx_error *err)
{
    (void)service;
    return call("pause", viewer, id, done, arg, err);
}

struct sandbox_wait *service_resume(struct service *service, const struct viewer *viewer, const char *id,
                                    service_done done, void *arg, struct sbx_error *err)
{
    (void)service;
    return call("resume", viewer, id, done, arg, err);
}

struct sandbox_wait *service_delete(struct service *service, const struct viewer *viewer, const char *id,
                                    service_done done, void *arg, struct sbx_error *err)
{
    (void)service;
    return call("delete", viewer, id, done, arg, err);
}

void service_give_up(struct sandbox_wait *wait)
{
    assert_ptr_equal(wait, &world.wait);
    world.given_up++;
}

static struct backend_operation *operation(backend_done done, backend_data data, void *arg)
{
    assert_in_range(world.operations_len, 0, 3);
    struct backend_operation *result = &world.operations[world.operations_len++];
    *result = (struct backend_operation){done, data, arg};
    return result;
}

struct backend_operation *service_logs(struct service *service, const struct viewer *viewer, const char *id,
                                       uint32_t tail, bool follow, backend_data data, backend_done done,
                                       void *arg, struct sbx_error *err)
{
    (void)service;
    (void)viewer;
    (void)id;
    world.logs = (struct sbx_logs){.tail = tail, .follow = follow};
    return refused(err) ? NULL : operation(done, data, arg);
}

size_t service_specs_count(const struct service *service, const struct config *config)
{
    (void)service;
    return config->specs_len;
}

const struct config_spec *service_spec_at(const struct service *service, const struct config *config,
                                          size_t index)
{
    (void)service;
    return index < config->specs_len ? &config->specs[index] : NULL;
}

const struct config_spec *service_spec_find(const struct service *service, const struct config *config,
                                            const char *id)
{
    for (size_t i = 0; i < config->specs_len; i++)
        if (!id || strcmp(config->specs[i].id, id) == 0)
            return service_spec_at(service, config, i);
    return NULL;
}

int64_t service_specs_created_at_us(const struct service *service)
{
    (void)service;
    return 1767323045678901;
}

const char *sandbox_backend_name(const struct sandbox *sandbox)
{
    return world.backends[sandbox->home - homes].name;
}

size_t service_backends_count(const struct service *service)
{
    (void)service;
    return 2;
}

struct service_backend service_backend_at(const struct service *service, size_t index)
{
    (void)service;
    bool second = index == 1;
    return (struct service_backend){.name = world.backends[index].name,
                                    .plugin = second ? "far\"away" : "process",
                                    .version = "1.2",
                                    .unavailable =
                                        second && world.unavailable.kind ? &world.unavailable : NULL,
                                    .backend = (struct backend *)&world.backends[index],
                                    .listed = !(second && world.not_listed),
                                    .home = &homes[index]};
}

struct service_stats service_stats(const struct service *service)
{
    (void)service;
    return (struct service_stats){.starts = 11};
}

/* ---- plugin/backend.h, config/config.h, store/store.h ---- */

struct backend_operation *backend_describe(struct backend *backend, uint32_t timeout_ms, backend_done done,
                                           void *arg)
{
    (void)backend;
    assert_int_equal(timeout_ms, 2000);
    return operation(done, NULL, arg);
}

struct backend_operation *backend_image(struct backend *backend, const char *image, uint32_t timeout_ms,
                                        backend_done done, void *arg)
{
    assert_ptr_equal(backend, &world.backends[0]);
    assert_int_equal(timeout_ms, 10000);
    snprintf(world.image, sizeof world.image, "%s", image);
    return operation(done, NULL, arg);
}

bool backend_isolates(const struct backend *backend)
{
    (void)backend;
    return world.isolates;
}

const struct sbx_error *backend_unavailable(const struct backend *backend)
{
    return (const struct config_backend *)backend == &world.backends[1] && world.unavailable.kind
               ? &world.unavailable
               : NULL;
}

void backend_stream_ready(struct backend_operation *op)
{
    assert_ptr_equal(op, &world.operations[0]);
    world.stream_ready++;
}

void backend_cancel(struct backend_operation *op, bool forget)
{
    assert_non_null(op);
    assert_true(forget);
    world.cancelled++;
}

const struct config_backend *config_find_backend(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->backends_len; i++)
        if (strcmp(config->backends[i].name, name) == 0)
            return &config->backends[i];
    return NULL;
}

struct store_stats store_stats(struct store *store)
{
    (void)store;
    return (struct store_stats){.writes = 5, .full = world.store_full, .ballast = 4096};
}

const char *store_directory(const struct store *store)
{
    (void)store;
    return "/var/lib/state";
}

/* ---- mirror/mirror.h ---- */

struct mirror_report {
    char unused;
};
static struct mirror_report the_report;

struct mirror_report *mirror_report_open(struct mirror *mirror, const struct sandbox *sandbox, size_t size,
                                         struct sbx_error *err)
{
    (void)mirror;
    if (refused(err))
        return NULL;
    world.report.opened++;
    world.report.size = size;
    snprintf(world.report.sandbox, sizeof world.report.sandbox, "%s", sandbox->id);
    return &the_report;
}

static void take_report(const void *json, size_t len, mirror_report_done done, void *arg)
{
    snprintf(world.report.text, sizeof world.report.text, "%.*s", (int)len, (const char *)json);
    world.report.done = done;
    world.report.arg = arg;
}

void mirror_report_events(struct mirror_report *report, const char *conversation_id, const void *json,
                          size_t len, mirror_report_done done, void *arg)
{
    assert_ptr_equal(report, &the_report);
    snprintf(world.report.conversation_id, sizeof world.report.conversation_id, "%s", conversation_id);
    take_report(json, len, done, arg);
}

void mirror_report_conversation(struct mirror_report *report, const void *json, size_t len,
                                mirror_report_done done, void *arg)
{
    assert_ptr_equal(report, &the_report);
    take_report(json, len, done, arg);
}

void mirror_report_close(struct mirror_report *report)
{
    assert_ptr_equal(report, &the_report);
    world.report.closed++;
    world.report.done = NULL;
}

struct mirror_stats mirror_stats(const struct mirror *mirror)
{
    (void)mirror;
    return (struct mirror_stats){.events = 21};
}

bool mirror_callback_at(const struct mirror *mirror, size_t index, struct mirror_callback *callback)
{
    (void)mirror;
    *callback = (struct mirror_callback){.name = "events.callbacks[0] (host)", .dropped = 3, .failing = true};
    return index == 0;
}

/* ---- store/reports.h ---- */

static void ask(const char *what, const struct store_event_filter *filter, const char *id, size_t limit,
                store_events_done done, void *arg)
{
    world.question.asked++;
    world.question.filter = *filter;
    snprintf(world.question.what, sizeof world.question.what, "%s", what);
    snprintf(world.question.owner, sizeof world.question.owner, "%s", filter->owner ? filter->owner : "");
    snprintf(world.question.conversation_id, sizeof world.question.conversation_id, "%s",
             filter->conversation_id ? filter->conversation_id : "");
    snprintf(world.question.kind, sizeof world.question.kind, "%s", filter->kind ? filter->kind : "");
    snprintf(world.question.id, sizeof world.question.id, "%s", id);
    world.question.limit = limit;
    world.question.events = done;
    world.question.arg = arg;
}

void store_events_search(struct store *store, const struct store_event_filter *filter, size_t limit,
                         store_events_done done, void *arg)
{
    (void)store;
    ask("search", filter, "", limit, done, arg);
}

void store_events_count(struct store *store, const struct store_event_filter *filter, store_events_done done,
                        void *arg)
{
    (void)store;
    ask("count", filter, "", 0, done, arg);
}

void store_events_get(struct store *store, const struct store_event_filter *filter, const char *id,
                      store_events_done done, void *arg)
{
    (void)store;
    ask("get", filter, id, 1, done, arg);
}

void store_conversations_search(struct store *store, bool all_owners, const char *owner,
                                const char *sandbox_id, int64_t place, size_t limit,
                                store_conversations_done done, void *arg)
{
    (void)store;
    struct store_event_filter filter = {.all_owners = all_owners, .owner = owner, .place.seq = place};
    ask("conversations", &filter, sandbox_id ? sandbox_id : "", limit, NULL, arg);
    world.question.conversations = done;
}
