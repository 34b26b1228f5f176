/* The runtime API: what reaches the service of a start, and what a runtime looks like. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static struct http_request request;

static int setup(void **state)
{
    world_setup(state);
    request = (struct http_request){0};
    world.config.runtime_api_enabled = true;
    static const char *images[] = {"reg/*"};
    world.config.runtime_api_images = images;
    world.config.runtime_api_images_len = 1;
    world.config.runtime_api_backend = world.config.backends[0].name;
    world.config.runtime_api_registry_prefix = "reg";
    return 0;
}

static int teardown(void **state)
{
    front_free(&request);
    return world_teardown(state);
}

static void post(const char *path, const char *body)
{
    front_free(&request);
    request.has_body = true;
    world_request(&request, "POST", path);
    front_deliver_body(&request, body);
}

static void get(const char *path)
{
    front_free(&request);
    world_request(&request, "GET", path);
}

/* A member of the answer. Valid until the next. */
static const char *member(const char *name)
{
    static char text[1024];
    struct json_object *value = front_json(&request);
    snprintf(text, sizeof text, "%s",
             json_object_to_json_string_ext(json_object_object_get(value, name),
                                            JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(value);
    return text;
}

static void a_start_is_the_spec_and_what_was_asked_for(void **state)
{
    (void)state;
    world.isolates = true;
    post("/runtime-api/start",
         "{\"image\": \"reg/x:1\", \"command\": \"run --port '60000'\", \"session_id\": \"s\","
         "\"environment\": {\"A\": \"1\", \"WORKER_1\": \"7\"}, \"resource_factor\": 2,"
         "\"runtime_class\": \"gvisor\", \"run_as_user\": 0, \"image_pull_policy\": \"\","
         "\"fs_group\": null, \"unknown\": []}");
    assert_string_equal(world.called, "session");
    assert_string_equal(world.session_id, "s");
    assert_string_equal(world.image, "reg/x:1");
    assert_string_equal(world.backend, world.config.backends[0].name);
    assert_string_equal(
        world.own_spec,
        "{\"id\":\"reg/"
        "x:1\",\"command\":[\"run\",\"--port\",\"60000\"],\"initial_env\":{\"OH_VSCODE_PORT\":\"60001\","
        "\"WORKER_1\":\"7\",\"WORKER_2\":\"12001\",\"A\":\"1\"},\"working_dir\":null,\"ports\":["
        "{\"name\":\"AGENT_SERVER\",\"container_port\":60000},{\"name\":\"VSCODE\",\"container_port\":60001},"
        "{\"name\":\"WORKER_1\",\"container_port\":12000},{\"name\":\"WORKER_2\",\"container_port\":12001}],"
        "\"resource_factor\":2,\"runtime_class\":\"gvisor\",\"run_as_user\":0}");
    world_answer(world_add("id1", NULL), NULL);
    assert_int_equal(request.status, 200);
    assert_string_equal(member("runtime_id"), "\"id1\"");
}

static void where_nothing_isolates_a_start_brings_no_command_and_no_ports(void **state)
{
    (void)state;
    post("/runtime-api/start", "{\"image\": \"reg/x\", \"command\": [\"mine\"]}");
    assert_int_equal(request.status, 403);
    assert_int_equal(world.calls, 0);
    post("/runtime-api/start", "{\"image\": \"reg/x\"}");
    assert_string_equal(world.session_id, "-");
    assert_string_equal(world.own_spec,
                        "{\"id\":\"reg/x\",\"command\":null,\"initial_env\":{},\"working_dir\":null}");
    world_answer(world_add("id1", NULL), NULL);
    static const char *names[1];
    names[0] = world.config.backends[0].name;
    world.config.own_commands = names;
    world.config.own_commands_len = 1;
    post("/runtime-api/start", "{\"image\": \"reg/x\", \"command\": [\"mine\"]}");
    assert_int_equal(world.calls, 2);
    world_answer(world_add("id2", NULL), NULL);
}

/* A larger max_body lets it in, and no execve(2) would take it. */
static void a_spec_says_what_becomes_of_a_requests_command(void **state)
{
    (void)state;
    struct config_spec *spec = &world.specs[0];
    char body[300];
    snprintf(body, sizeof body,
             "{\"image\": \"%s\", \"command\": \"/in/the/image --port 60000\", \"environment\": {\"A\": "
             "\"asked\"}, \"working_dir\": \"/\", \"runtime_class\": \"sysbox-runc\"}",
             spec->id);
    for (int isolates = 0; isolates < 2; isolates++) {
        world.isolates = isolates != 0;
        spec->own_command = OWN_COMMAND_IGNORE;
        post("/runtime-api/start", body);
        assert_null(strstr(world.own_spec, "/in/the/image"));
        assert_non_null(strstr(world.own_spec, "\"A\":\"asked\""));
        front_disconnect(&request);
        spec->own_command = OWN_COMMAND_USE;
        post("/runtime-api/start", body);
        assert_non_null(strstr(world.own_spec, "[\"/in/the/image\",\"--port\",\"60000\"]"));
        front_disconnect(&request);
        spec->own_command = OWN_COMMAND_REFUSE;
        post("/runtime-api/start", body);
        assert_int_equal(request.status, 403);
        assert_non_null(strstr(front_detail(&request), "own_command: refuse"));
    }
}

static void a_start_that_asks_for_more_than_can_be_kept_is_refused(void **state)
{
    (void)state;
    enum { VALUES = 20, LENGTH = 120000, ROOM = VALUES * (LENGTH + 16) + 128 };
    char *body = malloc(ROOM), *value = malloc(LENGTH + 1);
    assert_true(body && value);
    memset(value, 'x', LENGTH);
    value[LENGTH] = '\0';
    int len = snprintf(body, ROOM, "{\"image\": \"reg/x\", \"environment\": {");
    for (int i = 0; i < VALUES; i++)
        len += snprintf(body + len, ROOM - len, "%s\"A%d\": \"%s\"", i > 0 ? ", " : "", i, value);
    snprintf(body + len, ROOM - len, "}}");
    post("/runtime-api/start", body);
    assert_int_equal(request.status, 413);
    assert_int_equal(world.calls, 0);
    free(body);
    free(value);
}

static void a_start_without_a_url_is_to_be_asked_again(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("id1", NULL);
    sandbox->status = SANDBOX_STARTING;
    size_t len = sandbox->urls_len;
    sandbox->urls_len = 0;
    post("/runtime-api/start", "{\"image\": \"reg/x\", \"session_id\": \"id1\"}");
    world_answer(sandbox, NULL);
    assert_int_equal(request.status, 503);
    assert_non_null(strstr(request.reply_headers, "Retry-After"));
    assert_string_equal(world.called, "session");
    sandbox->urls_len = len;
}

static void set_end(struct sandbox_failure *failure)
{
    failure->exit_code = 7;
    failure->log_tail = strdup("the reason\n");
    assert_non_null(failure->log_tail);
}

static void assert_tells_of_the_end(void)
{
    assert_non_null(strstr(request.body, "\"exit_code\":7,\"log_tail\":\"the reason\\n\""));
}

/* Its backend was taken away under it. */
static void a_start_that_failed_before_it_was_anywhere_is_its_error(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("id1", NULL);
    sandbox->status = SANDBOX_ERROR;
    sandbox->failure = calloc(1, sizeof *sandbox->failure);
    assert_non_null(sandbox->failure);
    error_set(&sandbox->failure->error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
              "its backend is gone");
    set_end(sandbox->failure);
    size_t len = sandbox->urls_len;
    sandbox->urls_len = 0;
    post("/runtime-api/start", "{\"image\": \"reg/x\", \"session_id\": \"id1\"}");
    world_answer(sandbox, NULL);
    assert_int_equal(request.status, 503);
    assert_string_equal(front_detail(&request), "its backend is gone");
    assert_tells_of_the_end();
    sandbox->urls_len = len;
}

/* Its client has no name by which to ask again. */
static void a_start_without_a_url_or_a_session_is_taken_back(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("id1", NULL);
    sandbox->status = SANDBOX_STARTING;
    size_t len = sandbox->urls_len;
    sandbox->urls_len = 0;
    post("/runtime-api/start", "{\"image\": \"reg/x\"}");
    world_answer(sandbox, NULL);
    assert_string_equal(world.called, "delete");
    assert_string_equal(world.id, "id1");
    assert_int_equal(request.status, 0);
    world_answer(NULL, NULL);
    assert_int_equal(request.status, 503);
    assert_non_null(strstr(request.reply_headers, "Retry-After"));
    post("/runtime-api/start", "{\"image\": \"reg/x\"}");
    world_answer(sandbox, NULL);
    front_disconnect(&request);
    assert_int_equal(world.given_up, 1);
    sandbox->urls_len = len;
}

static void a_start_without_a_session_that_failed_before_it_was_anywhere_is_taken_back_with_its_error(
    void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("id1", NULL);
    sandbox->status = SANDBOX_ERROR;
    sandbox->failure = calloc(1, sizeof *sandbox->failure);
    assert_non_null(sandbox->failure);
    error_set(&sandbox->failure->error, SBX_ERR_REFUSED, SBX_CODE_EXITED, "its program ended");
    set_end(sandbox->failure);
    size_t len = sandbox->urls_len;
    sandbox->urls_len = 0;
    post("/runtime-api/start", "{\"image\": \"reg/x\"}");
    world_answer(sandbox, NULL);
    assert_string_equal(world.called, "delete");
    assert_int_equal(request.status, 0);
    world_answer(NULL, NULL);
    assert_int_equal(request.status, 502);
    assert_string_equal(front_detail(&request), "its program ended");
    assert_tells_of_the_end();
    sandbox->urls_len = len;
}

static void a_resume_that_failed_tells_of_the_end_too(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("id1", NULL);
    sandbox->status = SANDBOX_ERROR;
    sandbox->failure = calloc(1, sizeof *sandbox->failure);
    assert_non_null(sandbox->failure);
    error_set(&sandbox->failure->error, SBX_ERR_REFUSED, SBX_CODE_EXITED, "its program ended");
    set_end(sandbox->failure);
    struct sbx_error err = sandbox->failure->error;
    post("/runtime-api/resume", "{\"runtime_id\": \"id1\"}");
    world_answer(NULL, &err);
    assert_int_equal(request.status, 502);
    assert_tells_of_the_end();
    /* Another failure has nothing to do with that end. */
    error_set(&err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, "it can't be reached");
    post("/runtime-api/resume", "{\"runtime_id\": \"id1\"}");
    world_answer(NULL, &err);
    assert_non_null(strstr(request.body, "\"exit_code\":null,\"log_tail\":null"));
}

static void a_failed_start_is_its_error(void **state)
{
    (void)state;
    struct sbx_error err;
    error_set(&err, SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED, "no port is free");
    post("/runtime-api/start", "{\"image\": \"reg/x\"}");
    world_answer(NULL, &err);
    assert_int_equal(request.status, 429);
    assert_string_equal(front_detail(&request), "no port is free");
    world.refuse = true;
    error_set(&world.error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, "it is down");
    post("/runtime-api/start", "{\"image\": \"reg/x\"}");
    assert_int_equal(request.status, 503);
}

static void a_client_that_leaves_gives_up_its_answer_alone(void **state)
{
    (void)state;
    static const char *const calls[][2] = {{"/runtime-api/start", "{\"image\": \"reg/x\"}"},
                                           {"/runtime-api/pause", "{\"runtime_id\": \"id1\"}"},
                                           {"/runtime-api/resume", "{\"runtime_id\": \"id1\"}"},
                                           {"/runtime-api/stop", "{\"runtime_id\": \"id1\"}"}};
    world_add("id1", NULL);
    for (unsigned i = 0; i < 4; i++) {
        post(calls[i][0], calls[i][1]);
        front_disconnect(&request);
        assert_int_equal(world.given_up, i + 1);
    }
}

static void each_status_has_its_words(void **state)
{
    (void)state;
    static const struct {
        enum sandbox_status status;
        const char *word, *pod;
        bool key;
    } rows[] = {{SANDBOX_STARTING, "\"starting\"", "\"pending\"", true},
                {SANDBOX_RUNNING, "\"running\"", "\"ready\"", true},
                {SANDBOX_PAUSED, "\"paused\"", "\"not found\"", true},
                {SANDBOX_ERROR, "\"error\"", "\"failed\"", false},
                {SANDBOX_MISSING, "\"stopped\"", "\"not found\"", false}};
    struct sandbox *sandbox = world_add("id1", NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sandbox->status = rows[i].status;
        free(sandbox->runtime_json);
        sandbox->runtime_json = NULL;
        get("/runtime-api/sessions/id1");
        assert_int_equal(request.status, 200);
        assert_string_equal(member("status"), rows[i].word);
        assert_string_equal(member("pod_status"), rows[i].pod);
        assert_string_equal(member("session_api_key"), rows[i].key ? "\"key-of-id1\"" : "null");
        assert_string_equal(member("url"), "\"http://127.0.0.1:8000\"");
        assert_string_equal(member("pod_logs"), "\"\"");
    }
}

static void a_stopped_runtime_is_told_as_it_was(void **state)
{
    (void)state;
    world_add("id1", NULL);
    post("/runtime-api/stop", "{\"runtime_id\": \"id1\"}");
    assert_string_equal(world.called, "delete");
    world_answer(NULL, NULL);
    assert_int_equal(request.status, 200);
    assert_string_equal(member("runtime_id"), "\"id1\"");
    assert_string_equal(member("status"), "\"stopped\"");
    assert_string_equal(member("session_api_key"), "null");
    world.refuse = true;
    error_set(&world.error, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is none");
    post("/runtime-api/stop", "{\"runtime_id\": \"none\"}");
    assert_int_equal(request.status, 404);
}

static void an_image_is_as_its_backend_says(void **state)
{
    (void)state;
    static const char there[] =
        "{\"exists\":true,\"upload_time\":\"2026-01-02T03:04:05Z\",\"image_size_bytes\":5}";
    struct sbx_error err;
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "reg/x");
    assert_string_equal(world.image, "reg/x");
    world.operations[0].done(world.operations[0].arg, NULL, there, sizeof there - 1);
    assert_string_equal(member("image"), "{\"upload_time\":\"2026-01-02T03:04:05Z\",\"image_size_bytes\":5}");
    front_free(&request);
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "reg/x");
    world.operations[1].done(world.operations[1].arg, NULL, "nonsense", 8);
    assert_string_equal(member("exists"), "false");
    front_free(&request);
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "reg/x");
    error_set(&err, SBX_ERR_UNSUPPORTED, "UNSUPPORTED", "it can't tell");
    world.operations[2].done(world.operations[2].arg, &err, NULL, 0);
    assert_string_equal(member("exists"), "true");
    front_free(&request);
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "reg/x");
    front_disconnect(&request);
    assert_int_equal(world.cancelled, 1);
    front_free(&request);
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "other/x");
    assert_int_equal(request.status, 403);
}

