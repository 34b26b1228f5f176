/* The bounded buffer. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void appends_up_to_its_bound_and_not_a_byte_more(void **state)
{
    (void)state;
    struct buffer buffer = buffer_init(10);
    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer_add(&buffer, "12345", 5), 0);
    assert_int_equal(buffer_add_text(&buffer, "67890"), 0);
    assert_int_equal(buffer_add(&buffer, "x", 1), -1);
    assert_true(buffer.failed);
    assert_string_equal(buffer_text(&buffer), "1234567890");
    assert_int_equal(buffer.len, 10);
    buffer_finish(&buffer);
}

static void stays_failed_until_it_is_cleared(void **state)
{
    (void)state;
    struct buffer buffer = buffer_init(3);
    assert_int_equal(buffer_add_text(&buffer, "1234"), -1);
    assert_int_equal(buffer_add_text(&buffer, "1"), -1);
    assert_null(buffer_take(&buffer));
    buffer_clear(&buffer);
    assert_int_equal(buffer_add_text(&buffer, "123"), 0);
    buffer_clear(&buffer);
    assert_string_equal(buffer_text(&buffer), "");
    buffer_finish(&buffer);
}

static void a_huge_length_does_not_overflow(void **state)
{
    (void)state;
    struct buffer buffer = buffer_init(100);
    assert_int_equal(buffer_add_text(&buffer, "a"), 0);
    assert_int_equal(buffer_add(&buffer, "a", SIZE_MAX), -1);
    assert_int_equal(buffer.len, 1);
    buffer_finish(&buffer);
}

static void formats_what_fits(void **state)
{
    (void)state;
    struct buffer buffer = buffer_init(8);
    assert_int_equal(buffer_add_format(&buffer, "%d-%s", 12, "ab"), 0);
    assert_int_equal(buffer_add_format(&buffer, "%s", "1234"), -1);
    assert_string_equal(buffer_text(&buffer), "12-ab");
    buffer_finish(&buffer);
}

static void drops_from_the_front(void **state)
{
    (void)state;
    struct buffer buffer = buffer_init(100);
    buffer_drop_front(&buffer, 5);
    buffer_add_text(&buffer, "abcdef");
    buffer_drop_front(&buffer, 2);
    assert_string_equal(buffer_text(&buffer), "cdef");
    buffer_drop_front(&buffer, 99);
    assert_string_equal(buffer_text(&buffer), "");
    buffer_finish(&buffer);
}

static void hands_its_content_over(void **state)
{
    (void)state;
    struct buffer buffer = buffer_init(100);
    char *empty = buffer_take(&buffer);
    assert_string_equal(empty, "");
    free(empty);
    buffer_add(&buffer, "a\0b", 3);
    char *taken = buffer_take(&buffer);
    assert_memory_equal(taken, "a\0b", 4);
    free(taken);
    assert_int_equal(buffer.len, 0);
    assert_int_equal(buffer_add_text(&buffer, "again"), 0);
    buffer_finish(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_up_to_its_bound_and_not_a_byte_more),
        cmocka_unit_test(stays_failed_until_it_is_cleared),
        cmocka_unit_test(a_huge_length_does_not_overflow),
        cmocka_unit_test(formats_what_fits),
        cmocka_unit_test(drops_from_the_front),
        cmocka_unit_test(hands_its_content_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
