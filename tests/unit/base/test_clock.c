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

static void iso_8601_is_read_as_programs_write_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us; /* -1: it is none */
    } rows[] = {
        {"2026-01-02T03:04:05.678901Z", 1767323045678901},
        {"2026-01-02T03:04:05.678901", 1767323045678901},
        {"2026-01-02T03:04:05.678901+00:00", 1767323045678901},
        {"2026-01-02T03:04:05.678901999z", 1767323045678901},
        {"2026-01-02 05:34:05,6789+0230", 1767323045678900},
        {"2026-01-02T02:04:05-01", 1767323045000000},
        {"2026-01-02T04:04:05 01:00", 1767323045000000},
        {"2026-01-02T03:04", 1767323040000000},
        {"2000-02-29", 951782400000000},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00+00:01", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"2100-02-29", -1},
        {"2026-13-01", -1},
        {"2026-00-01", -1},
        {"2026-04-31", -1},
        {"2026-01-00", -1},
        {"2026-01-02T24:00:00", -1},
        {"2026-01-02T23:60:00", -1},
        {"2026-01-02T23:59:60", -1},
        {"2026-01-02T23:59:59.", -1},
        {"2026-01-02T23:59:59.1x", -1},
        {"2026-01-02T23:59:59ZZ", -1},
        {"2026-01-02T23:59:59+1", -1},
        {"2026-01-02T", -1},
        {"2026-01-0", -1},
        {"1767323045", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t us = -1;
        if (clock_read_iso(rows[i].text, &us) != (rows[i].us >= 0) || us != rows[i].us)
            fail_msg("%s: %lld", rows[i].text, (long long)us);
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
        cmocka_unit_test(iso_8601_is_read_as_programs_write_it),
        cmocka_unit_test(clocks_do_not_go_back),
        cmocka_unit_test(base62_has_one_length_for_each_number_of_bytes),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
