/* harness.c: see harness.h. */
#include "harness.h"

#include "base/clock.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEEN_MAX = 1 << 24, TICK_MS = 5 };

/* ---- what comes out ---- */

static struct harness *the_harness; /* for callbacks whose arg is the verb */

static void on_report(void *arg, struct backend *backend, const struct sbx_observation *observation)
{
    struct harness *harness = arg;
    assert_false(harness->in_call);
    buffer_add_format(&harness->seen, "%s: report %s %u", backend_name(backend), observation->sandbox_id,
                      observation->state);
    if (observation->detail)
        buffer_add_format(&harness->seen, " detail=%s", observation->detail);
    if (observation->error)
        buffer_add_format(&harness->seen, " error=%d %s %s", observation->error->kind,
                          observation->error->code, observation->error->message);
    if (observation->log_tail)
        buffer_add_format(&harness->seen, " log_tail=%s", observation->log_tail);
    if (observation->flags & SBX_OBSERVED_KEY)
        buffer_add_format(&harness->seen, " key=%s", observation->session_key);
    if (observation->flags & SBX_OBSERVED_UNUSED)
        buffer_add_text(&harness->seen, " unused");
    if (observation->agent_url)
        buffer_add_format(&harness->seen, " agent_url=%s", observation->agent_url);
    for (uint32_t i = 0; i < observation->urls_count; i++)
        buffer_add_format(&harness->seen, " %s=%s:%d", observation->urls[i].name, observation->urls[i].url,
                          observation->urls[i].port);
    buffer_add_text(&harness->seen, "\n");
}

static void on_available(void *arg, struct backend *backend)
{
    struct harness *harness = arg;
    assert_false(harness->in_call);
    const struct sbx_error *why = backend_unavailable(backend);
    buffer_add_format(&harness->seen, "%s: %s\n", backend_name(backend), why ? why->message : "available");
}

static void on_relist(void *arg, struct backend *backend)
{
    struct harness *harness = arg;
    assert_false(harness->in_call);
    buffer_add_format(&harness->seen, "%s: relist\n", backend_name(backend));
}

static void on_done(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    struct harness *harness = the_harness;
    const char *verb = arg;
    assert_false(harness->in_call);
    if (err)
        buffer_add_format(&harness->seen, "%s %d %s: %s\n", verb, err->kind, err->code, err->message);
    else if (result)
        buffer_add_format(&harness->seen, "%s done %.*s\n", verb, (int)len, result);
    else
        buffer_add_format(&harness->seen, "%s done\n", verb);
}

static bool on_data(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    buffer_add(&the_harness->seen, bytes, len);
    return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct harness *harness = arg;
    loop_arm_ms(&harness->tick, TICK_MS);
}

/* ---- life ---- */

