/* operation_world.c: see operation_world.h. */
#include "operation_world.h"
#include "plugin/json.h"

struct world world;

/* ---- what the operations use of the rest of the plugin ---- */

bool engine_encode(char *to, size_t size, const char *text)
{
    return snprintf(to, size, "%s", text) < (int)size;
}

struct engine_call *engine_call(struct engine *engine, const struct engine_request *request, engine_done done,
                                void *arg)
{
    (void)engine;
    struct engine_call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    assert_true(world.calls_len < CALLS_MAX);
    assert_true(request->timeout_ms >= 1000);
    *call = (struct engine_call){.done = done, .arg = arg, .timeout_ms = request->timeout_ms};
    snprintf(call->method, sizeof call->method, "%s", request->method);
    snprintf(call->path, sizeof call->path, "%s", request->path);
    world.calls[world.calls_len++] = call;
    return call;
}

void engine_cancel(struct engine_call *call)
{
    for (unsigned i = 0; i < world.calls_len; i++) {
        if (world.calls[i] != call)
            continue;
        world.calls_len--;
        memmove(&world.calls[i], &world.calls[i + 1], (world.calls_len - i) * sizeof call);
        free(call);
        return;
    }
}

void look_at(struct docker *docker, const char *name, look_done done, void *arg)
{
    (void)docker;
    assert_string_equal(name, NAME);
    assert_false(world.looks);
    world.looks = true;
    world.looked = done;
    world.look_arg = arg;
}

void watch_doubt(struct docker *docker)
{
    (void)docker;
    world.doubts++;
}

int ports_choose(struct docker *docker, const struct sbx_json *spec, uint16_t *container_ports,
                 uint16_t *host_ports, struct sbx_error *err)
{
    (void)docker;
    (void)spec;
    if (world.exhausted) {
        *err = (struct sbx_error){.kind = SBX_ERR_LIMIT, .code = SBX_CODE_PORTS_EXHAUSTED};
        return -1;
    }
    *container_ports = 8000;
    *host_ports = world.next_port++;
    world.reserved++;
    if (world.reserved > world.reserved_most)
        world.reserved_most = world.reserved;
    return 0;
}

void ports_release(struct docker *docker, const uint16_t *host_ports)
{
    (void)docker;
    (void)host_ports;
    world.reserved--;
}

struct sbx_json *create_body(const struct sbx_json_api *json, const struct options *options,
                             const struct create_input *input, struct sbx_error *err)
{
    (void)options;
    (void)err;
    assert_string_equal(input->session_key, "secret");
    assert_int_equal(input->host_ports[0], world.next_port - 1);
    snprintf(world.created_of, sizeof world.created_of, "%s", input->image ? input->image : input->spec_id);
    return json->new_object();
}

int overlay_make(const struct options *options, const char *sandbox_id, struct sbx_error *err)
{
    (void)options;
    (void)sandbox_id;
    (void)err;
    world.overlays_made++;
    return 0;
}

int overlay_remove(const struct options *options, const char *sandbox_id, struct sbx_error *err)
{
    (void)options;
    (void)sandbox_id;
    (void)err;
    world.overlays_removed++;
    return 0;
}

struct image_waiter *pull_join(struct docker *docker, const char *image,
                               void (*progress)(void *arg, const char *detail),
                               void (*done)(void *arg, const struct sbx_error *err), void *arg)
{
    (void)docker;
    assert_string_equal(image, "image:1");
    assert_null(world.pull);
    world.pulls++;
    world.pull = calloc(1, sizeof *world.pull);
    assert_non_null(world.pull);
    *world.pull = (struct image_waiter){.progress = progress, .done = done, .arg = arg};
    return world.pull;
}

void pull_leave(struct image_waiter *wait)
{
    assert_non_null(wait);
    assert_ptr_equal(wait, world.pull);
    free(wait);
    world.pull = NULL;
}

