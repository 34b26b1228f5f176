/* test_options.c: each option of the remote backend: what is taken, and what is told about what is not. */
#include "options.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char complaints[8192], warnings[8192];

static void add(char *to, size_t size, const char *path, const char *message)
{
    size_t used = strlen(to);
    snprintf(to + used, size - used, "%s: %s\n", path, message);
}

static void on_error(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    add(complaints, sizeof complaints, path, message);
}

static void on_warning(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    add(warnings, sizeof warnings, path, message);
}

static int parse_at(struct options *options, const char *public_url, const char *text)
{
    static struct sbx_host host = {
        .size = sizeof host, .option_error = on_error, .option_warning = on_warning};
    static char check;
    host.json = json_table();
    struct sbx_backend_config config = {
        .size = sizeof config, .options_json = text, .options_len = strlen(text), .public_url = public_url};
    complaints[0] = warnings[0] = '\0';
    return options_parse(options, &host, (struct sbx_check *)(void *)&check, &config, NULL);
}

static int parse(struct options *options, const char *text)
{
    return parse_at(options, NULL, text);
}

static void only_the_url_is_needed(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "{\"api_url\": \"https://runtime.example.com/\", \"api_key\": \"k\"}"),
                     0);
    assert_string_equal(complaints, "");
    assert_string_equal(warnings, "");
    assert_string_equal(options.api_url, "https://runtime.example.com");
    assert_int_equal(options.resource_factor, 1);
    assert_false(options.sysbox);
    assert_int_equal(options.start_timeout_ms, 120000);
    assert_int_equal(options.polling_interval_ms, 0);
    assert_int_equal(options.refresh_interval_ms, 15000);
    assert_int_equal(options.timeout_ms, 15000);
    assert_int_equal(options.max_in_flight, 16);
    assert_int_equal(options.run_as_user, 10001);
    assert_int_equal(options.run_as_group, 10001);
    assert_int_equal(options.fs_group, 10001);
    assert_int_equal(options.on_shutdown, SBX_SHUTDOWN_KEEP);
    assert_null(options.webhook_base);
    options_finish(&options);
}

static void every_option_is_taken(void **state)
{
    (void)state;
    struct options options;
    int result = parse_at(
        &options, "https://me.example.com/",
        "{\"api_url\": \"https://[::1]:8443/runtime-api//\", \"api_key\": \"k\", \"resource_factor\": 8, "
        "\"runtime_class\": \"sysbox\", \"start_sandbox_timeout\": \"5m\", \"polling_interval\": 1, "
        "\"refresh_interval\": \"2s\", "
        "\"max_in_flight\": 256, \"timeout\": \"500ms\", \"run_as_user\": 0, \"run_as_group\": 1, "
        "\"fs_group\": 2, "
        "\"tls\": {\"ca\": \"/dev/null\", \"cert\": \"/dev/null\", \"key\": \"/dev/zero\"}, \"on_shutdown\": "
        "\"pause\"}");
    assert_string_equal(complaints, "");
    assert_int_equal(result, 0);
    assert_string_equal(options.api_url, "https://[::1]:8443/runtime-api");
    assert_int_equal(options.resource_factor, 8);
    assert_true(options.sysbox);
    assert_int_equal(options.start_timeout_ms, 300000);
    assert_int_equal(options.polling_interval_ms, 1000);
    assert_int_equal(options.refresh_interval_ms, 2000);
    assert_int_equal(options.max_in_flight, 256);
    assert_int_equal(options.timeout_ms, 500);
    assert_true(options.run_as_user == 0 && options.run_as_group == 1 && options.fs_group == 2);
    assert_string_equal(options.tls_key, "/dev/zero");
    assert_int_equal(options.on_shutdown, SBX_SHUTDOWN_PAUSE);
    assert_string_equal(options.webhook_base, "https://me.example.com/api/v1/webhooks");
    options_finish(&options);
}

static void an_interval_for_polling_that_is_never_used_is_told(void **state)
{
    (void)state;
    struct options options;
    static const char text[] =
        "{\"api_url\": \"https://a\", \"api_key\": \"k\", \"polling_interval\": \"5s\"}";
    assert_int_equal(parse_at(&options, "https://me.example.com", text), 0);
    assert_non_null(strstr(warnings, "polling_interval: is how often agent servers are asked"));
    assert_non_null(strstr(warnings, "refresh_interval"));
    options_finish(&options);
    assert_int_equal(parse_at(&options, NULL, text), 0);
    assert_string_equal(warnings, "");
    options_finish(&options);
}

