/* Which requests a web page could have sent, and what the pages of configured origins are told. */
#include "api/guard.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

static const char *hosts[] = {"box", "*.corp.example", "192.0.2.7", "fd00::7"};
static const char *origins[] = {"https://app.example", "http://localhost:5173"};

static int setup(void **state)
{
    world_setup(state);
    world.config.hosts = hosts;
    world.config.hosts_len = 4;
    world.config.cors_origins = origins;
    world.config.cors_origins_len = 2;
    world.config.public_url = "https://public.example:8443/base";
    return 0;
}

static void assert_verdict(const struct guard_facts *facts, enum guard_verdict verdict, const char *what)
{
    enum guard_verdict given = guard_judge(&world.config, facts);
    if (given != verdict)
        fail_msg("%s: %d instead of %d", what, given, verdict);
}

static void only_own_names_are_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool own;
    } rows[] = {
        {"localhost", true},
        {"localhost:3000", true},
        {"LocalHost.:1", true},
        {"a.localhost", true},
        {"127.0.0.1:3000", true},
        {"127.1.2.3", true},
        {"[::1]:3000", true},
        {"[::ffff:127.0.0.1]", true},
        {"box:99", true},
        {"BOX", true},
        {"a.corp.example", true},
        {"a.b.corp.example:1", true},
        {"192.0.2.7:80", true},
        {"[fd00::7]", true},
        {"[fd00:0::7]:1", true},
        {"public.example", true},
        {"public.example:8443", true},
        {"", false},
        {":3000", false},
        {"evil.example", false},
        {"localhost.evil.example", false},
        {"notlocalhost", false},
        {".localhost", false},
        {"127.0.0.1.evil.example", false},
        {"128.0.0.1", false},
        {"0.0.0.0:3000", false},
        {"[::]", false},
        {"corp.example", false},
        {"evilcorp.example", false},
        {"box.evil.example", false},
        {"box.", true},
        {"fd00", false},
        {"[::2]", false},
        {"192.0.2.8", false},
        {"127.1", false},
        {"2130706433", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guard_facts facts = {.access = ACCESS_USER, .host = rows[i].host};
        assert_verdict(&facts, rows[i].own ? GUARD_PASS : GUARD_HOST, rows[i].host);
    }
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_verdict(&(struct guard_facts){.access = ACCESS_USER, .host = longest}, GUARD_HOST, "a long one");
    assert_verdict(&(struct guard_facts){.access = ACCESS_USER}, GUARD_PASS, "HTTP/1.0 without one");
}

static void a_page_gives_itself_away(void **state)
{
    (void)state;
    static const struct {
        const char *host, *origin, *fetch_site;
        bool tls;
        enum guard_verdict verdict;
    } rows[] = {
        {"localhost:3000", "http://localhost:3000", "same-origin", false, GUARD_PASS},
        {"localhost:3000", "https://localhost:3000", NULL, false, GUARD_PASS},
        {"LOCALHOST:3000", "http://localhost:3000", NULL, false, GUARD_PASS},
        {"localhost", "http://localhost", "same-origin", false, GUARD_PASS},
        {"localhost:80", "http://localhost", NULL, false, GUARD_PASS},
        {"localhost", "https://localhost:443", NULL, true, GUARD_PASS},
        {"localhost:3000", NULL, "none", false, GUARD_PASS},
        {"localhost:3000", "https://app.example", "cross-site", false, GUARD_PASS},
        {"localhost:3000", "http://localhost:5173", "same-site", false, GUARD_PASS},
        {"localhost:3000", "http://localhost:3001", "same-site", false, GUARD_ORIGIN},
        {"localhost:3000", "http://127.0.0.1:3000", NULL, false, GUARD_ORIGIN},
        {"localhost", "http://localhost", NULL, true, GUARD_ORIGIN},
        {"localhost:3000", "null", NULL, false, GUARD_ORIGIN},
        {"localhost:3000", "", NULL, false, GUARD_ORIGIN},
        {"localhost:3000", "http://", NULL, false, GUARD_ORIGIN},
        {"localhost:3000", "ftp://localhost:3000", NULL, false, GUARD_ORIGIN},
        {"localhost:3000", "https://app.example.evil", NULL, false, GUARD_ORIGIN},
        {"localhost:3000", "https://app.example, https://app.example", NULL, false, GUARD_ORIGIN},
        {"localhost:3000", NULL, "cross-site", false, GUARD_ORIGIN},
        {"localhost:3000", NULL, "same-site", false, GUARD_ORIGIN},
        {"localhost:3000", NULL, "none, cross-site", false, GUARD_ORIGIN},
        {"localhost:3000", "http://localhost:3000", "cross-site", false, GUARD_ORIGIN},
        {NULL, "http://localhost:3000", NULL, false, GUARD_ORIGIN},
        {"evil.example", "https://app.example", NULL, false, GUARD_HOST},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guard_facts facts = {.access = ACCESS_USER,
                                          .host = rows[i].host,
                                          .origin = rows[i].origin,
                                          .fetch_site = rows[i].fetch_site,
                                          .tls = rows[i].tls};
        char what[32];
        snprintf(what, sizeof what, "row %zu", i);
        assert_verdict(&facts, rows[i].verdict, what);
    }
}

