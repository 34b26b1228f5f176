/* http/syntax.h: the character classes of HTTP and URIs, percent-decoding, UTF-8. Pure; owns nothing. */
#ifndef HTTP_SYNTAX_H
#define HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHAR_TOKEN = 1,    /* tchar: RFC 9110, section 5.6.2 */
    CHAR_VALUE = 2,    /* in a field value: HTAB, SP, VCHAR, obs-text (RFC 9110, section 5.5) */
    CHAR_PATH = 4,     /* pchar and "/", with "%" (RFC 3986, section 3.3) */
    CHAR_QUERY = 8,    /* the query's, and []{}|\^` which browsers send as they are */
    CHAR_HOST = 16,    /* reg-name, with "%" (RFC 3986, section 3.2.2) */
    CHAR_DIGIT = 32,   /* 0-9 */
    CHAR_HEX = 64,     /* 0-9 a-f A-F */
    CHAR_VISIBLE = 128 /* 0x21-0x7e */
};

extern const uint8_t syntax_classes[256];

static inline bool syntax_is(char c, int class)
{
    return (syntax_classes[(uint8_t)c] & class) != 0;
}
bool syntax_all(const char *text, size_t len, int class); /* true for an empty text */

unsigned syntax_hex_value(char c); /* of a CHAR_HEX */

bool syntax_valid_utf8(const char *text, size_t len); /* RFC 3629: no overlong forms, no surrogates */

enum syntax_decoded { DECODED, DECODE_BAD_PERCENT, DECODE_NUL, DECODE_BAD_UTF8 };

/* Percent-decodes in place; *len becomes the length of what is left. With `plus`, "+" is a space, as in
 * application/x-www-form-urlencoded. */
enum syntax_decoded syntax_decode(char *text, size_t *len, bool plus);

/* Whether `value` is `word`, whatever the case; `value` has `len` bytes. */
bool syntax_equal(const char *value, size_t len, const char *word);

/* Takes the next element off a comma-separated list (RFC 9110, section 5.6.1): *element of *len bytes, without
 * the space around it; empty ones are skipped. False: there are no more. */
bool syntax_next_element(const char **list, const char **element, size_t *len);

#endif
