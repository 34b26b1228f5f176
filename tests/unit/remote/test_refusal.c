/* test_refusal.c: what the API's refusals become: kind, code, words, and whether to try again. */
#include "plugin/json.h"
#include "refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool refuse_call(struct sbx_error *error, const char *call, int status, const char *body)
{
    const struct sbx_json_api *json = json_table();
    sbx_json *document = body ? json->parse(body, strlen(body), NULL) : NULL;
    bool may_pass = refusal_of(error, json, status, document, " (text/html: '<p>')", call, "the-api-key");
    assert_int_equal(may_pass, error->retryable);
    assert_non_null(strstr(error->message, call));
    json->free(document);
    return may_pass;
}

static bool refuse(struct sbx_error *error, int status, const char *body)
{
    return refuse_call(error, "POST /pause", status, body);
}

static void each_status_has_its_kind(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum sbx_error_kind kind;
        bool may_pass;
    } cases[] = {
        {400, SBX_ERR_REFUSED, false},    {401, SBX_ERR_REFUSED, false},    {403, SBX_ERR_REFUSED, false},
        {404, SBX_ERR_NOT_FOUND, false},  {409, SBX_ERR_CONFLICT, false},   {422, SBX_ERR_REFUSED, false},
        {429, SBX_ERR_LIMIT, true},       {500, SBX_ERR_REFUSED, false},    {501, SBX_ERR_UNSUPPORTED, false},
        {502, SBX_ERR_UNAVAILABLE, true}, {503, SBX_ERR_UNAVAILABLE, true}, {504, SBX_ERR_TIMEOUT, true},
        {302, SBX_ERR_REFUSED, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sbx_error error;
        assert_int_equal(refuse(&error, cases[i].status, "{\"detail\": \"its words\"}"), cases[i].may_pass);
        assert_int_equal(error.kind, cases[i].kind);
        assert_non_null(strstr(error.message, "its words"));
    }
}

static void words_are_found_in_each_form(void **state)
{
    (void)state;
    struct sbx_error error;
    refuse(&error, 422, "{\"detail\": [{\"loc\": [\"body\", \"image\"], \"msg\": \"Field required\"}]}");
    assert_non_null(strstr(error.message, "image: Field required"));
    refuse(&error, 429, "{\"detail\": {\"error\": \"LIMIT\", \"message\": \"too many\"}}");
    assert_non_null(strstr(error.message, "too many"));
    refuse(&error, 400, "{\"detail\": \"two\\nlines\\u0007\"}");
    assert_non_null(strstr(error.message, "two lines "));
    static const char *const strange[] = {
        "[]", "{\"detail\": 1}", "{\"detail\": []}", "{\"detail\": [[]]}", "7", NULL};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        refuse(&error, 400, strange[i]);
        assert_non_null(strstr(error.message, "status 400"));
    }
}

static void long_words_are_cut_between_characters(void **state)
{
    (void)state;
    char body[2100] = "{\"detail\": \"";
    struct sbx_error error;
    size_t len = strlen(body);
    for (; len < 2000; len += 2)
        memcpy(body + len, "\xc3\xa4", 2);
    memcpy(body + len, "\"}", 3);
    refuse(&error, 400, body);
    size_t end = strlen(error.message);
    assert_true(end < 400);
    assert_memory_equal(error.message + end - 2, "\xc3\xa4", 2);
}

static void a_key_in_its_words_is_not_told(void **state)
{
    (void)state;
    struct sbx_error error;
    refuse(&error, 401, "{\"detail\": \"no such key: the-api-key\"}");
    assert_null(strstr(error.message, "the-api-key"));
    assert_non_null(strstr(error.message, "option api_key"));
    char body[512];
    for (int before = 250; before < 310; before++) { /* wherever its words are cut */
        snprintf(body, sizeof body, "{\"detail\": \"%0*d the-api-key\"}", before, 7);
        refuse(&error, 400, body);
        assert_null(strstr(error.message, "the-"));
    }
    refuse(&error, 422, "{\"detail\": [{\"loc\": [\"the-api-key\"], \"msg\": \"no header\"}]}");
    assert_null(strstr(error.message, "the-api-key"));
}

static void a_quota_is_no_matter_of_time(void **state)
{
    (void)state;
    struct sbx_error error;
    assert_false(refuse(&error, 429,
                        "{\"detail\": {\"error\": \"CONCURRENCY_LIMIT_REACHED\", \"message\": \"enough\"}}"));
    assert_int_equal(error.kind, SBX_ERR_LIMIT);
    assert_string_equal(error.code, "CONCURRENCY_LIMIT_REACHED");
    assert_non_null(strstr(error.message, "enough"));
}