struct image_waiter *runtime_image_join(struct docker *docker, const struct sbx_json *build,
                                        enum pull_policy policy, waiter_progress progress, waiter_done done,
                                        void *arg)
{
    const struct sbx_json_api *json = docker->host->json;
    (void)policy;
    assert_string_equal(json->string(json->get(build, "base_image"), ""), "base:1");
    assert_null(world.pull);
    world.builds++;
    world.pull = calloc(1, sizeof *world.pull);
    assert_non_null(world.pull);
    *world.pull = (struct image_waiter){.progress = progress, .done = done, .arg = arg};
    return world.pull;
}

const char *runtime_image_name(const struct image_waiter *waiter)
{
    assert_non_null(waiter);
    return "built:1";
}

void runtime_image_leave(struct image_waiter *waiter)
{
    world.builds_left++;
    pull_leave(waiter);
}

void report_starting(struct docker *docker, const struct facts *facts, const char *detail)
{
    (void)docker;
    (void)detail;
    world.told_port = facts->ports_len > 0 ? facts->ports[0].host_port : 0;
}

void ending_forget(struct docker *docker, struct container *container)
{
    (void)docker;
    assert_non_null(container);
    world.forgotten++;
}

void ending_drop(struct container *container)
{
    (void)container;
}

void start_log_begin(struct docker *docker, const char *sandbox_id, const char *session_key,
                     uint64_t deadline_ms)
{
    (void)docker;
    (void)sandbox_id;
    (void)session_key;
    (void)deadline_ms;
}

void start_log_end(struct docker *docker, const char *sandbox_id)
{
    (void)docker;
    (void)sandbox_id;
    world.log_ends++;
}

/* ---- the host ---- */

static void complete(struct sbx_backend *backend, sbx_op op, const struct sbx_error *error)
{
    (void)backend;
    assert_int_equal(op, OP);
    world.completions++;
    world.failed = error != NULL;
    if (error)
        world.error = *error;
}

static void progress(struct sbx_backend *backend, sbx_op op)
{
    (void)backend;
    assert_int_equal(op, OP);
    world.progresses++;
}

static void log_line(struct sbx_backend *backend, enum sbx_log_level level, const char *sandbox_id,
                     const char *format, ...)
{
    (void)backend;
    (void)sandbox_id;
    (void)format;
    world.warnings += level == SBX_LOG_WARN;
}

static uint64_t now_ms(void)
{
    return world.now_ms;
}

static sbx_timer timer_start(struct sbx_backend *backend, uint64_t delay_us, sbx_callback fired, void *arg)
{
    (void)backend;
    if (delay_us == SLOW_US) {
        assert_null(world.slow);
        world.slow = fired;
        world.slow_arg = arg;
        return 4;
    }
    assert_null(world.timer);
    world.timer = fired;
    world.timer_arg = arg;
    world.timer_delay_us = delay_us;
    return 3;
}

static void timer_cancel(struct sbx_backend *backend, sbx_timer timer)
{
    (void)backend;
    if (timer == 4)
        world.slow = NULL;
    else if (timer)
        world.timer = NULL;
}

static void work(struct sbx_backend *backend, sbx_callback run, sbx_callback done, void *arg)
{
    (void)backend;
    assert_null(world.work_run);
    world.work_run = run;
    world.work_done = done;
    world.work_arg = arg;
}

int set_up(void **state)
{
    (void)state;
    static char prefix[] = "sb-";
    memset(&world, 0, sizeof world);
    world.host = (struct sbx_host){.size = sizeof world.host,
                                   .json = json_table(),
                                   .complete = complete,
                                   .progress = progress,
                                   .log = log_line,
                                   .now_ms = now_ms,
                                   .timer_start = timer_start,
                                   .timer_cancel = timer_cancel,
                                   .work = work};
    world.backend = (struct sbx_backend){.size = sizeof world.backend, .host = &world.host, .name = "d"};
    world.docker.public = &world.backend;
    world.docker.host = &world.host;
    world.docker.options.container_name_prefix = prefix;
    world.docker.options.stop_timeout_ms = 10000;
    world.docker.options.ports_len = 1;
    static char name[] = "AGENT_SERVER";
    world.docker.options.ports[0].name = name;
    world.now_ms = 1000000;
    world.next_port = 30000;
    world.created_at_us = CREATED_AT_US;
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    const struct container *container = table_find(&world.docker, NAME);
    bool quiet = world.calls_len == 0 && !world.looks && !world.pull && !world.timer && !world.slow &&
                 !world.work_run && world.reserved == 0 && !world.docker.starts && world.completions == 1 &&
                 (!container || container->busy == 0);
    table_finish(&world.docker);
    return quiet ? 0 : -1;
}

