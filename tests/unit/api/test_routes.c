/* Which handler a request gets, and that the published document says the same. */
#include "api/openapi_document.h"
#include "api/router.h"
#include "world.h"

#include <string.h>
#include <strings.h>

static void unknown_paths_are_404(void **state)
{
    (void)state;
    static const char *const paths[] = {"/",
                                        "/api/v1",
                                        "/healthy",
                                        "//health",
                                        "/health/",
                                        "/api/v1/sandboxes/",
                                        "/api/v1/sandboxes/a/b",
                                        "/api/v1/sandboxes/a/b/pause",
                                        "/api/v1/sandboxes//pause",
                                        "/api/v1/events/",
                                        "/api/v1/webhooks/a/b",
                                        "/api/v1/webhooks//conversations",
                                        "/api/v1/webhooks/a/events/b/c"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct http_request request = {0};
        world_request(&request, "GET", paths[i]);
        assert_int_equal(request.status, 404);
        assert_true(front_detail(&request)[0]);
        front_free(&request);
    }
}

static void an_id_over_its_bound_is_404(void **state)
{
    (void)state;
    char path[300] = "/api/v1/sandboxes/";
    memset(path + strlen(path), 'x', 200);
    struct http_request request = {0};
    world_request(&request, "DELETE", path);
    assert_int_equal(request.status, 404);
    assert_int_equal(world.calls, 0);
    front_free(&request);
}

static void a_wrong_method_is_405_and_names_the_right_ones(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *allow;
    } cases[] = {{"PUT", "/api/v1/sandboxes", "Allow: GET, HEAD, POST, OPTIONS\n"},
                 {"POST", "/api/v1/sandboxes/search", "Allow: GET, HEAD, OPTIONS\n"},
                 {"DELETE", "/api/v1/sandboxes/search", "Allow: GET, HEAD, OPTIONS\n"},
                 {"PATCH", "/api/v1/sandboxes/x", "Allow: GET, HEAD, DELETE, OPTIONS\n"},
                 {"get", "/health", "Allow: GET, HEAD, OPTIONS\n"},
                 {"HEAD", "/api/v1/sandboxes/x/pause", "Allow: POST, OPTIONS\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_request request = {0};
        world_request(&request, cases[i].method, cases[i].path);
        assert_int_equal(request.status, 405);
        assert_string_equal(request.reply_headers, cases[i].allow);
        front_free(&request);
    }
}

static void options_tells_the_methods_without_a_key(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {0};
    world_request(&request, "OPTIONS", "/api/v1/sandboxes");
    assert_int_equal(request.status, 204);
    assert_int_equal(request.len, 0);
    assert_string_equal(request.reply_headers, "Allow: GET, HEAD, POST, OPTIONS\n");
    front_free(&request);
}

static void the_openapi_document_names_every_route_and_no_other(void **state)
{
    (void)state;
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *document =
        json_tokener_parse_ex(tokener, openapi_document, (int)openapi_document_len);
    json_tokener_free(tokener);
    struct json_object *paths = json_object_object_get(document, "paths");
    assert_non_null(paths);
    size_t documented = 0, routes = 0;
    json_object_object_foreach(paths, path, operations)
    {
        (void)path;
        json_object_object_foreach(operations, name, operation)
        {
            (void)operation;
            documented += strcmp(name, "parameters") != 0;
        }
    }
    for (const struct route *route; (route = router_at(routes)); routes++) {
        char method[8] = "";
        for (size_t i = 0; route->method[i] && i < sizeof method - 1; i++)
            method[i] = (char)(route->method[i] | 0x20);
        struct json_object *item = json_object_object_get(paths, route->pattern);
        if (!json_object_object_get(item, method))
            fail_msg("%s %s is not in docs/openapi.json", route->method, route->pattern);
    }
    assert_int_equal(documented, routes);
    json_object_put(document);
}

static void the_openapi_document_is_served(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", "/openapi.json");
    assert_int_equal(request.status, 200);
    assert_string_equal(request.type, "application/json");
    assert_int_equal(request.len, openapi_document_len);
    front_free(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unknown_paths_are_404, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(an_id_over_its_bound_is_404, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_wrong_method_is_405_and_names_the_right_ones, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(options_tells_the_methods_without_a_key, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(the_openapi_document_names_every_route_and_no_other, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(the_openapi_document_is_served, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