static void what_is_exempt_from_what(void **state)
{
    (void)state;
    struct guard_facts facts = {
        .access = ACCESS_OPEN, .host = "evil.example", .origin = "https://evil.example"};
    assert_verdict(&facts, GUARD_PASS, "/health");
    facts.access = ACCESS_SESSION;
    assert_verdict(&facts, GUARD_ORIGIN, "a webhook of a page");
    facts.origin = NULL;
    assert_verdict(&facts, GUARD_PASS, "a webhook");
    facts.access = ACCESS_PROBE;
    assert_verdict(&facts, GUARD_HOST, "/ready");
    facts.access = ACCESS_USER;
    facts.carries_key = true;
    assert_verdict(&facts, GUARD_HOST, "a header that means nothing without keys");
    facts.unix_socket = true;
    assert_verdict(&facts, GUARD_PASS, "a unix socket");
}

static void with_keys_the_rules_are_for_what_needs_no_preflight(void **state)
{
    (void)state;
    world_use_keys();
    struct guard_facts facts = {.access = ACCESS_USER, .host = "evil.example", .carries_key = true};
    assert_verdict(&facts, GUARD_PASS, "with a key, whatever the name");
    facts.origin = "https://evil.example";
    assert_verdict(&facts, GUARD_PASS, "with a key, whatever the origin");
    facts.carries_key = false;
    assert_verdict(&facts, GUARD_HOST, "without a key");
    facts.host = "localhost";
    assert_verdict(&facts, GUARD_ORIGIN, "of a page");
    facts = (struct guard_facts){.access = ACCESS_PROBE, .host = "192.0.2.99:3000"};
    assert_verdict(&facts, GUARD_PASS, "/ready by its address");
    facts.fetch_site = "cross-site";
    assert_verdict(&facts, GUARD_ORIGIN, "/ready of a page");
    facts = (struct guard_facts){
        .access = ACCESS_USER, .host = "any.example", .origin = "https://app.example", .preflight = true};
    assert_verdict(&facts, GUARD_PASS, "the preflight of a configured origin");
    facts.origin = "https://evil.example";
    assert_verdict(&facts, GUARD_HOST, "the preflight of another");
}

