/* What the watch makes of the order of events: which ends somebody asked for. The engine's stream is in the test's
 * hands. */
#include "docker.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "sb-1"
#define ID "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"

static struct docker docker;
static struct sbx_host host;
static struct sbx_backend backend;
static struct engine_stream stream;
static engine_done version_done;
static unsigned looks, doubts, gone;
static uint64_t begun_s;

/* ---- what the watch uses of the rest of the plugin ---- */

struct engine_call *engine_call(struct engine *engine, const struct engine_request *request, engine_done done,
                                void *arg)
{
    (void)engine;
    (void)request;
    (void)arg;
    version_done = done;
    return NULL;
}

struct engine_call *engine_open(struct engine *engine, const struct engine_request *request,
                                const struct engine_stream *given, void *arg)
{
    (void)engine;
    (void)request;
    (void)arg;
    stream = *given;
    return NULL;
}

void engine_cancel(struct engine_call *call)
{
    assert_null(call);
}

int engine_agree(struct engine *engine, const struct sbx_json *version, struct sbx_error *err)
{
    (void)engine;
    (void)version;
    (void)err;
    return 0;
}

bool engine_encode(char *to, size_t size, const char *text)
{
    return snprintf(to, size, "%s", text) < (int)size;
}

void look_at(struct docker *self, const char *name, look_done done, void *arg)
{
    (void)self;
    (void)done;
    (void)arg;
    assert_string_equal(name, NAME);
    looks++;
}

void look_doubt(struct docker *self, struct container *container)
{
    (void)self;
    assert_string_equal(container->name, NAME);
    doubts++;
}

void report_gone(struct docker *self, const char *name)
{
    (void)self;
    (void)name;
    gone++;
}

void report_end(struct docker *self, const struct container *container, bool stopped,
                const struct sbx_error *error, const char *log_tail)
{
    (void)self;
    (void)container;
    (void)stopped;
    (void)error;
    (void)log_tail;
}

void logs_tail(struct docker *self, const struct container *container,
               void (*done)(void *arg, const char *tail), void *arg)
{
    (void)self;
    (void)container;
    (void)done;
    (void)arg;
}

void start_log_end(struct docker *self, const char *sandbox_id)
{
    (void)self;
    (void)sandbox_id;
}

/* ---- the host ---- */

static uint64_t now_ms(void)
{
    return 1000;
}

static int64_t now_us(void)
{
    return INT64_C(1795260300000000);
}

static sbx_timer timer_start(struct sbx_backend *public, uint64_t delay_us, sbx_callback fired, void *arg)
{
    (void)public;
    (void)delay_us;
    (void)fired;
    (void)arg;
    return 1;
}

static void timer_cancel(struct sbx_backend *public, sbx_timer timer)
{
    (void)public;
    (void)timer;
}

static void available(struct sbx_backend *public, const struct sbx_error *why_not)
{
    (void)public;
    assert_null(why_not);
}

static void relist(struct sbx_backend *public)
{
    (void)public;
}

static void opened(struct docker *self)
{
    (void)self;
}

