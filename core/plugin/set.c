/* plugin/set.c: see set.h. Owns the list of instances in force, the one to come, and those that wait for their
 * closing. Loads through module.c and opens through backend.c. */
#include "plugin/set.h"

#include "base/error.h"
#include "plugin/instance.h"
#include "plugin/locate.h"
#include "plugin/options.h"
#include "plugin/state_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_TIMEOUT_MS = 10000 };

/* One backend of the configuration to come, on its way. */
struct candidate {
    struct preparation *preparation;
    const struct config_backend *settings;
    char *path;            /* of its plugin */
    struct module *module; /* a reference; NULL: it failed, or the backend has it */
    struct sbx_error why;  /* where loading or making the state directory failed */
    bool failed;
    bool kept;               /* `backend` is the one in force */
    struct backend *backend; /* a reference */
    char *state_dir;
};

/* A prepare() under way. The pool works on it while the loop leaves it alone, and the other way round. */
struct preparation {
    struct backend_set *set;
    struct config *next;
    struct config_problems *problems;
    reload_prepared prepared;
    void *transaction;
    size_t opening; /* open() calls in flight */
    bool failed;
    size_t count;
    struct candidate candidates[];
};

struct list {
    struct backend **at; /* a reference each */
    size_t count;
};

struct backend_set {
    struct instance_env *env;
    char *default_plugin_dir;
    struct list current;
    struct list next; /* prepared, not committed */
    bool has_next;
    struct backend *retired; /* by backend->next; a reference each */
    struct preparation *preparation;

