/* Times as text, clocks, randomness, base62. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void times_are_iso_8601_in_utc_with_microseconds(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1767323045678901, "2026-01-02T03:04:05.678901Z"},
        {951782400000000, "2000-02-29T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {INT64_MAX, "1970-01-01T00:00:00.000000Z"}, /* no year of four digits */
        {INT64_MIN, "1970-01-01T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[CLOCK_ISO_SIZE];
        clock_iso(rows[i].us, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void clocks_do_not_go_back(void **state)
{
    (void)state;
    uint64_t us = clock_us(), ms = clock_ms();
    assert_true(ms >= us / 1000);
    assert_true(clock_us() >= us);
    assert_true(clock_wall_us() > INT64_C(1700000000000000));
}

static void base62_has_one_length_for_each_number_of_bytes(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    char text[BASE62_SIZE_32];
    base62_encode(bytes, 16, text);
    assert_string_equal(text, "0000000000000000000000");
    bytes[15] = 61;
    base62_encode(bytes, 16, text);
    assert_string_equal(text, "000000000000000000000z");
    memset(bytes, 0xff, sizeof bytes);
    base62_encode(bytes, 16, text);
    assert_string_equal(text, "7n42DGM5Tflk9n8mt7Fhc7");
    assert_int_equal(strlen(text), BASE62_SIZE_16 - 1);
    base62_encode(bytes, 32, text);
    assert_int_equal(strlen(text), BASE62_SIZE_32 - 1);
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t one[16] = {0}, two[16] = {0};
    random_fill(one, sizeof one);
    random_fill(two, sizeof two);
    assert_memory_not_equal(one, two, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_iso_8601_in_utc_with_microseconds),
        cmocka_unit_test(clocks_do_not_go_back),
        cmocka_unit_test(base62_has_one_length_for_each_number_of_bytes),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
