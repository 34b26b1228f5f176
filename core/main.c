/* main.c: wiring, and nothing else: the parts in the order in which they depend on each other, the signals,
 * and the two ways through: --check, and serving. */
#include "api/api.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notify.h"
#include "base/pool.h"
#include "build/builds.h"
#include "config/reload.h"
#include "http/server.h"
#include "mirror/mirror.h"
#include "net/client.h"
#include "paths.h"
#include "plugin/set.h"
#include "sandbox/service.h"
#include "store/store.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { POOL_THREADS = 8, STOP_TIMEOUT_MS = 60000, CLOSE_TIMEOUT_MS = 5000 };

struct daemon {
    struct loop *loop;
    struct pool *pool;
    struct client *client;
    struct store *store;
    struct service *service;
    struct backend_set *set;
    struct mirror *mirror;
    struct builds *builds;
    struct api *api;
    struct http_server *server;
    struct reload *reload;
    struct event hangup, terminate, interrupt;
    bool stopping;
    int exit_code;
};

/* ---- the parts of a generation, in the order in which they prepare: what can refuse comes first ---- */

static void prepare_http(void *self, const struct config *old, struct config *next,
                         struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    (void)old;
    struct daemon *daemon = self;
    prepared(transaction, http_server_prepare(daemon->server, next, problems) == 0);
}

static void commit_http(void *self, struct config *next)
{
    struct daemon *daemon = self;
    http_server_commit(daemon->server, next);
}

static void rollback_http(void *self)
{
    struct daemon *daemon = self;
    http_server_rollback(daemon->server);
}

static void prepare_backends(void *self, const struct config *old, struct config *next,
                             struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    struct daemon *daemon = self;
    backend_set_prepare(daemon->set, old, next, problems, prepared, transaction);
}

static void commit_backends(void *self, struct config *next)
{
    struct daemon *daemon = self;
    backend_set_commit(daemon->set, next);
}

static void rollback_backends(void *self)
{
    struct daemon *daemon = self;
    backend_set_rollback(daemon->set);
}

static void prepare_service(void *self, const struct config *old, struct config *next,
                            struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    struct daemon *daemon = self;
    service_prepare(daemon->service, daemon->set, old, next, problems, prepared, transaction);
}

static void commit_service(void *self, struct config *next)
{
    struct daemon *daemon = self;
    service_commit(daemon->service, daemon->set, next);
}

static void commit_mirror(void *self, struct config *next)
{
    struct daemon *daemon = self;
    mirror_commit(daemon->mirror, next);
}

static void prepare_builds(void *self, const struct config *old, struct config *next,
                           struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    struct daemon *daemon = self;
    builds_prepare(daemon->builds, old, next, problems, prepared, transaction);
}

static void commit_log(void *self, struct config *next)
{
    (void)self;
    log_configure(next->log_level, next->log_json);
}

