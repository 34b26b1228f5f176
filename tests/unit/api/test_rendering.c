/* Sandboxes and specs as JSON. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static struct json_object *get(struct http_request *request, const char *path)
{
    world_request(request, "GET", path);
    assert_int_equal(request->status, 200);
    return front_json(request);
}

/* The text of a member, or "null". */
static const char *member(struct json_object *value, const char *name)
{
    struct json_object *found;
    assert_true(json_object_object_get_ex(value, name, &found));
    return found ? json_object_get_string(found) : "null";
}

static void a_running_sandbox_has_all_its_fields(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", "alice");
    sandbox->created_at_us = 1767323045678901;
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/sandboxes/s1");
    assert_string_equal(request.type, "application/json");
    assert_string_equal(
        request.body, "{\"id\":\"s1\",\"created_by_user_id\":\"alice\",\"sandbox_spec_id\":\"first\","
                      "\"status\":\"RUNNING\",\"session_api_key\":\"key-of-s1\","
                      "\"exposed_urls\":[{\"name\":\"AGENT_SERVER\",\"url\":\"http://127.0.0.1:8000\","
                      "\"port\":8000}],\"created_at\":\"2026-01-02T03:04:05.678901Z\",\"backend\":\"local\","
                      "\"status_detail\":null,\"restart_count\":0,\"error\":null}");
    front_free(&request);
}

static void key_and_urls_are_withheld_unless_it_is_running(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    for (int status = 0; status < SANDBOX_STATUSES; status++) {
        sandbox->status = (enum sandbox_status)status;
        free(sandbox->json);
        sandbox->json = NULL;
        struct http_request request = {0};
        struct json_object *value = get(&request, "/api/v1/sandboxes/s1");
        bool running = status == SANDBOX_RUNNING;
        assert_string_equal(member(value, "status"), sandbox_status_name(sandbox->status));
        assert_true(running == (strcmp(member(value, "session_api_key"), "null") != 0));
        assert_true(running == (strcmp(member(value, "exposed_urls"), "null") != 0));
        assert_string_equal(member(value, "created_by_user_id"), "null");
        json_object_put(value);
        front_free(&request);
    }
}

static void nasty_content_comes_out_as_valid_json(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    sandbox->status = SANDBOX_ERROR;
    sandbox->detail = strdup("quote \" backslash \\ </script> \x7f");
    sandbox->failure = calloc(1, sizeof *sandbox->failure);
    assert_non_null(sandbox->failure);
    error_set(&sandbox->failure->error, SBX_ERR_REFUSED, "EXITED", "ended");
    sandbox->failure->exit_code = 137;
    /* cut off, overlong, surrogate, above the last code point, stray continuation; then a good one */
    sandbox->failure->log_tail =
        strdup("\x1b[31m\r\n\t\xe2\x82|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\x80|\xf0\x9f\x98\x80");
    struct http_request request = {0};
    struct json_object *value = get(&request, "/api/v1/sandboxes/s1");
    assert_string_equal(member(value, "status_detail"), "quote \" backslash \\ </script> \x7f");
    struct json_object *error = json_object_object_get(value, "error");
    assert_string_equal(member(error, "code"), "EXITED");
    assert_string_equal(member(error, "message"), "ended");
    assert_string_equal(member(error, "retryable"), "false");
    assert_string_equal(member(error, "exit_code"), "137");
#define BAD "\xef\xbf\xbd"
    assert_string_equal(member(error, "log_tail"), "\x1b[31m\r\n\t" BAD BAD "|" BAD BAD "|" BAD BAD BAD
                                                   "|" BAD BAD BAD BAD "|" BAD "|\xf0\x9f\x98\x80");
    json_object_put(value);
    front_free(&request);
}

static void an_error_without_exit_code_and_log_has_nulls(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    sandbox->status = SANDBOX_ERROR;
    sandbox->failure = calloc(1, sizeof *sandbox->failure);
    assert_non_null(sandbox->failure);
    error_set(&sandbox->failure->error, SBX_ERR_TIMEOUT, "HEALTH_TIMEOUT", "late");
    sandbox->failure->exit_code = -1;
    struct http_request request = {0};
    struct json_object *value = get(&request, "/api/v1/sandboxes/s1");
    struct json_object *error = json_object_object_get(value, "error");
    assert_string_equal(member(error, "exit_code"), "null");
    assert_string_equal(member(error, "log_tail"), "null");
    assert_string_equal(member(error, "retryable"), "true");
    json_object_put(value);
    front_free(&request);
}

