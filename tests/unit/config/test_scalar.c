/* What the text of a scalar is worth: numbers, durations, sizes, YAML's core schema. */
#include "config/scalar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { NOT = 1 }; /* no value of that type */

struct row {
    const char *text;
    uint64_t value;
    int is_not;
};

static void check(const struct row *rows, size_t count, bool (*parse)(const char *text, uint64_t *value))
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        bool ok = parse(rows[i].text, &value);
        if (ok == rows[i].is_not || (ok && value != rows[i].value))
            fail_msg("\"%s\" is %s, %ju", rows[i].text, ok ? "a value" : "none", (uintmax_t)value);
    }
}
#define CHECK(rows, parse) check(rows, sizeof rows / sizeof *rows, parse)

static void durations_have_a_unit_or_are_seconds(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"500ms", 500, 0},
        {"5s", 5000, 0},
        {"2m", 120000, 0},
        {"1h", 3600000, 0},
        {"7d", 604800000, 0},
        {"5", 5000, 0},
        {"0", 0, 0},
        {"007s", 7000, 0},
        {"18446744073709551615ms", UINT64_MAX, 0},
        {"18446744073709551616ms", UINT64_MAX, 0},
        {"18446744073709551615", UINT64_MAX, 0},
        {"99999999999999999999999999d", UINT64_MAX, 0},
        {"213503982335d", UINT64_MAX, 0}, /* the first that overflows */
        {"", 0, NOT},
        {"s", 0, NOT},
        {"5 s", 0, NOT},
        {" 5s", 0, NOT},
        {"5S", 0, NOT},
        {"1.5s", 0, NOT},
        {"1h30m", 0, NOT},
        {"-5s", 0, NOT},
        {"+5s", 0, NOT},
        {"5sec", 0, NOT},
        {"5w", 0, NOT},
        {"1e3", 0, NOT},
        {"0x10", 0, NOT},
    };
    CHECK(rows, scalar_duration);
}

static void sizes_have_a_binary_unit_or_are_bytes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"64KiB", 65536, 0},
        {"1MiB", 1048576, 0},
        {"2GiB", UINT64_C(2147483648), 0},
        {"4096", 4096, 0},
        {"17179869184GiB", UINT64_MAX, 0},
        {"99999999999999999999", UINT64_MAX, 0},
        {"1MB", 0, NOT},
        {"1M", 0, NOT},
        {"1mib", 0, NOT},
        {"1.5MiB", 0, NOT},
        {"MiB", 0, NOT},
        {"-1", 0, NOT},
        {"", 0, NOT},
    };
    CHECK(rows, scalar_size);
}

static void counts_are_decimal_digits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"0", 0, 0},
        {"1024", 1024, 0},
        {"18446744073709551615", UINT64_MAX, 0},
        {"18446744073709551616", UINT64_MAX, 0},
        {"", 0, NOT},
        {"1_000", 0, NOT},
        {"0x10", 0, NOT},
        {"-1", 0, NOT},
        {"1.0", 0, NOT},
        {"ten", 0, NOT},
    };
    CHECK(rows, scalar_count);
}

static void plain_scalars_have_the_type_of_the_core_schema(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum scalar_sort sort;
    } rows[] = {
        {"", SCALAR_NULL},       {"~", SCALAR_NULL},       {"null", SCALAR_NULL},    {"Null", SCALAR_NULL},
        {"nULL", SCALAR_TEXT},   {"true", SCALAR_TRUE},    {"TRUE", SCALAR_TRUE},    {"tRUE", SCALAR_TEXT},
        {"false", SCALAR_FALSE}, {"yes", SCALAR_TEXT},     {"on", SCALAR_TEXT},      {"0", SCALAR_INTEGER},
        {"-12", SCALAR_INTEGER}, {"+12", SCALAR_INTEGER},  {"0o17", SCALAR_INTEGER}, {"0o18", SCALAR_TEXT},
        {"0", SCALAR_INTEGER},   {"0xfF", SCALAR_INTEGER}, {"0x", SCALAR_TEXT},      {"-0x1", SCALAR_TEXT},
        {"0b1", SCALAR_TEXT},    {"1.5", SCALAR_FLOAT},    {".5", SCALAR_FLOAT},     {"5.", SCALAR_FLOAT},
        {"1e3", SCALAR_FLOAT},   {"1e", SCALAR_TEXT},      {".", SCALAR_TEXT},       {"-.5e-3", SCALAR_FLOAT},
        {".inf", SCALAR_FLOAT},  {"-.INF", SCALAR_FLOAT},  {".nan", SCALAR_FLOAT},   {"-.nan", SCALAR_TEXT},
        {"inf", SCALAR_TEXT},    {"nan", SCALAR_TEXT},     {"1.2.3", SCALAR_TEXT},   {"-", SCALAR_TEXT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (scalar_sort(rows[i].text) != rows[i].sort)
            fail_msg("\"%s\" is %d", rows[i].text, (int)scalar_sort(rows[i].text));
}

static void integers_of_any_base_fit_64_bits_or_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        uint64_t magnitude;
        bool negative;
    } rows[] = {
        {"0x1F", true, 31, false},
        {"0o17", true, 15, false},
        {"-9223372036854775808", true, UINT64_C(1) << 63, true},
        {"-9223372036854775809", false, 0, true},
        {"18446744073709551615", true, UINT64_MAX, false},
        {"18446744073709551616", false, 0, false},
        {"0xffffffffffffffff", true, UINT64_MAX, false},
        {"0x10000000000000000", false, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t magnitude = 0;
        bool negative = false;
        assert_int_equal(scalar_integer(rows[i].text, &magnitude, &negative), rows[i].fits);
        if (rows[i].fits) {
            assert_true(magnitude == rows[i].magnitude);
            assert_int_equal(negative, rows[i].negative);
        }
    }
}

static void bounds_are_printed_in_the_largest_even_unit(void **state)
{
    (void)state;
    char text[SCALAR_TEXT_SIZE];
    static const struct {
        uint64_t ms;
        const char *text;
    } rows[] = {{0, "0"}, {1, "1ms"}, {1500, "1500ms"}, {10000, "10s"}, {120000, "2m"}, {86400000, "1d"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scalar_print_duration(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
    scalar_print_size(1025, text);
    assert_string_equal(text, "1025");
    scalar_print_size(3 << 20, text);
    assert_string_equal(text, "3MiB");
}

static void hexadecimal_text_has_exactly_the_length(void **state)
{
    (void)state;
    uint8_t bytes[2];
    assert_true(scalar_hex("0aFf", bytes, 2));
    assert_int_equal(bytes[0], 0x0a);
    assert_int_equal(bytes[1], 0xff);
    assert_false(scalar_hex("0aF", bytes, 2));
    assert_false(scalar_hex("0aFf0", bytes, 2));
    assert_false(scalar_hex("0aFg", bytes, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_a_unit_or_are_seconds),
        cmocka_unit_test(sizes_have_a_binary_unit_or_are_bytes),
        cmocka_unit_test(counts_are_decimal_digits),
        cmocka_unit_test(plain_scalars_have_the_type_of_the_core_schema),
        cmocka_unit_test(integers_of_any_base_fit_64_bits_or_are_refused),
        cmocka_unit_test(bounds_are_printed_in_the_largest_even_unit),
        cmocka_unit_test(hexadecimal_text_has_exactly_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
