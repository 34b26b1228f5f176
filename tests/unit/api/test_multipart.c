/* multipart/form-data and base64 as bodies have them: right ones in any pieces, each wrong one refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/base64.h"
#include "api/multipart.h"

#include <stdio.h>
#include <string.h>

static char told[2048];

static const char *on_part(void *arg, const char *name)
{
    (void)arg;
    snprintf(told + strlen(told), sizeof told - strlen(told), "<%s>", name);
    return NULL;
}

static const char *on_data(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%.*s", (int)len, bytes);
    return NULL;
}

static const char *on_end(void *arg)
{
    (void)arg;
    strcat(told, ";");
    return NULL;
}

static const char *read_body(const char *body, size_t piece)
{
    static const struct multipart_handler handler = {on_part, on_data, on_end, NULL};
    struct multipart multipart;
    const char *wrong = NULL;
    told[0] = '\0';
    assert_true(multipart_begin(&multipart, "multipart/form-data; boundary=AaB03x"));
    for (size_t at = 0, len = strlen(body); at < len && !wrong; at += piece)
        wrong = multipart_feed(&multipart, body + at, len - at < piece ? len - at : piece, &handler);
    return wrong ? wrong : multipart_end(&multipart);
}

#define D "Content-Disposition: form-data; name="

static void parts_come_whole_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char body[] =
        "--AaB03x\r\n" D "\"one\"\r\n\r\nA\r\n--AaB03\r\n\r\r\n--AaB03y\r\n--AaB03x\r\n"
        "X-Other: 1\r\n" D "two; filename=\"a\\\"b; name=\"\r\n\r\n\r\n--AaB03x--\r\n";
    for (size_t piece = 1; piece < sizeof body; piece++) {
        assert_null(read_body(body, piece));
        assert_string_equal(told, "<one>A\r\n--AaB03\r\n\r\r\n--AaB03y;<two>;");
    }
    assert_null(read_body("--AaB03x--", 3));
}

static void each_wrong_body_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *wrong;
    } bodies[] = {
        {"", "breaks off before its last boundary"},
        {"\r\n--AaB03x--", "does not begin with its boundary"},
        {"--AaB03x \r\n", "has a boundary that is followed by something else on its line"},
        {"--AaB03x\n", "has a boundary that is followed by something else on its line"},
        {"--AaB03x-\r", "has a boundary that is followed by something else on its line"},
        {"--AaB03x--\r\nmore", "goes on after its last boundary"},
        {"--AaB03x--more", "goes on after its last boundary"},
        {"--AaB03x--\r", "breaks off before its last boundary"},
        {"--AaB03x\r\n\r\n", "has a part without a Content-Disposition"},
        {"--AaB03x\r\nX: y\r\n\r\n", "has a part without a Content-Disposition"},
        {"--AaB03x\r\nno header\r\n\r\n", "has a part whose head is malformed"},
        {"--AaB03x\r\n" D "a\r\n folded\r\n\r\n", "has a part whose head is malformed"},
        {"--AaB03x\r\n" D "a\nX: y\r\n\r\n", "has a part whose head is malformed"},
        {"--AaB03x\r\n" D "a\r\n" D "b\r\n\r\n", "has a part with two Content-Dispositions"},
        {"--AaB03x\r\nContent-Disposition: attachment; name=a\r\n\r\n", "has a part that is no form-data"},
        {"--AaB03x\r\n" D "\"a b\"\r\n\r\n",
         "has a part whose Content-Disposition does not begin with a plain name"},
        {"--AaB03x\r\n" D "\"\"\r\n\r\n",
         "has a part whose Content-Disposition does not begin with a plain name"},
        {"--AaB03x\r\n" D "a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
         "has a part with a Content-Transfer-Encoding (RFC 7578 has none)"},
        {"--AaB03x\r\n" D "a\r\n\r\nx\r\n--AaB03x", "breaks off before its last boundary"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        for (size_t piece = 1; piece < 100; piece += 7) {
            const char *wrong = read_body(bodies[i].body, piece);
            if (!wrong || strcmp(wrong, bodies[i].wrong) != 0)
                fail_msg("%s: %s", bodies[i].body, wrong ? wrong : "taken");
        }
}

static void heads_and_parts_are_bounded(void **state)
{
    (void)state;
    static char body[64 * 1024];
    snprintf(body, sizeof body, "--AaB03x\r\nX: %03000d\r\n", 0);
    assert_string_equal(read_body(body, 1000), "has a part whose head is over 2 KiB");
    strcpy(body, "--AaB03x");
    for (int i = 0; i < 101; i++)
        strcat(body, "\r\n" D "a\r\n\r\n\r\n--AaB03x");
    told[0] = '\0';
    assert_string_equal(read_body(body, 1000), "has more than 100 parts");
}

static void boundaries_are_read_from_the_type(void **state)
{
    (void)state;
    static const char *const right[] = {"multipart/form-data; boundary=b",
                                        "Multipart/Form-Data;boundary=\"a b\"",
                                        "multipart/form-data; charset=utf-8; boundary=----x'()+_,-./:=?1 "};
    static const char *const wrong[] = {"multipart/form-data",
                                        "multipart/form-data; boundary=",
                                        "multipart/form-data; boundary=\"a ",
                                        "multipart/form-data; boundary=\"a \"",
                                        "multipart/form-data; boundary=a; boundary=b",
                                        "multipart/mixed; boundary=b",
                                        "multipart/form-databoundary=b",
                                        "multipart/form-data; boundary=a@b",
                                        "application/json"};
    struct multipart multipart;
    char longest[200] = "multipart/form-data; boundary=";
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(multipart_begin(&multipart, right[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(multipart_begin(&multipart, wrong[i]));
    assert_false(multipart_begin(&multipart, NULL));
    memset(longest + strlen(longest), 'x', 70);
    assert_true(multipart_begin(&multipart, longest));
    strcat(longest, "x");
    assert_false(multipart_begin(&multipart, longest));
}

/* ---- base64 ---- */

