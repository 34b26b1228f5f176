/* test_start_log.c: the output of a sandbox that starts, line by line, and without its key. The output is in the test's
 * hands. */
#include "output/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "sb-1"
#define KEY "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
#define HIDDEN "*******************************************"

enum { LINE_MAX_BYTES = 4096 }; /* as start_log.c has it */

static struct docker docker;
static struct sbx_host host;
static struct sbx_backend backend;
static const struct output_sink *sink;
static void *sink_arg;
static char logged[3 * LINE_MAX_BYTES];
static unsigned lines;

/* ---- the output ---- */

struct output *output_open(struct docker *self, const struct output_query *query,
                           const struct output_sink *given, void *arg)
{
    assert_ptr_equal(self, &docker);
    assert_string_equal(query->name, NAME);
    sink = given;
    sink_arg = arg;
    return NULL;
}

void output_cancel(struct output *output)
{
    assert_null(output);
    sink = NULL;
}

/* ---- the host ---- */

static uint64_t now_ms(void)
{
    return 1000;
}

static sbx_timer timer_start(struct sbx_backend *public, uint64_t delay_us, sbx_callback fired, void *arg)
{
    (void)public;
    (void)fired;
    (void)arg;
    assert_true(delay_us == 5000000);
    return 1;
}

static void timer_cancel(struct sbx_backend *public, sbx_timer timer)
{
    (void)public;
    (void)timer;
}

static int log_enabled(enum sbx_log_level level)
{
    assert_int_equal(level, SBX_LOG_DEBUG);
    return 1;
}

__attribute__((format(printf, 4, 5))) static void log_line(struct sbx_backend *public,
                                                           enum sbx_log_level level, const char *sandbox_id,
                                                           const char *format, ...)
{
    (void)public;
    assert_int_equal(level, SBX_LOG_DEBUG);
    assert_string_equal(sandbox_id, NAME);
    va_list args;
    va_start(args, format);
    vsnprintf(logged, sizeof logged, format, args);
    va_end(args);
    lines++;
}

static int set_up(void **state)
{
    (void)state;
    host = (struct sbx_host){.size = sizeof host,
                             .now_ms = now_ms,
                             .timer_start = timer_start,
                             .timer_cancel = timer_cancel,
                             .log_enabled = log_enabled,
                             .log = log_line};
    backend = (struct sbx_backend){.size = sizeof backend, .host = &host, .name = "d"};
    docker = (struct docker){.public = &backend, .host = &host};
    lines = 0;
    start_log_begin(&docker, NAME, KEY, 6000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    start_log_finish(&docker);
    return 0;
}

static void comes(const char *text)
{
    assert_int_equal(sink->write(sink_arg, text, strlen(text)), SBX_STREAM_GO);
}

/* ---- cases ---- */

static void a_line_is_logged_when_it_is_whole(void **state)
{
    (void)state;
    comes("one\r\ntw");
    assert_string_equal(logged, "output: one");
    comes("o\n");
    assert_string_equal(logged, "output: two");
    assert_int_equal(lines, 2);
}

static void the_session_key_is_not_logged(void **state)
{
    (void)state;
    comes("OH_SESSION_API_KEYS_0=0123456789abcdefghij");
    comes("klmnopqrstuvwxyzABCDEFG" KEY "; " KEY " 0123\n");
    assert_string_equal(logged, "output: OH_SESSION_API_KEYS_0=" HIDDEN HIDDEN "; " HIDDEN " 0123");
}

static void a_line_that_is_cut_amid_the_session_key_shows_nothing_of_it(void **state)
{
    (void)state;
    for (size_t shown = 1; shown < sizeof KEY; shown++) {
        char text[LINE_MAX_BYTES + sizeof KEY + 1];
        memset(text, 'x', sizeof text);
        snprintf(text + LINE_MAX_BYTES - shown, sizeof text - (LINE_MAX_BYTES - shown), KEY "\n");
        comes(text);
        assert_int_equal(strlen(logged), strlen("output: ") + LINE_MAX_BYTES);
        assert_int_equal(strspn(strchr(logged, '*'), "*"), shown);
        assert_null(strpbrk(logged, "0123456789"));
    }
}

static void a_program_that_does_not_stop_talking_is_logged_for_a_while(void **state)
{
    (void)state;
    for (unsigned i = 0; sink && i < 2000; i++)
        comes("line\n");
    assert_null(sink);
    assert_int_equal(lines, 1001);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_line_is_logged_when_it_is_whole),
        CASE(the_session_key_is_not_logged),
        CASE(a_line_that_is_cut_amid_the_session_key_shows_nothing_of_it),
        CASE(a_program_that_does_not_stop_talking_is_logged_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
