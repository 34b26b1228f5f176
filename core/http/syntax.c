/* http/syntax.c: see syntax.h. */
#include "http/syntax.h"

#include <string.h>
#include <strings.h>

/* Shorthands for the table; each row is 16 characters. */
#define T CHAR_TOKEN
#define V CHAR_VALUE
#define P CHAR_PATH
#define Q CHAR_QUERY
#define H CHAR_HOST
#define G CHAR_VISIBLE
#define MARK (V | G)                /* neither in tokens nor in URIs: " < > # */
#define QRY (V | G | Q)             /* [ ] \ { } */
#define PTH (V | G | Q | P)         /* : @ / */
#define SUB (V | G | Q | P | H)     /* ( ) , ; = */
#define TOK (V | G | Q | P | H | T) /* in all of them */
#define NUM (TOK | CHAR_DIGIT | CHAR_HEX)
#define HEX (TOK | CHAR_HEX)

const uint8_t syntax_classes[256] = {
    [0x09] = V,   [' '] = V,       ['!'] = TOK,     ['"'] = MARK, ['#'] = MARK | T,    ['$'] = TOK,
    ['%'] = TOK,  ['&'] = TOK,     ['\''] = TOK,    ['('] = SUB,  [')'] = SUB,         ['*'] = TOK,
    ['+'] = TOK,  [','] = SUB,     ['-'] = TOK,     ['.'] = TOK,  ['/'] = PTH,         ['0'] = NUM,
    ['1'] = NUM,  ['2'] = NUM,     ['3'] = NUM,     ['4'] = NUM,  ['5'] = NUM,         ['6'] = NUM,
    ['7'] = NUM,  ['8'] = NUM,     ['9'] = NUM,     [':'] = PTH,  [';'] = SUB,         ['<'] = MARK,
    ['='] = SUB,  ['>'] = MARK,    ['?'] = QRY,     ['@'] = PTH,  ['A'] = HEX,         ['B'] = HEX,
    ['C'] = HEX,  ['D'] = HEX,     ['E'] = HEX,     ['F'] = HEX,  ['G' ... 'Z'] = TOK, ['['] = QRY,
    ['\\'] = QRY, [']'] = QRY,     ['^'] = QRY | T, ['_'] = TOK,  ['`'] = QRY | T,     ['a'] = HEX,
    ['b'] = HEX,  ['c'] = HEX,     ['d'] = HEX,     ['e'] = HEX,  ['f'] = HEX,         ['g' ... 'z'] = TOK,
    ['{'] = QRY,  ['|'] = QRY | T, ['}'] = QRY,     ['~'] = TOK,  [0x80 ... 0xff] = V,
};

bool syntax_all(const char *text, size_t len, int class)
{
    for (size_t i = 0; i < len; i++)
        if (!syntax_is(text[i], class))
            return false;
    return true;
}

unsigned syntax_hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

bool syntax_valid_utf8(const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    for (size_t i = 0; i < len;) {
        if (s[i] < 0x80) {
            i++;
            continue;
        }
        size_t more = s[i] >= 0xf0 ? 3 : s[i] >= 0xe0 ? 2 : 1;
        if (s[i] < 0xc2 || s[i] > 0xf4 || more > len - i - 1)
            return false;
        /* The first continuation byte excludes overlong forms, surrogates and what is above U+10FFFF. */
        uint8_t low = s[i] == 0xe0 ? 0xa0 : s[i] == 0xf0 ? 0x90 : 0x80;
        uint8_t high = s[i] == 0xed ? 0x9f : s[i] == 0xf4 ? 0x8f : 0xbf;
        if (s[i + 1] < low || s[i + 1] > high)
            return false;
        for (size_t k = 2; k <= more; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        i += more + 1;
    }
    return true;
}

enum syntax_decoded syntax_decode(char *text, size_t *len, bool plus)
{
    size_t out = 0;
    bool high = false;
    for (size_t i = 0; i < *len; i++) {
        char c = text[i];
        if (c == '%') {
            if (*len - i < 3 || !syntax_is(text[i + 1], CHAR_HEX) || !syntax_is(text[i + 2], CHAR_HEX))
                return DECODE_BAD_PERCENT;
            c = (char)(syntax_hex_value(text[i + 1]) << 4 | syntax_hex_value(text[i + 2]));
            i += 2;
            if (c == '\0')
                return DECODE_NUL;
            high |= (uint8_t)c >= 0x80;
        } else if (c == '+' && plus)
            c = ' ';
        text[out++] = c;
    }
    *len = out;
    return high && !syntax_valid_utf8(text, out) ? DECODE_BAD_UTF8 : DECODED;
}

bool syntax_equal(const char *value, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(value, word, len) == 0;
}

bool syntax_next_element(const char **list, const char **element, size_t *len)
{
    const char *at = *list + strspn(*list, ", \t");
    size_t count = strcspn(at, ",");
    *list = at + count;
    while (count > 0 && (at[count - 1] == ' ' || at[count - 1] == '\t'))
        count--;
    *element = at;
    *len = count;
    return count > 0;
}
