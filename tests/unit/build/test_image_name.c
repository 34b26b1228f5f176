/* Names of images: each has one full form, and what is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "build/image_name.h"

#include <string.h>

static void each_name_has_one_full_form(void **state)
{
    (void)state;
    static const char *const pairs[][3] = {
        {"alpine", "docker.io/library/alpine:latest", "alpine:latest"},
        {"docker.io/alpine:3", "docker.io/library/alpine:3", "alpine:3"},
        {"index.docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"},
        {"me/app:V1.0_x-y", "docker.io/me/app:V1.0_x-y", "me/app:V1.0_x-y"},
        {"localhost/app", "localhost/app:latest", "localhost/app:latest"},
        {"127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000/a/b/c:1"},
        {"reg.example/a__b/c--d.e_f", "reg.example/a__b/c--d.e_f:latest", "reg.example/a__b/c--d.e_f:latest"},
    };
    char full[BUILD_NAME_SIZE];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_true(image_name_full(pairs[i][0], full));
        assert_string_equal(full, pairs[i][1]);
        assert_string_equal(image_name_short(full), pairs[i][2]);
    }
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",   "A",  "a b",  "a:",    ":a",   "a:b:c",        "a/",      "/a",        "a//b", "a@sha256:0",
        "-a", "a-", "a..b", "a___b", "a:-x", "reg.example/", "x/y:z/w", "reg:x y/a", "a\nb", "caf\xc3\xa9"};
    char full[BUILD_NAME_SIZE], longest[BUILD_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (image_name_full(wrong[i], full))
            fail_msg("taken: '%s' as %s", wrong[i], full);
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(image_name_full(longest, full));
    longest[BUILD_NAME_MAX] = '\0';
    assert_true(image_name_full(longest, full));
    assert_int_equal(strlen(full), BUILD_NAME_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_name_has_one_full_form),
        cmocka_unit_test(what_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
