/* Minor versions of the ABI: that a plugin built against 1.0 goes on working, and what 1.1 brought. */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct backend *trivial(struct harness *harness, const char *options)
{
    struct config *config = harness_config(harness);
    harness_add(config, "t", "trivial", options);
    assert_true(harness_apply(harness, config));
    return backend_set_find(harness->set, "t");
}

/* ---- 1.0 ---- */

static void a_plugin_of_the_frozen_1_0_headers_works_with_this_host(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "h", "hello_1_0", "{}");
    assert_true(harness_apply(harness, config));
    struct backend *backend = backend_set_find(harness->set, "h");
    assert_int_equal(backend->plugin.abi_minor, 0);
    assert_true(backend->abi.host->abi_minor > 0);
    harness_start(harness, backend, "s1", 1000);
    harness_start(harness, backend, "s2", 1000);
    RUN_UNTIL(harness, harness_count(harness, "start done") == 2);
    harness_act(harness, backend, BACKEND_PAUSE, "s2", 1000);
    harness_act(harness, backend, BACKEND_REMOVE, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "pause done") && harness_saw(harness, "remove done"));
    harness_act(harness, backend, BACKEND_RESUME, "s2", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "resume done"));
    buffer_clear(&harness->seen);
    harness_list(harness, backend);
    RUN_UNTIL(harness, harness_saw(harness, "list done"));
    assert_string_equal(buffer_text(&harness->seen), "h: report s2 2\nlist done\n");
    assert_string_equal(backend_id_prefix(backend), "");
}

static void nothing_is_read_beyond_what_a_report_has_of_its_size(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = trivial(harness, "{}");
    struct sbx_observation full = {.state = SBX_STATE_RUNNING, .sandbox_id = "s1", .exit_code = -1};
    full.size = offsetof(struct sbx_observation, agent_url); /* of 1.0 */
    full.agent_url = "http://127.0.0.1:1";                   /* what may follow in memory */
    backend->abi.host->report(&backend->abi, &full);
    struct sbx_observation *exact = malloc(full.size); /* nothing follows: the sanitizer would tell */
    memcpy(exact, &full, full.size);
    exact->sandbox_id = "s2";
    backend->abi.host->report(&backend->abi, exact);
    free(exact);
    RUN_UNTIL(harness, harness_saw(harness, "t: report s2 2"));
    assert_string_equal(buffer_text(&harness->seen), "t: report s1 2\nt: report s2 2\n");
    full.size--;
    full.sandbox_id = "s3";
    backend->abi.host->report(&backend->abi, &full);
    assert_true(harness_logged(harness, "a report of the plugin is refused: it is null or gives no size"));
}

/* ---- 1.1 ---- */

static void an_agent_url_is_passed_on_of_what_runs(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = trivial(harness, "{}");
    struct sbx_observation report = {.size = sizeof report,
                                     .state = SBX_STATE_RUNNING,
                                     .sandbox_id = "s1",
                                     .exit_code = -1,
                                     .agent_url = "http://host.docker.internal:8000"};
    backend->abi.host->report(&backend->abi, &report);
    report.state = SBX_STATE_PAUSED;
    report.agent_url = "what is not looked at";
    backend->abi.host->report(&backend->abi, &report);
    RUN_UNTIL(harness, harness_saw(harness, "t: report s1 3"));
    assert_string_equal(buffer_text(&harness->seen),
                        "t: report s1 2 agent_url=http://host.docker.internal:8000\nt: report s1 3\n");
}

static void urls_of_what_does_not_run_are_looked_at_in_1_1_reports_only(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = trivial(harness, "{}");
    struct sbx_url url = {.name = "AGENT_SERVER", .url = "http://127.0.0.1:1"};
    struct sbx_observation report = {.sandbox_id = "s1", .exit_code = -1};
    for (uint32_t is = SBX_STATE_STARTING; is <= SBX_STATE_GONE; is++) {
        if (is == SBX_STATE_RUNNING)
            continue;
        report.state = is;
        report.size = sizeof report;
        report.urls = &url;
        report.urls_count = 1;
        backend->abi.host->report(&backend->abi, &report);
        report.size =
            offsetof(struct sbx_observation, agent_url); /* of 1.0, which may have anything in there */
        report.urls = NULL;
        report.urls_count = 77;
        backend->abi.host->report(&backend->abi, &report);
    }
    RUN_UNTIL(harness, harness_count(harness, "t: report s1") == 12);
    const char *seen = buffer_text(&harness->seen);
    for (uint32_t is = SBX_STATE_STARTING; is <= SBX_STATE_GONE; is++) {
        char line[64];
        bool told = is == SBX_STATE_STARTING || is == SBX_STATE_PAUSED || is == SBX_STATE_STOPPED;
        snprintf(line, sizeof line, "t: report s1 %u AGENT_SERVER=http://127.0.0.1:1:0\n", is);
        assert_int_equal(strstr(seen, line) != NULL, told);
    }
}

