/* The list of backends, with what their plugins tell. */
#include "world.h"

#include <string.h>

static void describe(size_t index, const char *json)
{
    struct backend_operation *operation = &world.operations[index];
    operation->done(operation->arg, NULL, json, json ? strlen(json) : 0);
}

static struct json_object *answer_of(struct http_request *request, size_t index)
{
    assert_int_equal(request->status, 200);
    struct json_object *list = front_json(request);
    struct json_object *value = json_object_get(json_object_array_get_idx(list, index));
    json_object_put(list);
    return value;
}

static void facts_and_descriptions_come_together(void **state)
{
    (void)state;
    world_add("s1", NULL);
    world.config.number = 4;
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/backends");
    assert_int_equal(world.operations_len, 2);
    describe(1, "{\"cpus\": 8, \"place\": \"K\xC3\xB6ln\"}");
    assert_int_equal(request.status, 0);
    describe(0, NULL);
    struct json_object *first = answer_of(&request, 0), *second = answer_of(&request, 1);
    assert_string_equal(
        json_object_to_json_string_ext(first, JSON_C_TO_STRING_PLAIN),
        "{\"name\":\"local\",\"plugin\":\"process\",\"version\":\"1.2\",\"state\":\"open\","
        "\"error\":null,\"listed\":true,\"counts\":{\"STARTING\":0,\"RUNNING\":1,\"PAUSED\":0,"
        "\"ERROR\":0,\"DELETING\":0,\"MISSING\":0},\"generation\":4,\"description\":null}");
    struct json_object *description = json_object_object_get(second, "description");
    assert_int_equal(json_object_get_int(json_object_object_get(description, "cpus")), 8);
    assert_string_equal(json_object_get_string(json_object_object_get(description, "place")), "K\xC3\xB6ln");
    json_object_put(first);
    json_object_put(second);
    front_free(&request);
}

static void an_unavailable_one_is_not_asked_and_says_why(void **state)
{
    (void)state;
    error_set(&world.unavailable, SBX_ERR_UNAVAILABLE, "BACKEND_UNAVAILABLE", "engine is down");
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/backends");
    assert_int_equal(world.operations_len, 1);
    describe(0, NULL);
    struct json_object *second = answer_of(&request, 1);
    assert_string_equal(json_object_get_string(json_object_object_get(second, "state")), "unavailable");
    struct json_object *error = json_object_object_get(second, "error");
    assert_string_equal(json_object_get_string(json_object_object_get(error, "message")), "engine is down");
    json_object_put(second);
    front_free(&request);
}

static void a_description_that_is_no_object_is_null(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "[1]",
                                        "{\"a\":1} x",
                                        "{\"a\":",
                                        "{\"a\":NaN}",
                                        "{\"a\":[1e999]}",
                                        "nonsense",
                                        "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        world.operations_len = 0;
        struct http_request request = {0};
        world_request(&request, "GET", "/api/v1/backends");
        describe(0, texts[i]);
        describe(1, NULL);
        struct json_object *first = answer_of(&request, 0), *description;
        assert_true(json_object_object_get_ex(first, "description", &description));
        assert_null(description);
        json_object_put(first);
        front_free(&request);
    }
}

static void a_client_that_leaves_cancels_what_was_not_answered(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/backends");
    describe(0, NULL);
    front_disconnect(&request);
    assert_int_equal(world.cancelled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(facts_and_descriptions_come_together, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_unavailable_one_is_not_asked_and_says_why, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_description_that_is_no_object_is_null, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_cancels_what_was_not_answered, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