static void only_an_api_says_that_something_is_not_there(void **state)
{
    (void)state;
    struct sbx_error error;
    refuse(&error, 404, "{\"detail\": \"Session not found\"}");
    assert_true(refusal_is_missing(&error));
    refuse(&error, 404, "{\"detail\": \"x\", \"error\": {\"code\": \"SANDBOX_NOT_FOUND\"}}");
    assert_true(refusal_is_missing(&error));
    refuse(&error, 404, NULL); /* a page of a proxy */
    assert_false(refusal_is_missing(&error));
    refuse(&error, 404, "{\"message\": \"no Route matched\"}"); /* a gateway that speaks JSON */
    assert_false(refusal_is_missing(&error));
    refuse(&error, 404, "{\"detail\": \"x\", \"error\": {\"code\": \"IMAGE_NOT_FOUND\"}}");
    assert_false(refusal_is_missing(&error));
    assert_string_equal(error.code, "IMAGE_NOT_FOUND");
    assert_false(refusal_is_missing(NULL));
}

static void a_body_without_a_reason_is_quoted(void **state)
{
    (void)state;
    struct sbx_error error;
    refuse(&error, 500, NULL);
    assert_string_equal(error.message,
                        "the runtime API refused POST /pause with status 500 (text/html: '<p>')");
    refuse(&error, 500, "{\"detail\": \"broken\"}");
    assert_string_equal(error.message, "the runtime API refused POST /pause with status 500: broken");
}

static void a_start_that_is_not_found_means_that_the_api_is_elsewhere(void **state)
{
    (void)state;
    static const char *const bodies[] = {NULL, "{\"detail\": \"Not Found\"}",
                                         "{\"detail\": \"x\", \"error\": {\"code\": \"NOT_FOUND\"}}"};
    struct sbx_error error;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        refuse_call(&error, "POST /start", 404, bodies[i]);
        assert_int_equal(error.kind, SBX_ERR_REFUSED);
        assert_string_equal(error.code, SBX_CODE_BACKEND_REFUSED);
        assert_non_null(strstr(error.message, "is the option api_url right?"));
    }
    refuse_call(&error, "POST /start", 404,
                "{\"detail\": \"x\", \"error\": {\"code\": \"IMAGE_NOT_FOUND\"}}");
    assert_string_equal(error.code, "IMAGE_NOT_FOUND");
    assert_null(strstr(error.message, "api_url"));
}

static const char *quote(const char *body, size_t len)
{
    static char text[QUOTE_SIZE];
    refusal_quote(text, body, len, "the-api-key");
    return text;
}

static void a_quote_is_short_printable_and_without_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *body, *quote;
    } rows[] = {
        {"", ""},
        {"<html>", "<html>"},
        {"a\r\n\tb\x1b[1m\xc3\xa4", "a   b?[1m??"},
        {"0123456789012345678901234567890123456789012345678901234567890123456789012345678901",
         "01234567890123456789012345678901234567890123456789012345678901234567890123456789…"},
        {"{\"runtime_id\": \"a\", \"session_api_key\": \"hush\"", "{\"runtime_id\": \"a\", \"session_api_…"},
        {"Bearer TOKEN hush", "Bearer …"},
        {"you said the-api-key, which", "you said …"},
        {"x=1&password=hush", "x=1&…"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(quote(rows[i].body, strlen(rows[i].body)), rows[i].quote);
    static const char secret[] = "hidden-word";
    for (int before = 60; before < 100; before++) { /* wherever it is cut */
        char body[256], text[QUOTE_SIZE];
        int len = snprintf(body, sizeof body, "%0*d%s", before, 7, secret);
        refusal_quote(text, body, (size_t)len, secret);
        assert_null(strchr(text, 'h'));
    }
}

static void codes_of_its_own_are_kept_where_they_are_codes(void **state)
{
    (void)state;
    struct sbx_error error;
    assert_false(
        refuse(&error, 502, "{\"detail\": \"x\", \"error\": {\"code\": \"EXITED\", \"retryable\": false}}"));
    assert_string_equal(error.code, "EXITED");
    assert_int_equal(error.kind, SBX_ERR_REFUSED);
    assert_true(
        refuse(&error, 502, "{\"detail\": \"x\", \"error\": {\"code\": \"EXITED\", \"retryable\": true}}"));
    refuse(&error, 400, "{\"error\": {\"code\": \"not a code\"}}");
    assert_string_equal(error.code, SBX_CODE_BACKEND_REFUSED);
    refuse(&error, 400, "{\"error\": {\"code\": \"ABCDEFGHIJKLMNOPQRSTUVWXYZ_ABCDEFGHIJKLMN\"}}");
    assert_string_equal(error.code, SBX_CODE_BACKEND_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_kind),
        cmocka_unit_test(words_are_found_in_each_form),
        cmocka_unit_test(long_words_are_cut_between_characters),
        cmocka_unit_test(a_key_in_its_words_is_not_told),
        cmocka_unit_test(a_quota_is_no_matter_of_time),
        cmocka_unit_test(only_an_api_says_that_something_is_not_there),
        cmocka_unit_test(a_body_without_a_reason_is_quoted),
        cmocka_unit_test(a_start_that_is_not_found_means_that_the_api_is_elsewhere),
        cmocka_unit_test(a_quote_is_short_printable_and_without_secrets),
        cmocka_unit_test(codes_of_its_own_are_kept_where_they_are_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
