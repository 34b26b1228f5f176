/* api/base64.c: see base64.h. Padding is wanted, and the bits that it leaves over must be zero: one text for each
 * content. */
#include "api/base64.h"

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static bool take_digit(struct base64 *base64, char c)
{
    int value = value_of(c);
    if (base64->digits == 4) /* a padded group was the last */
        return false;
    if (c == '=') {
        if (base64->digits < 2)
            return false;
        base64->padding++;
        value = 0;
    } else if (value < 0 || base64->padding > 0) {
        return false;
    }
    base64->bits = base64->bits << 6 | (uint32_t)value;
    base64->digits++;
    return true;
}

/* The bytes of a whole group. */
static bool flush(struct base64 *base64, uint8_t *out, size_t *out_len)
{
    size_t len = 3u - base64->padding;
    uint32_t left_over = base64->padding == 2   ? base64->bits & 0xffff
                         : base64->padding == 1 ? base64->bits & 0xff
                                                : 0;
    if (left_over != 0)
        return false;
    for (size_t i = 0; i < len; i++)
        out[(*out_len)++] = (uint8_t)(base64->bits >> (16 - 8 * i));
    base64->bits = 0;
    if (base64->padding == 0)
        base64->digits = 0;
    return true;
}

bool base64_decode(struct base64 *base64, const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    *out_len = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' || text[i] == '\n')
            continue;
        if (!take_digit(base64, text[i]) || (base64->digits == 4 && !flush(base64, out, out_len)))
            return false;
    }
    return true;
}