/* Decoded in pieces; NULL: refused. */
static const char *decode(const char *text, size_t piece)
{
    static char out[256];
    struct base64 base64 = {0};
    size_t len = 0;
    for (size_t at = 0, all = strlen(text); at < all; at += piece) {
        size_t got;
        if (!base64_decode(&base64, text + at, all - at < piece ? all - at : piece, (uint8_t *)out + len,
                           &got))
            return NULL;
        len += got;
    }
    out[len] = '\0';
    return base64_is_whole(&base64) ? out : NULL;
}

static void base64_is_decoded_and_wrong_text_refused(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"Zg==", "f"},
                                           {"Zm8=", "fo"},
                                           {"Zm9v", "foo"},
                                           {"Zm9vYg==", "foob"},
                                           {"Zm9vYmE=", "fooba"},
                                           {"Zm\r\n9v", "foo"},
                                           {"fn5+\nPz8/", "~~~???"}};
    static const char *const wrong[] = {
        "Z", "Zg", "Zg=", "=", "Z===", "Zg==Zg==", "Zm9v=", "Zm-v", "Zm9 ", "Zh==", "Zm9=", "Zg=v", "Zg==="};
    for (size_t piece = 1; piece < 9; piece++) {
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
            assert_string_equal(decode(pairs[i][0], piece), pairs[i][1]);
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
            if (decode(wrong[i], piece))
                fail_msg("taken: %s", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_whole_in_pieces_of_any_size),
        cmocka_unit_test(each_wrong_body_is_refused),
        cmocka_unit_test(heads_and_parts_are_bounded),
        cmocka_unit_test(boundaries_are_read_from_the_type),
        cmocka_unit_test(base64_is_decoded_and_wrong_text_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
