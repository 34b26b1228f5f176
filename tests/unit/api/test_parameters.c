/* Parameters that are wrong, and what counts where they are not given. */
#include "world.h"

#include <stdio.h>
#include <string.h>

/* The answer is a 422 whose index-th problem is about the query parameter `name`. */
static void assert_problem(const struct http_request *request, size_t index, const char *type,
                           const char *name, const char *input)
{
    assert_int_equal(request->status, 422);
    struct json_object *body = front_json(request);
    struct json_object *problem = json_object_array_get_idx(json_object_object_get(body, "detail"), index);
    assert_string_equal(json_object_get_string(json_object_object_get(problem, "type")), type);
    struct json_object *loc = json_object_object_get(problem, "loc");
    assert_int_equal(json_object_array_length(loc), 2);
    assert_string_equal(json_object_get_string(json_object_array_get_idx(loc, 0)), "query");
    assert_string_equal(json_object_get_string(json_object_array_get_idx(loc, 1)), name);
    assert_true(json_object_get_string_len(json_object_object_get(problem, "msg")) > 0);
    struct json_object *given;
    assert_true(json_object_object_get_ex(problem, "input", &given));
    if (input)
        assert_string_equal(json_object_get_string(given), input);
    else
        assert_null(given);
    json_object_put(body);
}

static void a_bad_limit_is_422(void **state)
{
    (void)state;
    static const struct {
        const char *value, *type;
    } cases[] = {{"0", "greater_than"},      {"-1", "greater_than"},
                 {"101", "less_than_equal"}, {"99999999999999999999", "less_than_equal"},
                 {"x", "int_parsing"},       {"", "int_parsing"},
                 {"1.5", "int_parsing"}};
    static const char *const paths[] = {"/api/v1/sandboxes/search", "/api/v1/sandbox-specs/search"};
    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct http_request request = {0};
            world_query(&request, "GET", paths[p], "limit", cases[i].value);
            assert_problem(&request, 0, cases[i].type, "limit", cases[i].value);
            front_free(&request);
        }
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
    (void)state;
    struct http_request request = {.query = {{"tail", "many"}, {"follow", "perhaps"}}};
    world_request(&request, "GET", "/api/v1/sandboxes/s1/logs");
    assert_problem(&request, 0, "int_parsing", "tail", "many");
    assert_problem(&request, 1, "bool_parsing", "follow", "perhaps");
    assert_int_equal(world.operations_len, 0);
    front_free(&request);
}

static void what_is_echoed_is_valid_json(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_query(&request, "GET", "/api/v1/sandboxes/search", "limit", "\x01\xff\"");
    assert_problem(&request, 0, "int_parsing", "limit", "\x01\xEF\xBF\xBD\"");
    front_free(&request);
}

/* The answer's index-th problem, as JSON text; valid until the next call. */
static const char *problem_text(const struct http_request *request, size_t index)
{
    static char text[1024];
    struct json_object *body = front_json(request);
    struct json_object *problem = json_object_array_get_idx(json_object_object_get(body, "detail"), index);
    snprintf(text, sizeof text, "%s", json_object_to_json_string_ext(problem, JSON_C_TO_STRING_PLAIN));
    json_object_put(body);
    return text;
}