/* ---- what cases say ---- */

void expect(const char *method, const char *path)
{
    assert_true(world.calls_len > 0);
    assert_string_equal(world.calls[0]->path, path);
    assert_string_equal(world.calls[0]->method, method);
}

static void answer_with(const struct sbx_error *error, int status, const char *text)
{
    assert_true(world.calls_len > 0);
    const struct sbx_json_api *json = json_table();
    struct engine_call call = *world.calls[0];
    engine_cancel(world.calls[0]);
    sbx_json *body = text ? json->parse(text, strlen(text), NULL) : NULL;
    call.done(call.arg, error, status, body);
    json->free(body);
}

void answer(int status, const char *text)
{
    answer_with(NULL, status, text);
}

void refuse(int status, const char *message)
{
    struct sbx_error error;
    refusal_of(&error, status, message);
    answer_with(&error, status, NULL);
}

void no_answer(void)
{
    struct sbx_error error = {.kind = SBX_ERR_UNAVAILABLE, .code = SBX_CODE_BACKEND_UNAVAILABLE};
    answer_with(&error, 0, NULL);
}

void volumes_are(const char *list)
{
    char text[512];
    snprintf(text, sizeof text, "{\"Volumes\":%s,\"Warnings\":null}", list);
    expect("GET", "/volumes?filters={\"label\":[\"sandboxd.sandbox=" NAME "\"]}");
    answer(200, text);
}

void inspected_as(const char *state, const char *backend)
{
    char text[640], label[96] = "";
    if (world.instance)
        snprintf(label, sizeof label, ",\"" LABEL_INSTANCE "\":\"%s\"", world.instance);
    snprintf(text, sizeof text,
             "{\"Id\":\"" ID "\",\"Name\":\"/" NAME "\",\"Created\":\"2026-01-01T00:00:00Z\","
             "\"State\":{\"Status\":\"%s\"},\"HostConfig\":{},\"NetworkSettings\":{},"
             "\"Config\":{\"Image\":\"image:1\",\"Labels\":{\"" LABEL_BACKEND "\":\"%s\",\"" LABEL_CREATED
             "\":\"%d\"%s}}}",
             state, backend, world.created_at_us, label);
    expect("GET", "/containers/" NAME "/json");
    answer(200, text);
}

struct container *know(enum container_state state)
{
    struct container *container = table_add(&world.docker, NAME);
    snprintf(container->facts.id, sizeof container->facts.id, ID);
    container->facts.state = state;
    return container;
}

void look_finds(enum container_state state)
{
    assert_true(world.looks);
    world.looks = false;
    struct container *container = know(state);
    if (world.looked)
        world.looked(world.look_arg, NULL, container);
}

void look_finds_none(void)
{
    assert_true(world.looks);
    world.looks = false;
    struct container *container = table_find(&world.docker, NAME);
    if (container)
        table_remove(&world.docker, container);
    world.looked(world.look_arg, NULL, NULL);
}

void time_comes(void)
{
    sbx_callback fired = world.timer;
    assert_non_null(fired);
    world.timer = NULL;
    world.now_ms += world.timer_delay_us / 1000;
    fired(world.timer_arg);
}

void it_is_slow(void)
{
    sbx_callback fired = world.slow;
    assert_non_null(fired);
    world.slow = NULL;
    world.now_ms += SLOW_US / 1000;
    fired(world.slow_arg);
}

void pool_works(void)
{
    sbx_callback run = world.work_run;
    assert_non_null(run);
    world.work_run = NULL;
    run(world.work_arg);
    world.work_done(world.work_arg);
}

void assert_succeeded(void)
{
    assert_int_equal(world.completions, 1);
    assert_false(world.failed);
}

void assert_failed(enum sbx_error_kind kind, const char *code)
{
    assert_int_equal(world.completions, 1);
    assert_true(world.failed);
    assert_string_equal(world.error.code, code);
    assert_int_equal(world.error.kind, kind);
}
