/* plugin/host.c: the table of services, and those of them that are a few lines: what a plugin says about the
 * world, its log, clock and randomness. The others have a file each. */
#include "base/clock.h"
#include "plugin/instance.h"
#include "plugin/observation.h"
#include "plugin/options.h"
#include "plugin/sanitize.h"
#include "store/identity.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { POLLING_LEAST_MS = 100, POLLING_MOST_MS = 24 * 60 * 60 * 1000 };
enum { HEALTH_PATH_MAX = 1023, HEALTH_BODY_MAX = 4096, HEALTH_BODY_MEMBERS = 16 };

struct backend *host_enter(struct sbx_backend *abi, const char *service)
{
    struct backend *backend = instance_of(abi);
    if (!backend) {
        log_warn("a plugin called %s() without a backend; ignored", service);
        return NULL;
    }
    if (!pthread_equal(pthread_self(), backend->env->thread)) {
        log_line(
            LOG_ERROR, &(struct log_context){.backend = backend->name},
            "the plugin called %s() from a thread of its own, where only log, clock, random and post are "
            "allowed; ignored",
            service);
        return NULL;
    }
    if (backend->state == INSTANCE_CLOSED) {
        instance_complain(backend, NULL, "the plugin called %s() after close(); ignored", service);
        return NULL;
    }
    return backend;
}

static void complete(struct sbx_backend *abi, sbx_op op, const struct sbx_error *error)
{
    struct backend *backend = host_enter(abi, "complete");
    if (backend)
        operation_complete(backend, op, error);
}

static void result(struct sbx_backend *abi, sbx_op op, const char *json, size_t len)
{
    struct backend *backend = host_enter(abi, "result");
    if (backend)
        operation_result(backend, op, json, len);
}

static enum sbx_stream stream_write(struct sbx_backend *abi, sbx_op op, const void *bytes, size_t len)
{
    struct backend *backend = host_enter(abi, "stream_write");
    return backend ? operation_write(backend, op, bytes, len) : SBX_STREAM_STOP;
}

static void report(struct sbx_backend *abi, const struct sbx_observation *observation)
{
    struct backend *backend = host_enter(abi, "report");
    if (!backend || backend->state == INSTANCE_QUIESCED)
        return;
    size_t bytes = 0;
    const char *why, *id;
    struct sbx_observation *copy = observation_copy(observation, &bytes, &why, &id);
    if (copy && deliveries_report(backend, copy, bytes) == 0)
        return;
    if (copy)
        why = "too many are waiting already";
    free(copy);
    backend->lost++;
    instance_complain(backend, id, "a report of the plugin is refused: %s", why);
}

static void available(struct sbx_backend *abi, const struct sbx_error *why_not)
{
    struct backend *backend = host_enter(abi, "available");
    if (!backend || backend->state == INSTANCE_QUIESCED)
        return;
    struct sbx_error why = {0};
    if (why_not)
        sanitize_error(&why, why_not);
    bool changed =
        backend->unavailable != (why_not != NULL) || memcmp(&why, &backend->why_unavailable, sizeof why) != 0;
    if (!changed)
        return;
    backend->unavailable = why_not != NULL;
    backend->why_unavailable = why;
    deliveries_available(backend);
}

static void relist(struct sbx_backend *abi)
{
    struct backend *backend = host_enter(abi, "relist");
    if (backend && backend->state != INSTANCE_QUIESCED)
        deliveries_relist(backend);
}

static void on_shutdown(struct sbx_backend *abi, enum sbx_on_shutdown what)
{
    struct backend *backend = host_enter(abi, "on_shutdown");
    if (!backend)
        return;
    if ((int)what < SBX_SHUTDOWN_KEEP || (int)what > SBX_SHUTDOWN_REMOVE)
        instance_complain(backend, NULL, "on_shutdown(%d) is none of enum sbx_on_shutdown; ignored",
                          (int)what);
    else
        backend->on_shutdown = what;
}

