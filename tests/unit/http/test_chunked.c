/* The decoder of chunked bodies: verdict and data, cut at every place. */
#include "http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char data[128 * 1024];
static size_t data_len, used;

/* Feeds up to `cut` bytes, then the rest. */
static enum http_progress decode(const char *bytes, size_t len, size_t cut, struct http_fault *fault)
{
    struct http_chunked decoder = {0};
    enum http_progress progress = HTTP_MORE;
    data_len = used = 0;
    while (progress == HTTP_MORE && used < len) {
        size_t end = used < cut && cut < len ? cut : len;
        size_t step, piece_len;
        const char *piece;
        progress = http_chunked_next(&decoder, bytes + used, end - used, &step, &piece, &piece_len, fault);
        assert_in_range(step, 1, end - used);
        memcpy(data + data_len, piece_len ? piece : "", piece_len);
        data_len += piece_len;
        used += step;
    }
    return progress;
}

static const struct {
    enum http_progress progress;
    const char *bytes, *data; /* data: of valid ones */
} table[] = {
    {HTTP_DONE, "0\r\n\r\n", ""},
    {HTTP_DONE, "5\r\nhello\r\n0\r\n\r\n", "hello"},
    {HTTP_DONE, "1\r\na\r\nA\r\n0123456789\r\n0b\r\n-----------\r\n000\r\n\r\n", "a0123456789-----------"},
    {HTTP_FAULT, "2;a\r\nab\r\n0;b=c;d=\"e\\\"f;\r\"\r\n\r\n", NULL},
    {HTTP_DONE, "2;a\r\nab\r\n0;b=c;d=\"e\\\"f;=\"\r\n\r\n", "ab"},
    {HTTP_DONE, "2 ; a = b ;c\r\nab\r\n0\r\n\r\n", "ab"},
    {HTTP_FAULT, "2\t;\"\r\n", NULL},
    {HTTP_DONE, "3\r\n\r\n\n\r\n0\r\nTrailer: x\r\nEmpty:\r\n\r\n", "\r\n\n"},
    {HTTP_DONE, "2;a=b;c=\"\" ;d\r\nab\r\n0\r\n\r\n", "ab"},

    {HTTP_MORE, "", ""},
    {HTTP_MORE, "5", ""},
    {HTTP_MORE, "5\r\nhell", "hell"},
    {HTTP_MORE, "0\r\n", ""},
    {HTTP_MORE, "0\r\nA: b\r\n", ""},

    {HTTP_FAULT, "\r\n", NULL},
    {HTTP_FAULT, "0x5\r\nhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "+5\r\nhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "-1\r\n", NULL},
    {HTTP_FAULT, " 5\r\nhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5 \r\nhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5\nhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5\rhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5\r\nhello\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5\r\nhelloo\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5\r\nhello0\r\n\r\n", NULL},
    {HTTP_FAULT, "5g\r\n", NULL},
    {HTTP_FAULT, ";a\r\n", NULL},
    {HTTP_FAULT, "1000000000000000\r\n", NULL},
    {HTTP_FAULT, "0000000000000005\r\nhello\r\n0\r\n\r\n", NULL},
    {HTTP_FAULT, "5;\r\n", NULL},
    {HTTP_FAULT, "5;a=\r\n", NULL},
    {HTTP_FAULT, "5;a \r\n", NULL},
    {HTTP_FAULT, "5;a=b c\r\n", NULL},
    {HTTP_FAULT, "5;a=\"b\n\"\r\n", NULL},
    {HTTP_FAULT, "5;a=\"b\x01\"\r\n", NULL},
    {HTTP_FAULT, "5;a\n", NULL},
    {HTTP_FAULT, "0\r\n\n", NULL},
    {HTTP_FAULT, "0\r\n\rX", NULL},
    {HTTP_FAULT, "0\r\n folded\r\n\r\n", NULL},
    {HTTP_FAULT, "0\r\n: x\r\n\r\n", NULL},
    {HTTP_FAULT, "0\r\nA\r\n\r\n", NULL},
    {HTTP_FAULT, "0\r\nA : b\r\n\r\n", NULL},
    {HTTP_FAULT, "0\r\nA: b\n\r\n", NULL},
    {HTTP_FAULT, "0\r\nA: b\rc\r\n\r\n", NULL},
    {HTTP_FAULT, "0\r\nA: \x7f\r\n\r\n", NULL},
};

static void each_body_gets_its_verdict_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *bytes = table[i].bytes;
        size_t len = strlen(bytes);
        for (size_t cut = 0; cut <= len; cut++) {
            struct http_fault fault = {0};
            enum http_progress progress = decode(bytes, len, cut, &fault);
            if (progress != table[i].progress)
                fail_msg("row %zu, cut at %zu: %d for <<%s>>", i, cut, (int)progress, bytes);
            assert_int_equal(fault.status, progress == HTTP_FAULT ? 400 : 0);
            if (!table[i].data)
                continue;
            assert_int_equal(data_len, strlen(table[i].data));
            assert_memory_equal(data, table[i].data, data_len);
        }
    }
}

static void what_follows_a_body_is_left_alone(void **state)
{
    (void)state;
    struct http_fault fault;
    static const char bytes[] = "1\r\na\r\n0\r\n\r\nGET";
    assert_int_equal(decode(bytes, sizeof bytes - 1, 0, &fault), HTTP_DONE);
    assert_int_equal(used, sizeof bytes - 1 - 3);
}

static void extensions_and_trailers_are_bounded(void **state)
{
    (void)state;
    struct http_fault fault = {0};
    static char bytes[64 * 1024];
    size_t len = (size_t)snprintf(bytes, sizeof bytes, "1;");
    memset(bytes + len, 'x', CHUNKED_LINE_MAX + 1);
    assert_int_equal(decode(bytes, len + CHUNKED_LINE_MAX + 1, 0, &fault), HTTP_FAULT);
    len = (size_t)snprintf(bytes, sizeof bytes, "0\r\nA:");
    memset(bytes + len, 'x', CHUNKED_LINE_MAX);
    assert_int_equal(decode(bytes, len + CHUNKED_LINE_MAX, 0, &fault), HTTP_FAULT);
    /* Many short ones add up. */
    len = 0;
    while (len < sizeof bytes - 16)
        len += (size_t)snprintf(bytes + len, sizeof bytes - len, "1;abcdef\r\nx\r\n");
    assert_int_equal(decode(bytes, len, 0, &fault), HTTP_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_body_gets_its_verdict_however_it_is_cut),
        cmocka_unit_test(what_follows_a_body_is_left_alone),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
