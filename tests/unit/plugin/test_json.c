/* The JSON table: what is a document, and what its values answer. */
#include "plugin/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sbx_json_api *json;

static sbx_json *parse(const char *text)
{
    return json->parse(text, strlen(text), NULL);
}

static void refuses(const char *text, size_t len, const char *reason)
{
    const char *why = NULL;
    char *exact = malloc(len ? len : 1); /* no zero byte behind it */
    memcpy(exact, text, len);
    sbx_json *value = json->parse(exact, len, &why);
    free(exact);
    assert_null(value);
    assert_non_null(why);
    if (reason)
        assert_string_equal(why, reason);
}

static void one_document_of_each_type_parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sbx_json_type type;
    } cases[] = {
        {"null", SBX_JSON_NULL},     {"true", SBX_JSON_BOOL},    {"12", SBX_JSON_INT},
        {"-12.5", SBX_JSON_DOUBLE},  {"\"x\"", SBX_JSON_STRING}, {"[]", SBX_JSON_ARRAY},
        {" {} \n", SBX_JSON_OBJECT}, {"1e3", SBX_JSON_DOUBLE},   {"0", SBX_JSON_INT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sbx_json *value = parse(cases[i].text);
        assert_non_null(value);
        assert_int_equal(json->type(value), cases[i].type);
        json->free(value);
    }
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",         " ",
        "{",        "[1,",
        "{\"a\":}", "{'a':1}",
        "[1,]",     "{\"a\":1,}",
        "nul",      "NaN",
        "Infinity", "01",
        "+1",       "1.",
        ".5",       "// x\n1",
        "\"a",      "\"\n\"",
        "[1 2]",    "{\"a\" 1}",
        "tru",      "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (parse(wrong[i]))
            fail_msg("parsed: %s", wrong[i]);
        refuses(wrong[i], strlen(wrong[i]), NULL);
    }
    refuses("{} {}", 5, "something follows after its end");
    refuses("1 x", 3, "something follows after its end");
    refuses("[", 1, "it ends too early");
    refuses("\"\xff\"", 3, "it is not UTF-8");
    refuses("\"\xed\xa0\x80\"", 5, "it is not UTF-8");
    refuses("\"\xc0\x80\"", 4, "it is not UTF-8");
    refuses("\"a\0b\"", 5, "a string has a control character in it");
    refuses("\"\\u0000\"", 8, "a string has a zero byte in it");
    refuses("{\"a\\u0000b\":1}", 14, "a string has a zero byte in it");
    sbx_json *fine = parse("\"\\\\u0000\""); /* a backslash, and then letters */
    assert_string_equal(json->string(fine, NULL), "\\u0000");
    json->free(fine);
}

static void sixty_four_levels_are_the_limit(void **state)
{
    (void)state;
    for (size_t depth = 63; depth <= 66; depth++) {
        char text[200] = {0};
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        const char *why = "";
        sbx_json *value = json->parse(text, strlen(text), &why);
        assert_int_equal(value != NULL, depth <= 64);
        if (!value)
            assert_string_equal(why, "it is nested more than 64 levels deep");
        json->free(value);
        text[depth] = '1';
        memset(text + depth + 1, ']', depth);
        value = parse(text);
        assert_int_equal(value != NULL, depth <= 64);
        json->free(value);
    }
}

static void integers_are_64_bits_and_not_rounded(void **state)
{
    (void)state;
    sbx_json *value = parse("[9223372036854775807, -9223372036854775808, 9223372036854775808, 1.0]");
    assert_true(json->integer(json->at(value, 0), 0) == INT64_MAX);
    assert_true(json->integer(json->at(value, 1), 0) == INT64_MIN);
    assert_int_equal(json->type(json->at(value, 2)), SBX_JSON_DOUBLE);
    assert_int_equal(json->integer(json->at(value, 2), 7), 7);
    assert_true(json->number(json->at(value, 2), 0) == 9223372036854775808.0);
    assert_int_equal(json->integer(json->at(value, 3), 7), 7);
    assert_true(json->number(json->at(value, 0), 0) > 9e18);
    json->free(value);
    refuses("18446744073709551616", 20, "an integer is beyond 64 bits");
    refuses("-9223372036854775809", 20, "an integer is beyond 64 bits");
    refuses("123456789012345678901234567890", 30, "an integer is beyond 64 bits");
    value = parse("18446744073709551615");
    assert_true(json->number(value, 0) == 18446744073709551615.0);
    json->free(value);
}

