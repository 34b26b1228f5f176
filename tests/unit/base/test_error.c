/* Errors: filled in, wrapped, cut to their size. */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

static void an_error_has_kind_code_message_and_whether_to_try_again(void **state)
{
    (void)state;
    struct sbx_error err;
    assert_int_equal(error_set(&err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, "port %d", 5), -1);
    assert_int_equal(err.kind, SBX_ERR_UNAVAILABLE);
    assert_int_equal(err.retryable, 1);
    assert_string_equal(err.code, "BACKEND_UNAVAILABLE");
    assert_string_equal(err.message, "port 5");
    error_set(&err, SBX_ERR_INVALID, "X", "y");
    assert_int_equal(err.retryable, 0);
    assert_int_equal(error_set(NULL, SBX_ERR_INVALID, "X", "y"), -1);
}

static void context_is_put_in_front(void **state)
{
    (void)state;
    struct sbx_error err;
    error_errno(&err, ENOENT, "open %s", "x");
    assert_string_equal(err.message, "open x: No such file or directory");
    error_wrap(&err, "backend %s", "a");
    assert_string_equal(err.message, "backend a: open x: No such file or directory");
    assert_int_equal(err.kind, SBX_ERR_INTERNAL);
    assert_int_equal(error_wrap(NULL, "x"), -1);
}

static void messages_are_cut_and_may_contain_themselves(void **state)
{
    (void)state;
    struct sbx_error err;
    char text[2000];
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, SBX_ERR_INTERNAL, text, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(strlen(err.code), sizeof err.code - 1);
    error_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    error_set(&err, SBX_ERR_INTERNAL, "X", "inner");
    error_set(&err, SBX_ERR_INTERNAL, "X", "outer of %s", err.message);
    assert_string_equal(err.message, "outer of inner");
}

static void each_kind_has_its_http_status(void **state)
{
    (void)state;
    static const int statuses[] = {500, 400, 404, 409, 429, 500, 501, 502, 503, 504, 500, 500};
    for (int kind = 0; kind < 12; kind++) {
        struct sbx_error err = {.kind = kind};
        assert_int_equal(error_http_status(&err), statuses[kind]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_kind_code_message_and_whether_to_try_again),
        cmocka_unit_test(context_is_put_in_front),
        cmocka_unit_test(messages_are_cut_and_may_contain_themselves),
        cmocka_unit_test(each_kind_has_its_http_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
