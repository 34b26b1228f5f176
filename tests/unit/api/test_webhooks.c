/* Who may report, what reaches the mirror, and what is answered. */
#include "world.h"

#include <string.h>

static const char talk[] = "0123456789abcdef0123456789abcdef";
static const char dashed[] = "/api/v1/webhooks/events/01234567-89AB-cdef-0123-456789abcdef";

static void report(struct http_request *request, const char *path, const char *key)
{
    request->headers[0] = (struct pair){"X-Session-API-Key", key};
    request->has_body = true;
    world_request(request, "POST", path);
}

static void answer_report(const struct sbx_error *err, const struct mirror_outcome *outcome)
{
    assert_non_null(world.report.done);
    mirror_report_done done = world.report.done;
    world.report.done = NULL;
    done(world.report.arg, err, outcome);
}

static void a_report_needs_the_key_of_a_sandbox(void **state)
{
    (void)state;
    world_use_keys();
    world_add("s1", "alice");
    static const struct {
        const char *path, *key, *detail;
    } cases[] = {
        {"/api/v1/webhooks/conversations", NULL, "X-Session-API-Key header is required"},
        {"/api/v1/webhooks/conversations", "", "X-Session-API-Key header is required"},
        {"/api/v1/webhooks/conversations", "alice-key", "Invalid session API key"},
        {"/api/v1/webhooks/s1/conversations", "key-of-s2", "Invalid session API key"},
        {"/api/v1/webhooks/s2/conversations", "key-of-s1", "Invalid session API key"},
        {"/api/v1/webhooks/s2/events/0123456789abcdef0123456789abcdef", "key-of-s1",
         "Invalid session API key"},
        {dashed, "wrong", "Invalid session API key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request = {0};
        report(&request, cases[i].path, cases[i].key);
        assert_int_equal(request.status, 401);
        assert_string_equal(front_detail(&request), cases[i].detail);
        front_free(&request);
    }
    assert_int_equal(world.report.opened, 0);
}

static void a_sandbox_that_is_being_deleted_reports_its_last_events_and_can_do_no_more(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    sandbox->deleting = true;
    table_hide(&world.table, sandbox);
    struct http_request request = {.headers = {{0}, {"Content-Length", "2"}}};
    report(&request, dashed, "key-of-s1");
    front_deliver_body(&request, "[]");
    answer_report(NULL, &(struct mirror_outcome){0});
    assert_int_equal(request.status, 200);
    assert_string_equal(world.report.sandbox, "s1");
    front_free(&request);

    request = (struct http_request){.headers = {{"X-Session-API-Key", "key-of-s1"}}};
    world_request(&request, "GET", "/api/v1/sandbox");
    assert_int_equal(request.status, 401);
    front_free(&request);
}

static void both_forms_reach_the_mirror_and_are_answered_when_it_is_on_disk(void **state)
{
    (void)state;
    world_add("s1", NULL);
    static const char *const paths[] = {"/api/v1/webhooks/conversations", "/api/v1/webhooks/s1/conversations",
                                        dashed,
                                        "/api/v1/webhooks/s1/events/0123456789abcdef0123456789abcdef"};
    for (size_t i = 0; i < 4; i++) {
        struct http_request request = {.headers = {{0}, {"Content-Length", "2"}}};
        report(&request, paths[i], "key-of-s1");
        assert_int_equal(world.report.size, 2);
        front_deliver_body(&request, "[]");
        assert_string_equal(world.report.sandbox, "s1");
        assert_string_equal(world.report.text, "[]");
        assert_string_equal(world.report.conversation_id, i < 2 ? "" : talk);
        assert_int_equal(request.status, 0);
        answer_report(NULL, &(struct mirror_outcome){.stored = 1});
        assert_int_equal(request.status, 200);
        assert_string_equal(request.body, "{\"success\":true}");
        front_free(&request);
    }
}

static void any_status_may_report_since_agents_do_while_they_start(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    sandbox->status = SANDBOX_STARTING;
    struct http_request request = {0};
    report(&request, dashed, "key-of-s1");
    front_deliver_body(&request, "[]");
    answer_report(NULL, &(struct mirror_outcome){0});
    assert_int_equal(request.status, 200);
    front_free(&request);
}

static void a_length_that_is_not_told_makes_room_for_the_most(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {0};
    report(&request, dashed, "key-of-s1");
    assert_int_equal(world.report.size, MIRROR_MAX_REPORT);
    front_disconnect(&request);
    assert_int_equal(world.report.closed, 1);
    struct http_request large = {.headers = {{0}, {"Content-Length", "99999999999999999999"}}};
    report(&large, dashed, "key-of-s1");
    assert_int_equal(world.report.size, MIRROR_MAX_REPORT);
    front_disconnect(&large);
    assert_int_equal(world.report.closed, 2);
}

static void a_client_that_leaves_while_it_is_stored_is_not_answered(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {0};
    report(&request, dashed, "key-of-s1");
    front_deliver_body(&request, "[]");
    front_disconnect(&request);
    assert_int_equal(world.report.closed, 1);
}

static void a_report_without_a_body_is_looked_at_too(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {.headers = {{"X-Session-API-Key", "key-of-s1"}}};
    world_request(&request, "POST", dashed);
    assert_int_equal(world.report.size, 0);
    assert_non_null(world.report.done);
    struct sbx_error err;
    error_set(&err, SBX_ERR_INVALID, "X", "is not JSON");
    answer_report(&err, &(struct mirror_outcome){.event = MIRROR_WHERE_NOTHING});
    assert_int_equal(request.status, 422);
    front_free(&request);
}

static void a_wrong_body_is_422_and_tells_where(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {0};
    report(&request, dashed, "key-of-s1");
    front_deliver_body(&request, "[{}]");
    struct sbx_error err;
    error_set(&err, SBX_ERR_INVALID, "X", "must be there");
    answer_report(&err, &(struct mirror_outcome){.event = 3, .member = "id"});
    assert_int_equal(request.status, 422);
    assert_non_null(strstr(request.body, "\"loc\":[\"body\",3,\"id\"],\"msg\":\"must be there\""));
    front_free(&request);

    struct http_request path = {0};
    report(&path, "/api/v1/webhooks/events/0123", "key-of-s1");
    assert_int_equal(path.status, 422);
    assert_non_null(strstr(path.body, "\"loc\":[\"path\",\"conversation_id\"]"));
    front_free(&path);
}

static void events_that_are_none_are_told_beside_the_success_of_the_others(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {0};
    report(&request, dashed, "key-of-s1");
    front_deliver_body(&request, "[{},5]");
    struct mirror_rejected rejected[150] = {{.event = 3, .member = "id", .why = "must be there"},
                                            {.event = 5, .why = "must be an event"}};
    for (size_t i = 2; i < 150; i++)
        rejected[i] = rejected[1];
    answer_report(NULL, &(struct mirror_outcome){.stored = 1, .rejected = rejected, .rejected_len = 2});
    assert_int_equal(request.status, 200);
    assert_string_equal(
        request.body,
        "{\"success\":true,\"rejected\":[{\"index\":3,\"member\":\"id\",\"msg\":\"must be there\"},"
        "{\"index\":5,\"member\":null,\"msg\":\"must be an event\"}],\"rejected_count\":2}");
    front_free(&request);

    struct http_request many = {0};
    report(&many, dashed, "key-of-s1");
    front_deliver_body(&many, "[{},5]");
    answer_report(NULL, &(struct mirror_outcome){.stored = 1, .rejected = rejected, .rejected_len = 150});
    assert_non_null(strstr(many.body, "\"rejected_count\":150"));
    size_t told = 0;
    for (const char *at = many.body; (at = strstr(at, "\"index\"")); at++)
        told++;
    assert_int_equal(told, 100);
    front_free(&many);
}

static void a_bound_or_a_store_that_fails_is_told(void **state)
{
    (void)state;
    world_add("s1", NULL);
    static const struct {
        enum sbx_error_kind kind;
        int status;
    } cases[] = {{SBX_ERR_UNAVAILABLE, 503}, {SBX_ERR_LIMIT, 429}};
    for (size_t i = 0; i < 2; i++) {
        struct http_request request = {0};
        report(&request, dashed, "key-of-s1");
        front_deliver_body(&request, "[{}]");
        struct sbx_error err;
        error_set(&err, cases[i].kind, "CODE", "why");
        answer_report(&err, &(struct mirror_outcome){.event = MIRROR_WHERE_NOTHING});
        assert_int_equal(request.status, cases[i].status);
        assert_string_equal(front_detail(&request), "why");
        front_free(&request);
    }
    world.refuse = true;
    error_set(&world.error, SBX_ERR_UNAVAILABLE, "CODE", "no room");
    struct http_request request = {0};
    report(&request, dashed, "key-of-s1");
    assert_int_equal(request.status, 503);
    assert_non_null(strstr(request.reply_headers, "Retry-After"));
    front_free(&request);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_report_needs_the_key_of_a_sandbox),
        TEST(a_sandbox_that_is_being_deleted_reports_its_last_events_and_can_do_no_more),
        TEST(both_forms_reach_the_mirror_and_are_answered_when_it_is_on_disk),
        TEST(any_status_may_report_since_agents_do_while_they_start),
        TEST(a_length_that_is_not_told_makes_room_for_the_most),
        TEST(a_client_that_leaves_while_it_is_stored_is_not_answered),
        TEST(a_report_without_a_body_is_looked_at_too),
        TEST(a_wrong_body_is_422_and_tells_where),
        TEST(events_that_are_none_are_told_beside_the_success_of_the_others),
        TEST(a_bound_or_a_store_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