static void absent_and_null_are_told_apart_and_chains_need_no_checks(void **state)
{
    (void)state;
    sbx_json *value = parse("{\"a\": null, \"b\": {\"c\": [1, null]}}");
    assert_non_null(json->get(value, "a"));
    assert_null(json->get(value, "x"));
    assert_int_equal(json->type(json->get(value, "a")), SBX_JSON_NULL);
    assert_int_equal(json->integer(json->at(json->get(json->get(value, "b"), "c"), 0), 0), 1);
    assert_non_null(json->at(json->get(json->get(value, "b"), "c"), 1));
    assert_null(json->at(json->get(json->get(value, "b"), "c"), 2));
    assert_null(json->get(json->get(json->get(value, "x"), "y"), "z"));
    assert_string_equal(json->string(json->get(NULL, "x"), "fallback"), "fallback");
    assert_int_equal(json->boolean(NULL, 1), 1);
    assert_int_equal(json->length(NULL), 0);
    assert_null(json->member(NULL, 0, NULL));
    const sbx_json *found;
    assert_string_equal(json->member(value, 0, &found), "a");
    assert_non_null(found);
    assert_string_equal(json->member(value, 1, &found), "b");
    assert_null(json->member(value, 2, &found));
    assert_null(found);
    json->free(value);
    json->free(NULL);
}

static void what_is_built_reads_back(void **state)
{
    (void)state;
    sbx_json *object = json->new_object(), *array = json->new_array();
    assert_int_equal(json->push(array, json->new_integer(1)), 0);
    assert_int_equal(json->push(array, json->new_double(0.5)), 0);
    assert_int_equal(json->push(array, json->new_double(NAN)), 0);
    assert_int_equal(json->push(array, NULL), 0);
    assert_int_equal(json->set(object, "text", json->new_string("a/\"b\"\n\u00fc")), 0);
    assert_int_equal(json->set(object, "yes", json->new_boolean(7)), 0);
    assert_int_equal(json->set(object, "list", array), 0);
    assert_int_equal(json->set(object, "text", json->new_string("b/c")), 0);
    sbx_json *copy = json->copy(object);
    json->free(object);
    size_t len = 0;
    assert_string_equal(json->text(copy, &len), "{\"text\":\"b/c\",\"yes\":true,\"list\":[1,0.5,null,null]}");
    assert_int_equal(len, strlen(json->text(copy, NULL)));
    json->free(copy);
    assert_string_equal(json->text(NULL, NULL), "null");
    sbx_json *null = json->copy(NULL);
    assert_int_equal(json->type(null), SBX_JSON_NULL);
    json->free(null);
}

static void what_does_not_fit_is_freed_all_the_same(void **state)
{
    (void)state;
    sbx_json *array = json->new_array(), *object = json->new_object();
    assert_int_equal(json->set(array, "x", json->new_integer(1)), -1);
    assert_int_equal(json->push(object, json->new_integer(1)), -1);
    assert_int_equal(json->set(NULL, "x", json->new_integer(1)), -1);
    assert_int_equal(json->set(object, NULL, json->new_integer(1)), -1);
    assert_int_equal(json->set(object, "x", object), -1);
    json->free(array);
    json->free(object);
}

static int setup(void **state)
{
    (void)state;
    json = json_table();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_document_of_each_type_parses),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(sixty_four_levels_are_the_limit),
        cmocka_unit_test(integers_are_64_bits_and_not_rounded),
        cmocka_unit_test(absent_and_null_are_told_apart_and_chains_need_no_checks),
        cmocka_unit_test(what_is_built_reads_back),
        cmocka_unit_test(what_does_not_fit_is_freed_all_the_same),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
