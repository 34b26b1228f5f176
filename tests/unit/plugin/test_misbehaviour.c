/* What each thing that a plugin must not do leads to: its own operation fails, and nothing else happens. */
#include "harness.h"

#include <string.h>
#include <unistd.h>

static void completing_twice_is_ignored(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "complete_twice");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    harness_drain(harness);
    assert_int_equal(harness_count(harness, "start"), 1);
    assert_true(harness_logged(harness, "which has ended already; ignored"));
    assert_int_equal(backend_in_flight(backend), 0);
}

static void completing_what_was_never_asked_is_ignored(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "complete_bogus");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    assert_true(
        harness_logged(harness, "the plugin completed operation 3039, which was never given out; ignored"));
}

static void a_report_before_the_completion_is_seen_before_it(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    assert_string_equal(buffer_text(&harness->seen), "b: report s1 2\nstart done\n");
}

static void an_operation_that_never_ends_times_out_and_is_asked_to_cancel_first(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "never_complete");
    harness_start(harness, backend, "s1", 100);
    RUN_UNTIL(harness, harness_saw(harness, "start 9 BACKEND_TIMEOUT"));
    assert_int_equal(backend_in_flight(backend), 1);
    assert_true(harness_logged(harness, "the plugin did not end `start` within"));
    assert_true(harness_logged(harness, "what it answers later is ignored"));
}

static void an_operation_that_gives_up_at_the_timeout_is_a_timeout(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "complete_on_cancel");
    harness_start(harness, backend, "s1", 100);
    RUN_UNTIL(harness, harness_saw(harness, "start 9 BACKEND_TIMEOUT"));
    assert_int_equal(backend_in_flight(backend), 0);
}

static void a_completion_after_the_timeout_is_accounted_for_and_not_delivered(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "complete_late");
    harness_start(harness, backend, "s1", 50);
    RUN_UNTIL(harness, harness_saw(harness, "start 9 BACKEND_TIMEOUT"));
    assert_int_equal(backend_in_flight(backend), 1);
    RUN_UNTIL(harness, backend_in_flight(backend) == 0);
    harness_drain(harness);
    assert_int_equal(harness_count(harness, "start"), 1);
    assert_true(harness_logged(harness, "the plugin ended `start` after"));
}

static void a_cancelled_operation_answers_what_the_plugin_says(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "complete_on_cancel");
    struct backend_operation *operation = harness_start(harness, backend, "s1", 60000);
    harness_drain(harness);
    backend_cancel(operation, false);
    RUN_UNTIL(harness, harness_saw(harness, "start 10 CANCELLED"));
}

static void a_forgotten_operation_answers_nobody(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "complete_on_cancel");
    backend_cancel(harness_start(harness, backend, "s1", 60000), true);
    harness_drain(harness);
    assert_int_equal(backend_in_flight(backend), 0);
    assert_int_equal(harness_count(harness, "start"), 0);
}

static void an_answer_on_its_way_is_not_delivered_to_who_forgot_it(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "");
    backend_cancel(harness_start(harness, backend, "s1", 60000), true);
    harness_drain(harness);
    assert_int_equal(harness_count(harness, "start"), 0);
    assert_true(harness_saw(harness, "b: report s1 2"));
}

static void completing_twice_when_cancelled_is_ignored(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "cancel_completes_twice");
    /* It completes in the call, so the cancel comes too late and reaches nothing. */
    backend_cancel(harness_start(harness, backend, "s1", 60000), false);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    assert_int_equal(harness_count(harness, "start"), 1);
}

static void cancelled_without_being_asked_is_an_internal_error(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "cancelled_unasked");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start 5 CANCELLED: Why?"));
    assert_true(harness_logged(harness, "`start` was cancelled, which nobody asked for"));
}

static void garbage_in_an_error_is_made_harmless(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "garbage_error");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start 5 INTERNAL"));
    assert_non_null(strstr(buffer_text(&harness->seen), "INTERNAL: xxxxxxxx"));
}

