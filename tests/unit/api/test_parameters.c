/* Parameters that are wrong, and what counts where they are not given. */
#include "world.h"

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
    } cases[] = {{"0", "greater_than_equal"}, {"-1", "greater_than_equal"},
                 {"101", "less_than_equal"},  {"99999999999999999999", "less_than_equal"},
                 {"x", "int_parsing"},        {"", "int_parsing"},
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

static void of_a_repeated_parameter_the_last_counts_and_unknown_ones_are_left_alone(void **state)
{
    (void)state;
    world_add("s1", NULL);
    world_add("s2", NULL);
    struct http_request request = {.query = {{"limit", "0"}, {"colour", "blue"}, {"limit", "1"}}};
    world_request(&request, "GET", "/api/v1/sandboxes/search");
    assert_int_equal(request.status, 200);
    assert_null(strstr(request.body, "s1"));
    front_free(&request);
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
        assert_non_null(strstr(front_detail(&many), "100"));
        front_free(&many);
    }
}

static void wait_is_bounded_by_the_startup_timeout_of_the_specs_backend(void **state)
{
    (void)state;
    struct http_request over = {.query = {{"sandbox_spec_id", "second"}, {"wait", "6s"}}};
    world_request(&over, "POST", "/api/v1/sandboxes");
    assert_problem(&over, 0, "less_than_equal", "wait", "6s");
    assert_int_equal(world.calls, 0);
    front_free(&over);

    struct http_request bad = {0};
    world_query(&bad, "POST", "/api/v1/sandboxes", "wait", "soon");
    assert_problem(&bad, 0, "duration_parsing", "wait", "soon");
    front_free(&bad);

    struct http_request good = {.query = {{"wait", "6s"}}};
    world_request(&good, "POST", "/api/v1/sandboxes");
    assert_int_equal(world.calls, 1);
    assert_int_equal(world.wait_ms, 6000);
    assert_false(world.has_spec_id);
    front_disconnect(&good);
    front_free(&good);
}

static void an_unknown_spec_is_the_services_404(void **state)
{
    (void)state;
    world.refuse = true;
    error_set(&world.error, SBX_ERR_NOT_FOUND, "SPEC_NOT_FOUND", "there is no spec 'x'");
    struct http_request request = {.query = {{"sandbox_spec_id", "x"}, {"wait", "10h"}}};
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
        cmocka_unit_test_setup_teardown(
            of_a_repeated_parameter_the_last_counts_and_unknown_ones_are_left_alone, world_setup,
            world_teardown),
        cmocka_unit_test_setup_teardown(a_batch_needs_one_to_a_hundred_ids, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(wait_is_bounded_by_the_startup_timeout_of_the_specs_backend,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_spec_is_the_services_404, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(delete_refuses_two_ids_that_differ, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
