/* sandbox/lifecycle.c: the service's own life: its beginning, each new generation, its end; and what it tells
 * of itself. */
#include "sandbox/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- what backends tell ---- */

static void on_report(void *arg, struct backend *backend, const struct sbx_observation *observation)
{
    struct service *service = arg;
    service_observe(service, home_get(service, backend_name(backend)), observation);
}

/* It can be reached again, or not any more: what could not be done is tried again. */
static void on_available(void *arg, struct backend *backend)
{
    struct service *service = arg;
    struct home *home = home_get(service, backend_name(backend));
    if (home->backend != backend)
        return;
    const struct sbx_error *why = backend_unavailable(backend);
    if (!why) {
        log_line(LOG_INFO, &(struct log_context){.backend = home->name}, "can be reached");
        home_list(home, LIST_TIMEOUT_MS);
    }
    home_refresh_silent(home, "can't be reached", why);
    service_check_prepared(service);
}

static void on_relist(void *arg, struct backend *backend)
{
    struct service *service = arg;
    struct home *home = home_get(service, backend_name(backend));
    if (home->backend == backend)
        home_list(home, LIST_TIMEOUT_MS);
}

struct backend_events service_backend_events(struct service *service)
{
    return (struct backend_events){
        .report = on_report, .available = on_available, .relist = on_relist, .arg = service};
}

/* ---- beginning ---- */

static void first_time_over(evutil_socket_t fd, short what, void *arg);
static void stop_time_over(evutil_socket_t fd, short what, void *arg);
static void tell_stopped(void *arg);

struct service *service_create(const struct service_deps *deps)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        abort();
    service->deps = *deps;
    service->created_at_us = clock_wall_us();
    table_init(&service->table);
    map_init(&service->homes);
    map_init(&service->quotas);
    health_queue_init(&service->checks);
    evtimer_assign(&service->first_timer, loop_base(deps->loop), first_time_over, service);
    evtimer_assign(&service->stop_timer, loop_base(deps->loop), stop_time_over, service);
    service->stop_task = (struct loop_task){.run = tell_stopped, .arg = service};
    return service;
}

int service_load(struct service *service, struct sbx_error *err)
{
    return record_load_all(service, err);
}

/* ---- generations ---- */

static void attach_all(struct service *service, struct backend_set *set, struct config *config)
{
    struct home *home;
    for (size_t i = 0; i < config->backends_len; i++)
        home_get(service, config->backends[i].name);
    for (size_t i = 0; (home = map_next(&service->homes, &i));) {
        bool configured = config_find_backend(config, home->name) != NULL;
        struct backend *backend = NULL;
        for (size_t k = 0; configured && k < backend_set_count(set); k++)
            if (strcmp(backend_name(backend_set_at(set, k)), home->name) == 0)
                backend = backend_set_at(set, k);
        home_attach(home, configured ? config : NULL, backend);
    }
}

void service_check_prepared(struct service *service)
{
    if (!service->first_prepared)
        return;
    const struct home *home;
    for (size_t i = 0; (home = map_next(&service->homes, &i));)
        if (home->listing)
            return;
    if (service->checks.firsts > 0 && !service->first_timer_over) {
        if (!event_pending(&service->first_timer, EV_TIMEOUT, NULL))
            loop_arm_ms(&service->first_timer, FIRST_CHECKS_TIMEOUT_MS);
        return;
    }
    event_del(&service->first_timer);
    reload_prepared prepared = service->first_prepared;
    service->first_prepared = NULL;
    prepared(service->first_transaction, true);
}

static void first_time_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct service *service = arg;
    service->first_timer_over = true;
    service_check_prepared(service);
}

void service_prepare(struct service *service, struct backend_set *set, const struct config *old,
                     struct config *next, struct config_problems *problems, reload_prepared prepared,
                     void *transaction)
{
    (void)problems;
    if (old) {
        prepared(transaction, true);
        return;
    }
    /* Nothing is served yet: the first generation may begin its work before it is published. */
    service->first_prepared = prepared;
    service->first_transaction = transaction;
    service_commit(service, set, next);
    service_check_prepared(service);
}

void service_commit(struct service *service, struct backend_set *set, struct config *next)
{
    service->set = set;
    struct config *before = service->config;
    service->config = config_ref(next);
    config_unref(before);
    attach_all(service, set, next);
    struct home *home;
    for (size_t i = 0; (home = map_next(&service->homes, &i));)
        if (home->backend && !home->listed && !home->listing)
            home_list(home, before ? LIST_TIMEOUT_MS : FIRST_LIST_TIMEOUT_MS);
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&service->table, &i));) {
        health_go_on(sandbox);
        sandbox_refresh(sandbox);
    }
    struct quota *quota; /* limits may have grown; making room changes no quota's place in the map */
    for (size_t i = 0; (quota = map_next(&service->quotas, &i));)
        quota_make_room(quota);
}

/* ---- the end ---- */

static void tell_stopped(void *arg)
{
    struct service *service = arg;
    event_del(&service->stop_timer);
    if (service->stopped)
        service->stopped(service->stopped_arg);
    service->stopped = NULL;
}