static void an_empty_error_is_still_an_error(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "empty_error");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start 5 INTERNAL: The backend gave no reason."));
}

static void telling_of_progress_where_there_is_none_is_ignored(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "progress_of_a_pause");
    harness_act(harness, backend, BACKEND_PAUSE, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "pause done"));
    assert_true(harness_logged(harness, "the plugin told of progress in operation"));
    backend = harness_misbehave(harness, "progress_bogus");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    assert_true(harness_logged(harness, "told of progress in operation 3039, which is no `start` in flight"));
}

static void progress_does_not_hold_up_a_start_that_is_to_end(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "progress_for_ever");
    struct backend_operation *operation = harness_start(harness, backend, "s1", 200);
    backend_cancel(operation, false);
    RUN_UNTIL(harness, harness_saw(harness, "start 9 BACKEND_TIMEOUT"));
}

static void a_wrong_prefix_of_ids_is_ignored(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "wrong_id_prefix");
    assert_string_equal(backend_id_prefix(backend), "");
    assert_true(harness_logged(harness, "the plugin's prefix for ids is not at most 63 letters, digits, '-', "
                                        "'_' and '.'; ignored"));
    backend = harness_misbehave(harness, "late_id_prefix");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    assert_string_equal(backend_id_prefix(backend), "");
    assert_true(harness_logged(harness, "the plugin called id_prefix() outside of open(); ignored"));
}

static void a_call_from_another_thread_is_refused(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "wrong_thread");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    harness_drain(harness);
    assert_int_equal(harness_count(harness, "start"), 1);
    assert_true(harness_logged(harness, "the plugin called complete() from a thread of its own"));
}

static void nonsense_is_refused_with_a_line_that_says_why(void **state)
{
    static const struct {
        const char *how, *why;
    } cases[] = {
        {"unknown_state",
         "sandbox=s1: a report of the plugin is refused: its state is none of enum sbx_state"},
        {"long_detail", "refused: its detail is over 4 KiB or not UTF-8"},
        {"bad_utf8", "refused: its detail is over 4 KiB or not UTF-8"},
        {"bad_id", "refused: its sandbox_id is not 1 to 127 letters, digits, '-', '_' and '.'"},
        {"null_id", "refused: its sandbox_id is not 1 to 127 letters, digits, '-', '_' and '.'"},
        {"no_size", "refused: it is null or gives no size"},
        {"many_urls", "refused: it has more than 16 URLs"},
        {"bad_url", "refused: a URL is missing, over 4 KiB, not UTF-8, or has blanks in it"},
        {"bad_port", "refused: the port of a URL is not between 0 and 65535"},
        {"null_urls", "refused: it counts URLs but has none"},
        {"bad_agent_url", "refused: its agent_url is empty, over 4 KiB, not UTF-8, or has blanks in it"},
        {"bad_exit_code", "refused: its exit_code is not between -1 and 255"},
    };
    struct harness *harness = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct backend *backend = harness_misbehave(harness, cases[i].how);
        buffer_clear(&harness->seen);
        harness_start(harness, backend, "s1", 1000);
        RUN_UNTIL(harness, harness_saw(harness, "start done"));
        assert_string_equal(buffer_text(&harness->seen), "start done\n");
        assert_true(harness_logged(harness, cases[i].why));
        /* What it leaves out may be there: nobody must take it for gone. */
        harness_list(harness, backend);
        RUN_UNTIL(harness, harness_saw(harness, "list 5 INTERNAL"));
    }
}

static void an_error_and_output_in_a_report_are_made_harmless(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "unclean_report");
    harness_start(harness, backend, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    assert_true(harness_saw(harness, "b: report s1 5 error=5 INTERNAL xxx") ||
                strstr(buffer_text(&harness->seen), "b: report s1 5 error=5 INTERNAL xxxx"));
    assert_non_null(strstr(buffer_text(&harness->seen), "log_tail=half a character: ?\n"));
}