    bool closing;
    struct event close_timer;
    struct loop_task close_task;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

/* What is left when a set ends before its plugins let go: never freed, since code of theirs may run as long as
 * the process does. */
static struct backend *stuck;
static struct preparation *stuck_preparation;

/* ---- retiring ---- */

static void retire(struct backend_set *set, struct backend *backend)
{
    backend->next = set->retired;
    set->retired = backend;
    instance_retire(backend);
}

static void list_drop(struct list *list)
{
    free(list->at);
    *list = (struct list){0};
}

static void check_closed(struct backend_set *set)
{
    if (set->closing && !set->retired && !set->preparation)
        loop_defer(set->env->loop, &set->close_task);
}

static void on_instance_closed(void *arg, struct backend *backend)
{
    struct backend_set *set = arg;
    struct backend **at = &set->retired;
    while (*at != backend)
        at = &(*at)->next;
    *at = backend->next;
    backend_unref(backend);
    check_closed(set);
}

/* ---- prepare: load ---- */

static void candidate_load(struct candidate *candidate, const struct config *config, const char *default_dir)
{
    candidate->path = plugin_locate(config, default_dir, candidate->settings->plugin, &candidate->why);
    if (candidate->path)
        candidate->module = module_load(candidate->path, &candidate->why);
    candidate->failed = !candidate->module;
}

static void candidate_finish(struct candidate *candidate)
{
    module_unref(candidate->module);
    candidate->module = NULL;
    free(candidate->path);
    free(candidate->state_dir);
}

static void add_problem(struct config_problems *problems, const struct config *config,
                        const struct config_backend *settings, const char *member, const char *text)
{
    char path[256];
    unsigned line, column;
    snprintf(path, sizeof path, "backends.%.128s%s", settings->name, member);
    config_position(config, path, &line, &column);
    if (line == 0) { /* it was not read from a file */
        line = settings->line;
        column = settings->column;
    }
    config_problem_add(problems, false, line, column, path, "%s", text);
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Is what is in force what this configuration asks for? */
static struct backend *find_unchanged(const struct preparation *preparation,
                                      const struct candidate *candidate)
{
    struct backend *backend = backend_set_find(preparation->set, candidate->settings->name);
    if (!backend || backend->module != candidate->module ||
        strcmp(backend->plugin_path, candidate->path) != 0 ||
        memcmp(backend->digest, candidate->settings->digest, sizeof backend->digest) != 0 ||
        !is_same(preparation->next->public_url, backend->public_url) ||
        !is_same(preparation->next->listen_urls, backend->listen_urls))
        return NULL;
    return backend;
}

static bool candidate_check(struct candidate *candidate, const struct config *config,
                            struct config_problems *problems)
{
    if (candidate->failed) {
        add_problem(problems, config, candidate->settings, ".plugin", candidate->why.message);
        return false;
    }
    struct sbx_backend_config settings =
        options_settings(config, candidate->settings, candidate->module, candidate->path, NULL, NULL);
    return options_check(candidate->module, &settings, candidate->settings, problems) &&
           options_check_specs(candidate->module, &settings, config, candidate->settings, problems);
}

/* The options are those in force, but the specs may be others. */
static bool candidate_check_specs(struct candidate *candidate, const struct config *config,
                                  struct config_problems *problems)
{
    struct sbx_backend_config settings =
        options_settings(config, candidate->settings, candidate->module, candidate->path, NULL, NULL);
    return options_check_specs(candidate->module, &settings, config, candidate->settings, problems);
}

/* ---- prepare: open ---- */

static void finish_preparation(struct preparation *preparation)
{
    struct backend_set *set = preparation->set;
    preparation->failed |= set->closing;
    struct list next = {.at = calloc(preparation->count + 1, sizeof *next.at)};
    if (!next.at)
        abort();
    for (size_t i = 0; i < preparation->count; i++) {
        struct candidate *candidate = &preparation->candidates[i];
        if (candidate->backend && !preparation->failed)
            next.at[next.count++] = candidate->backend;
        else if (candidate->backend && candidate->kept)
            backend_unref(candidate->backend);
        else if (candidate->backend)
            retire(set, candidate->backend);
        candidate_finish(candidate);
    }
    if (preparation->failed)
        list_drop(&next);
    set->next = next;
    set->has_next = !preparation->failed;
    set->preparation = NULL;
    reload_prepared prepared = preparation->prepared;
    void *transaction = preparation->transaction;
    bool ok = !preparation->failed;
    free(preparation);
    prepared(transaction, ok);
    check_closed(set);
}

static void on_opened(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct candidate *candidate = arg;
    struct preparation *preparation = candidate->preparation;
    if (err) {
        char text[sizeof err->message + 64];
        snprintf(text, sizeof text, "the plugin could not open it: %s", err->message);
        add_problem(preparation->problems, preparation->next, candidate->settings, "", text);
        preparation->failed = true;
    }
    if (--preparation->opening == 0)
        finish_preparation(preparation);
}

static void open_candidate(struct preparation *preparation, struct candidate *candidate)
{
    candidate->backend = instance_create(preparation->set->env, candidate->module, candidate->settings->name,
                                         candidate->path, candidate->settings->digest,
                                         preparation->next->public_url, preparation->next->listen_urls);
    const struct store *store = preparation->set->env->store;
    struct sbx_backend_config settings =
        options_settings(preparation->next, candidate->settings, candidate->module, candidate->path,
                         candidate->state_dir, store ? store_instance_id(store) : NULL);
    candidate->module = NULL; /* the instance has it now */
    if (candidate->settings->health_path_given)
        instance_check_at(candidate->backend, candidate->settings->health_check_path);
    instance_open(candidate->backend, &settings, OPEN_TIMEOUT_MS, on_opened, candidate);
}

static void open_all(void *arg)
{
    struct preparation *preparation = arg;
    preparation->failed = preparation->set->closing;
    for (size_t i = 0; i < preparation->count; i++) {
        struct candidate *candidate = &preparation->candidates[i];
        if (!candidate->failed)
            continue;
        add_problem(preparation->problems, preparation->next, candidate->settings, "",
                    candidate->why.message);
        preparation->failed = true;
    }
    /* One too many, so that it is not over while there is more to open. */
    preparation->opening = 1;
    for (size_t i = 0; i < preparation->count && !preparation->failed; i++) {
        if (preparation->candidates[i].kept)
            continue;
        preparation->opening++;
        open_candidate(preparation, &preparation->candidates[i]);
    }
    if (--preparation->opening == 0)
        finish_preparation(preparation);
}

static void run_make_dirs(void *arg)
{
    struct preparation *preparation = arg;
    const char *state_dir = preparation->next->state_dir;
    for (size_t i = 0; i < preparation->count; i++) {
        struct candidate *candidate = &preparation->candidates[i];
        if (candidate->kept)
            continue;
        candidate->state_dir = state_dir_make(state_dir, candidate->settings->name);
        candidate->failed = !candidate->state_dir;
        if (candidate->failed)
            error_set(&candidate->why, SBX_ERR_UNAVAILABLE, SBX_CODE_INTERNAL,
                      "its directory in state_dir (%.300s/backends/%.100s) can't be made: %s", state_dir,
                      candidate->settings->name, strerrordesc_np(errno));
    }
}

/* ---- prepare: the steps ---- */

static void run_load(void *arg)
{
    struct preparation *preparation = arg;
    for (size_t i = 0; i < preparation->count; i++)
        candidate_load(&preparation->candidates[i], preparation->next, preparation->set->default_plugin_dir);
}

static void on_loaded(void *arg)
{
    struct preparation *preparation = arg;
    struct backend_set *set = preparation->set;
    bool work = false;
    for (size_t i = 0; i < preparation->count; i++) {
        struct candidate *candidate = &preparation->candidates[i];
        struct backend *unchanged = candidate->failed ? NULL : find_unchanged(preparation, candidate);
        if (unchanged) {
            candidate->backend = backend_ref(unchanged);
            candidate->kept = true;
            preparation->failed |=
                !candidate_check_specs(candidate, preparation->next, preparation->problems);
        } else if (candidate_check(candidate, preparation->next, preparation->problems)) {
            work = true;
        } else {
            preparation->failed = true;
        }
    }
    if (preparation->failed || !work || set->closing) {
        finish_preparation(preparation);
        return;
    }
    pool_submit(set->env->pool, run_make_dirs, open_all, preparation);
}

void backend_set_prepare(struct backend_set *set, const struct config *old, struct config *next,
                         struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    (void)old; /* what is in force is what the set has */
    struct preparation *preparation =
        calloc(1, sizeof *preparation + next->backends_len * sizeof preparation->candidates[0]);
    if (!preparation)
        abort();
    preparation->set = set;
    preparation->next = next;
    preparation->problems = problems;
    preparation->prepared = prepared;
    preparation->transaction = transaction;
    preparation->count = next->backends_len;
    for (size_t i = 0; i < preparation->count; i++)
        preparation->candidates[i] =
            (struct candidate){.preparation = preparation, .settings = &next->backends[i]};
    set->preparation = preparation;
    pool_submit(set->env->pool, run_load, on_loaded, preparation);
}

static bool list_has(const struct list *list, const struct backend *backend)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->at[i] == backend)
            return true;
    return false;
}

