/* What is UTF-8 and what only looks like it: RFC 3629, section 4, at each bound. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static size_t length(const char *text)
{
    return utf8_length(text, UTF8_MAX);
}

static void sequences_at_each_bound_are_taken(void **state)
{
    (void)state;
    assert_int_equal(length("a"), 1);
    assert_int_equal(length("\x7f"), 1);
    assert_int_equal(utf8_length("", 1), 1);
    assert_int_equal(length("\xc2\x80"), 2);
    assert_int_equal(length("\xdf\xbf"), 2);
    assert_int_equal(length("\xe0\xa0\x80"), 3);
    assert_int_equal(length("\xed\x9f\xbf"), 3);
    assert_int_equal(length("\xee\x80\x80"), 3);
    assert_int_equal(length("\xef\xbf\xbf"), 3);
    assert_int_equal(length("\xf0\x90\x80\x80"), 4);
    assert_int_equal(length("\xf4\x8f\xbf\xbf"), 4);
}

static void what_is_beyond_a_bound_is_none(void **state)
{
    (void)state;
    static const char *const none[] = {"\x80",
                                       "\xbf",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2\x7f",
                                       "\xc2\xc0",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xef\xbf",
                                       "\xef\xbf\x7f",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(length(none[i]), 0);
}

static void nothing_behind_the_end_is_read(void **state)
{
    (void)state;
    static const char *const sequences[] = {"\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"};
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        for (size_t left = 0; left < strlen(sequences[i]); left++)
            assert_int_equal(utf8_length(sequences[i], left), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_at_each_bound_are_taken),
        cmocka_unit_test(what_is_beyond_a_bound_is_none),
        cmocka_unit_test(nothing_behind_the_end_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
