/* What the operator gives to sandboxes and users: who may read which secret, and what a client learns of its user. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *only_alice[] = {"alice"};
static const char *only_second[] = {"sec*"};
static const struct config_secret secrets[] = {
    {.name = "TOKEN", .value = "alice's", .description = "hers", .users = only_alice, .users_len = 1},
    {.name = "TOKEN", .value = "everybody's"},
    {.name = "OTHER", .value = "of second", .specs = only_second, .specs_len = 1},
    {.name = "LINES", .value = "two\nlines\n"},
};
static const struct config_llm llms[] = {
    {.model = "hers", .api_key = "sk-hers", .base_url = "http://llm", .users = only_alice, .users_len = 1},
    {.model = "all", .api_key = "sk-all"},
    {.model = "quick", .api_key = "sk-quick", .profile = "fast"},
    {.model = "never", .profile = "fast"},
};

static const char list_path[] = "/api/v1/sandboxes/s1/settings/secrets";

static int setup(void **state)
{
    world_setup(state);
    world.config.secrets = secrets;
    world.config.secrets_len = sizeof secrets / sizeof *secrets;
    world.config.llms = llms;
    world.config.llms_len = sizeof llms / sizeof *llms;
    return 0;
}

/* `session` and `api_key` may be NULL. */
static void get(struct http_request *request, const char *path, const char *session, const char *api_key)
{
    size_t n = 0;
    *request = (struct http_request){0};
    if (session)
        request->headers[n++] = (struct pair){"X-Session-API-Key", session};
    if (api_key)
        request->headers[n++] = (struct pair){"X-API-Key", api_key};
    world_request(request, "GET", path);
}

static void refused(const char *path, const char *session, const char *api_key, int status,
                    const char *detail)
{
    struct http_request request;
    get(&request, path, session, api_key);
    assert_int_equal(request.status, status);
    assert_string_equal(front_detail(&request), detail);
    front_free(&request);
}

static void only_the_sandboxs_own_key_opens_its_secrets(void **state)
{
    (void)state;
    world_use_keys();
    struct sandbox *sandbox = world_add("s1", "alice");
    world_add("s2", "alice");
    world_add("nobodys", NULL);
    static const char *const paths[] = {list_path, "/api/v1/sandboxes/s1/settings/secrets/TOKEN"};
    for (size_t i = 0; i < 2; i++) {
        refused(paths[i], NULL, "alice-key", 401, "X-Session-API-Key header is required");
        refused(paths[i], NULL, "ops-key", 401, "X-Session-API-Key header is required");
        refused(paths[i], "wrong", "alice-key", 401, "Invalid session API key");
        refused(paths[i], "key-of-s2", "alice-key", 403, "Session API key does not match sandbox");
        sandbox->status = SANDBOX_PAUSED;
        refused(paths[i], "key-of-s1", NULL, 401, "Sandbox is not running");
        sandbox->status = SANDBOX_RUNNING;
    }
    refused("/api/v1/sandboxes/nobodys/settings/secrets", "key-of-nobodys", NULL, 401,
            "Sandbox has no associated user");
    refused("/api/v1/sandboxes/s1/settings/secrets/NONE", "key-of-s1", NULL, 404, "Secret not found");
    refused("/api/v1/sandboxes/s1/settings/secrets/OTHER", "key-of-s1", NULL, 404, "Secret not found");
}

static void value_is(const char *sandbox, const char *name, const char *value)
{
    struct http_request request;
    char path[128], key[64];
    snprintf(path, sizeof path, "/api/v1/sandboxes/%s/settings/secrets/%s", sandbox, name);
    snprintf(key, sizeof key, "key-of-%s", sandbox);
    get(&request, path, key, NULL);
    assert_int_equal(request.status, 200);
    assert_string_equal(request.type, "text/plain; charset=utf-8");
    assert_non_null(strstr(request.reply_headers, "Cache-Control: no-store\n"));
    assert_string_equal(request.body, value);
    front_free(&request);
}

static void the_first_that_is_for_the_sandbox_counts(void **state)
{
    (void)state;
    world_use_keys();
    world_add("s1", "alice");
    struct sandbox *second = world_add("s2", "ops");
    free(second->spec_id);
    second->spec_id = strdup("second");
    value_is("s1", "TOKEN", "alice's");
    value_is("s2", "TOKEN", "everybody's");
    value_is("s2", "OTHER", "of second");
    value_is("s1", "LINES", "two\nlines\n");
    struct http_request request;
    get(&request, list_path, "key-of-s1", NULL);
    assert_int_equal(request.status, 200);
    assert_string_equal(request.body, "{\"secrets\":[{\"name\":\"TOKEN\",\"description\":\"hers\"},"
                                      "{\"name\":\"LINES\",\"description\":null}]}");
    front_free(&request);
    get(&request, "/api/v1/sandboxes/s2/settings/secrets", "key-of-s2", NULL);
    assert_string_equal(request.body, "{\"secrets\":[{\"name\":\"TOKEN\",\"description\":null},"
                                      "{\"name\":\"OTHER\",\"description\":null},"
                                      "{\"name\":\"LINES\",\"description\":null}]}");
    front_free(&request);
}