static void what_is_wrong_is_told_at_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"{}", "api_url: "},
        {"{\"api_url\": \"runtime.example.com\"}", "api_url: "},
        {"{\"api_url\": \"ftp://a\"}", "api_url: "},
        {"{\"api_url\": \"https://user:secret@a\"}", "api_url: "},
        {"{\"api_url\": \"https://a?b=secret\"}", "api_url: "},
        {"{\"api_url\": \"https://a:0\"}", "api_url: "},
        {"{\"api_url\": \"https://a b\"}", "api_url: "},
        {"{\"api_url\": \"https://a\", \"api_key\": \"a secret\"}", "api_key: "},
        {"{\"api_url\": \"https://a\", \"api_key\": \"secret\\nX: y\"}", "api_key: "},
        {"{\"api_url\": \"https://a\", \"resource_factor\": 3}", "resource_factor: must be 1, 2, 4 or 8"},
        {"{\"api_url\": \"https://a\", \"resource_factor\": 16}", "resource_factor: "},
        {"{\"api_url\": \"https://a\", \"runtime_class\": \"runc\"}",
         "runtime_class: must be gvisor or sysbox"},
        {"{\"api_url\": \"https://a\", \"max_in_flight\": 0}", "max_in_flight: "},
        {"{\"api_url\": \"https://a\", \"timeout\": \"1ms\"}",
         "timeout: must be a duration such as 500ms or 10s, from 100ms to 600s"},
        {"{\"api_url\": \"https://a\", \"tls\": {\"cert\": \"/dev/null\"}}", "tls: cert and key"},
        {"{\"api_url\": \"https://a\", \"tls\": {\"ca\": \"/nowhere\"}}", "tls.ca: "},
        {"{\"api_url\": \"https://a\", \"tls\": {\"ca\": \"/\"}}", "tls.ca: / is a folder"},
        {"{\"api_url\": \"http://localhost\", \"tls\": {\"ca\": \"/dev/null\"}}", "tls: is for"},
        {"{\"api_url\": \"https://a\", \"on_shutdown\": \"die\"}", "on_shutdown: "},
        {"{\"api_url\": \"https://a\", \"web_url\": \"x\"}", "web_url: unknown option"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse(&options, cases[i].text), -1);
        if (strncmp(complaints, cases[i].path, strlen(cases[i].path)) != 0 || strstr(complaints, "secret"))
            fail_msg("%s: %s", cases[i].text, complaints);
        options_finish(&options);
    }
}

static void one_mistake_is_told_once(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"{\"api_url\": \"\"}", "api_url: must be a text that is not empty\n"},
        {"{\"api_url\": 5}", "api_url: must be a text that is not empty\n"},
        {"{\"api_url\": \"https://a\", \"api_key\": \"\"}", "api_key: must be a text that is not empty\n"},
        {"{\"api_url\": \"https://a\", \"api_key\": \"k\", "
         "\"tls\": {\"cert\": \"/dev/null\", \"key\": \"its.key\"}}",
         "tls.key: must be an absolute path of at most 1024 bytes\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse(&options, cases[i].text), -1);
        assert_string_equal(complaints, cases[i].complaint);
        assert_string_equal(warnings, "");
        options_finish(&options);
    }
}

static void reports_that_can_not_arrive_are_warned_of(void **state)
{
    (void)state;
    static const char far[] = "{\"api_url\": \"https://runtime.example.com\", \"api_key\": \"k\"}";
    static const char here[] = "{\"api_url\": \"http://127.0.0.1:3001/runtime-api\"}";
    struct options options;
    assert_int_equal(parse_at(&options, "http://127.0.0.1:3000", far), 0);
    assert_non_null(strstr(warnings, "server.public_url"));
    options_finish(&options);
    assert_int_equal(parse_at(&options, "https://me.example.com", far), 0);
    assert_string_equal(warnings, "");
    options_finish(&options);
    assert_int_equal(parse_at(&options, "http://localhost:3000", here), 0);
    assert_string_equal(warnings, "");
    options_finish(&options);
}

static void what_is_unsafe_is_warned_of_unless_it_stays_on_this_machine(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "{\"api_url\": \"http://runtime.example.com\"}"), 0);
    assert_non_null(strstr(warnings, "api_url: is http"));
    assert_non_null(strstr(warnings, "api_key: is missing"));
    options_finish(&options);
    static const char *const local[] = {"http://localhost:1/a", "http://127.1.2.3", "http://[::1]:80"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"api_url\": \"%s\"}", local[i]);
        assert_int_equal(parse(&options, text), 0);
        assert_string_equal(warnings, "");
        options_finish(&options);
    }
    assert_int_equal(parse(&options, "{\"api_url\": \"http://127.0.0.1.example.com\", \"api_key\": \"k\"}"),
                     0);
    assert_non_null(strstr(warnings, "api_url: is http"));
    options_finish(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_url_is_needed),
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(an_interval_for_polling_that_is_never_used_is_told),
        cmocka_unit_test(what_is_wrong_is_told_at_its_place),
        cmocka_unit_test(one_mistake_is_told_once),
        cmocka_unit_test(reports_that_can_not_arrive_are_warned_of),
        cmocka_unit_test(what_is_unsafe_is_warned_of_unless_it_stays_on_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
