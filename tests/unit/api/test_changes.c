/* Start, pause, resume and delete: answers, failures, clients that leave, the daemon that stops. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static void a_start_answers_with_the_sandbox(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    struct http_request request = {.query = {{"sandbox_spec_id", "second"}, {"wait", "500ms"}}};
    world_request(&request, "POST", "/api/v1/sandboxes");
    assert_int_equal(request.status, 0);
    assert_string_equal(world.spec_id, "second");
    assert_int_equal(world.wait_ms, 500);
    world_answer(sandbox, NULL);
    assert_int_equal(request.status, 200);
    assert_non_null(strstr(request.body, "\"id\":\"s1\""));
    front_free(&request);
}

static void pause_resume_and_delete_answer_with_success(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    static const struct {
        const char *method, *path, *called;
    } cases[] = {{"POST", "/api/v1/sandboxes/s1/pause", "pause"},
                 {"POST", "/api/v1/sandboxes/s1/resume", "resume"},
                 {"DELETE", "/api/v1/sandboxes/s1", "delete"}};
    for (size_t i = 0; i < 3; i++) {
        struct http_request request = {0};
        world_request(&request, cases[i].method, cases[i].path);
        assert_string_equal(world.called, cases[i].called);
        assert_string_equal(world.id, "s1");
        assert_int_equal(request.status, 0);
        world_answer(i == 2 ? NULL : sandbox, NULL);
        assert_int_equal(request.status, 200);
        assert_string_equal(request.body, "{\"success\":true}");
        front_free(&request);
    }
}

static void a_client_that_leaves_gives_up_its_answer(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/v1/sandboxes", "/api/v1/sandboxes/s1/pause",
                                        "/api/v1/sandboxes/s1/resume"};
    for (unsigned i = 0; i < 3; i++) {
        struct http_request request = {0};
        world_request(&request, "POST", paths[i]);
        front_disconnect(&request);
        assert_int_equal(world.given_up, i + 1);
    }
}

static void a_body_is_taken_in_whole_before_anything_happens(void **state)
{
    (void)state;
    struct http_request request = {.has_body = true};
    world_request(&request, "POST", "/api/v1/sandboxes/s1/pause");
    assert_int_equal(world.calls, 0);
    front_deliver_body(&request, "{}");
    assert_string_equal(world.called, "pause");
    world_answer(world_add("s1", NULL), NULL);
    assert_int_equal(request.status, 200);
    front_free(&request);
}

/* Clients send an empty object with every POST; whoever sends more means something by it. */
static void a_body_that_nobody_takes_is_422(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool harmless;
    } rows[] = {{"", true},        {" \r\n", true},     {"{}", true},    {" { \n} ", true},    {"null", true},
                {" null\n", true}, {"{", false},        {"}", false},    {"{\"a\":1}", false}, {"[]", false},
                {"nul", false},    {"not JSON", false}, {"{}{}", false}, {"null null", false}};
    static const struct {
        const char *method, *path;
    } routes[] = {{"POST", "/api/v1/sandboxes/s1/pause"},
                  {"DELETE", "/api/v1/sandboxes/s1"},
                  {"GET", "/api/v1/sandboxes/search"}};
    for (size_t r = 0; r < sizeof routes / sizeof routes[0]; r++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct http_request request = {.has_body = true};
            unsigned before = world.calls;
            world_request(&request, routes[r].method, routes[r].path);
            front_deliver_body(&request, rows[i].body);
            if ((request.status == 422) == rows[i].harmless || (world.calls > before && !rows[i].harmless))
                fail_msg("%s with <%s>: %d", routes[r].path, rows[i].body, request.status);
            if (request.status == 0)
                front_disconnect(&request);
            front_free(&request);
        }
}

static void post_start(struct http_request *request, const char *body)
{
    request->has_body = true;
    world_request(request, "POST", "/api/v1/sandboxes");
    front_deliver_body(request, body);
}

