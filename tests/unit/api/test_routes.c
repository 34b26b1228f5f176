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
        assert_string_equal(request.body,
                            "{\"detail\":\"Not Found\",\"reason\":\"there is nothing at this path\"}");
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
        assert_string_equal(front_detail(&request), "Method Not Allowed");
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

static bool is_documented(struct json_object *operation, const char *name)
{
    struct json_object *parameters = json_object_object_get(operation, "parameters");
    size_t count = parameters ? json_object_array_length(parameters) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *parameter = json_object_array_get_idx(parameters, i);
        const char *in = json_object_get_string(json_object_object_get(parameter, "in"));
        const char *documented = json_object_get_string(json_object_object_get(parameter, "name"));
        if (in && strcmp(in, "query") == 0 && strcmp(documented, name) == 0)
            return true;
    }
    return false;
}

static size_t count_documented(struct json_object *operation)
{
    struct json_object *parameters = json_object_object_get(operation, "parameters");
    size_t count = parameters ? json_object_array_length(parameters) : 0, queries = 0;
    for (size_t i = 0; i < count; i++) {
        const char *in =
            json_object_get_string(json_object_object_get(json_object_array_get_idx(parameters, i), "in"));
        queries += in && strcmp(in, "query") == 0;
    }
    return queries;
}

static void the_openapi_document_names_the_parameters_that_routes_take(void **state)
{
    (void)state;
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *document =
        json_tokener_parse_ex(tokener, openapi_document, (int)openapi_document_len);
    json_tokener_free(tokener);
    const struct route *route;
    for (size_t i = 0; (route = router_at(i)); i++) {
        if (route->params == router_any)
            continue;
        char method[8] = "";
        for (size_t c = 0; route->method[c] && c < sizeof method - 1; c++)
            method[c] = (char)(route->method[c] | 0x20);
        struct json_object *paths = json_object_object_get(document, "paths");
        struct json_object *operation =
            json_object_object_get(json_object_object_get(paths, route->pattern), method);
        size_t taken = 0;
        /* A batch's other spellings are told in words. */
        bool batch = route->params && strncmp(route->params[0], "id", 2) == 0;
        for (; route->params && route->params[taken] && (!batch || taken < 1); taken++)
            if (!is_documented(operation, route->params[taken]))
                fail_msg("%s %s: '%s' is not documented", route->method, route->pattern,
                         route->params[taken]);
        if (count_documented(operation) != taken)
            fail_msg("%s %s: more parameters are documented than taken", route->method, route->pattern);
        bool documented_body = json_object_object_get(operation, "requestBody") != NULL;
        if (documented_body != (route->body != BODY_NONE))
            fail_msg("%s %s: a body is documented, or taken, and not both", route->method, route->pattern);
    }
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
        cmocka_unit_test_setup_teardown(the_openapi_document_names_the_parameters_that_routes_take,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(the_openapi_document_is_served, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
