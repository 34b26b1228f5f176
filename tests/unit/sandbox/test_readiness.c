/* Does the body of a good answer say that the agent server is ready? */
#include "sandbox/readiness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OK "{\"status\":\"ok\"}"

static void what_is_wanted_has_to_be_there_and_more_may_be(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *body;
        bool holds;
    } rows[] = {
        {OK, OK, true},
        {OK, " {\"uptime\": 5, \"status\": \"ok\"}\n", true},
        {OK, "{\"status\":\"not initialized\"}", false},
        {OK, "{\"status\":[\"ok\"]}", false},
        {OK, "{\"status\":null}", false},
        {OK, "{}", false},
        {OK, "\"ok\"", false},
        {OK, "[" OK "]", false},
        {OK, "OK", false},
        {OK, "", false},
        {OK, OK OK, false},
        {OK, "{\"status\":\"ok\"", false},
        {"{\"a\":1,\"b\":true,\"c\":null}", "{\"c\":null,\"b\":true,\"a\":1.0}", true},
        {"{\"a\":1,\"b\":true,\"c\":null}", "{\"b\":true,\"a\":1}", false},
        {"{\"a\":1.5}", "{\"a\":1.5}", true},
        {"{\"a\":1}", "{\"a\":true}", false},
        {"{\"a\":1}", "{\"a\":\"1\"}", false},
    };
    char why[READINESS_WHY_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (readiness_holds(rows[i].wanted, rows[i].body, strlen(rows[i].body), why) != rows[i].holds)
            fail_msg("%s, %s", rows[i].wanted, rows[i].body);
    assert_false(readiness_holds(OK, NULL, 0, why));
    assert_string_equal(why, "its answer is empty, where health_check_body wants a JSON object");
}

static const char *why_not(const char *wanted, const char *body, size_t len)
{
    static char why[READINESS_WHY_SIZE];
    assert_false(readiness_holds(wanted, body, len, why));
    return why;
}

static void it_is_said_what_came_instead(void **state)
{
    (void)state;
    static const char starting[] = "{\"status\":\n\"starting\"}";
    assert_string_equal(
        why_not(OK, starting, sizeof starting - 1),
        "health_check_body wants another \"status\" in its answer than '{\"status\": \"starting\"}'");
    assert_string_equal(why_not(OK, "a\0\x1b[1m\xff", 7),
                        "its answer is no JSON object, as health_check_body wants one, but 'a??[1m?'");
    assert_null(strstr(why_not("{\"token\":\"hush\"}", "{}", 2), "hush"));
}

static void a_long_body_is_cut_between_two_characters(void **state)
{
    (void)state;
    char *body = malloc(READINESS_BODY_MAX + 1);
    memset(body, 'x', READINESS_BODY_MAX + 1);
    memcpy(body + 79, "\xc3\xa4", 2);
    const char *why = why_not(OK, body, READINESS_BODY_MAX + 1);
    assert_string_equal(
        strstr(why, "but 'x"),
        "but 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'");
    free(body);
}

static void a_long_name_is_cut(void **state)
{
    (void)state;
    char wanted[1024] = "{\"";
    memset(wanted + 2, 'n', 1000);
    memcpy(wanted + 1002, "\":1}", 5);
    assert_non_null(strstr(why_not(wanted, "{}", 2), "nnn\" in its answer than '{}'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wanted_has_to_be_there_and_more_may_be),
        cmocka_unit_test(it_is_said_what_came_instead),
        cmocka_unit_test(a_long_body_is_cut_between_two_characters),
        cmocka_unit_test(a_long_name_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