static void add_parts(struct daemon *daemon)
{
    const struct reload_part parts[] = {
        {"listeners", daemon, prepare_http, commit_http, rollback_http, false},
        {"backends", daemon, prepare_backends, commit_backends, rollback_backends, true},
        {"sandboxes", daemon, prepare_service, commit_service, NULL, false},
        {"builds", daemon, prepare_builds, NULL, NULL, false},
        {"reports", daemon, NULL, commit_mirror, NULL, false},
        {"log", daemon, NULL, commit_log, NULL, false},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        reload_add(daemon->reload, &parts[i]);
}

/* ---- the end, step by step ---- */

static void backends_closed(void *arg)
{
    struct daemon *daemon = arg;
    loop_stop(daemon->loop);
}

static void service_stopped(void *arg)
{
    struct daemon *daemon = arg;
    backend_set_close(daemon->set, CLOSE_TIMEOUT_MS, backends_closed, daemon);
}

static void requests_drained(void *arg)
{
    struct daemon *daemon = arg;
    builds_stop(daemon->builds);
    service_stop(daemon->service, STOP_TIMEOUT_MS, service_stopped, daemon);
}

static void stop(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct daemon *daemon = arg;
    if (daemon->stopping) {
        log_warn("signal %d again: ending at once", (int)number);
        _Exit(1);
    }
    daemon->stopping = true;
    const struct config *config = reload_current(daemon->reload);
    log_info("signal %d: stopping", (int)number);
    notify_stopping();
    reload_stop(daemon->reload);
    api_drain(daemon->api);
    service_drain(daemon->service);
    http_server_drain(daemon->server, config ? config->drain_timeout_ms : 0, requests_drained, daemon);
}

/* ---- generations ---- */

static void first_generation(void *arg, bool ok)
{
    struct daemon *daemon = arg;
    if (!ok) {
        daemon->exit_code = 1;
        daemon->stopping = true;
        reload_stop(daemon->reload);
        service_stop(daemon->service, CLOSE_TIMEOUT_MS, service_stopped, daemon);
        return;
    }
    log_info("ready: serving on %s", http_server_addresses(daemon->server));
    notify_ready();
    memory_trim();
}

static void next_generation(void *arg, bool ok)
{
    (void)arg;
    notify_ready(); /* whichever generation serves */
    if (ok)
        memory_trim();
}

static void hang_up(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct daemon *daemon = arg;
    if (daemon->stopping)
        return;
    notify_reloading();
    reload_run(daemon->reload, next_generation, daemon);
}

/* ---- a life ---- */

static void watch_signal(struct daemon *daemon, struct event *event, int number, event_callback_fn callback)
{
    evsignal_assign(event, loop_base(daemon->loop), number, callback, daemon);
    event_add(event, NULL);
}

/* Until it is watched, a SIGHUP waits instead of ending the daemon that is starting. */
static void hold_hangup(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(how, &set, NULL);
}

/* Each connection, child and transfer is a descriptor: the hard limit is the one that the operator set. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void make_parts(struct daemon *daemon, const char *file, const char *plugin_dir)
{
    struct service_deps service = {daemon->loop, daemon->client, daemon->store};
    daemon->service = service_create(&service);
    struct backend_events events = service_backend_events(daemon->service);
    struct backend_set_deps set = {daemon->loop, daemon->pool, daemon->client, daemon->store, plugin_dir};
    daemon->set = backend_set_create(&set, &events);
    struct mirror_deps mirror = {daemon->loop, daemon->pool, daemon->client, daemon->store, daemon->service};
    daemon->mirror = mirror_create(&mirror);
    struct builds_deps builds = {daemon->loop, daemon->pool, daemon->store, daemon->service};
    daemon->builds = builds_create(&builds);
    struct api_deps api = {.loop = daemon->loop,
                           .service = daemon->service,
                           .mirror = daemon->mirror,
                           .builds = daemon->builds,
                           .store = daemon->store,
                           .version = SANDBOXD_VERSION};
    daemon->api = api_create(&api);
    daemon->server = http_server_create(daemon->loop, &(struct http_handler){api_head, daemon->api});
    api_set_server(daemon->api, daemon->server);
    daemon->reload = reload_create(daemon->loop, daemon->pool, file);
    add_parts(daemon);
}

static void destroy_parts(struct daemon *daemon)
{
    event_del(&daemon->hangup);
    event_del(&daemon->terminate);
    event_del(&daemon->interrupt);
    http_server_destroy(daemon->server);
    api_destroy(daemon->api);
    builds_destroy(daemon->builds);
    mirror_destroy(daemon->mirror);
    service_destroy(daemon->service);
    backend_set_destroy(daemon->set);
    reload_destroy(daemon->reload);
}

static int serve(struct config *first, const char *plugin_dir)
{
    struct daemon daemon = {.loop = loop_create()};
    struct sbx_error err;
    log_info("sandboxd %s starts with %s", SANDBOXD_VERSION, first->file);
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    daemon.store = store_open(daemon.loop, first->state_dir, &err);
    if (!daemon.store) {
        log_error("%s", err.message);
        loop_destroy(daemon.loop);
        config_unref(first);
        return 1;
    }
    daemon.pool = pool_create(daemon.loop, POOL_THREADS);
    daemon.client = client_create(daemon.loop);
    notify_begin(daemon.loop);
    make_parts(&daemon, first->file, plugin_dir);
    watch_signal(&daemon, &daemon.hangup, SIGHUP, hang_up);
    watch_signal(&daemon, &daemon.terminate, SIGTERM, stop);
    watch_signal(&daemon, &daemon.interrupt, SIGINT, stop);
    hold_hangup(SIG_UNBLOCK);
    if (service_load(daemon.service, &err) == 0) {
        reload_run_first(daemon.reload, first, first_generation, &daemon);
        loop_run(daemon.loop);
    } else {
        log_error("%s", err.message);
        daemon.exit_code = 1;
    }
    pool_destroy(daemon.pool); /* first: what runs there belongs to the parts */
    destroy_parts(&daemon);
    notify_end();
    client_destroy(daemon.client);
    store_close(daemon.store);
    loop_destroy(daemon.loop);
    config_unref(first);
    if (daemon.exit_code == 0)
        log_info("stopped");
    return daemon.exit_code;
}

