/* http/chunked.c: see chunked.h. One state a place in the grammar, fed byte by byte outside of data. */
#include "http/chunked.h"

#include "http/syntax.h"

enum {
    SIZE,     /* hex digits */
    SPACE,    /* after a size, an extension's name or value: only ";" or "=" may follow */
    EXT_NAME, /* before the first byte of an extension's name */
    EXT_IN_NAME,
    EXT_NAME_END, /* space after the name */
    EXT_VALUE,    /* before the first byte of its value */
    EXT_TOKEN,
    EXT_QUOTED,
    EXT_ESCAPE, /* after a backslash in a quoted value */
    EXT_END,    /* after a quoted value */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a line of the trailer */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF
};

enum { DIGITS_MAX = 15 }; /* 2^60 - 1: sums of a few never overflow */

static enum http_progress refuse(struct http_fault *fault, int status, const char *detail)
{
    *fault = (struct http_fault){.status = status, .detail = detail};
    return HTTP_FAULT;
}

/* The state after `c` in an extension: RFC 9112, section 7.1.1; -1 where the grammar has no such byte.
 * The space around ";" and "=" that it calls bad must be understood. */
static int step_extension(int state, char c)
{
    bool space = c == ' ' || c == '\t';
    switch (state) {
    case SPACE:
    case EXT_END:
        if (c == ';')
            return EXT_NAME;
        return space ? SPACE : state == EXT_END && c == '\r' ? SIZE_LF : -1;
    case EXT_NAME: return space ? EXT_NAME : syntax_is(c, CHAR_TOKEN) ? EXT_IN_NAME : -1;
    case EXT_IN_NAME:
        if (syntax_is(c, CHAR_TOKEN))
            return EXT_IN_NAME;
        return c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME : c == '=' ? EXT_VALUE : space ? EXT_NAME_END : -1;
    case EXT_NAME_END: return space ? EXT_NAME_END : c == ';' ? EXT_NAME : c == '=' ? EXT_VALUE : -1;
    case EXT_VALUE:
        return space ? EXT_VALUE : c == '"' ? EXT_QUOTED : syntax_is(c, CHAR_TOKEN) ? EXT_TOKEN : -1;
    case EXT_TOKEN:
        if (syntax_is(c, CHAR_TOKEN))
            return EXT_TOKEN;
        return c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME : space ? SPACE : -1;
    case EXT_QUOTED:
        return c == '"' ? EXT_END : c == '\\' ? EXT_ESCAPE : syntax_is(c, CHAR_VALUE) ? EXT_QUOTED : -1;
    case EXT_ESCAPE: return syntax_is(c, CHAR_VALUE) ? EXT_QUOTED : -1;
    default: return -1;
    }
}

static int step_trailer(int state, char c)
{
    switch (state) {
    case TRAILER: return c == '\r' ? LAST_LF : syntax_is(c, CHAR_TOKEN) ? TRAILER_NAME : -1;
    case TRAILER_NAME: return c == ':' ? TRAILER_VALUE : syntax_is(c, CHAR_TOKEN) ? TRAILER_NAME : -1;
    case TRAILER_VALUE: return c == '\r' ? TRAILER_LF : syntax_is(c, CHAR_VALUE) ? TRAILER_VALUE : -1;
    case TRAILER_LF: return c == '\n' ? TRAILER : -1;
    default: return -1;
    }
}

/* One byte outside of data. */
static enum http_progress step(struct http_chunked *decoder, char c, struct http_fault *fault)
{
    int state = decoder->state;
    int next = -1;
    switch (state) {
    case SIZE:
        if (syntax_is(c, CHAR_HEX)) {
            if (decoder->digits == DIGITS_MAX)
                return refuse(fault, 400, "a chunk size has more than 15 digits");
            decoder->digits++;
            decoder->left = decoder->left << 4 | syntax_hex_value(c);
            return HTTP_MORE;
        }
        if (decoder->digits > 0)
            next = c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME : c == ' ' || c == '\t' ? SPACE : -1;
        if (next < 0)
            return refuse(fault, 400, "a chunk must begin with its size in hex digits, such as 1f");
        break;
    case SIZE_LF:
        if (c != '\n')
            return refuse(fault, 400, "the line of a chunk size must end in CR LF");
        next = decoder->left > 0 ? DATA : TRAILER;
        break;
    case DATA_CR:
    case DATA_LF:
        if (c != (state == DATA_CR ? '\r' : '\n'))
            return refuse(fault, 400, "the data of a chunk must be as long as its size says, then CR LF");
        next = state == DATA_CR ? DATA_LF : SIZE;
        break;
    case LAST_LF:
        return c == '\n' ? HTTP_DONE : refuse(fault, 400, "the trailer of a chunked body must end in CR LF");
    default: {
        bool trailer = state >= TRAILER;
        next = trailer ? step_trailer(state, c) : step_extension(state, c);
        if (next < 0)
            return refuse(fault, 400,
                          trailer ? "the trailer of a chunked body is not made of headers"
                                  : "a chunk extension is not of the form ;name=value");
        if (++decoder->overhead > CHUNKED_OVERHEAD_MAX || ++decoder->line > CHUNKED_LINE_MAX)
            return refuse(fault, 400, "the chunk extensions or trailers are too long");
    }
    }
    if (next == TRAILER || next == SIZE)
        decoder->line = decoder->digits = 0;
    decoder->state = (uint8_t)next;
    return HTTP_MORE;
}

enum http_progress http_chunked_next(struct http_chunked *decoder, const char *bytes, size_t len,
                                     size_t *used, const char **data, size_t *data_len,
                                     struct http_fault *fault)
{
    *data_len = 0;
    for (size_t i = 0; i < len; i++) {
        if (decoder->state == DATA) {
            *data = bytes + i;
            *data_len = decoder->left < len - i ? (size_t)decoder->left : len - i;
            decoder->left -= *data_len;
            if (decoder->left == 0)
                decoder->state = DATA_CR;
            *used = i + *data_len;
            return HTTP_MORE;
        }
        enum http_progress progress = step(decoder, bytes[i], fault);
        if (progress != HTTP_MORE) {
            *used = i + 1;
            return progress;
        }
    }
    *used = len;
    return HTTP_MORE;
}