static void a_flood_of_reports_is_bounded_and_no_listing(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "flood");
    harness_start(harness, backend, "s1", 10000);
    harness_list(harness, backend);
    RUN_UNTIL(harness, harness_saw(harness, "list 5 INTERNAL"));
    assert_true(harness_saw(harness, "start done"));
    assert_int_equal(harness_count(harness, "b: report flood-0"), 1);
    assert_int_equal(harness_count(harness, "b: report flood-199999"), 0);
    assert_true(harness_logged(harness, "a report of the plugin is refused: too many are waiting already"));
}

static void complaints_are_limited(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "bad_id");
    for (int i = 0; i < 1000; i++)
        harness_start(harness, backend, "s1", 10000);
    RUN_UNTIL(harness, harness_count(harness, "start done") == 1000);
    assert_true(lseek(harness->log_fd, 0, SEEK_CUR) < 10000);
}

static void the_first_listing_may_come_before_the_commit(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "b", "misbehave", "{\"how\": \"report_in_open\"}");
    assert_true(harness_prepare(harness, config));
    harness_drain(harness);
    assert_string_equal(buffer_text(&harness->seen), ""); /* kept back until somebody asks something of it */
    assert_null(backend_set_find(harness->set, "b"));
    harness_list(harness, backend_set_at(harness->set, 0));
    RUN_UNTIL(harness, harness_saw(harness, "list done"));
    assert_string_equal(buffer_text(&harness->seen), "b: report in-open 2\nb: report listed 2\nlist done\n");
    backend_set_commit(harness->set, config);
    assert_non_null(backend_set_find(harness->set, "b"));
}

static void a_quiesced_instance_reports_nothing(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = backend_ref(harness_misbehave(harness, "report_in_quiesce"));
    harness_start(harness, backend, "s1", 1000); /* its report is on the way when it is let go of */
    assert_true(harness_apply(harness, harness_config(harness)));
    harness_start(harness, backend, "s2", 1000);
    RUN_UNTIL(harness, harness_count(harness, "start") == 2);
    assert_true(harness_saw(harness, "start done"));
    assert_true(
        harness_saw(harness, "start 8 BACKEND_UNAVAILABLE: The backend is being replaced or was removed."));
    assert_int_equal(harness_count(harness, "b: relist"), 0);
    assert_int_equal(harness_count(harness, "b: report in-quiesce"), 0);
    backend_unref(backend);
}

static void nothing_left_open_runs_after_close(void **state)
{
    struct harness *harness = *state;
    harness_misbehave(harness, "leave_open");
    struct config *config = harness_config(harness);
    assert_true(harness_apply(harness, config));
    harness_close(harness, 5000); /* what is left behind calls abort() when it is called */
    assert_true(harness_logged(harness, "the plugin left 1 timers running at close(); they are ended"));
    assert_true(harness_logged(harness, "the plugin left 1 watches open at close(); they are ended"));
    harness_drain(harness);
}

static void a_post_during_close_is_dropped(void **state)
{
    struct harness *harness = *state;
    harness_misbehave(harness, "post_in_close");
    harness_close(harness, 5000);
    harness_drain(harness);
}

static void a_plugin_that_never_lets_go_stays_loaded(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "stuck");
    harness_act(harness, backend, BACKEND_RESUME, "s1", 100);
    RUN_UNTIL(harness, harness_saw(harness, "resume 9 BACKEND_TIMEOUT"));
    harness_close(harness, 100);
    assert_true(harness_logged(harness, "it can't be closed: its plugin has not ended 1 operations"));
}

