/* Which lines of an output are access-log lines of our health checks. */
#include "plugin/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void our_checks_are_told_from_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int ours;
    } rows[] = {
        {"INFO:     127.0.0.1:50000 - \"GET /alive HTTP/1.1\" 200 OK", 1},
        {"INFO:     127.0.0.1:50000 - \"GET /alive HTTP/1.1\" 503 Service Unavailable", 1},
        {"127.0.0.1 - - [28/Nov/2026 21:00:00] \"GET /alive HTTP/1.1\" 200 -", 1},
        {"127.0.0.1 - - [28/Nov/2026:21:00:00 +0000] \"GET /alive HTTP/1.1\" 200 15", 1},
        {"127.0.0.1 - - [x] \"GET /alive HTTP/1.1\" 200 15 \"-\" \"sandboxd/0.1.0 (health check)\"", 1},
        {"{\"message\": \"127.0.0.1:5 - \\\"GET /alive HTTP/1.1\\\" 200\"}", 1},
        {"{\"path\": \"/other\", \"agent\": \"sandboxd/9.9 (health check)\"}", 1},
        {"127.0.0.1 - - [x] \"GET /alive HTTP/1.1\" 200 15 \"-\" \"curl/8.0\"", 0},
        {"127.0.0.1 - - [x] \"GET /alive HTTP/1.1\" 200 15 \"-\" \"sandboxd/0.1.0 (poll)\"", 0},
        {"INFO:     127.0.0.1:50000 - \"GET /alive?x=1 HTTP/1.1\" 200 OK", 0},
        {"INFO:     127.0.0.1:50000 - \"GET /alive/more HTTP/1.1\" 200 OK", 0},
        {"INFO:     127.0.0.1:50000 - \"POST /alive HTTP/1.1\" 200 OK", 0},
        {"INFO:     127.0.0.1:50000 - \"GET /api/alive HTTP/1.1\" 200 OK", 0},
        {"it failed to GET /alive HTTP/1.1", 0},
        {"\"GET /alive HTTP/1.1\" and more", 0},
        {"\"GET /alive HTTP/1.1\"", 0},
        {"\"GET /alive HTTP/1.1", 0},
        {"sandboxd/1", 0},
        {"sandboxd/", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t len = strlen(rows[i].line);
        char *text = malloc(len + 1); /* so that a read beyond it is seen */
        memcpy(text, rows[i].line, len);
        size_t left = access_log_drop_checks(text, len, "/alive");
        if (left != (rows[i].ours ? 0 : len))
            fail_msg("%s", rows[i].line);
        free(text);
    }
}

static void what_is_left_is_as_it_was(void **state)
{
    (void)state;
    static const char check[] = "\"GET /alive HTTP/1.1\" 200 OK";
    char text[512];
    snprintf(text, sizeof text, "%s\nfirst\n%s\n%s\r\n\nlast words", check, check, check);
    size_t len = access_log_drop_checks(text, strlen(text), "/alive");
    assert_int_equal(len, strlen("first\n\nlast words"));
    assert_memory_equal(text, "first\n\nlast words", len);
    snprintf(text, sizeof text, "%s\n", check);
    assert_int_equal(access_log_drop_checks(text, strlen(text), NULL), strlen(check) + 1);
    assert_int_equal(access_log_drop_checks(text, strlen(text), "/health"), strlen(check) + 1);
    assert_int_equal(access_log_drop_checks(text, 0, "/alive"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_checks_are_told_from_the_rest),
        cmocka_unit_test(what_is_left_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