/* Retires what is in `list` and not in `staying`; a reference to each is given up. */
static void list_retire(struct backend_set *set, struct list *list, const struct list *staying)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list_has(staying, list->at[i]))
            backend_unref(list->at[i]);
        else
            retire(set, list->at[i]);
    }
    list_drop(list);
}

void backend_set_commit(struct backend_set *set, struct config *next)
{
    (void)next; /* the instances have what they need */
    struct list before = set->current;
    set->current = set->next;
    set->next = (struct list){0};
    set->has_next = false;
    list_retire(set, &before, &set->current);
    for (size_t i = 0; i < set->current.count; i++)
        instance_activate(set->current.at[i]);
}

void backend_set_rollback(struct backend_set *set)
{
    list_retire(set, &set->next, &set->current);
    set->has_next = false;
}

/* ---- --check ---- */

void backend_set_check(struct backend_set *set, const struct config *config, struct config_problems *problems)
{
    for (size_t i = 0; i < config->backends_len; i++) {
        struct candidate candidate = {.settings = &config->backends[i]};
        if (!candidate.settings->plugin || !candidate.settings->options_json)
            continue; /* they were refused, and that was told */
        candidate_load(&candidate, config, set->default_plugin_dir);
        candidate_check(&candidate, config, problems);
        candidate_finish(&candidate);
    }
}

