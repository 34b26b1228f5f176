/* The reload part: what stays, what is replaced, what a failure leaves, and what is closed when. */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Numbers as texts: a new minor changes no test. */
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define MINOR TEXT(SBX_ABI_MINOR)

static struct config *config_of(struct harness *harness, const char *options)
{
    struct config *config = harness_config(harness);
    harness_add(config, "a", "trivial", options);
    return config;
}

static void an_unchanged_backend_keeps_its_instance(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    struct backend *before = backend_set_find(harness->set, "a");
    assert_non_null(before);
    assert_string_equal(backend_name(before), "a");
    assert_string_equal(backend_plugin_name(before), "trivial");
    assert_string_equal(backend_plugin_version(before), "1.0");
    assert_null(backend_default_health_path(before));
    size_t len;
    assert_string_equal(backend_default_spec(before, &len),
                        "{\"id\":\"trivial\",\"command\":null,\"initial_env\":{},\"working_dir\":null}");
    struct config *more = config_of(harness, "{}");
    harness_add(more, "b", "misbehave", "{}");
    assert_true(harness_apply(harness, more));
    assert_ptr_equal(backend_set_find(harness->set, "a"), before);
    assert_int_equal(backend_set_count(harness->set), 2);
    struct backend *other = backend_set_find(harness->set, "b");
    assert_string_equal(backend_default_health_path(other), "/alive");
    assert_int_equal(backend_default_max_sandboxes(other), 3);
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    assert_ptr_equal(backend_set_find(harness->set, "a"), before);
    assert_null(backend_set_find(harness->set, "b"));
}

static void a_changed_option_or_public_url_makes_a_new_instance(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    struct backend *first = backend_ref(backend_set_find(harness->set, "a"));
    assert_true(harness_apply(harness, config_of(harness, "{\"on_shutdown\": \"remove\"}")));
    struct backend *second = backend_ref(backend_set_find(harness->set, "a"));
    assert_ptr_not_equal(second, first);
    assert_int_equal(backend_on_shutdown(first), SBX_SHUTDOWN_KEEP);
    assert_int_equal(backend_on_shutdown(second), SBX_SHUTDOWN_REMOVE);
    struct config *config = config_of(harness, "{\"on_shutdown\": \"remove\"}");
    config->public_url = "http://here";
    assert_true(harness_apply(harness, config));
    assert_ptr_not_equal(backend_set_find(harness->set, "a"), second);
    backend_unref(first);
    backend_unref(second);
    harness_close(harness, 5000);
}

