/* plugin/backend.c: the life of an instance, from open() to close(). Owns the instances' memory; carries out no
 * operation but open(), and doesn't know of configurations (set.c). */
#include "base/clock.h"
#include "base/error.h"
#include "plugin/access_log.h"
#include "plugin/instance.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OVERDUE_MS = 30000, /* a retired instance that is not closed by then is mentioned in the log */
    GATE_BURST = 10,
    GATE_REFILL_MS = 1000
};

/* ---- complaints ---- */

static bool gate_pass(struct log_gate *gate)
{
    uint64_t now = clock_ms();
    uint64_t more = (now - gate->refilled_ms) / GATE_REFILL_MS;
    if (more > 0) {
        gate->tokens = more > GATE_BURST - gate->tokens ? GATE_BURST : gate->tokens + (unsigned)more;
        gate->refilled_ms = now;
    }
    if (gate->tokens == 0) {
        gate->left_out++;
        return false;
    }
    gate->tokens--;
    return true;
}

void instance_complain(struct backend *backend, const char *sandbox_id, const char *format, ...)
{
    struct log_context about = {.backend = backend->name, .sandbox = sandbox_id};
    if (!gate_pass(&backend->gate))
        return;
    if (backend->gate.left_out > 0)
        log_line(LOG_WARN, &(struct log_context){.backend = backend->name},
                 "%u more complaints about this plugin were left out", backend->gate.left_out);
    backend->gate.left_out = 0;
    va_list args;
    va_start(args, format);
    log_vline(LOG_WARN, &about, format, args);
    va_end(args);
}

/* ---- life ---- */

static bool is_idle(struct backend *backend)
{
    return backend->in_flight == 0 && backend->pending == 0 && atomic_load(&backend->posts) == 0;
}

static void end_services(struct backend *backend)
{
    timers_end(backend);
    watches_end(backend);
    transfers_end(backend);
    children_end(backend);
}

/* Of a plugin that is unloaded: whoever still has a reference asks it for something, and is refused. */
static const struct sbx_backend_ops no_ops = {.size = sizeof no_ops};

void instance_close_if_idle(struct backend *backend)
{
    if (backend->state != INSTANCE_QUIESCED)
        return;
    if (backend->opened && !backend->quiesced) { /* retired while its open() was still in flight */
        backend->quiesced = true;
        backend->ops->quiesce(&backend->abi);
    }
    if (!is_idle(backend))
        return;
    backend_ref(backend);
    event_del(&backend->overdue);
    if (backend->opened)
        backend->ops->close(&backend->abi);
    backend->state = INSTANCE_CLOSED;
    end_services(backend);
    backend->ops = &no_ops;
    module_unref(backend->module);
    backend->module = NULL;
    backend->env->closed(backend->env->closed_arg, backend);
    backend_unref(backend);
}

static void settle(void *arg)
{
    instance_close_if_idle(arg);
}

static void on_overdue(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct backend *backend = arg;
    log_line(LOG_WARN, &(struct log_context){.backend = backend->name},
             "an instance that was replaced or removed can't be closed yet: its plugin has not ended %u "
             "operations and %u other calls; it stays loaded until it does",
             backend->in_flight, backend->pending + atomic_load(&backend->posts));
}

struct backend *instance_create(struct instance_env *env, struct module *module, const char *name,
                                const char *plugin_path, const uint8_t *digest, const char *public_url,
                                const char *listen_urls)
{
    struct backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        abort();
    backend->env = env;
    backend->module = module;
    backend->ops = module_ops(module);
    backend->plugin = *module_head(module);
    backend->has_logs = backend->ops->logs != NULL;
    backend->isolates = backend->ops->flags & SBX_BACKEND_ISOLATES;
    backend->name = strdup(name);
    backend->plugin_path = strdup(plugin_path);
    const char *spec = module_default_spec(module);
    backend->public_url = public_url ? strdup(public_url) : NULL;
    backend->listen_urls = listen_urls ? strdup(listen_urls) : NULL;
    backend->default_spec = spec ? strdup(spec) : NULL;
    if (!backend->name || !backend->plugin_path || !backend->public_url != !public_url ||
        !backend->listen_urls != !listen_urls || !backend->default_spec != !spec)
        abort();
    memcpy(backend->digest, digest, sizeof backend->digest);
    backend->abi =
        (struct sbx_backend){.size = sizeof backend->abi, .host = host_table(), .name = backend->name};
    backend->refs = 1;
    backend->gate = (struct log_gate){.refilled_ms = clock_ms(), .tokens = GATE_BURST};
    backend->settle = (struct loop_task){.run = settle, .arg = backend};
    evtimer_assign(&backend->overdue, loop_base(env->loop), on_overdue, backend);
    deliveries_init(backend);
    return backend;
}

