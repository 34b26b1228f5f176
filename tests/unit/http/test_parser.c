/* The parser of request heads: tables of byte strings and their verdicts, whole and cut at every place. */
#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct verdict {
    enum http_progress progress;
    int status;
    size_t end; /* bytes used when done */
};

static char text[64 * 1024];
static struct http_head head;

/* Feeds `bytes` in pieces of `piece` bytes. */
static struct verdict judge(const char *bytes, size_t len, size_t piece)
{
    struct http_scan scan = {0};
    struct http_fault fault = {0};
    struct verdict verdict = {.progress = HTTP_MORE};
    for (size_t at = 0; verdict.progress == HTTP_MORE && at < len; at += piece)
        verdict.progress = http_scan(&scan, bytes + at, len - at < piece ? len - at : piece, &fault);
    if (verdict.progress == HTTP_DONE) {
        verdict.end = (size_t)scan.skipped + scan.len;
        memcpy(text, bytes + scan.skipped, scan.len);
        verdict.progress = http_head_parse(&head, text, scan.len, &fault);
    }
    if (verdict.progress == HTTP_FAULT) {
        assert_non_null(fault.detail);
        assert_null(strpbrk(fault.detail, "\"\\"));
        assert_in_range(fault.status, 400, 505);
    }
    verdict.status = fault.status;
    return verdict;
}

static struct verdict judge_text(const char *bytes)
{
    return judge(bytes, strlen(bytes), SIZE_MAX / 2);
}

static const char *value_of(const char *name)
{
    for (size_t i = 0; i < head.fields_len; i++)
        if (strcmp(text + head.fields[i].name, name) == 0)
            return text + head.fields[i].value;
    return NULL;
}

#define H "Host: a\r\n"
#define E "\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H