static void without_keys_there_is_one_user(void **state)
{
    (void)state;
    world_add("s1", NULL);
    value_is("s1", "TOKEN", "everybody's");
    world.config.secrets_len = 0;
    struct http_request request;
    get(&request, list_path, "key-of-s1", NULL);
    assert_string_equal(request.body, "{\"secrets\":[]}");
    front_free(&request);
}

/* ---- users/me ---- */

static void me(struct http_request *request, const char *session, const char *api_key, const char *expose)
{
    size_t n = 0;
    *request = (struct http_request){0};
    if (session)
        request->headers[n++] = (struct pair){"X-Session-API-Key", session};
    if (api_key)
        request->headers[n++] = (struct pair){"X-API-Key", api_key};
    if (expose)
        request->query[0] = (struct pair){"expose_secrets", expose};
    world_request(request, "GET", "/api/v1/users/me");
}

static void me_refused(const char *session, const char *api_key, int status, const char *detail)
{
    struct http_request request;
    me(&request, session, api_key, "true");
    assert_int_equal(request.status, status);
    assert_string_equal(front_detail(&request), detail);
    assert_null(strstr(request.body, "sk-"));
    front_free(&request);
}

static void a_user_sees_their_model_and_its_key_only_with_a_sandbox_of_theirs(void **state)
{
    (void)state;
    world_use_keys();
    struct sandbox *sandbox = world_add("s1", "alice");
    struct http_request request;
    me(&request, "key-of-s1", "alice-key", NULL);
    assert_int_equal(request.status, 200);
    assert_string_equal(request.body, "{\"id\":\"alice\",\"llm_model\":\"hers\",\"llm_api_key\":\"**********"
                                      "\",\"llm_base_url\":\"http://llm\","
                                      "\"agent_settings\":{\"llm\":{\"model\":\"hers\",\"api_key\":\"********"
                                      "**\",\"base_url\":\"http://llm\"}},"
                                      "\"llm_profiles\":{\"profiles\":{\"fast\":{\"model\":\"quick\",\"api_"
                                      "key\":\"**********\",\"base_url\":null}},"
                                      "\"active\":null},\"mcp_config\":null}");
    front_free(&request);
    me(&request, "key-of-s1", "alice-key", "true");
    assert_int_equal(request.status, 200);
    assert_non_null(strstr(request.body, "\"llm_api_key\":\"sk-hers\""));
    assert_non_null(strstr(request.body, "\"fast\":{\"model\":\"quick\",\"api_key\":\"sk-quick\""));
    assert_non_null(strstr(request.reply_headers, "Cache-Control: no-store\n"));
    front_free(&request);

    me_refused(NULL, "alice-key", 401, "X-Session-API-Key header is required");
    me_refused("wrong", "alice-key", 401, "Invalid session API key");
    me_refused("key-of-s1", "ops-key", 403, "Session API key does not belong to the authenticated user");
    me_refused("key-of-s1", NULL, 401, "Unauthorized");
    sandbox->status = SANDBOX_PAUSED;
    me_refused("key-of-s1", "alice-key", 401, "Sandbox is not running");
}

static void nothing_configured_is_nothing_and_no_error(void **state)
{
    (void)state;
    world_add("s1", NULL);
    world.config.llms_len = 0;
    struct http_request request;
    me(&request, "key-of-s1", NULL, "true");
    assert_int_equal(request.status, 200);
    assert_string_equal(request.body,
                        "{\"id\":null,\"llm_model\":null,\"llm_api_key\":null,\"llm_base_url\":null,"
                        "\"agent_settings\":{},\"llm_profiles\":{\"profiles\":{},\"active\":null},"
                        "\"mcp_config\":null}");
    front_free(&request);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_the_sandboxs_own_key_opens_its_secrets),
        TEST(the_first_that_is_for_the_sandbox_counts),
        TEST(without_keys_there_is_one_user),
        TEST(a_user_sees_their_model_and_its_key_only_with_a_sandbox_of_theirs),
        TEST(nothing_configured_is_nothing_and_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