/* As FastAPI answers for the same bounds: clients look for these words. */
static void problems_have_the_app_servers_words(void **state)
{
    (void)state;
    static const struct {
        const char *path, *name, *value, *problem;
    } rows[] = {
        {"/api/v1/sandboxes/search", "limit", "0",
         "{\"type\":\"greater_than\",\"loc\":[\"query\",\"limit\"],\"msg\":\"Input should be greater than "
         "0\",\"input\":\"0\",\"ctx\":{\"gt\":0}}"},
        {"/api/v1/sandboxes/search", "limit", "101",
         "{\"type\":\"less_than_equal\",\"loc\":[\"query\",\"limit\"],\"msg\":\"Input should be less than or "
         "equal to 100\",\"input\":\"101\",\"ctx\":{\"le\":100}}"},
        {"/api/v1/sandboxes/search", "limit", "x",
         "{\"type\":\"int_parsing\",\"loc\":[\"query\",\"limit\"],\"msg\":\"Input should be a valid integer, "
         "unable to parse string as an integer\",\"input\":\"x\"}"},
        {"/api/v1/sandboxes/s1/logs", "follow", "x",
         "{\"type\":\"bool_parsing\",\"loc\":[\"query\",\"follow\"],\"msg\":\"Input should be a valid "
         "boolean, "
         "unable to interpret input\",\"input\":\"x\"}"},
        {"/api/v1/events/search", "sort_order", "x",
         "{\"type\":\"enum\",\"loc\":[\"query\",\"sort_order\"],\"msg\":\"Input should be 'TIMESTAMP' or "
         "'TIMESTAMP_DESC'\",\"input\":\"x\",\"ctx\":{\"expected\":\"'TIMESTAMP' or 'TIMESTAMP_DESC'\"}}"},
        {"/api/v1/events/count", "conversation_id__eq", "x",
         "{\"type\":\"uuid_parsing\",\"loc\":[\"query\",\"conversation_id__eq\"],\"msg\":\"Input should be a "
         "valid "
         "UUID, 32 hexadecimal digits with or without dashes\",\"input\":\"x\",\"ctx\":{\"error\":\"32 "
         "hexadecimal "
         "digits with or without dashes\"}}"},
        {"/api/v1/sandboxes", NULL, NULL,
         "{\"type\":\"missing\",\"loc\":[\"query\",\"id\"],\"msg\":\"Field required\",\"input\":null}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request = {0};
        world_query(&request, "GET", rows[i].path, rows[i].name, rows[i].value);
        assert_string_equal(problem_text(&request, 0), rows[i].problem);
        front_free(&request);
    }
}

static void an_unknown_parameter_is_422_and_names_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *name, *told;
    } rows[] = {
        {"GET", "/api/v1/sandboxes/search", "limt", "did you mean 'limit'?"},
        {"GET", "/api/v1/sandboxes/search", "colour", "there are only 'page_id', 'limit'"},
        {"GET", "/api/v1/sandboxes", "idz", "did you mean 'id'?"},
        {"GET", "/api/v1/sandboxes/s1", "wait", "there are no parameters here"},
        {"POST", "/api/v1/sandboxes", "sandbox_spec", "there are only 'sandbox_spec_id', 'wait'"},
        {"POST", "/api/v1/sandboxes", "sandbox_spec_ids", "did you mean 'sandbox_spec_id'?"},
        {"POST", "/api/v1/sandboxes/s1/pause", "force", "there are no parameters here"},
        {"DELETE", "/api/v1/sandboxes/s1", "sandboxid", "did you mean 'sandbox_id'?"},
        {"GET", "/api/v1/sandboxes/s1/logs", "tails", "did you mean 'tail'?"},
        {"GET", "/api/v1/events/count", "kind", "there are only 'conversation_id__eq'"},
        {"GET", "/api/v1/backends", "x", "there are no parameters here"},
        {"POST", "/api/v1/webhooks/conversations", "x", "there are no parameters here"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_request request = {0};
        world_query(&request, rows[i].method, rows[i].path, rows[i].name, "1");
        assert_problem(&request, 0, "extra_forbidden", rows[i].name, "1");
        if (!strstr(problem_text(&request, 0), rows[i].told))
            fail_msg("%s: %s", rows[i].name, problem_text(&request, 0));
        front_free(&request);
    }
    assert_int_equal(world.calls, 0);
    /* A probe may append what it likes. */
    struct http_request health = {0};
    world_query(&health, "GET", "/health", "t", "1");
    assert_int_equal(health.status, 200);
    front_free(&health);
}

static void two_values_for_one_thing_are_422(void **state)
{
    (void)state;
    world_add("s1", NULL);
    struct http_request request = {.query = {{"limit", "1"}, {"", ""}, {"limit", "1"}}};
    world_request(&request, "GET", "/api/v1/sandboxes/search");
    assert_int_equal(request.status, 200);
    front_free(&request);
    request = (struct http_request){.query = {{"limit", "1"}, {"limit", "2"}}};
    world_request(&request, "GET", "/api/v1/sandboxes/search");
    assert_problem(&request, 0, "value_error", "limit", "2");
    front_free(&request);
}