static void on_shutdown_scope(struct sbx_backend *abi, enum sbx_shutdown_scope scope)
{
    struct backend *backend = host_enter(abi, "on_shutdown_scope");
    if (!backend)
        return;
    if (scope != SBX_SCOPE_OWN && scope != SBX_SCOPE_ALL)
        instance_complain(backend, NULL, "on_shutdown_scope(%d) is none of enum sbx_shutdown_scope; ignored",
                          (int)scope);
    else
        backend->shutdown_scope = scope;
}

static void default_spec(struct sbx_backend *abi, const char *spec_json)
{
    struct backend *backend = host_enter(abi, "default_spec");
    if (!backend)
        return;
    size_t len = spec_json ? strlen(spec_json) : 0;
    struct sbx_json *spec = len > 0 ? json_table()->parse(spec_json, len, NULL) : NULL;
    const char *id = json_table()->string(json_table()->get(spec, "id"), "");
    if (backend->opened || !spec_json || !*id) {
        instance_complain(backend, NULL,
                          "default_spec() is called outside of open(), or with no spec; ignored");
    } else {
        free(backend->default_spec);
        if (!(backend->default_spec = strdup(spec_json)))
            abort();
    }
    json_table()->free(spec);
}

static void id_prefix(struct sbx_backend *abi, const char *prefix)
{
    struct backend *backend = host_enter(abi, "id_prefix");
    if (!backend)
        return;
    if (backend->opened)
        instance_complain(backend, NULL, "the plugin called id_prefix() outside of open(); ignored");
    else if (!sanitize_is_id_prefix(prefix, BACKEND_ID_PREFIX_MAX))
        instance_complain(backend, NULL,
                          "the plugin's prefix for ids is not at most %d letters, digits, '-', '_' and '.'; "
                          "ignored",
                          BACKEND_ID_PREFIX_MAX);
    else
        memcpy(backend->id_prefix, prefix, strlen(prefix) + 1);
}

/* Of scalars, and not too many: it is compared with each answer. */
static bool is_wanted_body(const char *text)
{
    const char *why;
    const struct sbx_json_api *json = json_table();
    size_t len = strnlen(text, HEALTH_BODY_MAX + 1), count = 0;
    sbx_json *object = len <= HEALTH_BODY_MAX ? json->parse(text, len, &why) : NULL;
    bool good = object && json->type(object) == SBX_JSON_OBJECT;
    const sbx_json *value;
    for (; good && json->member(object, count, &value); count++)
        good = count < HEALTH_BODY_MEMBERS && json->type(value) != SBX_JSON_OBJECT &&
               json->type(value) != SBX_JSON_ARRAY;
    json->free(object);
    return good;
}

static bool is_health_path(const char *path)
{
    size_t len = strnlen(path, HEALTH_PATH_MAX + 1);
    for (size_t i = 0; i < len; i++)
        if (path[i] <= 0x20 || path[i] >= 0x7f)
            return false;
    return len <= HEALTH_PATH_MAX && (len == 0 || path[0] == '/');
}

static void replace(char **at, const char *text)
{
    free(*at);
    *at = text ? strdup(text) : NULL;
    if (text && !*at)
        abort();
}

static void health_check(struct sbx_backend *abi, const char *path, const char *body_json)
{
    struct backend *backend = host_enter(abi, "health_check");
    if (!backend)
        return;
    if (backend->opened)
        instance_complain(backend, NULL, "the plugin called health_check() outside of open(); ignored");
    else if (path && !is_health_path(path))
        instance_complain(backend, NULL,
                          "the plugin's path for health checks is neither empty nor a path that begins with "
                          "'/', of at most %d visible ASCII characters; ignored",
                          HEALTH_PATH_MAX);
    else if (body_json && !is_wanted_body(body_json))
        instance_complain(backend, NULL,
                          "the plugin's body for health checks is no JSON object of at most %d bytes and %d "
                          "members that are no objects and no arrays; ignored",
                          HEALTH_BODY_MAX, HEALTH_BODY_MEMBERS);
    else {
        replace(&backend->health_path, path);
        replace(&backend->health_body, body_json);
    }
}

