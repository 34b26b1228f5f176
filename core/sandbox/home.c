/* sandbox/home.c: a backend as the service keeps it, over reloads: its settings, its instance in force, and the
 * listings that make the table true. */
#include "sandbox/internal.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static void relist(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    home_list(arg, LIST_TIMEOUT_MS);
}

struct home *home_get(struct service *service, const char *name)
{
    struct home *home = map_get(&service->homes, name);
    if (home)
        return home;
    if (!(home = calloc(1, sizeof *home)) || !(home->name = strdup(name)))
        abort();
    home->service = service;
    evtimer_assign(&home->relist, loop_base(service->deps.loop), relist, home);
    map_put(&service->homes, home->name, home);
    return home;
}

/* ---- the plugin's default spec ---- */

static void free_builtin(struct home *home)
{
    free((char *)home->builtin.id);
    free((char *)home->builtin.working_dir);
    free((char *)home->builtin.json);
    for (size_t i = 0; i < home->builtin.command_len; i++)
        free((char *)home->builtin.command[i]);
    free(home->builtin.command);
    for (size_t i = 0; i < home->builtin.initial_env_len; i++) {
        free((char *)home->builtin.initial_env[i].name);
        free((char *)home->builtin.initial_env[i].value);
    }
    free((void *)home->builtin.initial_env);
    home->builtin = (struct config_spec){0};
}

static char *copy_or_null(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

static void copy_environment(struct config_spec *spec, struct json_object *environment)
{
    struct config_pair *pairs = calloc((size_t)json_object_object_length(environment) + 1, sizeof *pairs);
    if (!pairs)
        abort();
    spec->initial_env = pairs;
    json_object_object_foreach(environment, name, value)
    {
        pairs->name = copy_or_null(name);
        pairs->value = copy_or_null(json_object_get_string(value));
        pairs++;
        spec->initial_env_len++;
    }
}

static void copy_builtin(struct home *home)
{
    size_t len = 0;
    const char *text = backend_default_spec(home->backend, &len);
    struct json_object *json = text ? json_tokener_parse(text) : NULL;
    struct json_object *value;
    struct config_spec *spec = &home->builtin;
    if (json && json_object_object_get_ex(json, "id", &value) &&
        json_object_is_type(value, json_type_string)) {
        spec->id = copy_or_null(json_object_get_string(value));
        spec->backend = home->name;
        spec->json = copy_or_null(text);
        spec->json_len = len;
        if (json_object_object_get_ex(json, "working_dir", &value) && value)
            spec->working_dir = copy_or_null(json_object_get_string(value));
        if (json_object_object_get_ex(json, "initial_env", &value) &&
            json_object_is_type(value, json_type_object))
            copy_environment(spec, value);
        if (json_object_object_get_ex(json, "command", &value) &&
            json_object_is_type(value, json_type_array)) {
            spec->command_len = json_object_array_length(value);
            if (!(spec->command = calloc(spec->command_len + 1, sizeof *spec->command)))
                abort();
            for (size_t i = 0; i < spec->command_len; i++)
                spec->command[i] = copy_or_null(json_object_get_string(json_object_array_get_idx(value, i)));
        }
    }
    json_object_put(json);
}

/* ---- settings and instance ---- */

static void attach(struct home *home, struct config *config, struct backend *backend)
{
    bool other = home->backend != backend;
    if (other && home->listing) {
        backend_cancel(home->listing, true);
        home->listing = NULL;
    }
    if (other)
        free_builtin(home);
    struct config *config_before = home->config;
    struct backend *backend_before = home->backend;
    home->config = config ? config_ref(config) : NULL;
    home->settings = config ? config_find_backend(config, home->name) : NULL;
    home->backend = backend ? backend_ref(backend) : NULL;
    if (other) {
        home->listed = false;
        home->list_failures = 0;
        event_del(&home->relist);
        if (backend)
            copy_builtin(home);
    }
    config_unref(config_before);
    if (backend_before)
        backend_unref(backend_before);
}

/* No plugin is there to say so, and no list of backends has it any more. */
static void tell_left(const struct home *home)
{
    size_t counts[SANDBOX_STATUSES], all = 0;
    table_count(&home->service->table, home, counts);
    for (size_t i = 0; i < SANDBOX_STATUSES; i++)
        all += counts[i];
    if (all > 0)
        log_line(
            LOG_WARN, &(struct log_context){.backend = home->name},
            "is not in the configuration any more: its sandboxes, %zu in all, are shown as last known, and "
            "nothing can be asked of them until it is back",
            all);
}

void home_attach(struct home *home, struct config *config, struct backend *backend)
{
    bool left = home->settings && !config;
    attach(home, config, backend);
    if (left)
        tell_left(home);
}

void home_destroy(struct home *home)
{
    attach(home, NULL, NULL);
    event_del(&home->relist);
    free_builtin(home);
    free(home->name);
    free(home);
}

const char *sandbox_backend_name(const struct sandbox *sandbox)
{
    return sandbox->home->name;
}

uint32_t sandbox_polling_ms(const struct sandbox *sandbox)
{
    return sandbox->home->backend ? backend_polling_ms(sandbox->home->backend) : 0;
}

const char *home_health_path(const struct home *home)
{
    if (home->settings && home->settings->health_path_given)
        return home->settings->health_check_path;
    return home->backend ? backend_default_health_path(home->backend) : NULL;
}

/* A body that the plugin wants is that of its own path. */
const char *home_health_body(const struct home *home)
{
    if (home->settings && home->settings->health_body_given)
        return home->settings->health_check_body;
    const char *path = home_health_path(home);
    const char *usual = home->backend ? backend_default_health_path(home->backend) : NULL;
    return path && usual && strcmp(path, usual) == 0 ? backend_default_health_body(home->backend) : NULL;
}

uint32_t home_max_sandboxes(const struct home *home)
{
    if (home->settings && home->settings->max_sandboxes_given)
        return home->settings->max_sandboxes;
    return home->backend ? backend_default_max_sandboxes(home->backend) : 0;
}

uint32_t home_startup_timeout_ms(const struct home *home)
{
    return home->settings ? home->settings->startup_timeout_ms : 120000;
}

int home_usable(const struct home *home, struct sbx_error *err)
{
    if (!home->backend)
        return error_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                         "backend '%s' is not in the configuration", home->name);
    const struct sbx_error *why = backend_unavailable(home->backend);
    if (!why)
        return 0;
    return error_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                     "backend '%s' can't be reached: %s", home->name, why->message);
}