static void an_instance_is_closed_when_its_last_operation_ends_at_last(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "never_complete");
    harness_start(harness, backend, "s1", 20);
    RUN_UNTIL(harness, harness_saw(harness, "start 9 BACKEND_TIMEOUT"));
    harness_close(harness, 5000); /* a timer of the plugin ends it 150 ms after quiesce() */
    assert_true(harness_logged(harness, "the plugin ended `start` after"));
    assert_int_equal(harness_count(harness, "b: report after-quiesce"), 0);
    assert_int_equal(harness_count(harness, "b: relist"), 0);
}

static void missing_operations_are_answered_for_the_plugin(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "v", "variant_1", "{}");
    assert_true(harness_apply(harness, config));
    struct backend *backend = backend_set_find(harness->set, "v");
    assert_false(backend_has_logs(backend));
    harness_logs(harness, backend, "s1", false, NULL);
    harness_describe(harness, backend);
    harness_act(harness, backend, BACKEND_CONFIRM, "s1", 1000);
    harness_act(harness, backend, BACKEND_STOP, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "stop done"));
    assert_true(harness_saw(harness, "confirm done"));
    assert_true(harness_saw(harness, "logs 6 UNSUPPORTED: The backend has no such operation."));
    assert_true(harness_saw(harness, "describe 6 UNSUPPORTED: The backend has no such operation."));
}

static void a_result_that_is_no_json_object_is_ignored(void **state)
{
    struct harness *harness = *state;
    harness_describe(harness, harness_misbehave(harness, ""));
    RUN_UNTIL(harness, harness_saw(harness, "describe done"));
    assert_true(harness_logged(harness, "the plugin's result of `describe` is ignored: it ends too early"));
    assert_true(harness_logged(harness, "which is no `describe` or `image` in flight; ignored"));
    buffer_clear(&harness->seen);
    harness_describe(harness, harness_misbehave(harness, "large_result"));
    RUN_UNTIL(harness, harness_saw(harness, "describe done"));
    assert_true(harness_logged(harness, "the plugin's result of `describe` is ignored: it is over 64 KiB"));
}

static bool hold(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return false;
}

static void writing_after_stop_ends_the_stream(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "write_after_stop");
    harness_logs(harness, backend, "s1", false, hold);
    RUN_UNTIL(
        harness,
        harness_saw(harness, "logs 5 INTERNAL: The backend wrote after it was told to stop in `logs`."));
    harness_drain(harness);
    assert_int_equal(backend_in_flight(backend), 0);
    assert_int_equal(harness_count(harness, "logs"), 1);
}

static void writing_too_much_at_once_ends_the_stream(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "write_too_much");
    harness_logs(harness, backend, "s1", true, NULL);
    RUN_UNTIL(harness,
              harness_saw(harness, "logs 5 INTERNAL: The backend wrote more than 1 MiB at once in `logs`."));
}

static void writing_to_another_operation_reaches_nobody(void **state)
{
    struct harness *harness = *state;
    harness_logs(harness, harness_misbehave(harness, "write_bogus"), "s1", false, NULL);
    RUN_UNTIL(harness, harness_saw(harness, "logs done"));
    assert_string_equal(buffer_text(&harness->seen), "logs done\n");
    assert_true(harness_logged(harness, "which is no `logs` or `build` in flight"));
}

static void logs_that_never_end_are_given_up(void **state)
{
    struct harness *harness = *state;
    struct backend *backend = harness_misbehave(harness, "logs_never_end");
    harness->hasty = true;
    harness_logs(harness, backend, "s1", false, NULL);
    RUN_UNTIL(harness, harness_saw(harness, "logs 9 BACKEND_TIMEOUT"));
    assert_int_equal(backend_in_flight(backend), 1);
}

static void a_failed_open_names_its_reason(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "b", "misbehave", "{\"how\": \"fail_open\"}");
    harness_add(config, "c", "misbehave", "{}");
    assert_false(harness_apply(harness, config));
    assert_true(harness_problem(harness, "backends.b: the plugin could not open it: The licence is over."));
    assert_int_equal(harness->problems.list[0].line, 7);
    assert_int_equal(backend_set_count(harness->set), 0);
    harness_close(harness, 1000);
}