static void a_key_that_the_technology_chose_is_passed_on(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = trivial(harness, "{}");
    struct sbx_observation report = {.size = sizeof report,
                                     .state = SBX_STATE_PAUSED,
                                     .sandbox_id = "s1",
                                     .exit_code = -1,
                                     .session_key = "theirs",
                                     .flags = SBX_OBSERVED_KEY | 1u << 31};
    backend->abi.host->report(&backend->abi, &report);
    RUN_UNTIL(harness, harness_saw(harness, "t: report s1 3 key=theirs"));
    report.session_key = "two words";
    backend->abi.host->report(&backend->abi, &report);
    assert_true(harness_logged(harness, "it brings a session_key that is missing, empty, or has blanks"));
    report.flags = 0; /* not brought: for one without a record, as in 1.0 */
    backend->abi.host->report(&backend->abi, &report);
    RUN_UNTIL(harness, harness_count(harness, "t: report s1 3") == 2);
}

static void what_never_ran_is_told_of_what_has_ended_alone(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = trivial(harness, "{}");
    struct sbx_observation report = {.size = sizeof report,
                                     .state = SBX_STATE_RUNNING,
                                     .sandbox_id = "s1",
                                     .exit_code = -1,
                                     .flags = SBX_OBSERVED_UNUSED};
    for (uint32_t is = SBX_STATE_STARTING; is <= SBX_STATE_GONE; is++) {
        report.state = is;
        backend->abi.host->report(&backend->abi, &report);
    }
    char line[32];
    snprintf(line, sizeof line, "t: report s1 %u", SBX_STATE_GONE);
    RUN_UNTIL(harness, harness_saw(harness, line));
    for (uint32_t is = SBX_STATE_STARTING; is <= SBX_STATE_GONE; is++) {
        snprintf(line, sizeof line, "t: report s1 %u unused", is);
        assert_int_equal(harness_saw(harness, line), is == SBX_STATE_ENDED || is == SBX_STATE_FAILED);
    }
}

static void an_image_is_asked_for_where_the_plugin_can_tell(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = trivial(harness, "{}");
    assert_true(backend_isolates(backend));
    harness_image(harness, backend, "some:tag");
    RUN_UNTIL(harness, harness_saw(harness, "image done"));
    assert_true(strstr(buffer_text(&harness->seen), "image done {\"exists\":true,") != NULL);
    struct config *config = harness_config(harness);
    harness_add(config, "h", "hello_1_0", "{}");
    assert_true(harness_apply(harness, config));
    backend = backend_set_find(harness->set, "h");
    assert_false(backend_isolates(backend));
    harness_image(harness, backend, "some:tag");
    RUN_UNTIL(harness, harness_saw(harness, "image 6 UNSUPPORTED: The backend has no such operation."));
}

static void a_prefix_of_ids_is_kept_with_its_instance(void **state)
{
    struct harness *harness = *state;
    static const char longest[] = "a-b_c.ddddddddddddddddddddddddddddddddddddddddddddddddddddddddd";
    assert_int_equal(strlen(longest), BACKEND_ID_PREFIX_MAX);
    char options[128];
    snprintf(options, sizeof options, "{\"id_prefix\": \"%s\"}", longest);
    struct backend *before = backend_ref(trivial(harness, options));
    assert_string_equal(backend_id_prefix(before), longest);
    assert_string_equal(backend_id_prefix(trivial(harness, "{\"id_prefix\": \"oh-\"}")), "oh-");
    assert_string_equal(backend_id_prefix(before), longest);
    backend_unref(before);
}