/* As by a health check that is answered while the daemon ends. */
static void what_is_asked_of_a_closed_instance_is_refused(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    struct backend *first = backend_ref(backend_set_find(harness->set, "a"));
    assert_true(harness_apply(harness, harness_config(harness)));
    RUN_UNTIL(harness, first->state == INSTANCE_CLOSED);
    harness_act(harness, first, BACKEND_CONFIRM, "x", 1000);
    harness_act(harness, first, BACKEND_STOP, "x", 1000);
    harness_list(harness, first);
    harness_describe(harness, first);
    harness_image(harness, first, "x");
    static const char *const verbs[] = {"confirm", "stop", "list", "describe", "image"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        char line[160];
        snprintf(line, sizeof line, "%s 8 BACKEND_UNAVAILABLE: The backend is being replaced or was removed.",
                 verbs[i]);
        RUN_UNTIL(harness, harness_saw(harness, line));
    }
    backend_unref(first);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    ssize_t len;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    while ((len = read(in, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(out, bytes, (size_t)len), len);
    close(in);
    close(out);
}

static void a_plugin_file_that_changed_on_disk_is_loaded_anew(void **state)
{
    struct harness *harness = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/changing.so", harness->state_dir);
    for (unsigned round = 0; round < 6; round++) {
        const char *const files[] = {TEST_PLUGINS "/variant_1.so", TEST_PLUGINS "/variant_2.so"};
        copy_file(files[round % 2], path); /* over what is loaded at the moment */
        struct backend *before = backend_set_find(harness->set, "v");
        struct config *config = harness_config(harness);
        harness_add(config, "v", path, "{}");
        assert_true(harness_apply(harness, config));
        struct backend *after = backend_set_find(harness->set, "v");
        assert_ptr_not_equal(after, before);
        assert_string_equal(backend_plugin_version(after), round % 2 ? "2" : "1");
        /* The same bytes again: nothing changed. */
        copy_file(files[round % 2], path);
        config = harness_config(harness);
        harness_add(config, "v", path, "{}");
        assert_true(harness_apply(harness, config));
        assert_ptr_equal(backend_set_find(harness->set, "v"), after);
    }
}

static void the_same_plugin_in_another_place_makes_a_new_instance(void **state)
{
    struct harness *harness = *state; /* since files beside it may be others */
    char path[128];
    snprintf(path, sizeof path, "%s/variant_1.so", harness->state_dir);
    copy_file(TEST_PLUGINS "/variant_1.so", path);
    struct config *config = harness_config(harness);
    harness_add(config, "v", "variant_1", "{}");
    assert_true(harness_apply(harness, config));
    struct backend *before = backend_set_find(harness->set, "v");
    config = harness_config(harness);
    config->plugin_dir = harness->state_dir;
    harness_add(config, "v", "variant_1", "{}");
    assert_true(harness_apply(harness, config));
    assert_ptr_not_equal(backend_set_find(harness->set, "v"), before);
}

static void closing_while_a_backend_opens_ends_the_reload_first(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "b", "misbehave", "{\"how\": \"open_late\"}");
    backend_set_prepare(harness->set, NULL, config, &harness->problems, harness_prepared, harness);
    struct stat info;
    char path[128];
    snprintf(path, sizeof path, "%s/backends/b", harness->state_dir);
    RUN_UNTIL(harness, stat(path, &info) == 0); /* the last step before open() */
    harness_drain(harness);
    harness_close(harness, 5000);
    assert_true(harness->prepared);
    assert_false(harness->ok);
}

static void two_backends_of_one_plugin_share_its_code_and_nothing_else(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "a", "trivial", "{}");
    harness_add(config, "b", "trivial", "{}");
    assert_true(harness_apply(harness, config));
    struct backend *a = backend_set_find(harness->set, "a"), *b = backend_set_find(harness->set, "b");
    assert_ptr_equal(a->module, b->module);
    harness_start(harness, a, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    buffer_clear(&harness->seen);
    harness_list(harness, b);
    RUN_UNTIL(harness, harness_saw(harness, "list done"));
    assert_string_equal(buffer_text(&harness->seen), "list done\n");
    harness_list(harness, a);
    RUN_UNTIL(harness, harness_count(harness, "list done") == 2);
    assert_true(harness_saw(harness, "a: report s1 2"));
}

static void a_failure_leaves_what_is_in_force_as_it_is(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    struct backend *before = backend_set_find(harness->set, "a");
    struct config *config = config_of(harness, "{\"delay\": 5}");
    harness_add(config, "b", "misbehave", "{\"how\": \"fail_open\"}");
    assert_false(harness_apply(harness, config));
    assert_ptr_equal(backend_set_find(harness->set, "a"), before);
    assert_int_equal(backend_set_count(harness->set), 1);
    config = config_of(harness, "{\"delay\": 5}");
    harness_add(config, "b", "nothing-of-the-sort", "{}");
    assert_false(harness_apply(harness, config));
    assert_int_equal(harness->problems.len, 1);
    assert_non_null(strstr(harness->problems.list[0].text,
                           "backends.b.plugin: there is no " TEST_PLUGINS
                           "/nothing-of-the-sort.so (plugins in that folder: "));
    harness_start(harness, before, "s1", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    harness_close(harness, 5000);
}

static void rollback_closes_what_was_opened_and_keeps_the_rest(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    struct backend *before = backend_set_find(harness->set, "a");
    struct config *config = config_of(harness, "{}");
    harness_add(config, "b", "misbehave", "{\"how\": \"leave_open\"}"); /* its close() is heard of */
    assert_true(harness_prepare(harness, config));
    assert_int_equal(backend_set_count(harness->set), 2);
    assert_ptr_equal(backend_set_at(harness->set, 0), before);
    assert_null(backend_set_find(harness->set, "b"));
    backend_set_rollback(harness->set);
    assert_int_equal(backend_set_count(harness->set), 1);
    assert_ptr_equal(backend_set_find(harness->set, "a"), before);
    harness_drain(harness);
    assert_true(harness_logged(harness, "backend=b: the plugin left 1 timers running at close()"));
}

static void a_replaced_instance_finishes_what_it_began(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{\"delay\": 100}")));
    harness_start(harness, backend_set_find(harness->set, "a"), "s1", 5000);
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    assert_int_equal(harness_count(harness, "start"), 0);
    RUN_UNTIL(harness, harness_saw(harness, "start done"));
    harness_list(harness, backend_set_find(harness->set, "a"));
    RUN_UNTIL(harness, harness_saw(harness, "list done"));
    assert_true(harness_saw(harness, "a: report s1 2"));
    harness_close(harness, 5000);
}