struct backend *instance_of(struct sbx_backend *abi)
{
    return (struct backend *)abi;
}

void instance_activate(struct backend *backend)
{
    if (backend->state != INSTANCE_OPEN)
        return;
    backend->state = INSTANCE_CURRENT;
    deliveries_start(backend);
}

void instance_settle(struct backend *backend)
{
    if (backend->state == INSTANCE_QUIESCED)
        loop_defer(backend->env->loop, &backend->settle);
}

void instance_retire(struct backend *backend)
{
    if (backend->state >= INSTANCE_QUIESCED)
        return;
    backend->state = INSTANCE_QUIESCED;
    deliveries_drop_events(backend);
    deliveries_start(backend);
    if (backend->opened) {
        backend->quiesced = true;
        backend->ops->quiesce(&backend->abi);
    }
    loop_arm_ms(&backend->overdue, OVERDUE_MS);
    instance_settle(backend);
}

void instance_abandon(struct backend *backend)
{
    event_del(&backend->overdue);
    loop_undefer(backend->env->loop, &backend->settle);
    loop_undefer(backend->env->loop, &backend->deliver);
    operations_abandon(backend);
    end_services(backend);
}

struct backend *backend_ref(struct backend *backend)
{
    backend->refs++;
    return backend;
}

/* Freed by the last of three: a reference, the closing, a post on its way. */
void instance_free_if_over(struct backend *backend)
{
    if (backend->refs > 0 || backend->state != INSTANCE_CLOSED || atomic_load(&backend->posts) > 0)
        return;
    deliveries_finish(backend);
    loop_undefer(backend->env->loop, &backend->settle);
    handles_finish(&backend->handles);
    free(backend->name);
    free(backend->plugin_path);
    free(backend->public_url);
    free(backend->listen_urls);
    free(backend->default_spec);
    free(backend->health_path);
    free(backend->checked_path);
    free(backend->health_body);
    free(backend);
}

void backend_unref(struct backend *backend)
{
    backend->refs--;
    instance_free_if_over(backend);
}

/* ---- facts ---- */

const char *backend_name(const struct backend *backend)
{
    return backend->name;
}

const char *backend_plugin_name(const struct backend *backend)
{
    return backend->plugin.name;
}

const char *backend_plugin_version(const struct backend *backend)
{
    return backend->plugin.version;
}

const char *backend_default_health_path(const struct backend *backend)
{
    const char *path = backend->health_path ? backend->health_path : backend->plugin.health_check_path;
    return path[0] ? path : NULL;
}

size_t backend_drop_health_checks(const struct backend *backend, char *text, size_t len)
{
    const char *path = backend->unchecked      ? NULL
                       : backend->checked_path ? backend->checked_path
                                               : backend_default_health_path(backend);
    return access_log_drop_checks(text, len, path);
}

void instance_check_at(struct backend *backend, const char *path)
{
    backend->unchecked = !path;
    backend->checked_path = path ? strdup(path) : NULL;
    if (path && !backend->checked_path)
        abort();
}

uint32_t backend_polling_ms(const struct backend *backend)
{
    return backend->polling_ms;
}

const char *backend_default_health_body(const struct backend *backend)
{
    return backend->health_body;
}

uint32_t backend_default_max_sandboxes(const struct backend *backend)
{
    return backend->plugin.default_max_sandboxes;
}

const char *backend_default_spec(const struct backend *backend, size_t *len)
{
    *len = backend->default_spec ? strlen(backend->default_spec) : 0;
    return backend->default_spec;
}

enum sbx_on_shutdown backend_on_shutdown(const struct backend *backend)
{
    return backend->on_shutdown;
}

enum sbx_shutdown_scope backend_shutdown_scope(const struct backend *backend)
{
    return backend->shutdown_scope;
}

const char *backend_id_prefix(const struct backend *backend)
{
    return backend->id_prefix;
}

bool backend_has_logs(const struct backend *backend)
{
    return backend->has_logs;
}

bool backend_builds(const struct backend *backend)
{
    return backend->ops->build != NULL;
}

bool backend_isolates(const struct backend *backend)
{
    return backend->isolates;
}

const struct sbx_error *backend_unavailable(const struct backend *backend)
{
    return backend->unavailable ? &backend->why_unavailable : NULL;
}

unsigned backend_in_flight(const struct backend *backend)
{
    return backend->in_flight;
}
