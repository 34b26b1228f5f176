/* The log: a line stays a line, JSON stays JSON, and a pipe that nobody reads holds nothing up. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int before, pipe_ends[2];

static int set_up(void **state)
{
    (void)state;
    before = dup(STDERR_FILENO);
    return pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) == 0 && dup2(pipe_ends[1], STDERR_FILENO) >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(before, STDERR_FILENO);
    close(before);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return 0;
}

/* What was written, without the time that each line has in front. */
static const char *written(size_t time)
{
    static char text[8192];
    ssize_t len = read(pipe_ends[0], text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    return strlen(text) > time ? text + time : "";
}

enum {
    TEXT_TIME = sizeof "2026-01-02T03:04:05.678901Z " - 1,
    JSON_TIME = TEXT_TIME - 1 + sizeof "{'time':'" - 1
};

static void a_line_names_what_it_is_about(void **state)
{
    (void)state;
    struct log_context about = {.sandbox = "s1", .request = "r1", .backend = "b1"};
    log_configure(LOG_INFO, false);
    log_line(LOG_WARN, &about, "took %d", 5);
    assert_string_equal(written(TEXT_TIME), "warn backend=b1 sandbox=s1 request=r1: took 5\n");
    log_configure(LOG_INFO, true);
    about = (struct log_context){.request = "r\"1"};
    log_line(LOG_INFO, &about, "ok");
    assert_string_equal(written(JSON_TIME),
                        "\",\"level\":\"info\",\"request\":\"r\\\"1\",\"message\":\"ok\"}\n");
}

static void less_important_lines_are_left_out(void **state)
{
    (void)state;
    log_configure(LOG_WARN, false);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_ERROR));
    log_info("not this");
    log_error("this");
    assert_string_equal(written(TEXT_TIME), "error: this\n");
}

static void control_characters_and_wrong_utf8_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *message, *text, *json;
    } rows[] = {
        {"a\nb\x1b[1m\x7f", "a\\x0ab\\x1b[1m\\x7f", "a\\u000ab\\u001b[1m\\u007f"},
        {"\"\\\"", "\"\\\"", "\\\"\\\\\\\""},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
         "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"},
        {"\xff|\xc0\xaf|\xed\xa0\x80|\xc3", "\\xff|\\xc0\\xaf|\\xed\\xa0\\x80|\\xc3",
         "\\u00ff|\\u00c0\\u00af|\\u00ed\\u00a0\\u0080|\\u00c3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[256];
        log_configure(LOG_INFO, false);
        log_info("%s", rows[i].message);
        snprintf(expected, sizeof expected, "info: %s\n", rows[i].text);
        assert_string_equal(written(TEXT_TIME), expected);
        log_configure(LOG_INFO, true);
        log_info("%s", rows[i].message);
        snprintf(expected, sizeof expected, "\",\"level\":\"info\",\"message\":\"%s\"}\n", rows[i].json);
        assert_string_equal(written(JSON_TIME), expected);
    }
}

static void an_over_long_line_is_cut_and_still_a_line(void **state)
{
    (void)state;
    char text[10000];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_configure(LOG_INFO, true);
    log_info("%s", text);
    const char *line = written(0);
    size_t len = strlen(line);
    assert_true(len <= 4096 && len > 4000);
    assert_string_equal(line + len - strlen("\\u000a\"}\n"), "\\u000a\"}\n");
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
}

static void lines_that_nobody_reads_are_dropped_and_counted(void **state)
{
    (void)state;
    log_configure(LOG_INFO, false);
    for (int i = 0; i < 3000; i++)
        log_info("a line of some length that fills the pipe behind stderr after a while: number %d", i);
    while (*written(0))
        continue;
    log_info("read again");
    const char *text = written(0);
    assert_non_null(strstr(text, " lines of log were dropped: nobody read them\n"));
    assert_non_null(strstr(text, "read again\n"));
    log_info("and on");
    assert_string_equal(written(TEXT_TIME), "info: and on\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_names_what_it_is_about),
        TEST(less_important_lines_are_left_out),
        TEST(control_characters_and_wrong_utf8_are_escaped),
        TEST(an_over_long_line_is_cut_and_still_a_line),
        TEST(lines_that_nobody_reads_are_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