static void sandboxes_are_found_again_by_the_next_instance(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{\"url\": \"http://h:1\"}")));
    struct backend *backend = backend_set_find(harness->set, "a");
    harness_start(harness, backend, "s1", 1000);
    harness_start(harness, backend, "s2", 1000);
    RUN_UNTIL(harness, harness_count(harness, "start done") == 2);
    harness_act(harness, backend, BACKEND_PAUSE, "s2", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "pause done"));
    assert_true(harness_apply(harness, harness_config(harness)));
    assert_true(harness_apply(harness, config_of(harness, "{\"url\": \"http://h:2\"}")));
    buffer_clear(&harness->seen);
    backend = backend_set_find(harness->set, "a");
    harness_list(harness, backend);
    RUN_UNTIL(harness, harness_saw(harness, "list done"));
    assert_true(harness_saw(harness, "a: report s1 2 AGENT_SERVER=http://h:2:0"));
    assert_true(harness_saw(harness, "a: report s2 3"));
    harness_act(harness, backend, BACKEND_REMOVE, "s1", 1000);
    harness_act(harness, backend, BACKEND_RESUME, "s1", 1000); /* unknown by then */
    harness_act(harness, backend, BACKEND_RESUME, "s2", 1000);
    RUN_UNTIL(harness, harness_saw(harness, "remove done") && harness_count(harness, "resume done") > 0);
}