/* ---- listings ---- */

/* What the listing left out is gone, unless something of ours is on its way. */
static void settle(struct sandbox *sandbox)
{
    struct home *home = sandbox->home;
    bool seen = sandbox->listed == home->listing_number;
    if (sandbox->phase != PHASE_IDLE)
        return;
    if (sandbox->deleting) {
        event_del(&sandbox->retry); /* its backend is there: at once */
        if (sandbox->wants & WANT_REMOVE)
            sandbox_drive(sandbox);
    } else if (sandbox->adopted && (!seen || sandbox->state == SBX_STATE_GONE)) {
        service_forget(sandbox);
    } else if (seen || sandbox->state == SBX_STATE_GONE) {
        return;
    } else if (sandbox->begun) {
        service_log(LOG_WARN, sandbox, "it is not on its backend any more");
        sandbox_observe_state(sandbox, SBX_STATE_GONE);
        sandbox_set_failure(sandbox, NULL, -1, NULL);
        sandbox_refresh(sandbox);
    } else {
        sandbox_drive(sandbox); /* finishes a start that a crash cut off */
    }
}

static void settle_all(struct home *home)
{
    struct table *table = &home->service->table;
    /* Settling may remove from the table, so the sandboxes are gathered first. */
    size_t count = 0;
    struct sandbox **list = calloc(table->by_id.count + 1, sizeof *list);
    if (!list)
        abort();
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(table, &i));)
        if (sandbox->home == home)
            list[count++] = sandbox;
    for (size_t i = 0; i < count; i++)
        settle(list[i]);
    free(list);
}

void home_refresh_silent(struct home *home, const char *what, const struct sbx_error *why)
{
    struct log_context about = {.backend = home->name};
    size_t count = 0;
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&home->service->table, &i));) {
        if (sandbox->home != home || sandbox->state != 0)
            continue;
        sandbox_refresh(sandbox);
        count += sandbox_is_silent(sandbox) && sandbox->status == SANDBOX_ERROR;
    }
    if (why && count > 0)
        log_line(LOG_WARN, &about, "%s: %s (nothing is known of %zu of its sandboxes, which are in ERROR)",
                 what, why->message, count);
    else if (why)
        log_line(LOG_WARN, &about, "%s: %s", what, why->message);
}

static void listed(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct home *home = arg;
    home->listing = NULL;
    uint64_t next_ms = RELIST_INTERVAL_MS;
    if (!err) {
        home->listed = true;
        home->list_failures = 0;
        settle_all(home);
    } else {
        next_ms = UINT64_C(1000) << (home->list_failures < 6 ? home->list_failures++ : 6);
        home_refresh_silent(home, "listing its sandboxes failed", err);
    }
    bool again = home->list_again;
    home->list_again = false;
    loop_arm_ms(&home->relist, next_ms);
    service_check_prepared(home->service);
    if (again)
        home_list(home, LIST_TIMEOUT_MS);
}

void home_list(struct home *home, uint32_t timeout_ms)
{
    struct sbx_error err;
    if (home->service->stopping || home_usable(home, &err) < 0)
        return; /* it tells when it can be reached again, and is listed then */
    if (home->listing) {
        home->list_again = true;
        return;
    }
    home->listing_number++;
    /* What is on its way now may rightly be left out. */
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = table_next(&home->service->table, &i));)
        if (sandbox->home == home && sandbox->phase != PHASE_IDLE)
            sandbox->listed = home->listing_number;
    event_del(&home->relist);
    home->listing = backend_list(home->backend, timeout_ms, listed, home);
}
