/* Who may ask for what. */
#include "world.h"

#include <string.h>

static int status_with(const char *path, const char *authorization, const char *api_key)
{
    struct http_request request = {0};
    size_t n = 0;
    if (authorization)
        request.headers[n++] = (struct pair){"Authorization", authorization};
    if (api_key)
        request.headers[n++] = (struct pair){"X-API-Key", api_key};
    world_request(&request, "GET", path);
    int status = request.status;
    bool challenged = strstr(request.reply_headers, "WWW-Authenticate: Bearer\n") != NULL;
    assert_true(challenged == (status == 401));
    front_free(&request);
    return status;
}

static void keys_are_taken_from_both_headers(void **state)
{
    (void)state;
    world_use_keys();
    static const struct {
        const char *authorization, *api_key;
        int status;
    } cases[] = {
        {NULL, NULL, 401},
        {"Bearer alice-key", NULL, 200},
        {"bearer   alice-key", NULL, 200},
        {NULL, "alice-key", 200},
        {"Bearer alice-key", "alice-key", 200},
        {"Bearer alice-key", "ops-key", 401},
        {"Bearer wrong", "alice-key", 401},
        {"Bearer alice-key", "wrong", 401},
        {"Bearer wrong", NULL, 401},
        {"Bearer ", NULL, 401},
        {"Bearer", NULL, 401},
        {"Basic YWxpY2U6a2V5", NULL, 401},
        {"Basic YWxpY2U6a2V5", "alice-key", 200},
        {NULL, "", 401},
        {NULL, "alice-key, alice-key", 401},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(status_with("/api/v1/sandboxes/search", cases[i].authorization, cases[i].api_key),
                         cases[i].status);
}

static void a_401_has_the_app_servers_word(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {.headers = {{"X-API-Key", "wrong"}}};
    world_request(&request, "GET", "/api/v1/sandboxes/search");
    assert_string_equal(request.body, "{\"detail\":\"Unauthorized\",\"reason\":\"invalid API key\"}");
    front_free(&request);
}

/* A browser adds it to what any page sends, once it knows a password for this server. */
static void basic_credentials_do_not_show_that_no_page_sent_it(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {.headers = {{"Host", "localhost"},
                                               {"Origin", "https://evil.example"},
                                               {"Authorization", "Basic YTpi"}}};
    world_request(&request, "GET", "/ready");
    assert_int_equal(request.status, 403);
    front_free(&request);
}

static void without_configured_keys_everybody_is_the_local_user(void **state)
{
    (void)state;
    assert_int_equal(status_with("/api/v1/sandboxes/search", NULL, NULL), 200);
    assert_int_equal(status_with("/api/v1/sandboxes/search", "Bearer anything", "else"), 200);
    assert_int_equal(status_with("/metrics", NULL, NULL), 200);
}

static void only_admins_see_metrics_and_backends(void **state)
{
    (void)state;
    world_use_keys();
    assert_int_equal(status_with("/metrics", NULL, NULL), 401);
    assert_int_equal(status_with("/metrics", NULL, "alice-key"), 403);
    assert_int_equal(status_with("/metrics", NULL, "ops-key"), 200);
    assert_int_equal(status_with("/api/v1/backends", NULL, "alice-key"), 403);
}

static void health_and_the_document_need_no_key(void **state)
{
    (void)state;
    world_use_keys();
    static const char *const paths[] = {"/health", "/alive", "/ready", "/openapi.json"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(status_with(paths[i], NULL, NULL), 200);
}

static void users_see_their_own_and_admins_all(void **state)
{
    (void)state;
    world_use_keys();
    world_add("hers", "alice");
    world_add("his", "bob");
    world_add("nobodys", NULL);
    assert_int_equal(status_with("/api/v1/sandboxes/hers", NULL, "alice-key"), 200);
    assert_int_equal(status_with("/api/v1/sandboxes/his", NULL, "alice-key"), 404);
    assert_int_equal(status_with("/api/v1/sandboxes/nobodys", NULL, "alice-key"), 404);
    assert_int_equal(status_with("/api/v1/sandboxes/his", NULL, "ops-key"), 200);
    assert_int_equal(status_with("/api/v1/sandboxes/nobodys", NULL, "ops-key"), 200);
}

static void changes_are_asked_for_in_the_users_name(void **state)
{
    (void)state;
    world_use_keys();
    world.refuse = true;
    error_set(&world.error, SBX_ERR_NOT_FOUND, "SANDBOX_NOT_FOUND", "no");
    struct http_request request = {.headers = {{"X-API-Key", "alice-key"}}};
    world_request(&request, "POST", "/api/v1/sandboxes/s1/pause");
    assert_string_equal(world.user, "alice");
    assert_string_equal(world.id, "s1");
    assert_false(world.everything);
    front_free(&request);
}

static void nothing_is_read_or_changed_without_a_key(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {.has_body = true};
    world_request(&request, "POST", "/api/v1/sandboxes");
    assert_int_equal(request.status, 401);
    assert_null(request.whole);
    assert_int_equal(world.calls, 0);
    front_free(&request);
}

static void a_session_key_finds_its_sandbox(void **state)
{
    (void)state;
    world_use_keys();
    world_add("s1", "alice");
    struct http_request right = {.headers = {{"X-Session-API-Key", "key-of-s1"}}};
    world_request(&right, "GET", "/api/v1/sandbox");
    assert_int_equal(right.status, 200);
    assert_non_null(strstr(right.body, "\"id\":\"s1\""));
    front_free(&right);

    struct http_request wrong = {.headers = {{"X-Session-API-Key", "key-of-s2"}, {"X-API-Key", "ops-key"}}};
    world_request(&wrong, "GET", "/api/v1/sandbox");
    assert_int_equal(wrong.status, 401);
    assert_string_equal(front_detail(&wrong), "Invalid session API key");
    front_free(&wrong);

    struct http_request none = {.headers = {{"X-API-Key", "ops-key"}}};
    world_request(&none, "GET", "/api/v1/sandbox");
    assert_int_equal(none.status, 401);
    assert_string_equal(front_detail(&none), "X-Session-API-Key header is required");
    assert_non_null(strstr(none.reply_headers, "WWW-Authenticate: "));
    front_free(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_taken_from_both_headers, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_401_has_the_app_servers_word, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(basic_credentials_do_not_show_that_no_page_sent_it, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(without_configured_keys_everybody_is_the_local_user, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(only_admins_see_metrics_and_backends, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(health_and_the_document_need_no_key, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(users_see_their_own_and_admins_all, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(changes_are_asked_for_in_the_users_name, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_read_or_changed_without_a_key, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_session_key_finds_its_sandbox, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