/* As text for a person who only checks, as log lines for a daemon that starts. */
static void tell_problems(const char *file, const struct config_problems *problems, bool as_log)
{
    for (size_t i = 0; i < problems->len; i++) {
        char text[1024];
        config_problem_format(file, &problems->list[i], text, sizeof text);
        if (as_log)
            log_line(config_problem_level(&problems->list[i]), NULL, "%s", text);
        else
            fprintf(stderr, "%s\n", text);
    }
}

/* What the file alone does not tell; also of a file with errors, so that one run tells all of them. */
static bool check(const struct config *config, struct config_problems *problems, const char *plugin_dir)
{
    struct daemon daemon = {.loop = loop_create()};
    struct backend_set_deps deps = {.loop = daemon.loop, .default_plugin_dir = plugin_dir};
    daemon.set = backend_set_create(&deps, &(struct backend_events){0});
    http_server_check(config, problems);
    backend_set_check(daemon.set, config, problems);
    config_problems_sort(problems);
    backend_set_destroy(daemon.set);
    loop_destroy(daemon.loop);
    return problems->errors == 0;
}

static const char usage[] =
    "usage: sandboxd [--config FILE] [--check] [--version] [--plugin-dir DIR]\n"
    "  --config FILE     the configuration (default " SANDBOXD_CONFIG_FILE ")\n"
    "  --check           check it, load its plugins, say what is wrong, and exit with 0 or 1\n"
    "  --plugin-dir DIR  where plugins named without a slash are (default: where the build installed them)\n"
    "  --version         print the version\n"
    "  --help            print this\n"
    "SIGHUP has it read the configuration anew, SIGTERM ends it; sandboxes live on.\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'n'},
        {"version", no_argument, NULL, 'v'},      {"plugin-dir", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const char *file = SANDBOXD_CONFIG_FILE;
    const char *plugin_dir = paths_default_plugin_dir();
    bool only_check = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'c': file = optarg; break;
        case 'n': only_check = true; break;
        case 'p': plugin_dir = optarg; break;
        case 'v': printf("sandboxd %s\n", SANDBOXD_VERSION); return 0;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sandboxd: unexpected argument '%s'\n%s", argv[optind], usage);
        return 2;
    }
    if (!only_check)
        hold_hangup(SIG_BLOCK);
    struct config_problems problems;
    config_problems_init(&problems);
    struct config *config = config_load_to_check(file, &problems);
    bool right = config && problems.errors == 0;
    if (config && (only_check || !right))
        right = check(config, &problems, plugin_dir);
    else if (config)
        log_configure(config->log_level, config->log_json);
    tell_problems(file, &problems, !only_check);
    config_problems_finish(&problems);
    if (right && !only_check)
        return serve(config, plugin_dir);
    if (right)
        printf("%s: ok\n", file);
    config_unref(config);
    return right ? 0 : 1;
}
