/* test_document.c: JSON of others is read whatever anybody wrote into a text of it. */
#include "common/document.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *read_a(sbx_json **document, const char *text)
{
    const struct sbx_json_api *json = json_table();
    *document = document_parse(json, text, strlen(text));
    return json->string(json->get(*document, "a"), NULL);
}

static void assert_reads(const char *text, const char *expected)
{
    sbx_json *document;
    assert_string_equal(read_a(&document, text), expected);
    json_table()->free(document);
}

static void a_zero_character_is_read_as_the_replacement_character(void **state)
{
    (void)state;
    assert_reads("{\"a\":\"x\\u0000y\\u0000\"}", "x\xef\xbf\xbdy\xef\xbf\xbd");
    assert_reads("{\"\\u0000\":1,\"a\":\"\\\\\\u0000\"}", "\\\xef\xbf\xbd");
}

static void what_only_looks_like_one_stays(void **state)
{
    (void)state;
    assert_reads("{\"a\":\"x\\\\u0000y\"}", "x\\u0000y");
    assert_reads("{\"b\":\"\\u0000\",\"a\":\"\\\\\\\\u0000\\u0041\"}", "\\\\u0000A");
}

static void what_is_no_json_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{\"a\":\"\\u0000", "\\u0000", "{\"a\":\"\\u0000\"}\\",
                                        "{\"a\":\\u0000}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_null(document_parse(json_table(), texts[i], strlen(texts[i])));
    assert_null(document_parse(json_table(), NULL, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zero_character_is_read_as_the_replacement_character),
        cmocka_unit_test(what_only_looks_like_one_stays),
        cmocka_unit_test(what_is_no_json_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