static void each_backend_has_a_directory_of_its_own(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    char path[128];
    struct stat info;
    snprintf(path, sizeof path, "%s/backends/a", harness->state_dir);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void a_state_dir_that_is_a_file_is_a_problem(void **state)
{
    struct harness *harness = *state;
    char path[128], wanted[512];
    snprintf(path, sizeof path, "%s/file", harness->state_dir);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    struct config *config = config_of(harness, "{}");
    config->state_dir = path;
    assert_false(harness_apply(harness, config));
    snprintf(wanted, sizeof wanted,
             "backends.a: its directory in state_dir (%s/backends/a) can't be made: Not a directory", path);
    assert_true(harness_problem(harness, wanted));
}

static void check_opens_nothing_and_needs_no_loop(void **state)
{
    struct harness *harness = *state;
    struct backend_set_deps deps = {.default_plugin_dir = TEST_PLUGINS};
    struct backend_set *set = backend_set_create(&deps, &(struct backend_events){0});
    struct config *config = harness_config(harness);
    harness_add(config, "a", "trivial", "{\"dealy\": 1, \"delay\": \"long\", \"on_shutdown\": \"explode\"}");
    harness_add(config, "b", "misbehave", "{\"how\": \"fail_open\"}"); /* which is not seen here */
    harness_add(config, "c", TEST_PLUGINS "/wrong_major.so", "{}");
    backend_set_check(set, config, &harness->problems);
    backend_set_destroy(set);
    assert_int_equal(harness->problems.errors, 4);
    assert_true(harness_problem(
        harness, "backends.a.options.dealy: there is no such option; known are delay, url, "
                 "agent_url, session_key, health_path, health_body, polling, id_prefix, start_error, "
                 "unavailable, log_lines and on_shutdown"));
    assert_true(harness_problem(harness, "backends.a.options.delay: must be a number of milliseconds"));
    assert_true(
        harness_problem(harness, "backends.a.options.on_shutdown: must be keep, pause, stop or remove"));
    assert_true(harness_problem(harness, "backends.c.plugin: " TEST_PLUGINS
                                         "/wrong_major.so: it was built for version 2." MINOR
                                         " of the backend ABI, this "
                                         "daemon has 1." MINOR "; build it against this daemon's headers"));
}

static void a_complaint_names_the_line_of_the_option(void **state)
{
    struct harness *harness = *state;
    char file[128];
    snprintf(file, sizeof file, "%s/sandboxd.yaml", harness->state_dir);
    FILE *out = fopen(file, "we");
    fprintf(out,
            "server: {listen: [127.0.0.1:0]}\n"
            "state_dir: %s\n"
            "backends:\n"
            "  a:\n"
            "    plugin: misbehave\n"
            "    options:\n"
            "      how: refuse_deep\n"
            "      list:\n"
            "        - {mode: ro}\n"
            "        - {mode: wrong}\n",
            harness->state_dir);
    fclose(out);
    struct config *config = config_load(file, &harness->problems);
    assert_non_null(config);
    struct backend_set_deps deps = {.default_plugin_dir = TEST_PLUGINS};
    struct backend_set *set = backend_set_create(&deps, &(struct backend_events){0});
    backend_set_check(set, config, &harness->problems);
    backend_set_destroy(set);
    config_unref(config);
    assert_int_equal(harness->problems.errors, 1);
    assert_int_equal(harness->problems.list[0].line, 10);
    assert_int_equal(harness->problems.list[0].column, 12);
}

static void a_backend_that_can_not_be_reached_says_why(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{\"unavailable\": \"The engine sleeps.\"}")));
    const struct sbx_error *why = backend_unavailable(backend_set_find(harness->set, "a"));
    assert_non_null(why);
    assert_int_equal(why->kind, SBX_ERR_UNAVAILABLE);
    assert_string_equal(why->message, "The engine sleeps.");
    RUN_UNTIL(harness, harness_saw(harness, "a: The engine sleeps."));
}

static void closing_waits_for_the_last_operation(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{\"delay\": 100}")));
    harness_start(harness, backend_set_find(harness->set, "a"), "s1", 5000);
    harness_close(harness, 5000);
    assert_true(harness_saw(harness, "start done"));
    assert_int_equal(backend_set_count(harness->set), 0);
}

static void closing_during_a_reload_ends_the_reload_first(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    harness->prepared = false;
    struct config *config = config_of(harness, "{\"delay\": 1}");
    backend_set_prepare(harness->set, NULL, config, &harness->problems, harness_prepared, harness);
    harness_close(harness, 5000);
    assert_true(harness->prepared);
    assert_false(harness->ok);
}

/* ---- streams, with a plugin that behaves ---- */

static struct backend_operation *reading;
static unsigned pieces, allowed;
static size_t received;

static bool count_pieces(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    pieces++;
    received += len;
    return allowed == 0 || --allowed > 0;
}

static void a_slow_reader_holds_the_producer_back_and_loses_nothing(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{\"log_lines\": 100000}")));
    struct backend *backend = backend_set_find(harness->set, "a");
    pieces = 0;
    received = 0;
    allowed = 1;
    reading = harness_logs(harness, backend, "s1", false, count_pieces);
    harness_drain(harness);
    assert_int_equal(pieces, 1);
    while (!harness_saw(harness, "logs done")) {
        unsigned before = pieces;
        allowed = 1;
        backend_stream_ready(reading);
        harness_drain(harness);
        assert_true(pieces <= before + 1);
    }
    assert_true(pieces > 10);
    /* "s1: line 1\n" to "s1: line 100000\n" */
    assert_int_equal(received, 100000 * 10 + 9 * 1 + 90 * 2 + 900 * 3 + 9000 * 4 + 90000 * 5 + 6);
}

