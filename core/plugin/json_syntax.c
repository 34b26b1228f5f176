/* plugin/json_syntax.c: see json_syntax.h. Owns nothing; builds no value. */
#include "plugin/json_syntax.h"

#include "plugin/sanitize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at, *end;
    const char *why;  /* what is wrong, once something is */
    bool syntax_only; /* what C could not hold is well, too */
};

static const char too_early[] = "it ends too early";

static bool fail(struct reader *reader, const char *why)
{
    reader->why = reader->at == reader->end ? too_early : why;
    return false;
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4))
        reader->at++;
}

static bool next_is(struct reader *reader, char wanted)
{
    if (reader->at == reader->end || *reader->at != wanted)
        return false;
    reader->at++;
    return true;
}

static size_t skip_digits(struct reader *reader)
{
    const char *from = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return (size_t)(reader->at - from);
}

static bool read_word(struct reader *reader, const char *word)
{
    for (; *word; word++)
        if (!next_is(reader, *word))
            return fail(reader,
                        "a value is not true, false, null, a number, a string, an array or an object");
    return true;
}

/* Of 64 bits, with or without a sign? `len` bytes of digits, perhaps after a '-'. */
static bool fits(const char *digits, size_t len)
{
    char text[24];
    if (len >= sizeof text)
        return false;
    memcpy(text, digits, len);
    text[len] = '\0';
    errno = 0;
    if (text[0] == '-')
        strtoll(text, NULL, 10);
    else
        strtoull(text, NULL, 10);
    return errno == 0;
}

static bool read_number(struct reader *reader)
{
    const char *from = reader->at;
    bool integer = true;
    next_is(reader, '-');
    bool zero = reader->at < reader->end && *reader->at == '0';
    size_t digits = skip_digits(reader);
    if (digits == 0 || (zero && digits > 1))
        return fail(reader, "a number is not written as JSON writes it");
    if (next_is(reader, '.')) {
        integer = false;
        if (skip_digits(reader) == 0)
            return fail(reader, "a number has no digit after its point");
    }
    if (next_is(reader, 'e') || next_is(reader, 'E')) {
        integer = false;
        if (!next_is(reader, '+'))
            next_is(reader, '-');
        if (skip_digits(reader) == 0)
            return fail(reader, "a number has no digit in its exponent");
    }
    if (integer && !reader->syntax_only && !fits(from, (size_t)(reader->at - from))) {
        reader->why = "an integer is beyond 64 bits";
        return false;
    }
    return true;
}

static bool read_escape(struct reader *reader)
{
    if (reader->at < reader->end && memchr("\"\\/bfnrt", *reader->at, 8)) {
        reader->at++;
        return true;
    }
    if (!next_is(reader, 'u'))
        return fail(reader, "a string has an unknown escape after a backslash");
    bool zero = true;
    for (int i = 0; i < 4; i++, reader->at++) {
        if (reader->at == reader->end || !memchr("0123456789abcdefABCDEF", *reader->at, 22))
            return fail(reader, "a string has a \\u without four hexadecimal digits");
        zero = zero && *reader->at == '0';
    }
    if (zero && !reader->syntax_only) {
        reader->why = "a string has a zero byte in it";
        return false;
    }
    return true;
}

static bool read_string(struct reader *reader)
{
    if (!next_is(reader, '"'))
        return fail(reader, "a name is not in double quotes");
    while (!next_is(reader, '"')) {
        if (reader->at == reader->end || (unsigned char)*reader->at < 0x20)
            return fail(reader, "a string has a control character in it");
        if (*reader->at++ == '\\' && !read_escape(reader))
            return false;
    }
    return true;
}

static bool read_value(struct reader *reader, unsigned depth);

static bool read_members(struct reader *reader, unsigned depth, char close, bool named)
{
    if (depth > JSON_MAX_DEPTH) {
        reader->why = "it is nested more than 64 levels deep";
        return false;
    }
    skip_blanks(reader);
    if (next_is(reader, close))
        return true;
    for (;;) {
        skip_blanks(reader);
        if (named) {
            if (!read_string(reader))
                return false;
            skip_blanks(reader);
            if (!next_is(reader, ':'))
                return fail(reader, "a name is not followed by ':'");
        }
        if (!read_value(reader, depth))
            return false;
        skip_blanks(reader);
        if (next_is(reader, close))
            return true;
        if (!next_is(reader, ','))
            return fail(reader, "there is no ',' between two values");
    }
}

/* Recursion ends at JSON_MAX_DEPTH. */
static bool read_value(struct reader *reader, unsigned depth)
{
    skip_blanks(reader);
    if (reader->at == reader->end)
        return fail(reader, too_early);
    switch (*reader->at) {
    case '{': reader->at++; return read_members(reader, depth + 1, '}', true);
    case '[': reader->at++; return read_members(reader, depth + 1, ']', false);
    case '"': return read_string(reader);
    case 't': return read_word(reader, "true");
    case 'f': return read_word(reader, "false");
    case 'n': return read_word(reader, "null");
    case '-': return read_number(reader);
    default:
        return *reader->at >= '0' && *reader->at <= '9' ? read_number(reader) : read_word(reader, "null");
    }
}

static bool read_document(struct reader *reader)
{
    if (!sanitize_is_utf8(reader->at, (size_t)(reader->end - reader->at))) {
        reader->why = "it is not UTF-8";
        return false;
    }
    if (!read_value(reader, 0))
        return false;
    skip_blanks(reader);
    if (reader->at < reader->end)
        reader->why = "something follows after its end";
    return reader->at == reader->end;
}

bool json_syntax(const char *text, size_t len, const char **why)
{
    struct reader reader = {.at = text, .end = text + len};
    bool ok = read_document(&reader);
    if (!ok)
        *why = reader.why;
    return ok;
}

bool json_syntax_only(const char *text, size_t len, const char **why, size_t *at)
{
    struct reader reader = {.at = text, .end = text + len, .syntax_only = true};
    bool ok = read_document(&reader);
    if (!ok) {
        *why = reader.why;
        *at = (size_t)(reader.at - text);
    }
    return ok;
}