/* 0: a valid head; 1: not complete yet */
static const struct {
    int status;
    const char *bytes;
} table[] = {
    {0, GET H E},
    {0, "\r\n" GET H E},
    {0, "GET /a/b?c=d HTTP/1.0\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nhOsT:a\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {0, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
    {0, "M-SEARCH!#$%&'*+ / HTTP/1.1\r\n" H E},
    {0, GET "Host: a.b:80\r\n\r\n"},
    {0, GET "Host: [::1]:3000\r\n\r\n"},
    {0, GET "Host: a%20b\r\n\r\n"},
    {0, GET H "X: \x80\xff\t \"<>\\\r\n\r\n"},
    {0, GET H "X:\r\n\r\n"},
    {0, GET H "X: 1\r\nX: 2\r\n\r\n"},
    {0, POST "Content-Length: 0\r\n\r\n"},
    {0, POST "Content-Length: 0042\r\n\r\n"},
    {0, POST "Transfer-Encoding: Chunked\r\n\r\n"},
    {0, POST "Transfer-Encoding: , chunked ,\r\n\r\n"},
    {0, POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"},
    {0, "GET http://a/b HTTP/1.1\r\n" H E},
    {0, "GET HTTPS://a:1 HTTP/1.1\r\n" H E},
    {0, "GET http://a?b HTTP/1.1\r\n" H E},
    {0, "OPTIONS * HTTP/1.1\r\n" H E},
    {0, "GET /%c3%a9%F0%9f%98%80 HTTP/1.1\r\n" H E},
    {0, "GET /?a[]={x|y}&b=^`\\ HTTP/1.1\r\n" H E},

    /* not complete */
    {1, ""},
    {1, "\r"},
    {1, "\r\n"},
    {1, "GET"},
    {1, GET},
    {1, GET H},
    {1, GET H "\r"},

    /* line ends */
    {400, "\n" GET H E},
    {400, "\r\n\r\n" GET H E},
    {400, "GET / HTTP/1.1\nHost: a\n\n"},
    {400, GET "Host: a\n\r\n"},
    {400, GET H "\n"},
    {400, GET "Host: a\rX: b\r\n\r\n"},
    {400, GET H "X: a\r\r\n\r\n"},
    {400, "\rGET / HTTP/1.1\r\n" H E},
    {400, GET H "\r\r\n"},

    /* the request line */
    {400, " GET / HTTP/1.1\r\n" H E},
    {400, "\x16\x03\x01\x02"},
    {400, "\xff\xfe"},
    {400, "\"GET / HTTP/1.1\r\n"},
    {400, "GET\r\n" H E},
    {400, "GET \r\n" H E},
    {400, "GET /\r\n" H E},
    {400, "GET / \r\n" H E},
    {400, "GET  / HTTP/1.1\r\n" H E},
    {400, "GET /  HTTP/1.1\r\n" H E},
    {400, "GET / HTTP/1.1 \r\n" H E},
    {400, "GET / x HTTP/1.1\r\n" H E},
    {400, "GET\t/\tHTTP/1.1\r\n" H E},
    {400, "G@T / HTTP/1.1\r\n" H E},
    {400, "G\xc3\xa9T / HTTP/1.1\r\n" H E},
    {501, "ABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" H E},
    {501, "CONNECT a:80 HTTP/1.1\r\n" H E},
    {400, "GET / http/1.1\r\n" H E},
    {400, "GET / HTTP/1.10\r\n" H E},
    {400, "GET / HTTP/01.1\r\n" H E},
    {400, "GET / HTTP/1\r\n" H E},
    {400, "GET / HTTP/1,1\r\n" H E},
    {400, "GET / HTTPS/1.1\r\n" H E},
    {400, "GET / HTTP/ 1.1\r\n" H E},
    {505, "GET / HTTP/2.0\r\n" H E},
    {505, "GET / HTTP/0.9\r\n" H E},
    {505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},

    /* the target */
    {400, "GET * HTTP/1.1\r\n" H E},
    {400, "GET a HTTP/1.1\r\n" H E},
    {400, "GET ?a HTTP/1.1\r\n" H E},
    {400, "GET a/b HTTP/1.1\r\n" H E},
    {400, "GET ftp://a/ HTTP/1.1\r\n" H E},
    {400, "GET http:///a HTTP/1.1\r\n" H E},
    {400, "GET http:// HTTP/1.1\r\n" H E},
    {400, "GET http://:80/ HTTP/1.1\r\n" H E},
    {400, "GET http://u@a/ HTTP/1.1\r\n" H E},
    {400, "GET http://a:99999/ HTTP/1.1\r\n" H E},
    {400, "GET http://[::1/ HTTP/1.1\r\n" H E},
    {400, "GET /#a HTTP/1.1\r\n" H E},
    {400, "GET /?#a HTTP/1.1\r\n" H E},
    {400, "GET /% HTTP/1.1\r\n" H E},
    {400, "GET /%4 HTTP/1.1\r\n" H E},
    {400, "GET /%4g HTTP/1.1\r\n" H E},
    {400, "GET /%00 HTTP/1.1\r\n" H E},
    {400, "GET /?a=%00 HTTP/1.1\r\n" H E},
    {400, "GET /?a=% HTTP/1.1\r\n" H E},
    {400, "GET /?a%4=4 HTTP/1.1\r\n" H E},
    {400, "GET /?a=%ff HTTP/1.1\r\n" H E},
    {400, "GET /\xc3\xa9 HTTP/1.1\r\n" H E},
    {400, "GET /?\xc3\xa9 HTTP/1.1\r\n" H E},
    {400, "GET /\x01 HTTP/1.1\r\n" H E},
    {400, "GET /\x7f HTTP/1.1\r\n" H E},
    {400, "GET /<a> HTTP/1.1\r\n" H E},
    {400, "GET /\\a HTTP/1.1\r\n" H E},
    {400, "GET /%ff HTTP/1.1\r\n" H E},
    {400, "GET /%c0%af HTTP/1.1\r\n" H E},
    {400, "GET /%ed%a0%80 HTTP/1.1\r\n" H E},
    {400, "GET /%f4%90%80%80 HTTP/1.1\r\n" H E},
    {400, "GET /%e2%82 HTTP/1.1\r\n" H E},

    /* header lines */
    {400, GET " " H E},
    {400, GET "\t" H E},
    {400, GET H " folded\r\n\r\n"},
    {400, GET H "X: a\r\n\tb\r\n\r\n"},
    {400, GET "Host : a\r\n\r\n"},
    {400, GET "Host\t: a\r\n\r\n"},
    {400, GET H ": a\r\n\r\n"},
    {400, GET H "X\r\n\r\n"},
    {400, GET H "X Y: a\r\n\r\n"},
    {400, GET H "X@: a\r\n\r\n"},
    {400, GET H "\xc3\xa9: a\r\n\r\n"},
    {400, GET H "X: a\x01\r\n\r\n"},
    {400, GET H "X: a\x7f\r\n\r\n"},
    {400, GET H "X: a\x0b\r\n\r\n"},

    /* Host */
    {400, GET "\r\n"},
    {400, GET H H E},
    {400, "GET / HTTP/1.0\r\n" H H E},
    {400, GET "Host: a, b\r\n\r\n"},
    {400, GET "Host: a b\r\n\r\n"},
    {400, GET "Host: a/b\r\n\r\n"},
    {400, GET "Host: a@b\r\n\r\n"},
    {400, GET "Host: a:b\r\n\r\n"},
    {400, GET "Host: a:65536\r\n\r\n"},
    {400, GET "Host: a:000080\r\n\r\n"},
    {400, GET "Host: a:1:2\r\n\r\n"},
    {400, GET "Host: [::1\r\n\r\n"},
    {400, GET "Host: []\r\n\r\n"},
    {400, GET "Host: [::1]x\r\n\r\n"},
    {400, GET "Host: [x]\r\n\r\n"},
    {400, GET "Host: a%4\r\n\r\n"},
    {400, GET "Host: \xc3\xa9\r\n\r\n"},

    /* the length of the body */
    {400, POST "Content-Length:\r\n\r\n"},
    {400, POST "Content-Length: +5\r\n\r\n"},
    {400, POST "Content-Length: -1\r\n\r\n"},
    {400, POST "Content-Length: 0x5\r\n\r\n"},
    {400, POST "Content-Length: 5, 5\r\n\r\n"},
    {400, POST "Content-Length: 5 5\r\n\r\n"},
    {400, POST "Content-Length: 5.0\r\n\r\n"},
    {400, POST "Content-Length: 5a\r\n\r\n"},
    {400, POST "Content-Length: 18446744073709551616\r\n\r\n"},
    {400, POST "Content-Length: 9223372036854775807\r\n\r\n"},
    {400, POST "Content-Length: 99999999999999999999999999\r\n\r\n"},
    {400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
    {400, POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"},
    {400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, POST "Transfer-Encoding:\r\n\r\n"},
    {400, POST "Transfer-Encoding: identity\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked;a=b\r\n\r\n"},
    {400, POST "Transfer-Encoding: xchunked\r\n\r\n"},
    {400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"},
    {400, POST "Transfer-Encoding: \x0b"
               "chunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},

    /* others that are sent once */
    {400, GET H "Authorization: a\r\nauthorization: b\r\n\r\n"},
    {400, POST "Content-Type: a\r\nContent-Type: b\r\n\r\n"},
    {417, POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n"},
    {417, POST "Expect: 100-continue, x\r\nContent-Length: 1\r\n\r\n"},
};

static void each_head_gets_its_verdict_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *bytes = table[i].bytes;
        size_t len = strlen(bytes);
        struct verdict whole = judge(bytes, len, len + 1);
        int got = whole.progress == HTTP_MORE ? 1 : whole.status;
        if (got != table[i].status)
            fail_msg("row %zu: %d instead of %d for <<%s>>", i, got, table[i].status, bytes);
        for (size_t piece = 1; piece < len; piece++) {
            struct verdict cut = judge(bytes, len, piece);
            assert_int_equal(cut.progress, whole.progress);
            assert_int_equal(cut.status, whole.status);
            assert_int_equal(cut.end, whole.end);
        }
    }
}

static void every_control_byte_is_refused_everywhere(void **state)
{
    (void)state;
    static const char *const shapes[] = {"G?T / HTTP/1.1\r\n" H E, "GET /? HTTP/1.1\r\n" H E,
                                         GET H "X?: a\r\n\r\n", GET H "X: a?a\r\n\r\n",
                                         GET "Host: a?\r\n\r\n"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int c = 0; c < 0x20; c++) {
            char bytes[128];
            size_t len = strlen(shapes[i]);
            memcpy(bytes, shapes[i], len);
            *(char *)memchr(bytes, '?', len) = (char)c;
            struct verdict verdict = judge(bytes, len, len);
            bool tab_in_value = c == '\t' && i >= 3;
            assert_int_equal(verdict.status, tab_in_value ? 0 : 400);
        }
}

static void a_head_is_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(
        judge_text("POST /a%20b/%c3%a9?x=1&&y&z=a+b%3D&=v HTTP/1.1\r\nHost: h\r\nAccept:  */* \r\n"
                   "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n")
            .progress,
        HTTP_DONE);
    assert_string_equal(text + head.method, "POST");
    assert_string_equal(text + head.path, "/a b/\xc3\xa9");
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.content_length, 12);
    assert_true(head.expect_continue);
    assert_true(head.keep_alive);
    assert_false(head.chunked);
    assert_string_equal(value_of("Accept"), "*/*");
    static const char *const params[][2] = {{"x", "1"}, {"y", ""}, {"z", "a b="}, {"", "v"}};
    assert_int_equal(head.params_len, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(text + head.params[i].name, params[i][0]);
        assert_string_equal(text + head.params[i].value, params[i][1]);
    }
}

static void an_absolute_target_is_its_path(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"http://a/b/c", "/b/c"}, {"http://a", "/"}, {"http://a:1?x=/y", "/"}};
    for (size_t i = 0; i < 3; i++) {
        char bytes[128];
        snprintf(bytes, sizeof bytes, "GET %s HTTP/1.1\r\n" H E, rows[i][0]);
        assert_int_equal(judge_text(bytes).progress, HTTP_DONE);
        assert_string_equal(text + head.path, rows[i][1]);
    }
    assert_string_equal(text + head.params[0].value, "/y");
}

static void a_connection_is_kept_as_its_version_and_header_say(void **state)
{
    (void)state;
    static const struct {
        bool kept;
        const char *bytes;
    } rows[] = {
        {true, GET H E},
        {false, GET H "Connection: close\r\n\r\n"},
        {false, GET H "Connection: x, CLOSE ,y\r\n\r\n"},
        {false, GET H "Connection: keep-alive\r\nConnection: close\r\n\r\n"},
        {true, GET H "Connection: closed\r\n\r\n"},
        {false, "GET / HTTP/1.0\r\n\r\n"},
        {true, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"},
        {false, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(judge_text(rows[i].bytes).progress, HTTP_DONE);
        assert_int_equal(head.keep_alive, rows[i].kept);
    }
}

static void http_1_0_knows_no_100_continue(void **state)
{
    (void)state;
    assert_int_equal(
        judge_text("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").progress,
        HTTP_DONE);
    assert_false(head.expect_continue);
}

static void what_follows_a_head_is_left_alone(void **state)
{
    (void)state;
    struct http_scan scan = {0};
    struct http_fault fault;
    static const char two[] = GET H E "\n\n\n";
    assert_int_equal(http_scan(&scan, two, sizeof two - 1, &fault), HTTP_DONE);
    assert_int_equal(scan.len, sizeof two - 1 - 3);
}

/* A head with a target of `target` bytes, `count` headers besides Host, and padding to `total` bytes. */
static char *make_head(size_t target, size_t count, size_t total)
{
    size_t size = total + target + count * 8 + 256;
    char *bytes = malloc(size);
    size_t len = (size_t)snprintf(bytes, size, "GET /");
    memset(bytes + len, 'a', target - 1);
    len += target - 1;
    len += (size_t)snprintf(bytes + len, size - len, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(bytes + len, size - len, "X: y\r\n");
    if (total > 0) {
        len += (size_t)snprintf(bytes + len, size - len, "P: ");
        memset(bytes + len, 'p', total - len - 4);
        len = total - 4;
        len += (size_t)snprintf(bytes + len, size - len, "\r\n");
    }
    snprintf(bytes + len, size - len, "\r\n");
    return bytes;
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    static const struct {
        size_t target, headers, total;
        int status;
    } rows[] = {
        {HTTP_TARGET_MAX, 0, 0, 0},         {HTTP_TARGET_MAX + 1, 0, 0, 414},
        {HTTP_TARGET_MAX + 100, 0, 0, 414}, {HTTP_HEAD_MAX + 100, 0, 0, 414},
        {1, HTTP_FIELDS_MAX - 1, 0, 0},     {1, HTTP_FIELDS_MAX, 0, 431},
        {1, 0, HTTP_HEAD_MAX, 0},           {1, 0, HTTP_HEAD_MAX + 1, 431},
        {1, 0, HTTP_HEAD_MAX + 5000, 431},  {HTTP_TARGET_MAX, 0, HTTP_HEAD_MAX, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *bytes = make_head(rows[i].target, rows[i].headers, rows[i].total);
        size_t len = strlen(bytes);
        assert_int_equal(judge(bytes, len, len).status, rows[i].status);
        assert_int_equal(judge(bytes, len, 1).status, rows[i].status);
        assert_int_equal(judge(bytes, len, 1000).status, rows[i].status);
        free(bytes);
    }
}

static void an_endless_head_is_refused_before_it_ends(void **state)
{
    (void)state;
    static char bytes[HTTP_HEAD_MAX + 1];
    memset(bytes, 'a', sizeof bytes);
    assert_int_equal(judge(bytes, sizeof bytes, sizeof bytes).status, 414);
    memcpy(bytes, GET, strlen(GET));
    assert_int_equal(judge(bytes, sizeof bytes, sizeof bytes).status, 431);
}

static void a_query_has_at_most_512_parameters(void **state)
{
    (void)state;
    for (size_t count = HTTP_PARAMS_MAX; count <= HTTP_PARAMS_MAX + 1; count++) {
        char bytes[4096] = "GET /?";
        for (size_t i = 0; i < count; i++)
            memcpy(bytes + strlen(bytes), "a&", 3);
        memcpy(bytes + strlen(bytes), " HTTP/1.1\r\n" H E, sizeof " HTTP/1.1\r\n" H E);
        assert_int_equal(judge_text(bytes).status, count > HTTP_PARAMS_MAX ? 400 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_head_gets_its_verdict_however_it_is_cut),
        cmocka_unit_test(every_control_byte_is_refused_everywhere),
        cmocka_unit_test(a_head_is_taken_apart),
        cmocka_unit_test(an_absolute_target_is_its_path),
        cmocka_unit_test(a_connection_is_kept_as_its_version_and_header_say),
        cmocka_unit_test(http_1_0_knows_no_100_continue),
        cmocka_unit_test(what_follows_a_head_is_left_alone),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(an_endless_head_is_refused_before_it_ends),
        cmocka_unit_test(a_query_has_at_most_512_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