static bool forget_at_once(void *arg, const void *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    backend_cancel(reading, true);
    return true;
}

static void a_reader_may_go_away_in_the_middle(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{\"log_lines\": 100000}")));
    struct backend *backend = backend_set_find(harness->set, "a");
    reading = harness_logs(harness, backend, "s1", true, forget_at_once);
    RUN_UNTIL(harness, backend_in_flight(backend) == 0);
    reading = harness_logs(harness, backend, "s1", false, forget_at_once);
    RUN_UNTIL(harness, backend_in_flight(backend) == 0);
    assert_int_equal(harness_count(harness, "logs"), 0);
}

static void a_stream_that_follows_ends_when_it_is_cancelled(void **state)
{
    struct harness *harness = *state;
    assert_true(harness_apply(harness, config_of(harness, "{}")));
    struct backend *backend = backend_set_find(harness->set, "a");
    reading = harness_logs(harness, backend, "s1", true, NULL);
    RUN_UNTIL(harness, harness_saw(harness, "s1: line 1"));
    backend_cancel(reading, false);
    RUN_UNTIL(harness, harness_saw(harness, "logs 10 CANCELLED"));
}

/* ---- docs/example/hello.c ---- */

static void the_example_of_the_guide_works(void **state)
{
    struct harness *harness = *state;
    struct config *config = harness_config(harness);
    harness_add(config, "h", "hello", "{\"greeting\": \"Good morning.\"}");
    assert_true(harness_apply(harness, config));
    struct backend *backend = backend_set_find(harness->set, "h");
    harness_start(harness, backend, "s1", 1000);
    harness_start(harness, backend, "s2", 1000);
    RUN_UNTIL(harness, harness_count(harness, "start done") == 2);
    harness_act(harness, backend, BACKEND_PAUSE, "s2", 1000);
    harness_act(harness, backend, BACKEND_REMOVE, "s1", 1000);
    harness_logs(harness, backend, "s2", false, NULL);
    RUN_UNTIL(harness, harness_saw(harness, "logs done") && harness_saw(harness, "remove done"));
    assert_true(harness_saw(harness, "Good morning."));
    buffer_clear(&harness->seen);
    harness_list(harness, backend);
    RUN_UNTIL(harness, harness_saw(harness, "list done"));
    assert_string_equal(buffer_text(&harness->seen), "h: report s2 3\nlist done\n");
    config = harness_config(harness);
    harness_add(config, "h", "hello", "{\"greting\": 1}");
    assert_false(harness_apply(harness, config));
    assert_true(harness_problem(
        harness, "backends.h.options.greting: there is no such option; the only one is greeting"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unchanged_backend_keeps_its_instance),
        TEST(a_changed_option_or_public_url_makes_a_new_instance),
        TEST(what_is_asked_of_a_closed_instance_is_refused),
        TEST(a_plugin_file_that_changed_on_disk_is_loaded_anew),
        TEST(the_same_plugin_in_another_place_makes_a_new_instance),
        TEST(closing_while_a_backend_opens_ends_the_reload_first),
        TEST(two_backends_of_one_plugin_share_its_code_and_nothing_else),
        TEST(a_failure_leaves_what_is_in_force_as_it_is),
        TEST(rollback_closes_what_was_opened_and_keeps_the_rest),
        TEST(a_replaced_instance_finishes_what_it_began),
        TEST(sandboxes_are_found_again_by_the_next_instance),
        TEST(each_backend_has_a_directory_of_its_own),
        TEST(a_state_dir_that_is_a_file_is_a_problem),
        TEST(check_opens_nothing_and_needs_no_loop),
        TEST(a_complaint_names_the_line_of_the_option),
        TEST(a_backend_that_can_not_be_reached_says_why),
        TEST(closing_waits_for_the_last_operation),
        TEST(closing_during_a_reload_ends_the_reload_first),
        TEST(a_slow_reader_holds_the_producer_back_and_loses_nothing),
        TEST(a_reader_may_go_away_in_the_middle),
        TEST(a_stream_that_follows_ends_when_it_is_cancelled),
        TEST(the_example_of_the_guide_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