static void polling_interval(struct sbx_backend *abi, uint32_t ms)
{
    struct backend *backend = host_enter(abi, "polling_interval");
    if (!backend)
        return;
    if (backend->opened)
        instance_complain(backend, NULL, "the plugin called polling_interval() outside of open(); ignored");
    else if (ms != 0 && (ms < POLLING_LEAST_MS || ms > POLLING_MOST_MS))
        instance_complain(backend, NULL,
                          "the plugin's polling interval of %u ms is not between %d and %d ms; ignored", ms,
                          POLLING_LEAST_MS, POLLING_MOST_MS);
    else
        backend->polling_ms = ms;
}

/* From any thread: its paths don't change once it is open. */
static size_t drop_health_checks(struct sbx_backend *abi, char *text, size_t len)
{
    return abi && text ? backend_drop_health_checks(instance_of(abi), text, len) : len;
}

static void progress(struct sbx_backend *abi, sbx_op op)
{
    struct backend *backend = host_enter(abi, "progress");
    if (backend)
        operation_progress(backend, op);
}

/* A plugin's level may be any number. */
static enum log_level level_of(enum sbx_log_level level)
{
    return (int)level <= SBX_LOG_ERROR   ? LOG_ERROR
           : (int)level >= SBX_LOG_DEBUG ? LOG_DEBUG
           : level == SBX_LOG_WARN       ? LOG_WARN
                                         : LOG_INFO;
}

static int host_log_enabled(enum sbx_log_level level)
{
    return log_enabled(level_of(level));
}

static int instance_alive(const char *instance_id)
{
    return instance_id && identity_is_served(instance_id);
}

__attribute__((format(printf, 4, 5))) static void host_log(struct sbx_backend *abi, enum sbx_log_level level,
                                                           const char *sandbox_id, const char *format, ...)
{
    struct log_context about = {.backend = abi ? abi->name : NULL, .sandbox = sandbox_id};
    va_list args;
    va_start(args, format);
    log_vline(level_of(level), &about, format, args);
    va_end(args);
}

const struct sbx_host *host_table(void)
{
    static struct sbx_host table = {
        .size = sizeof table,
        .abi_major = SBX_ABI_MAJOR,
        .abi_minor = SBX_ABI_MINOR,
        .version = SANDBOXD_VERSION,
        .complete = complete,
        .result = result,
        .stream_write = stream_write,
        .report = report,
        .available = available,
        .relist = relist,
        .on_shutdown = on_shutdown,
        .option_error = options_error,
        .option_warning = options_warning,
        .option_note = options_note,
        .log = host_log,
        .now_ms = clock_ms,
        .now_us = clock_wall_us,
        .random = random_fill,
        .timer_start = timers_start,
        .timer_cancel = timers_cancel,
        .watch_start = watches_start,
        .watch_cancel = watches_cancel,
        .child_spawn = children_spawn,
        .child_pid = children_pid,
        .child_signal = children_signal,
        .child_disown = children_disown,
        .http_start = transfers_start,
        .http_resume = transfers_resume,
        .http_cancel = transfers_cancel,
        .store_put = records_put,
        .store_get = records_get,
        .store_delete = records_delete,
        .store_list = records_list,
        .work = work_run,
        .post = work_post,
        .id_prefix = id_prefix,
        .progress = progress,
        .log_enabled = host_log_enabled,
        .instance_alive = instance_alive,
        .health_check = health_check,
        .polling_interval = polling_interval,
        .drop_health_checks = drop_health_checks,
        .on_shutdown_scope = on_shutdown_scope,
        .default_spec = default_spec,
    };
    if (!table.json)
        table.json = json_table();
    return &table;
}
