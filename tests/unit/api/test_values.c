/* The values of parameters. */
#include "api/values.h"

#include "world.h"

static void integers_are_digits_after_one_sign(void **state)
{
    (void)state;
    int64_t value;
    assert_true(value_integer("0", &value) && value == 0);
    assert_true(value_integer("007", &value) && value == 7);
    assert_true(value_integer("-12", &value) && value == -12);
    assert_true(value_integer("99999999999999999999", &value) && value == INT64_MAX);
    assert_true(value_integer("92233720368547758079", &value) && value == INT64_MAX);
    static const char *const wrong[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "1e3", "--1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(value_integer(wrong[i], &value));
}

static void durations_are_digits_and_a_unit(void **state)
{
    (void)state;
    int64_t value;
    assert_true(value_duration_ms("500ms", &value) && value == 500);
    assert_true(value_duration_ms("30s", &value) && value == 30000);
    assert_true(value_duration_ms("30", &value) && value == 30000);
    assert_true(value_duration_ms("2m", &value) && value == 120000);
    assert_true(value_duration_ms("1h", &value) && value == 3600000);
    assert_true(value_duration_ms("9223372036854775807h", &value) && value == INT64_MAX);
    static const char *const wrong[] = {"", "s", "-1s", "+1s", "1 s", "1S", "1d", "1.5s", "30s ", "30s5"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(value_duration_ms(wrong[i], &value));
}

static void flags_are_the_usual_words(void **state)
{
    (void)state;
    bool value;
    assert_true(value_flag("TRUE", &value) && value);
    assert_true(value_flag("1", &value) && value);
    assert_true(value_flag("no", &value) && !value);
    assert_false(value_flag("", &value));
    assert_false(value_flag("2", &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_digits_after_one_sign),
        cmocka_unit_test(durations_are_digits_and_a_unit),
        cmocka_unit_test(flags_are_the_usual_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