static void stop_time_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    log_warn("some sandboxes' operations did not end in time; they are taken up again at the next start");
    tell_stopped(arg);
}

/* Stopped once nothing is in flight. */
void service_check_stopped(struct service *service)
{
    if (!service->stopping || !service->stopped)
        return;
    const struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&service->table, &i));)
        if (sandbox->operation || sandbox->phase == PHASE_RECORDING || sandbox->phase == PHASE_REMOVING)
            return;
    loop_defer(service->deps.loop, &service->stop_task);
}

void service_drain(struct service *service)
{
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&service->table, &i));)
        wait_hurry(sandbox);
}

/* What a stop or a pause has work with: what runs or is about to, and, where all are meant, what stands still. */
static bool is_reached(const struct sandbox *sandbox, enum sbx_on_shutdown what, bool all)
{
    bool runs = sandbox->state == SBX_STATE_RUNNING || sandbox->state == SBX_STATE_STARTING ||
                sandbox->phase == PHASE_STARTING || sandbox->phase == PHASE_RESUMING;
    bool stands = sandbox->state == SBX_STATE_PAUSED || sandbox->state == SBX_STATE_FAILED;
    return runs || (all && what == SBX_SHUTDOWN_STOP && stands);
}

static void carry_out(struct sandbox *sandbox, enum sbx_on_shutdown what, bool all)
{
    if (what == SBX_SHUTDOWN_KEEP || sandbox->deleting || (sandbox->adopted && !all))
        return;
    if (what == SBX_SHUTDOWN_REMOVE) {
        sandbox->deleting = true;
        record_put(sandbox, NULL, NULL);
        sandbox_begin_removal(sandbox);
    } else if (is_reached(sandbox, what, all)) {
        quota_stop_waiting(sandbox);
        sandbox->wants |= what == SBX_SHUTDOWN_STOP ? WANT_STOP : WANT_PAUSE;
        sandbox_drive(sandbox);
    }
}

void service_stop(struct service *service, uint32_t timeout_ms, void (*stopped)(void *arg), void *arg)
{
    service->stopping = true;
    service->stopped = stopped;
    service->stopped_arg = arg;
    bool acts = false;
    struct home *home;
    for (size_t i = 0; (home = map_next(&service->homes, &i));) {
        event_del(&home->relist);
        acts |= home->backend && backend_on_shutdown(home->backend) != SBX_SHUTDOWN_KEEP;
    }
    loop_arm_ms(&service->stop_timer, acts || timeout_ms < STOP_KEEPING_MS ? timeout_ms : STOP_KEEPING_MS);
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&service->table, &i));) {
        const struct backend *backend = sandbox->home->backend;
        if (backend)
            carry_out(sandbox, backend_on_shutdown(backend),
                      backend_shutdown_scope(backend) == SBX_SCOPE_ALL);
    }
    service_check_stopped(service);
}

void service_destroy(struct service *service)
{
    if (!service)
        return;
    struct sbx_error err;
    error_set(&err, SBX_ERR_UNAVAILABLE, "SHUTTING_DOWN", "the daemon is shutting down");
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&service->table, &i));) {
        wait_answer_all(sandbox, &err);
        health_end(sandbox);
        event_del(&sandbox->retry);
        if (sandbox->operation)
            backend_cancel(sandbox->operation, true);
        config_unref(sandbox->pinned);
    }
    struct quota *quota;
    for (size_t i = 0; (quota = map_next(&service->quotas, &i));) {
        free(quota->key);
        free(quota);
    }
    map_finish(&service->quotas);
    table_finish(&service->table);
    struct home *home;
    for (size_t i = 0; (home = map_next(&service->homes, &i));)
        home_destroy(home);
    map_finish(&service->homes);
    for (size_t i = 0; i < RECENTLY_GONE; i++)
        free(service->recently_gone[i].id);
    event_del(&service->first_timer);
    event_del(&service->stop_timer);
    loop_undefer(service->deps.loop, &service->stop_task);
    loop_undefer(service->deps.loop, &service->checks.admit);
    config_unref(service->config);
    free(service);
}

/* ---- what it tells ---- */

void service_listen(struct service *service, void (*changed)(void *arg), void *arg)
{
    service->running_changed = changed;
    service->running_changed_arg = arg;
}

void service_tell_running(const struct service *service)
{
    if (service->running_changed)
        service->running_changed(service->running_changed_arg);
}

const struct table *service_table(const struct service *service)
{
    return &service->table;
}

size_t service_backends_count(const struct service *service)
{
    return service->config ? service->config->backends_len : 0;
}

struct service_backend service_backend_at(const struct service *service, size_t index)
{
    const struct config_backend *settings = &service->config->backends[index];
    const struct home *home = map_get(&service->homes, settings->name);
    struct service_backend out = {
        .name = settings->name, .plugin = settings->plugin, .version = "", .home = home};
    if (home && home->backend) {
        out.plugin = backend_plugin_name(home->backend);
        out.version = backend_plugin_version(home->backend);
        out.unavailable = backend_unavailable(home->backend);
        out.listed = home->listed;
        out.backend = home->backend;
    }
    return out;
}

struct service_stats service_stats(const struct service *service)
{
    return service->stats;
}