static void a_batch_takes_its_ids_as_clients_spell_them(void **state)
{
    (void)state;
    world_add("s1", NULL);
    static const char *const names[] = {"id", "ids", "id[]", "ids[]"};
    for (size_t i = 0; i < 4; i++) {
        struct http_request request = {.query = {{names[i], "s1"}, {names[i], "s2"}}};
        world_request(&request, "GET", "/api/v1/sandboxes");
        struct json_object *list = front_json(&request);
        assert_int_equal(json_object_array_length(list), 2);
        assert_non_null(json_object_array_get_idx(list, 0));
        assert_null(json_object_array_get_idx(list, 1));
        json_object_put(list);
        front_free(&request);
    }
}

static void a_batch_needs_one_to_a_hundred_ids(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/v1/sandboxes", "/api/v1/sandbox-specs"};
    for (size_t p = 0; p < 2; p++) {
        struct http_request none = {0};
        world_request(&none, "GET", paths[p]);
        assert_problem(&none, 0, "missing", "id", NULL);
        front_free(&none);

        struct http_request many = {0};
        for (size_t i = 0; i < 100; i++)
            many.query[i] = (struct pair){"id", "x"};
        world_request(&many, "GET", paths[p]);
        assert_int_equal(many.status, 200);
        struct json_object *list = front_json(&many);
        assert_int_equal(json_object_array_length(list), 100);
        assert_null(json_object_array_get_idx(list, 99));
        json_object_put(list);
        front_free(&many);

        for (size_t i = 0; i < 101; i++)
            many.query[i] = (struct pair){"id", "x"};
        world_request(&many, "GET", paths[p]);
        assert_int_equal(many.status, 400);
        assert_string_equal(front_detail(&many),
                            p == 0 ? "Cannot request more than 100 sandboxes at once, got 101"
                                   : "Cannot request more than 100 sandbox specs at once, got 101");
        front_free(&many);
    }
}

/* Clients can't know startup_timeout, which is 5 s here. */
static void wait_is_up_to_an_hour(void **state)
{
    (void)state;
    struct http_request over = {.query = {{"sandbox_spec_id", "second"}, {"wait", "3601"}}};
    world_request(&over, "POST", "/api/v1/sandboxes");
    assert_problem(&over, 0, "less_than_equal", "wait", "3601");
    assert_int_equal(world.calls, 0);
    front_free(&over);

    struct http_request bad = {0};
    world_query(&bad, "POST", "/api/v1/sandboxes", "wait", "soon");
    assert_problem(&bad, 0, "duration_parsing", "wait", "soon");
    front_free(&bad);

    struct http_request good = {.query = {{"sandbox_spec_id", "second"}, {"wait", "1h"}}};
    world_request(&good, "POST", "/api/v1/sandboxes");
    assert_int_equal(world.calls, 1);
    assert_int_equal(world.wait_ms, 3600000);
    front_disconnect(&good);
    front_free(&good);
}

static void an_unknown_spec_is_the_services_404(void **state)
{
    (void)state;
    world.refuse = true;
    error_set(&world.error, SBX_ERR_NOT_FOUND, "SPEC_NOT_FOUND", "there is no spec 'x'");
    struct http_request request = {.query = {{"sandbox_spec_id", "x"}, {"wait", "1h"}}};
    world_request(&request, "POST", "/api/v1/sandboxes");
    assert_int_equal(request.status, 404);
    assert_string_equal(front_detail(&request), "there is no spec 'x'");
    assert_string_equal(world.spec_id, "x");
    front_free(&request);
}

static void delete_refuses_two_ids_that_differ(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_query(&request, "DELETE", "/api/v1/sandboxes/s1", "sandbox_id", "s2");
    assert_problem(&request, 0, "value_error", "sandbox_id", "s2");
    assert_int_equal(world.calls, 0);
    front_free(&request);

    struct http_request same = {0};
    world_query(&same, "DELETE", "/api/v1/sandboxes/s1", "sandbox_id", "s1");
    assert_string_equal(world.called, "delete");
    world_answer(NULL, NULL);
    assert_string_equal(same.body, "{\"success\":true}");
    front_free(&same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bad_limit_is_422, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(all_that_is_wrong_is_told_at_once, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(what_is_echoed_is_valid_json, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(problems_have_the_app_servers_words, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_parameter_is_422_and_names_the_nearest, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(two_values_for_one_thing_are_422, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_batch_takes_its_ids_as_clients_spell_them, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_batch_needs_one_to_a_hundred_ids, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(wait_is_up_to_an_hour, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_spec_is_the_services_404, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(delete_refuses_two_ids_that_differ, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