static int set_up(void **state)
{
    (void)state;
    static char prefix[] = "sb-";
    docker = (struct docker){.public = &backend, .host = &host};
    host = (struct sbx_host){.size = sizeof host,
                             .json = json_table(),
                             .now_ms = now_ms,
                             .now_us = now_us,
                             .timer_start = timer_start,
                             .timer_cancel = timer_cancel,
                             .available = available,
                             .relist = relist};
    backend = (struct sbx_backend){.size = sizeof backend, .host = &host, .name = "d"};
    docker.options.container_name_prefix = prefix;
    looks = doubts = gone = 0;
    watch_begin(&docker, opened);
    version_done(&docker, NULL, 200, NULL);
    stream.head(&docker);
    begun_s = (uint64_t)(now_us() / 1000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    watch_end(&docker);
    table_finish(&docker);
    return 0;
}

/* ---- what cases say ---- */

/* So many seconds after the stream began, on the engine's clock. */
static const struct container *happens(int after_s, const char *action, const char *signal)
{
    char line[1024];
    int len = snprintf(line, sizeof line,
                       "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"" ID
                       "\",\"Attributes\":{\"name\":\"" NAME "\",\"" LABEL_BACKEND
                       "\":\"d\",\"signal\":\"%s\"}},\"timeNano\":%llu000000000}\n",
                       action, signal, (unsigned long long)(begun_s + (uint64_t)after_s));
    assert_int_equal(stream.data(&docker, line, (size_t)len), SBX_STREAM_GO);
    return table_find(&docker, NAME);
}

static void a_program_that_ends_by_itself_was_not_killed(void **state)
{
    (void)state;
    happens(1, "start", "");
    const struct container *container = happens(2, "die", "");
    assert_true(container->died_alone && !container->killed);
    assert_int_equal(looks, 2);
}

static void a_program_that_heeds_a_signal_was_killed(void **state)
{
    (void)state;
    happens(1, "start", "");
    happens(2, "kill", "15");
    const struct container *container = happens(50, "die", "");
    assert_true(container->killed && !container->died_alone);
}

static void a_signal_that_was_survived_does_not_account_for_a_later_end(void **state)
{
    (void)state;
    happens(1, "start", "");
    happens(2, "kill", "15");
    const struct container *container = happens(100, "die", "");
    assert_true(container->died_alone && !container->killed);
}

static void a_long_stop_is_known_by_its_own_event(void **state)
{
    (void)state;
    happens(1, "start", "");
    happens(2, "kill", "15");
    happens(100, "die", "");
    const struct container *container = happens(100, "stop", "");
    assert_true(container->killed);
    assert_true(ending_was_asked_for(container, (begun_s + 100) * 1000000000));
}

static void a_stop_of_ours_may_take_as_long_as_it_does(void **state)
{
    (void)state;
    happens(1, "start", "");
    table_find(&docker, NAME)->killed = true; /* as halt.c does */
    happens(2, "kill", "15");
    const struct container *container = happens(100, "die", "");
    assert_true(container->killed && !container->died_alone);
}

static void another_signal_is_no_end(void **state)
{
    (void)state;
    happens(1, "start", "");
    happens(2, "kill", "1");
    const struct container *container = happens(3, "die", "");
    assert_true(container->died_alone && !container->killed);
}

static void what_the_engine_repeats_is_for_the_listing_to_look_at(void **state)
{
    (void)state;
    table_add(&docker, NAME);
    happens(-5, "start", "");
    assert_int_equal(looks, 0);
    assert_int_equal(doubts, 1);
    happens(1, "start", "");
    assert_int_equal(looks, 1);
}

static void a_removal_of_what_was_not_looked_at_may_be_of_another_of_its_name(void **state)
{
    (void)state;
    table_add(&docker, NAME);
    happens(1, "destroy", "");
    assert_int_equal(gone, 0);
    assert_int_equal(looks, 1);
}

static void a_clock_of_the_engine_that_is_set_back_hides_nothing(void **state)
{
    (void)state;
    watch_doubt(&docker); /* as the heartbeat does: by its answer all that is repeated has come */
    version_done(&docker, NULL, 200, NULL);
    happens(-3600, "start", "");
    assert_int_equal(looks, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_program_that_ends_by_itself_was_not_killed),
        CASE(a_program_that_heeds_a_signal_was_killed),
        CASE(a_signal_that_was_survived_does_not_account_for_a_later_end),
        CASE(a_long_stop_is_known_by_its_own_event),
        CASE(a_stop_of_ours_may_take_as_long_as_it_does),
        CASE(another_signal_is_no_end),
        CASE(what_the_engine_repeats_is_for_the_listing_to_look_at),
        CASE(a_removal_of_what_was_not_looked_at_may_be_of_another_of_its_name),
        CASE(a_clock_of_the_engine_that_is_set_back_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