static void a_body_is_json_by_its_type(void **state)
{
    (void)state;
    static const char *const right[] = {"application/json", "APPLICATION/JSON; charset=utf-8",
                                        "application/json ;x", "application/problem+json",
                                        "application/vnd.x+JSON;v=1"};
    static const char *const wrong[] = {"",
                                        "text/plain",
                                        "text/plain; application/json",
                                        "text/plain;+json",
                                        "application/json, text/plain",
                                        "application/jsonp",
                                        "application/x-www-form-urlencoded",
                                        "multipart/form-data; boundary=application/json",
                                        "+json",
                                        "json",
                                        "application/json text/plain",
                                        "text/plain,x/+json"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        if (!guard_is_json(right[i]))
            fail_msg("%s", right[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (guard_is_json(wrong[i]))
            fail_msg("%s", wrong[i]);
    assert_false(guard_is_json(NULL));
}

static void refusals_say_which_key_to_set(void **state)
{
    (void)state;
    struct http_request request = {.headers = {{"Host", "evil.example"}}};
    world_request(&request, "POST", "/api/v1/sandboxes");
    assert_int_equal(request.status, 403);
    assert_non_null(strstr(front_detail(&request), "'evil.example'"));
    assert_non_null(strstr(front_detail(&request), "server.hosts"));
    front_free(&request);
    request = (struct http_request){.headers = {{"Host", "localhost"}, {"Origin", "null"}}};
    world_request(&request, "GET", "/api/v1/sandboxes/search");
    assert_int_equal(request.status, 403);
    assert_non_null(strstr(front_detail(&request), "server.cors_origins"));
    assert_null(strstr(request.reply_headers, "Access-Control"));
    assert_non_null(strstr(request.reply_headers, "Vary: Origin\n"));
    front_free(&request);
    request = (struct http_request){.headers = {{"Host", "localhost"}}, .has_body = true, .no_type = true};
    world_request(&request, "POST", "/api/v1/sandboxes");
    front_deliver_body(&request, "{}");
    assert_int_equal(request.status, 415);
    assert_non_null(strstr(front_detail(&request), "application/json"));
    assert_int_equal(world.calls, 0);
    front_free(&request);
}

static void pages_of_configured_origins_see_their_answers(void **state)
{
    (void)state;
    static const char expected[] = "Vary: Origin\nAccess-Control-Allow-Origin: https://app.example\n"
                                   "Access-Control-Expose-Headers: Allow, Retry-After, X-Request-ID\n";
    static const char *const paths[] = {"/api/v1/sandboxes/search", "/api/v1/sandboxes/none", "/nowhere"};
    for (size_t i = 0; i < 3; i++) {
        struct http_request request = {.headers = {{"Host", "localhost"}, {"Origin", "https://app.example"}}};
        world_request(&request, "GET", paths[i]);
        assert_int_equal(request.status, i == 0 ? 200 : 404);
        assert_string_equal(request.reply_headers, expected);
        front_free(&request);
    }
    struct http_request log = {.headers = {{"Host", "localhost"}, {"Origin", "https://app.example"}}};
    world_add("s1", NULL);
    world_request(&log, "GET", "/api/v1/sandboxes/s1/logs");
    world.operations[0].done(world.operations[0].arg, NULL, NULL, 0);
    assert_true(log.streaming);
    assert_non_null(strstr(log.reply_headers, "Access-Control-Allow-Origin: https://app.example\n"));
    front_free(&log);
}

static void a_preflight_is_answered_for_configured_origins_alone(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {.headers = {{"Host", "other.example"},
                                               {"Origin", "https://app.example"},
                                               {"Access-Control-Request-Method", "DELETE"},
                                               {"Access-Control-Request-Headers", "authorization"}}};
    world_request(&request, "OPTIONS", "/api/v1/sandboxes/s1");
    assert_int_equal(request.status, 204);
    assert_non_null(strstr(request.reply_headers, "Access-Control-Allow-Origin: https://app.example\n"));
    assert_non_null(
        strstr(request.reply_headers, "Access-Control-Allow-Methods: GET, HEAD, DELETE, OPTIONS\n"));
    assert_non_null(
        strstr(request.reply_headers, "Access-Control-Allow-Headers: Authorization, Content-Type"));
    assert_null(strstr(request.reply_headers, "Credentials"));
    front_free(&request);
    request = (struct http_request){.headers = {{"Host", "localhost"},
                                                {"Origin", "https://evil.example"},
                                                {"Access-Control-Request-Method", "DELETE"}}};
    world_request(&request, "OPTIONS", "/api/v1/sandboxes/s1");
    assert_int_equal(request.status, 403);
    assert_null(strstr(request.reply_headers, "Access-Control"));
    front_free(&request);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_own_names_are_hosts),
        TEST(a_page_gives_itself_away),
        TEST(what_is_exempt_from_what),
        TEST(with_keys_the_rules_are_for_what_needs_no_preflight),
        TEST(a_body_is_json_by_its_type),
        TEST(refusals_say_which_key_to_set),
        TEST(pages_of_configured_origins_see_their_answers),
        TEST(a_preflight_is_answered_for_configured_origins_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