static void it_is_not_there_unless_enabled(void **state)
{
    (void)state;
    world.config.runtime_api_enabled = false;
    world_use_keys();
    get("/runtime-api/list");
    assert_int_equal(request.status, 404); /* before anybody is asked for a key */
    world.config.runtime_api_enabled = true;
    get("/runtime-api/list");
    assert_int_equal(request.status, 401);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_start_is_the_spec_and_what_was_asked_for),
        TEST(where_nothing_isolates_a_start_brings_no_command_and_no_ports),
        TEST(a_spec_says_what_becomes_of_a_requests_command),
        TEST(a_start_that_asks_for_more_than_can_be_kept_is_refused),
        TEST(a_start_without_a_url_is_to_be_asked_again),
        TEST(a_start_that_failed_before_it_was_anywhere_is_its_error),
        TEST(a_start_without_a_url_or_a_session_is_taken_back),
        TEST(a_start_without_a_session_that_failed_before_it_was_anywhere_is_taken_back_with_its_error),
        TEST(a_resume_that_failed_tells_of_the_end_too),
        TEST(a_failed_start_is_its_error),
        TEST(a_client_that_leaves_gives_up_its_answer_alone),
        TEST(each_status_has_its_words),
        TEST(a_stopped_runtime_is_told_as_it_was),
        TEST(an_image_is_as_its_backend_says),
        TEST(it_is_not_there_unless_enabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
