/* The list of problems: order, bound, form, and what it does to texts from the file. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static void problems_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct config_problems problems;
    config_problems_init(&problems);
    config_problem_add(&problems, false, 0, 0, "", "whole");
    config_problem_add(&problems, false, 9, 2, "", "third");
    config_problem_add(&problems, true, 9, 1, "", "second");
    config_problem_add(&problems, false, 1, 5, "", "first");
    config_problem_add(&problems, false, 9, 2, "", "fourth");
    config_problems_sort(&problems);
    static const char *const order[] = {"first", "second", "third", "fourth", "whole"};
    assert_int_equal(problems.len, 5);
    assert_int_equal(problems.errors, 4);
    for (size_t i = 0; i < problems.len; i++)
        assert_string_equal(problems.list[i].text, order[i]);
    config_problems_finish(&problems);
}

static void a_problem_is_one_line_with_its_position(void **state)
{
    (void)state;
    struct config_problems problems;
    char line[64];
    config_problems_init(&problems);
    config_problem_add(&problems, false, 14, 7, "a.b", "must be %d", 1);
    config_problem_add(&problems, true, 0, 0, "", "no\x1b[1m\nlines\x7f");
    config_problem_format("x.yaml", &problems.list[0], line, sizeof line);
    assert_string_equal(line, "x.yaml:14:7: a.b: must be 1");
    config_problem_format("x.yaml", &problems.list[1], line, sizeof line);
    assert_string_equal(line, "x.yaml: warning: no?[1m?lines?");
    config_problem_format("x.yaml", &problems.list[0], line, 10);
    assert_string_equal(line, "x.yaml:14");
    config_problems_finish(&problems);
}

static void over_a_hundred_are_counted_and_not_kept(void **state)
{
    (void)state;
    struct config_problems problems;
    config_problems_init(&problems);
    for (unsigned i = 1; i <= 250; i++)
        config_problem_add(&problems, false, i, 1, "", "number %u", i);
    config_problems_sort(&problems);
    assert_int_equal(problems.errors, 250);
    assert_int_equal(problems.len, CONFIG_MAX_PROBLEMS + 1);
    assert_string_equal(problems.list[99].text, "number 100");
    assert_string_equal(problems.list[100].text,
                        "there are more than 100 problems: the others are not listed");
    config_problems_finish(&problems);
}

static void over_long_texts_are_cut(void **state)
{
    (void)state;
    struct config_problems problems;
    char path[3000];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    config_problems_init(&problems);
    config_problem_add(&problems, false, 1, 1, path, "tail");
    config_problem_add(&problems, false, 1, 1, "", "%s", path);
    assert_true(strlen(problems.list[0].text) < 1024);
    assert_true(strlen(problems.list[1].text) < 1024);
    config_problems_finish(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_come_in_the_order_of_the_file),
        cmocka_unit_test(a_problem_is_one_line_with_its_position),
        cmocka_unit_test(over_a_hundred_are_counted_and_not_kept),
        cmocka_unit_test(over_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