static void a_start_may_come_as_json(void **state)
{
    (void)state;
    static const char *const waits[] = {"\"90s\"", "90", "\"90\""};
    for (size_t i = 0; i < 3; i++) {
        char body[100];
        snprintf(body, sizeof body, "{\"sandbox_spec_id\": \"second\", \"wait\": %s}", waits[i]);
        struct http_request request = {0};
        post_start(&request, body);
        assert_string_equal(world.spec_id, "second");
        assert_int_equal(world.wait_ms, 90000);
        front_disconnect(&request);
        front_free(&request);
    }
    struct http_request same = {.query = {{"sandbox_spec_id", "second"}, {"wait", "90s"}}};
    post_start(&same, "{\"sandbox_spec_id\": \"second\", \"wait\": 90}");
    assert_int_equal(world.wait_ms, 90000);
    front_disconnect(&same);
    front_free(&same);
    struct http_request nothing = {0};
    post_start(&nothing, "{\"sandbox_spec_id\": null}");
    assert_false(world.has_spec_id);
    assert_int_equal(world.wait_ms, 0);
    front_disconnect(&nothing);
    front_free(&nothing);
}

static void a_wrong_start_in_json_is_422(void **state)
{
    (void)state;
    static const struct {
        const char *body, *told;
    } rows[] = {{"{\"sandbox_spec\": \"second\"}", "[\"body\",\"sandbox_spec\"]"},
                {"{\"sandbox_spec_ids\": \"second\"}", "did you mean 'sandbox_spec_id'?"},
                {"{\"sandbox_spec_id\": 5}", "Input should be a valid string"},
                {"{\"wait\": \"soon\"}", "[\"body\",\"wait\"]"},
                {"{\"wait\": 1.5}", "[\"body\",\"wait\"]"},
                {"{\"wait\": -1}", "[\"body\",\"wait\"]"},
                {"{\"wait\": true}", "[\"body\",\"wait\"]"},
                {"{\"wait\": 3601}", "less than or equal to 3600"},
                {"{\"sandbox_spec_id\": \"second\"}", "what the parameter of that name says"},
                {"[]", "JSON decode error"},
                {"{\"wait\": 1", "JSON decode error"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request = {.query = {{"sandbox_spec_id", "first"}}};
        post_start(&request, rows[i].body);
        assert_int_equal(request.status, 422);
        if (!strstr(request.body, rows[i].told))
            fail_msg("%s: %s", rows[i].body, request.body);
        front_free(&request);
    }
    assert_int_equal(world.calls, 0);
}

/* A body of 1 MiB may have hundreds of thousands: an answer that tells all of them would hold up the loop. */
static void of_very_many_wrong_members_the_first_are_told(void **state)
{
    (void)state;
    char body[20000] = "{\"m\": 1";
    size_t len = strlen(body);
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, ", \"m%d\": 1", i);
    snprintf(body + len, sizeof body - len, "}");
    struct http_request request = {0};
    post_start(&request, body);
    assert_int_equal(request.status, 422);
    struct json_object *value = front_json(&request);
    assert_int_equal(json_object_array_length(json_object_object_get(value, "detail")), 20);
    json_object_put(value);
    front_free(&request);
    assert_int_equal(world.calls, 0);
}

static void a_client_that_leaves_in_its_body_changed_nothing(void **state)
{
    (void)state;
    struct http_request request = {.has_body = true};
    world_request(&request, "POST", "/api/v1/sandboxes");
    front_disconnect(&request);
    assert_int_equal(world.calls, 0);
}