int harness_setup(void **state)
{
    struct harness *harness = calloc(1, sizeof *harness);
    *state = the_harness = harness;
    char folder[] = "/tmp/sandboxd-test-XXXXXX";
    if (!mkdtemp(folder))
        return -1;
    harness->state_dir = strdup(folder);
    harness->loop = loop_create();
    harness->pool = pool_create(harness->loop, 2);
    harness->client = client_create(harness->loop);
    harness->store = fake_store_create(harness->loop);
    harness->seen = buffer_init(SEEN_MAX);
    config_problems_init(&harness->problems);
    evtimer_assign(&harness->tick, loop_base(harness->loop), on_tick, harness);
    loop_arm_ms(&harness->tick, TICK_MS);
    struct backend_set_deps deps = {.loop = harness->loop,
                                    .pool = harness->pool,
                                    .client = harness->client,
                                    .store = harness->store,
                                    .default_plugin_dir = TEST_PLUGINS};
    struct backend_events events = {on_report, on_available, on_relist, harness};
    harness->set = backend_set_create(&deps, &events);
    harness->log_fd = memfd_create("log", MFD_CLOEXEC);
    harness->stderr_fd = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(harness->log_fd, STDERR_FILENO);
    log_configure(LOG_DEBUG, false);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

int harness_teardown(void **state)
{
    struct harness *harness = *state;
    dup2(harness->stderr_fd, STDERR_FILENO);
    close(harness->stderr_fd);
    close(harness->log_fd);
    backend_set_destroy(harness->set);
    pool_destroy(harness->pool);
    client_destroy(harness->client);
    fake_store_destroy(harness->store);
    event_del(&harness->tick);
    loop_destroy(harness->loop);
    config_problems_finish(&harness->problems);
    buffer_finish(&harness->seen);
    nftw(harness->state_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(harness->state_dir);
    free(harness);
    return 0;
}

uint64_t harness_deadline(void)
{
    return clock_ms() + 20000;
}

void harness_turn(struct harness *harness, uint64_t deadline, const char *condition)
{
    if (clock_ms() > deadline)
        fail_msg("never true: %s\nseen:\n%s", condition, buffer_text(&harness->seen));
    event_base_loop(loop_base(harness->loop), EVLOOP_ONCE);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

void harness_drain(struct harness *harness)
{
    /* Three turns through the post box: what is deferred now, and what that defers, has run by then. */
    for (int i = 0; i < 3; i++) {
        bool passed = false;
        loop_post(harness->loop, set_flag, &passed);
        RUN_UNTIL(harness, passed);
    }
}

/* ---- configurations ---- */

struct config *harness_config(struct harness *harness)
{
    unsigned turn = ++harness->turn % 2;
    harness->configs[turn] = (struct config){
        .file = "test.yaml", .state_dir = harness->state_dir, .backends = harness->backends[turn]};
    config_problems_finish(&harness->problems);
    return &harness->configs[turn];
}

void harness_add(struct config *config, const char *name, const char *plugin, const char *options)
{
    struct config_backend *backend =
        (struct config_backend *)(uintptr_t)&config->backends[config->backends_len++];
    *backend = (struct config_backend){.name = name,
                                       .plugin = plugin,
                                       .options_json = options,
                                       .options_len = strlen(options),
                                       .line = 7,
                                       .column = 3};
    /* Any text that differs with the section will do. */
    for (size_t i = 0; plugin[i]; i++)
        backend->digest[i % 16] = (uint8_t)(backend->digest[i % 16] * 31 + plugin[i]);
    for (size_t i = 0; options[i]; i++)
        backend->digest[16 + i % 16] = (uint8_t)(backend->digest[16 + i % 16] * 31 + options[i]);
}

void harness_prepared(void *transaction, bool ok)
{
    struct harness *harness = transaction;
    assert_false(harness->prepared);
    harness->prepared = true;
    harness->ok = ok;
}

bool harness_prepare(struct harness *harness, struct config *config)
{
    harness->prepared = false;
    backend_set_prepare(harness->set, NULL, config, &harness->problems, harness_prepared, harness);
    RUN_UNTIL(harness, harness->prepared);
    return harness->ok;
}

bool harness_apply(struct harness *harness, struct config *config)
{
    if (!harness_prepare(harness, config))
        return false;
    harness->in_call = true;
    backend_set_commit(harness->set, config);
    harness->in_call = false;
    return true;
}

struct backend *harness_misbehave(struct harness *harness, const char *how)
{
    static char options[128];
    snprintf(options, sizeof options, "{\"how\": \"%s\"}", how);
    struct config *config = harness_config(harness);
    harness_add(config, "b", "misbehave", options);
    assert_true(harness_apply(harness, config));
    return backend_set_find(harness->set, "b");
}

static void on_closed(void *arg)
{
    struct harness *harness = arg;
    assert_false(harness->closed);
    harness->closed = true;
}

void harness_close(struct harness *harness, uint32_t timeout_ms)
{
    backend_set_close(harness->set, timeout_ms, on_closed, harness);
    assert_false(harness->closed);
    RUN_UNTIL(harness, harness->closed);
}

/* ---- questions ---- */

bool harness_logged(struct harness *harness, const char *text)
{
    off_t size = lseek(harness->log_fd, 0, SEEK_CUR);
    char *log = calloc(1, (size_t)size + 1);
    bool found = pread(harness->log_fd, log, (size_t)size, 0) == size && strstr(log, text) != NULL;
    if (!found)
        print_message("logged was:\n%s", log);
    free(log);
    return found;
}

unsigned harness_count(struct harness *harness, const char *line)
{
    unsigned count = 0;
    size_t len = strlen(line);
    const char *seen = buffer_text(&harness->seen);
    for (const char *at = seen; (at = strstr(at, line)); at += len)
        count += (at == seen || at[-1] == '\n') && (at[len] == '\n' || at[len] == ' ' || at[len] == ':');
    return count;
}

bool harness_saw(struct harness *harness, const char *line)
{
    return harness_count(harness, line) > 0;
}

bool harness_problem(struct harness *harness, const char *text)
{
    for (size_t i = 0; i < harness->problems.len; i++)
        if (strcmp(harness->problems.list[i].text, text) == 0)
            return true;
    for (size_t i = 0; i < harness->problems.len; i++)
        print_message("problem: %s\n", harness->problems.list[i].text);
    return false;
}

/* ---- operations ---- */

static char verb_names[][9] = {"pause", "resume", "stop",     "remove", "confirm",
                               "start", "list",   "describe", "image",  "logs"};
enum { VERB_START = 5, VERB_LIST, VERB_DESCRIBE, VERB_IMAGE, VERB_LOGS };

struct backend_operation *harness_start(struct harness *harness, struct backend *backend, const char *id,
                                        uint32_t timeout_ms)
{
    struct sbx_start start = {.size = sizeof start, .sandbox_id = id, .spec_json = "{}", .spec_len = 2};
    harness->in_call = true;
    struct backend_operation *operation =
        backend_start(backend, &start, timeout_ms, on_done, verb_names[VERB_START]);
    harness->in_call = false;
    return operation;
}

struct backend_operation *harness_act(struct harness *harness, struct backend *backend,
                                      enum backend_verb verb, const char *id, uint32_t timeout_ms)
{
    harness->in_call = true;
    struct backend_operation *operation =
        backend_act(backend, verb, id, timeout_ms, on_done, verb_names[verb]);
    harness->in_call = false;
    return operation;
}

struct backend_operation *harness_list(struct harness *harness, struct backend *backend)
{
    harness->in_call = true;
    struct backend_operation *operation = backend_list(backend, 5000, on_done, verb_names[VERB_LIST]);
    harness->in_call = false;
    return operation;
}

struct backend_operation *harness_describe(struct harness *harness, struct backend *backend)
{
    harness->in_call = true;
    struct backend_operation *operation = backend_describe(backend, 5000, on_done, verb_names[VERB_DESCRIBE]);
    harness->in_call = false;
    return operation;
}

struct backend_operation *harness_image(struct harness *harness, struct backend *backend, const char *image)
{
    harness->in_call = true;
    struct backend_operation *operation =
        backend_image(backend, image, 5000, on_done, verb_names[VERB_IMAGE]);
    harness->in_call = false;
    return operation;
}

struct backend_operation *harness_logs(struct harness *harness, struct backend *backend, const char *id,
                                       bool follow, backend_data data)
{
    struct sbx_logs logs = {.size = sizeof logs, .tail = 1000000, .follow = follow, .sandbox_id = id};
    harness->in_call = true;
    struct backend_operation *operation = backend_logs(backend, &logs, harness->hasty ? 1000 : 10000,
                                                       data ? data : on_data, on_done, verb_names[VERB_LOGS]);
    harness->in_call = false;
    return operation;
}
