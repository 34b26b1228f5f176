/* Bytes of any kind, in pieces of any size, come out as UTF-8. */
#include "base/utf8_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FFFD "\xef\xbf\xbd"

/* What becomes of `len` bytes in pieces of `piece`. Static. */
static const char *pass(const char *bytes, size_t len, size_t piece)
{
    static char out[4096];
    struct utf8_stream stream = {0};
    size_t used = 0;
    for (size_t at = 0; at < len; at += piece) {
        size_t now = len - at < piece ? len - at : piece, room = UTF8_STREAM_ROOM(now);
        char *text = malloc(room); /* on the heap, for the sanitizer */
        assert_non_null(text);
        size_t got = utf8_stream_add(&stream, bytes + at, now, text);
        assert_true(got <= room);
        memcpy(out + used, text, got);
        used += got;
        free(text);
    }
    used += utf8_stream_end(&stream, out + used);
    assert_int_equal(stream.held_len, 0);
    out[used] = '\0';
    return out;
}

static void what_is_no_character_is_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"", ""},
        {"plain\n", "plain\n"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80.", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80."},
        {"a\xff"
         "b",
         "a" FFFD "b"},
        {"\xc3", FFFD},
        {"\xe2\x82", FFFD FFFD},
        {"\xf0\x9f\x98", FFFD FFFD FFFD},
        {"\xe2\x82"
         "A",
         FFFD FFFD "A"},
        {"\xc3\xc3\xa9", FFFD "\xc3\xa9"},
        {"\xed\xa0\x80", FFFD FFFD FFFD},                   /* a surrogate */
        {"\xc0\xaf\xe0\x80\xaf", FFFD FFFD FFFD FFFD FFFD}, /* shorter ones exist */
        {"\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD},
        {"\x80\xbf", FFFD FFFD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece <= 5; piece++)
            assert_string_equal(pass(cases[i].bytes, strlen(cases[i].bytes), piece), cases[i].text);
}

static void any_bytes_in_any_pieces_are_utf8_and_the_same(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        char bytes[64], whole[512];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            static const unsigned char likely[] = {0xc3, 0xe2, 0xf0, 0x9f, 0x98, 0x80, 0xa9, 0xed, 'a', 0xff};
            bytes[i] = (char)likely[(seed >> 16) % sizeof likely];
        }
        strcpy(whole, pass(bytes, sizeof bytes, sizeof bytes));
        for (size_t piece = 1; piece < 8; piece++)
            assert_string_equal(pass(bytes, sizeof bytes, piece), whole);
        for (const char *at = whole; *at;) {
            size_t len = utf8_length(at, UTF8_MAX);
            assert_int_not_equal(len, 0);
            at += len;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_character_is_replaced),
        cmocka_unit_test(any_bytes_in_any_pieces_are_utf8_and_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