static void failures_become_statuses_with_the_backends_words(void **state)
{
    (void)state;
    static const struct {
        enum sbx_error_kind kind;
        int status;
    } cases[] = {{SBX_ERR_INVALID, 400},   {SBX_ERR_NOT_FOUND, 404},      {SBX_ERR_CONFLICT, 409},
                 {SBX_ERR_LIMIT, 429},     {SBX_ERR_INTERNAL, 500},       {SBX_ERR_UNSUPPORTED, 501},
                 {SBX_ERR_REFUSED, 502},   {SBX_ERR_UNAVAILABLE, 503},    {SBX_ERR_TIMEOUT, 504},
                 {SBX_ERR_CANCELLED, 503}, {(enum sbx_error_kind)77, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_request request = {0};
        world_request(&request, "POST", "/api/v1/sandboxes");
        struct sbx_error err;
        error_set(&err, cases[i].kind, "SOME_CODE", "in its own words \xff");
        world_answer(NULL, &err);
        assert_int_equal(request.status, cases[i].status);
        assert_true((strstr(request.reply_headers, "Retry-After: ") != NULL) == (cases[i].status == 503));
        struct json_object *body = front_json(&request);
        struct json_object *error = json_object_object_get(body, "error");
        assert_string_equal(json_object_get_string(json_object_object_get(body, "detail")),
                            "in its own words \xef\xbf\xbd");
        assert_string_equal(json_object_get_string(json_object_object_get(error, "code")), "SOME_CODE");
        assert_int_equal(json_object_get_boolean(json_object_object_get(error, "retryable")), err.retryable);
        json_object_put(body);
        front_free(&request);
    }
}

static void a_quota_is_told_in_the_clients_words(void **state)
{
    (void)state;
    world.refuse = true;
    error_set(&world.error, SBX_ERR_LIMIT, "LIMIT", "five run already");
    struct http_request request = {0};
    world_request(&request, "POST", "/api/v1/sandboxes/s1/resume");
    assert_int_equal(request.status, 429);
    assert_string_equal(request.body, "{\"detail\":{\"error\":\"CONCURRENCY_LIMIT_REACHED\","
                                      "\"message\":\"five run already\"}}");
    front_free(&request);
}

static void what_the_service_refuses_about_a_request_has_no_error_beside_it(void **state)
{
    (void)state;
    world.refuse = true;
    error_set(&world.error, SBX_ERR_NOT_FOUND, "SANDBOX_NOT_FOUND", "no such");
    struct http_request request = {0};
    world_request(&request, "DELETE", "/api/v1/sandboxes/s1");
    assert_int_equal(request.status, 404);
    assert_string_equal(request.body, "{\"detail\":\"no such\"}");
    front_free(&request);

    error_set(&world.error, SBX_ERR_UNAVAILABLE, "BACKEND_UNAVAILABLE", "its engine is down");
    world_request(&request, "DELETE", "/api/v1/sandboxes/s1");
    assert_int_equal(request.status, 503);
    assert_non_null(strstr(request.body, "\"code\":\"BACKEND_UNAVAILABLE\""));
    front_free(&request);
}

static void while_draining_changes_are_503_and_reads_go_on(void **state)
{
    (void)state;
    struct http_request begun = {.has_body = true};
    world_request(&begun, "POST", "/api/v1/sandboxes");
    world_add("s1", NULL);
    api_drain(world.api);
    front_deliver_body(&begun, "");
    assert_int_equal(begun.status, 503);
    front_free(&begun);

    struct http_request change = {0};
    world_request(&change, "DELETE", "/api/v1/sandboxes/s1");
    assert_int_equal(change.status, 503);
    assert_non_null(strstr(change.reply_headers, "Retry-After: "));
    assert_int_equal(world.calls, 0);
    front_free(&change);

    struct http_request read = {0};
    world_request(&read, "GET", "/api/v1/sandboxes/s1");
    assert_int_equal(read.status, 200);
    front_free(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_start_answers_with_the_sandbox, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(pause_resume_and_delete_answer_with_success, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_gives_up_its_answer, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_body_is_taken_in_whole_before_anything_happens, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_body_that_nobody_takes_is_422, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_start_may_come_as_json, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_wrong_start_in_json_is_422, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(of_very_many_wrong_members_the_first_are_told, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_in_its_body_changed_nothing, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(failures_become_statuses_with_the_backends_words, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_quota_is_told_in_the_clients_words, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(what_the_service_refuses_about_a_request_has_no_error_beside_it,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(while_draining_changes_are_503_and_reads_go_on, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