static void the_text_is_kept_until_the_service_drops_it(void **state)
{
    (void)state;
    struct sandbox *sandbox = world_add("s1", NULL);
    struct http_request request = {0};
    json_object_put(get(&request, "/api/v1/sandboxes/s1"));
    front_free(&request);
    const char *kept = sandbox->json;
    assert_non_null(kept);
    json_object_put(get(&request, "/api/v1/sandboxes/search"));
    front_free(&request);
    assert_ptr_equal(sandbox->json, kept);
}

static void a_search_pages_from_the_newest(void **state)
{
    (void)state;
    world_add("s1", NULL);
    world_add("s2", NULL);
    world_add("s3", NULL);
    struct http_request first = {.query = {{"limit", "2"}}};
    struct json_object *page = get(&first, "/api/v1/sandboxes/search");
    struct json_object *items = json_object_object_get(page, "items");
    assert_int_equal(json_object_array_length(items), 2);
    assert_string_equal(member(json_object_array_get_idx(items, 0), "id"), "s3");

    struct http_request second = {.query = {{"limit", "2"}, {"page_id", member(page, "next_page_id")}}};
    struct json_object *last = get(&second, "/api/v1/sandboxes/search");
    items = json_object_object_get(last, "items");
    assert_int_equal(json_object_array_length(items), 1);
    assert_string_equal(member(json_object_array_get_idx(items, 0), "id"), "s1");
    assert_string_equal(member(last, "next_page_id"), "null");
    json_object_put(page);
    json_object_put(last);
    front_free(&first);
    front_free(&second);
}

static void a_search_of_nothing_is_an_empty_page(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/sandboxes/search");
    assert_string_equal(request.body, "{\"items\":[],\"next_page_id\":null}");
    front_free(&request);
}

static void a_batch_keeps_the_order_with_null_for_what_is_not_there(void **state)
{
    (void)state;
    world_add("s1", NULL);
    world_add("s2", NULL);
    struct http_request request = {.query = {{"id", "s2"}, {"id", "no"}, {"id", "s1"}}};
    struct json_object *list = get(&request, "/api/v1/sandboxes");
    assert_string_equal(member(json_object_array_get_idx(list, 0), "id"), "s2");
    assert_null(json_object_array_get_idx(list, 1));
    assert_string_equal(member(json_object_array_get_idx(list, 2), "id"), "s1");
    json_object_put(list);
    front_free(&request);
}

static void specs_have_all_their_fields_and_pages(void **state)
{
    (void)state;
    struct http_request request = {.query = {{"limit", "1"}, {"page_id", "first"}}};
    world_request(&request, "GET", "/api/v1/sandbox-specs/search");
    assert_string_equal(request.body,
                        "{\"items\":[{\"id\":\"second\",\"command\":[\"agent\",\"{port}\"],"
                        "\"created_at\":\"2026-01-02T03:04:05.678901Z\",\"initial_env\":{\"A\":\"b\"},"
                        "\"working_dir\":\"/work\",\"backend\":\"remote\"}],\"next_page_id\":\"second\"}");
    front_free(&request);

    struct http_request last = {.query = {{"page_id", "second"}}};
    struct json_object *page = get(&last, "/api/v1/sandbox-specs/search");
    assert_string_equal(member(page, "next_page_id"), "null");
    struct json_object *item = json_object_array_get_idx(json_object_object_get(page, "items"), 0);
    assert_string_equal(member(item, "id"), "third");
    assert_string_equal(member(item, "command"), "null");
    json_object_put(page);
    front_free(&last);

    struct http_request unknown = {.query = {{"page_id", "no such page"}}};
    page = get(&unknown, "/api/v1/sandbox-specs/search");
    assert_int_equal(json_object_array_length(json_object_object_get(page, "items")), 3);
    json_object_put(page);
    front_free(&unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_running_sandbox_has_all_its_fields, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(key_and_urls_are_withheld_unless_it_is_running, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(nasty_content_comes_out_as_valid_json, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_error_without_exit_code_and_log_has_nulls, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(the_text_is_kept_until_the_service_drops_it, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_search_pages_from_the_newest, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_search_of_nothing_is_an_empty_page, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_batch_keeps_the_order_with_null_for_what_is_not_there, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(specs_have_all_their_fields_and_pages, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