/* ---- access ---- */

static const struct list *visible(const struct backend_set *set)
{
    return set->has_next ? &set->next : &set->current;
}

size_t backend_set_count(const struct backend_set *set)
{
    return visible(set)->count;
}

struct backend *backend_set_at(const struct backend_set *set, size_t index)
{
    const struct list *list = visible(set);
    return index < list->count ? list->at[index] : NULL;
}

struct backend *backend_set_find(const struct backend_set *set, const char *name)
{
    for (size_t i = 0; i < set->current.count; i++)
        if (strcmp(set->current.at[i]->name, name) == 0)
            return set->current.at[i];
    return NULL;
}

/* ---- life ---- */

static void tell_closed(void *arg)
{
    struct backend_set *set = arg;
    event_del(&set->close_timer);
    if (set->on_closed)
        set->on_closed(set->on_closed_arg);
    set->on_closed = NULL;
}

static void on_close_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct backend_set *set = arg;
    for (struct backend *backend = set->retired; backend; backend = backend->next)
        log_line(LOG_WARN, &(struct log_context){.backend = backend->name},
                 "it can't be closed: its plugin has not ended %u operations and %u other calls",
                 backend->in_flight, backend->pending + atomic_load(&backend->posts));
    tell_closed(set);
}

void backend_set_close(struct backend_set *set, uint32_t timeout_ms, void (*closed)(void *arg), void *arg)
{
    set->closing = true;
    set->on_closed = closed;
    set->on_closed_arg = arg;
    backend_set_rollback(set);
    list_retire(set, &set->current, &(struct list){0});
    loop_arm_ms(&set->close_timer, timeout_ms);
    check_closed(set);
}

struct backend_set *backend_set_create(const struct backend_set_deps *deps,
                                       const struct backend_events *events)
{
    struct backend_set *set = calloc(1, sizeof *set);
    struct instance_env *env = calloc(1, sizeof *env);
    char *default_plugin_dir = strdup(deps->default_plugin_dir);
    if (!set || !env || !default_plugin_dir)
        abort();
    *env = (struct instance_env){.loop = deps->loop,
                                 .pool = deps->pool,
                                 .client = deps->client,
                                 .store = deps->store,
                                 .thread = pthread_self(),
                                 .events = *events,
                                 .closed = on_instance_closed,
                                 .closed_arg = set};
    set->env = env;
    set->default_plugin_dir = default_plugin_dir;
    set->close_task = (struct loop_task){.run = tell_closed, .arg = set};
    if (env->loop)
        evtimer_assign(&set->close_timer, loop_base(env->loop), on_close_timeout, set);
    return set;
}

static void ignore_closed(void *arg, struct backend *backend)
{
    (void)arg;
    (void)backend;
}

void backend_set_destroy(struct backend_set *set)
{
    if (!set)
        return;
    struct instance_env *env = set->env;
    if (set->preparation) { /* the pool is still at it, and uses all of this */
        stuck_preparation = set->preparation;
        return;
    }
    backend_set_rollback(set);
    list_retire(set, &set->current, &(struct list){0});
    for (struct backend *backend = set->retired, *after; backend; backend = after) {
        after = backend->next;
        instance_close_if_idle(backend);
    }
    bool left = set->retired != NULL;
    for (struct backend *backend; (backend = set->retired);) {
        set->retired = backend->next;
        instance_abandon(backend);
        backend->next = stuck;
        stuck = backend;
    }
    children_forget(env);
    env->closed = ignore_closed;
    if (env->loop) {
        loop_undefer(env->loop, &set->close_task);
        event_del(&set->close_timer);
    }
    free(set->default_plugin_dir);
    free(set);
    if (!left)
        free(env); /* the stuck ones go on using theirs */
}