static void how_readiness_is_found_out_is_kept_with_its_instance(void **state)
{
    struct harness *harness = *state;
    struct backend *before = backend_ref(trivial(harness, "{}"));
    assert_null(backend_default_health_path(before));
    assert_null(backend_default_health_body(before));
    struct backend *backend =
        trivial(harness, "{\"health_path\": \"/alive\", \"health_body\": \"{\\\"status\\\":\\\"ok\\\"}\"}");
    assert_string_equal(backend_default_health_path(backend), "/alive");
    assert_string_equal(backend_default_health_body(backend), "{\"status\":\"ok\"}");
    backend = trivial(harness, "{\"health_path\": \"\"}");
    assert_null(backend_default_health_path(backend));
    static const char *const wrong[] = {
        "{\"health_path\": \"alive\"}",
        "{\"health_path\": \"/a b\"}",
        "{\"health_body\": \"[]\"}",
        "{\"health_body\": \"{'a': 1}\"}",
        "{\"health_body\": \"{\\\"a\\\":{}}\"}",
        "{\"health_body\": \"{\\\"a\\\":[]}\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        backend = trivial(harness, wrong[i]);
        assert_null(backend_default_health_path(backend));
        assert_null(backend_default_health_body(backend));
    }
    assert_true(harness_logged(harness, "the plugin's path for health checks is neither empty nor"));
    assert_true(harness_logged(harness, "the plugin's body for health checks is no JSON object of at most"));
    assert_null(backend_default_health_path(before));
    backend_unref(before);
}

static void an_interval_for_polling_is_kept_with_its_instance(void **state)
{
    struct harness *harness = *state;
    assert_int_equal(backend_polling_ms(trivial(harness, "{}")), 0);
    assert_int_equal(backend_polling_ms(trivial(harness, "{\"polling\": 100}")), 100);
    assert_int_equal(backend_polling_ms(trivial(harness, "{\"polling\": 86400000}")), 86400000);
    assert_int_equal(backend_polling_ms(trivial(harness, "{\"polling\": 99}")), 0);
    assert_true(
        harness_logged(harness, "polling interval of 99 ms is not between 100 and 86400000 ms; ignored"));
}

static void a_start_that_gets_on_may_take_longer_than_its_timeout(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "progress"); /* for 400 ms */
    harness_start(harness, backend, "s1", 200);
    RUN_UNTIL(harness, harness_count(harness, "start") == 1);
    assert_true(harness_saw(harness, "start done"));
}

struct asked {
    const struct sbx_host *host;
    int enabled[6];
};

static void *ask_levels(void *arg)
{
    struct asked *asked = arg;
    for (int level = -1; level < 5; level++)
        asked->enabled[level + 1] = asked->host->log_enabled((enum sbx_log_level)level);
    return NULL;
}

static void any_thread_is_told_whether_a_line_would_be_written(void **state)
{
    struct harness *harness = *state;
    static const int at_info[] = {1, 1, 1, 1, 0, 0}, at_debug[] = {1, 1, 1, 1, 1, 1};
    struct asked asked = {.host = trivial(harness, "{}")->abi.host};
    pthread_t thread;
    ask_levels(&asked);
    assert_memory_equal(asked.enabled, at_debug, sizeof at_debug);
    log_configure(LOG_INFO, false);
    assert_int_equal(pthread_create(&thread, NULL, ask_levels, &asked), 0);
    pthread_join(thread, NULL);
    assert_memory_equal(asked.enabled, at_info, sizeof at_info);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plugin_of_the_frozen_1_0_headers_works_with_this_host),
        TEST(nothing_is_read_beyond_what_a_report_has_of_its_size),
        TEST(an_agent_url_is_passed_on_of_what_runs),
        TEST(urls_of_what_does_not_run_are_looked_at_in_1_1_reports_only),
        TEST(a_key_that_the_technology_chose_is_passed_on),
        TEST(what_never_ran_is_told_of_what_has_ended_alone),
        TEST(an_image_is_asked_for_where_the_plugin_can_tell),
        TEST(an_interval_for_polling_is_kept_with_its_instance),
        TEST(how_readiness_is_found_out_is_kept_with_its_instance),
        TEST(a_prefix_of_ids_is_kept_with_its_instance),
        TEST(a_start_that_gets_on_may_take_longer_than_its_timeout),
        TEST(any_thread_is_told_whether_a_line_would_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
