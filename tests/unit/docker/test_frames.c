/* test_frames.c: the frames come off a log, however it is cut into pieces, and what is no log is told. */
#include "output/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char output[64 * 1024];
static size_t output_len;

/* One piece more; false: it is no log. */
static bool feed(struct frames *frames, const void *bytes, size_t len)
{
    const uint8_t *at = bytes, *out;
    size_t out_len;
    bool broken;
    while (frames_next(frames, &at, &len, &out, &out_len, &broken)) {
        assert_true(out_len > 0 && output_len + out_len <= sizeof output);
        memcpy(output + output_len, out, out_len);
        output_len += out_len;
    }
    if (!broken)
        assert_int_equal(len, 0);
    return !broken;
}

static void assert_output(const char *expected)
{
    assert_int_equal(output_len, strlen(expected));
    assert_memory_equal(output, expected, output_len);
    output_len = 0;
}

/* As the engine sends it: both streams, and a frame of nothing. */
static const char two_streams[] = "\1\0\0\0\0\0\0\4one\n"
                                  "\2\0\0\0\0\0\0\0"
                                  "\2\0\0\0\0\0\0\6two\0\r\n"
                                  "\1\0\0\0\0\0\0\5three";

static void the_frames_come_off(void **state)
{
    (void)state;
    struct frames frames = {0};
    assert_true(feed(&frames, two_streams, sizeof two_streams - 1));
    assert_int_equal(output_len, 15);
    assert_memory_equal(output, "one\ntwo\0\r\nthree", 15);
    output_len = 0;
}

static void it_does_not_matter_where_a_piece_ends(void **state)
{
    (void)state;
    for (size_t first = 0; first < sizeof two_streams; first++)
        for (size_t size = 1; size < 12; size++) {
            struct frames frames = {0};
            size_t len = sizeof two_streams - 1;
            assert_true(feed(&frames, two_streams, first));
            for (size_t at = first; at < len; at += size)
                assert_true(feed(&frames, two_streams + at, len - at < size ? len - at : size));
            assert_int_equal(output_len, 15);
            assert_memory_equal(output, "one\ntwo\0\r\nthree", 15);
            output_len = 0;
        }
}

static void the_length_has_four_bytes(void **state)
{
    (void)state;
    static const char head[] = "\1\0\0\0\0\1\2\3";
    static char piece[0x1000];
    struct frames frames = {0};
    memset(piece, 'x', sizeof piece);
    assert_true(feed(&frames, head, 8));
    for (size_t sent = 0; sent < 0x10203; sent += sizeof piece) {
        size_t left = 0x10203 - sent;
        assert_true(feed(&frames, piece, left < sizeof piece ? left : sizeof piece));
        assert_int_equal(output_len, left < sizeof piece ? left : sizeof piece);
        output_len = 0;
    }
    assert_true(feed(&frames, "\2\0\0\0\0\0\0\1!", 9));
    assert_output("!");
    assert_true(feed(&frames, "\1\0\0\0\377\377\377\377and on", 14));
    assert_output("and on");
}

static void what_is_no_frame_is_told(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "line 0 of the output of a terminal", /* its first byte is no stream */
        "\4\0\0\0\0\0\0\1!",
        "\1\0\1\0\0\0\0\1!",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct frames frames = {0};
        assert_true(feed(&frames, "\1\0\0\0\0\0\0\2ok", 10));
        assert_output("ok");
        assert_true(feed(&frames, cases[i], 7)); /* it can't be known before the header is whole */
        assert_false(feed(&frames, cases[i] + 7, 2));
        assert_output("");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_frames_come_off),
        cmocka_unit_test(it_does_not_matter_where_a_piece_ends),
        cmocka_unit_test(the_length_has_four_bytes),
        cmocka_unit_test(what_is_no_frame_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