static void an_open_that_never_ends_fails_the_reload_and_stays_loaded(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "b", "misbehave", "{\"how\": \"never_open\"}");
    assert_false(harness_apply(harness, config)); /* 10 s */
    assert_int_equal(harness->problems.errors, 1);
    assert_non_null(
        strstr(harness->problems.list[0].text,
               "backends.b: the plugin could not open it: The backend did not end `open` within 10"));
    harness_close(harness, 50);
    assert_true(harness_logged(harness, "it can't be closed"));
}

static void options_are_complained_about_by_their_path(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "a", "misbehave", "{\"how\": \"refuse\"}");
    harness_add(config, "b", "misbehave", "{\"how\": \"refuse_silently\"}");
    harness_add(config, "c", "misbehave", "{\"how\": \"refuse_deep\"}");
    harness_add(config, "d", "misbehave", "{\"how\": \"warn\"}");
    assert_false(harness_apply(harness, config));
    assert_int_equal(harness->problems.errors, 3);
    assert_int_equal(harness->problems.len, 4);
    assert_true(harness_problem(harness, "backends.a.options.how: must be something else"));
    assert_true(harness_problem(harness,
                                "backends.b.options: the plugin refuses these options and does not say why"));
    assert_true(harness_problem(harness, "backends.c.options.list[1].mode: must be ro or rw??"));
    assert_true(harness_problem(harness, "backends.d.options: is dubious"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(completing_twice_is_ignored),
        TEST(completing_what_was_never_asked_is_ignored),
        TEST(a_report_before_the_completion_is_seen_before_it),
        TEST(an_operation_that_never_ends_times_out_and_is_asked_to_cancel_first),
        TEST(an_operation_that_gives_up_at_the_timeout_is_a_timeout),
        TEST(a_completion_after_the_timeout_is_accounted_for_and_not_delivered),
        TEST(a_cancelled_operation_answers_what_the_plugin_says),
        TEST(a_forgotten_operation_answers_nobody),
        TEST(an_answer_on_its_way_is_not_delivered_to_who_forgot_it),
        TEST(completing_twice_when_cancelled_is_ignored),
        TEST(cancelled_without_being_asked_is_an_internal_error),
        TEST(garbage_in_an_error_is_made_harmless),
        TEST(an_empty_error_is_still_an_error),
        TEST(telling_of_progress_where_there_is_none_is_ignored),
        TEST(progress_does_not_hold_up_a_start_that_is_to_end),
        TEST(a_wrong_prefix_of_ids_is_ignored),
        TEST(a_call_from_another_thread_is_refused),
        TEST(nonsense_is_refused_with_a_line_that_says_why),
        TEST(an_error_and_output_in_a_report_are_made_harmless),
        TEST(a_flood_of_reports_is_bounded_and_no_listing),
        TEST(complaints_are_limited),
        TEST(the_first_listing_may_come_before_the_commit),
        TEST(a_quiesced_instance_reports_nothing),
        TEST(nothing_left_open_runs_after_close),
        TEST(a_post_during_close_is_dropped),
        TEST(a_plugin_that_never_lets_go_stays_loaded),
        TEST(an_instance_is_closed_when_its_last_operation_ends_at_last),
        TEST(missing_operations_are_answered_for_the_plugin),
        TEST(a_result_that_is_no_json_object_is_ignored),
        TEST(writing_after_stop_ends_the_stream),
        TEST(writing_too_much_at_once_ends_the_stream),
        TEST(writing_to_another_operation_reaches_nobody),
        TEST(logs_that_never_end_are_given_up),
        TEST(a_failed_open_names_its_reason),
        TEST(an_open_that_never_ends_fails_the_reload_and_stays_loaded),
        TEST(options_are_complained_about_by_their_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
