/* test_runtime.c: what is read of a runtime, what is refused, and what its statuses mean. */
#include "plugin/json.h"
#include "runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static sbx_json *value;

static int read_text(struct runtime *runtime, const char *text)
{
    static struct sbx_error error;
    const struct sbx_json_api *json = json_table();
    json->free(value);
    value = json->parse(text, strlen(text), NULL);
    assert_non_null(value);
    int result = runtime_read(runtime, json, value, "abc", &error);
    assert_true(result == 0 || (error.kind == SBX_ERR_REFUSED && strstr(error.message, "makes no sense")));
    return result;
}

static int drop(void **state)
{
    (void)state;
    json_table()->free(value);
    value = NULL;
    return 0;
}

static void a_whole_one_is_read(void **state)
{
    (void)state;
    struct runtime runtime;
    assert_int_equal(
        read_text(&runtime,
                  "{\"runtime_id\": \"r1\", \"session_id\": \"abc\", \"url\": \"https://r1.example.com\", "
                  "\"session_api_key\": \"key\", \"status\": \"running\", \"pod_status\": \"ready\", "
                  "\"status_detail\": \"fine\", \"restart_count\": 3, \"restart_reasons\": [\"Error\"], "
                  "\"pod_logs\": \"a\\nb\", \"work_hosts\": {\"https://w2\": 12001, \"https://w1\": 12000, "
                  "\"x\": 12000, "
                  "\"https://other\": 80}, \"container_statuses\": [{}], \"events\": null}"),
        0);
    assert_string_equal(runtime.runtime_id, "r1");
    assert_string_equal(runtime.url, "https://r1.example.com");
    assert_string_equal(runtime.key, "key");
    assert_string_equal(runtime.detail, "fine");
    assert_string_equal(runtime.logs, "a\nb");
    assert_string_equal(runtime.worker[0], "https://w1");
    assert_string_equal(runtime.worker[1], "https://w2");
    assert_int_equal(runtime.state, SBX_STATE_RUNNING);
    assert_true(runtime.ready && !runtime.stopped && !runtime.crashed && !runtime.out_of_memory);
    assert_int_equal(runtime.restart_count, 3);
}

static void only_its_id_must_be_there(void **state)
{
    (void)state;
    struct runtime runtime;
    assert_int_equal(read_text(&runtime,
                               "{\"runtime_id\": \"r\", \"url\": \"\", \"session_api_key\": null, "
                               "\"pod_status\": null, \"restart_count\": \"many\", \"pod_logs\": [1], "
                               "\"work_hosts\": [], \"restart_reasons\": {\"a\": 1}}"),
                     0);
    assert_true(!runtime.url && !runtime.key && !runtime.detail && !runtime.logs);
    assert_int_equal(runtime.state, SBX_STATE_GONE);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[]",
        "\"running\"",
        "{}",
        "{\"runtime_id\": \"\"}",
        "{\"runtime_id\": 7}",
        "{\"runtime_id\": \"a b\"}",
        "{\"runtime_id\": \"r\", \"session_id\": \"abd\"}",
        "{\"runtime_id\": \"r\", \"session_id\": 1}",
        "{\"runtime_id\": \"r\", \"url\": \"javascript:alert(1)\"}",
        "{\"runtime_id\": \"r\", \"url\": \"http://a b\"}",
        "{\"runtime_id\": \"r\", \"url\": \"http://\"}",
        "{\"runtime_id\": \"r\", \"url\": {}}",
        "{\"runtime_id\": \"r\", \"session_api_key\": \"a\\nb\"}",
        "{\"runtime_id\": \"r\", \"session_api_key\": true}",
        "{\"runtime_id\": \"r\", \"status\": 1}",
        "{\"runtime_id\": \"r\", \"pod_status\": []}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct runtime runtime;
        if (read_text(&runtime, texts[i]) == 0)
            fail_msg("taken: %s", texts[i]);
    }
    char text[400];
    struct runtime runtime;
    snprintf(text, sizeof text, "{\"runtime_id\": \"%0255d\"}", 0);
    assert_int_equal(read_text(&runtime, text), 0);
    snprintf(text, sizeof text, "{\"runtime_id\": \"%0256d\"}", 0);
    assert_int_equal(read_text(&runtime, text), -1);
}

static void pod_status_goes_before_status(void **state)
{
    (void)state;
    static const struct {
        const char *pod_status, *status;
        enum sbx_state state;
    } cases[] = {
        {"ready", "stopped", SBX_STATE_RUNNING},
        {"READY", "", SBX_STATE_RUNNING},
        {"pending", "running", SBX_STATE_STARTING},
        {"running", "running", SBX_STATE_STARTING},
        {"failed", "running", SBX_STATE_FAILED},
        {"unknown", "running", SBX_STATE_FAILED},
        {"CrashLoopBackOff", "", SBX_STATE_FAILED},
        {"not found", "paused", SBX_STATE_PAUSED},
        {"not found", "Running", SBX_STATE_RUNNING},
        {"", "starting", SBX_STATE_STARTING},
        {"", "error", SBX_STATE_FAILED},
        {"", "stopped", SBX_STATE_GONE},
        {"not found", "whatever", SBX_STATE_GONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct runtime runtime;
        char text[200];
        snprintf(text, sizeof text, "{\"runtime_id\": \"r\", \"pod_status\": \"%s\", \"status\": \"%s\"}",
                 cases[i].pod_status, cases[i].status);
        assert_int_equal(read_text(&runtime, text), 0);
        if (runtime.state != cases[i].state)
            fail_msg("%s: %d, not %d", text, (int)runtime.state, (int)cases[i].state);
    }
}

static uint64_t incarnation(const char *members)
{
    struct runtime runtime;
    char text[300];
    snprintf(text, sizeof text, "{\"runtime_id\": \"r\", %s}", members);
    assert_int_equal(read_text(&runtime, text), 0);
    return runtime_incarnation(&runtime);
}

static void each_run_has_an_incarnation_of_its_own(void **state)
{
    (void)state;
    uint64_t first = incarnation("\"url\": \"http://a\", \"session_api_key\": \"k\", \"restart_count\": 0");
    assert_true(first ==
                incarnation("\"url\": \"http://a\", \"session_api_key\": \"k\", \"status\": \"running\""));
    assert_true(first !=
                incarnation("\"url\": \"http://a\", \"session_api_key\": \"k\", \"restart_count\": 1"));
    assert_true(first !=
                incarnation("\"url\": \"http://a\", \"session_api_key\": \"l\", \"restart_count\": 0"));
    assert_true(first !=
                incarnation("\"url\": \"http://b\", \"session_api_key\": \"k\", \"restart_count\": 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one_is_read),
        cmocka_unit_test(only_its_id_must_be_there),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(pod_status_goes_before_status),
        cmocka_unit_test(each_run_has_an_incarnation_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, drop);
}
