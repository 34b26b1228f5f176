/* http/parser.c: see parser.h. */
#include "http/parser.h"

#include "http/syntax.h"

#include <string.h>
#include <strings.h>

/* The longest request line that may hold a target of HTTP_TARGET_MAX bytes. */
enum { REQUEST_LINE_MAX = HTTP_METHOD_MAX + HTTP_TARGET_MAX + sizeof " HTTP/1.1" };

static enum http_progress refuse(struct http_fault *fault, int status, const char *detail)
{
    *fault = (struct http_fault){.status = status, .detail = detail};
    return HTTP_FAULT;
}

/* ---- where the head ends --------------------------------------------------------------------- */

static enum http_progress scan_line_end(struct http_scan *scan, struct http_fault *fault)
{
    scan->cr = false;
    if (scan->line > 0) {
        scan->line = 0;
        scan->headers = true;
        return HTTP_MORE;
    }
    if (scan->headers)
        return HTTP_DONE;
    if (scan->skipped > 0)
        return refuse(fault, 400, "more than one empty line before the request line");
    scan->skipped = scan->len;
    scan->len = 0;
    return HTTP_MORE;
}

/* The first byte tells most of what is no HTTP at all: nobody has to wait for a deadline to learn it. */
static enum http_progress scan_first_byte(char c, struct http_fault *fault)
{
    if (c == '\x16')
        return refuse(fault, 400, "this looks like TLS, but plain HTTP is spoken on this address");
    if (!syntax_is(c, CHAR_TOKEN))
        return refuse(fault, 400, "a request begins with its method, such as GET");
    return HTTP_MORE;
}

enum http_progress http_scan(struct http_scan *scan, const char *bytes, size_t len, struct http_fault *fault)
{
    for (size_t i = 0; i < len;) {
        if (scan->len == HTTP_HEAD_MAX)
            return refuse(fault, 431, "the request line and headers are over 32768 bytes");
        if (scan->cr) {
            if (bytes[i] != '\n')
                return refuse(fault, 400, "a CR without LF in the request head");
            i++;
            scan->len++;
            enum http_progress progress = scan_line_end(scan, fault);
            if (progress != HTTP_MORE)
                return progress;
            continue;
        }
        size_t room = (size_t)(HTTP_HEAD_MAX - scan->len);
        if (!scan->headers) {
            if (scan->line == REQUEST_LINE_MAX)
                return refuse(fault, 414, "the request target is over 24576 bytes");
            if (room > (size_t)(REQUEST_LINE_MAX - scan->line))
                room = (size_t)(REQUEST_LINE_MAX - scan->line);
        }
        size_t span = len - i < room ? len - i : room;
        const char *cr = memchr(bytes + i, '\r', span);
        size_t text = cr ? (size_t)(cr - (bytes + i)) : span;
        if (memchr(bytes + i, '\n', text))
            return refuse(fault, 400, "a line of the request head ends in LF alone; each must end in CR LF");
        if (!scan->headers && scan->line == 0 && text > 0 && scan_first_byte(bytes[i], fault) == HTTP_FAULT)
            return HTTP_FAULT;
        scan->line = (uint16_t)(scan->line + text);
        scan->len = (uint16_t)(scan->len + text);
        i += text;
        if (cr) {
            scan->cr = true;
            scan->len++;
            i++;
        }
    }
    return HTTP_MORE;
}

/* ---- the request line ------------------------------------------------------------------------ */

/* host [":" port], as in Host and in an absolute target (RFC 3986, section 3.2.2). */
static bool valid_authority(const char *text, size_t len)
{
    size_t host;
    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (!end || end == text + 1)
            return false;
        host = (size_t)(end - text) + 1;
        for (size_t i = 1; i + 1 < host; i++)
            if (!syntax_is(text[i], CHAR_HEX) && text[i] != ':' && text[i] != '.')
                return false;
    } else {
        const char *colon = memchr(text, ':', len);
        host = colon ? (size_t)(colon - text) : len;
        if (!syntax_all(text, host, CHAR_HOST))
            return false;
        for (size_t i = 0; i < host; i++)
            if (text[i] == '%' && (host - i < 3 || !syntax_all(text + i + 1, 2, CHAR_HEX)))
                return false;
    }
    if (host == len)
        return true;
    unsigned port = 0;
    if (text[host] != ':' || len - host > 6 || !syntax_all(text + host + 1, len - host - 1, CHAR_DIGIT))
        return false;
    for (size_t i = host + 1; i < len; i++)
        port = port * 10 + (unsigned)(text[i] - '0');
    return port <= 65535;
}

static enum http_progress decode_fault(enum syntax_decoded result, struct http_fault *fault)
{
    switch (result) {
    case DECODE_BAD_PERCENT:
        return refuse(fault, 400, "a percent sign in the request target must be followed by two hex digits");
    case DECODE_NUL: return refuse(fault, 400, "the request target holds an encoded NUL");
    case DECODE_BAD_UTF8: return refuse(fault, 400, "the request target is not valid UTF-8 once decoded");
    default: return HTTP_DONE;
    }
}

/* One end of a parameter is decoded where it stands; the byte after it is a separator, so zero fits. */
static enum http_progress parse_part(char *text, size_t len, struct http_fault *fault)
{
    enum syntax_decoded result = syntax_decode(text, &len, true);
    text[len] = '\0';
    return decode_fault(result, fault);
}

static enum http_progress parse_query(struct http_head *head, char *query, char *end,
                                      struct http_fault *fault)
{
    if (!syntax_all(query, (size_t)(end - query), CHAR_QUERY))
        return refuse(fault, 400, "the query holds a character that must be percent-encoded");
    while (query < end) {
        char *stop = memchr(query, '&', (size_t)(end - query));
        if (!stop)
            stop = end;
        if (stop > query) {
            if (head->params_len == HTTP_PARAMS_MAX)
                return refuse(fault, 400, "the query has more than 512 parameters");
            char *equals = memchr(query, '=', (size_t)(stop - query));
            char *name_end = equals ? equals : stop;
            char *value = equals ? equals + 1 : stop;
            struct http_field *param = &head->params[head->params_len++];
            param->name = (uint16_t)(query - head->text);
            param->value = (uint16_t)(value - head->text);
            if (parse_part(query, (size_t)(name_end - query), fault) == HTTP_FAULT ||
                parse_part(value, (size_t)(stop - value), fault) == HTTP_FAULT)
                return HTTP_FAULT;
        }
        query = stop + 1;
    }
    return HTTP_DONE;
}

/* origin-form: path and query. */
static enum http_progress parse_origin(struct http_head *head, char *target, char *end,
                                       struct http_fault *fault)
{
    char *query = memchr(target, '?', (size_t)(end - target));
    char *path_end = query ? query : end;
    size_t len = (size_t)(path_end - target);
    if (!syntax_all(target, len, CHAR_PATH))
        return refuse(fault, 400, "the path holds a character that must be percent-encoded");
    enum http_progress progress = decode_fault(syntax_decode(target, &len, false), fault);
    target[len] = '\0';
    head->path = (uint16_t)(target - head->text);
    if (progress == HTTP_DONE && query)
        progress = parse_query(head, query + 1, end, fault);
    return progress;
}

/* absolute-form: the authority is checked and, there being one server, dropped (RFC 9112, section 3.2.2). */
static enum http_progress parse_absolute(struct http_head *head, char *target, char *end,
                                         struct http_fault *fault)
{
    size_t len = (size_t)(end - target);
    size_t scheme = len >= 7 && strncasecmp(target, "http://", 7) == 0    ? 7
                    : len >= 8 && strncasecmp(target, "https://", 8) == 0 ? 8
                                                                          : 0;
    if (scheme == 0)
        return refuse(fault, 400, "the request target must begin with a slash, such as /health");
    char *authority = target + scheme;
    char *path = authority + strcspn(authority, "/? ");
    if (path == authority || *authority == ':' || !valid_authority(authority, (size_t)(path - authority)))
        return refuse(fault, 400, "the host in the request target is not valid");
    if (path < end && *path == '/')
        return parse_origin(head, path, end, fault);
    /* An empty path is "/"; the last byte of the authority makes room for it. */
    path[-1] = '/';
    return parse_origin(head, path - 1, end, fault);
}

static enum http_progress parse_target(struct http_head *head, char *target, char *end,
                                       struct http_fault *fault)
{
    size_t len = (size_t)(end - target);
    if (len > HTTP_TARGET_MAX)
        return refuse(fault, 414, "the request target is over 24576 bytes");
    if (memchr(target, '#', len))
        return refuse(fault, 400, "the request target must not have a fragment (#)");
    if (*target == '/')
        return parse_origin(head, target, end, fault);
    if (len == 1 && *target == '*') {
        if (strcmp(head->text + head->method, "OPTIONS") != 0)
            return refuse(fault, 400, "the target * goes with the method OPTIONS only");
        head->path = (uint16_t)(target - head->text);
        *end = '\0';
        return HTTP_DONE;
    }
    return parse_absolute(head, target, end, fault);
}

static enum http_progress parse_version(struct http_head *head, const char *text, size_t len,
                                        struct http_fault *fault)
{
    if (len != 8 || memcmp(text, "HTTP/", 5) != 0 || !syntax_is(text[5], CHAR_DIGIT) || text[6] != '.' ||
        !syntax_is(text[7], CHAR_DIGIT))
        return refuse(fault, 400, "the request line must be METHOD TARGET HTTP/1.1, with single spaces");
    if (text[5] != '1')
        return refuse(fault, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    /* A higher minor version is read as the highest one known (RFC 9110, section 2.5). */
    head->minor = text[7] == '0' ? 0 : 1;
    return HTTP_DONE;
}

static enum http_progress parse_request_line(struct http_head *head, char *line, char *end,
                                             struct http_fault *fault)
{
    char *space = memchr(line, ' ', (size_t)(end - line));
    size_t len = space ? (size_t)(space - line) : (size_t)(end - line);
    if (!syntax_all(line, len, CHAR_TOKEN))
        return refuse(fault, 400, "the method has a character that no method may have");
    if (len > HTTP_METHOD_MAX)
        return refuse(fault, 501, "no method of more than 16 letters is known");
    char *target = space ? space + 1 : end;
    char *version = memchr(target, ' ', (size_t)(end - target));
    if (!space || !version || version == target)
        return refuse(fault, 400, "the request line must be METHOD TARGET HTTP/1.1, with single spaces");
    if (parse_version(head, version + 1, (size_t)(end - version - 1), fault) == HTTP_FAULT)
        return HTTP_FAULT;
    *space = '\0';
    head->method = (uint16_t)(line - head->text);
    if (strcmp(line, "CONNECT") == 0)
        return refuse(fault, 501, "CONNECT is not supported: this server is no proxy");
    return parse_target(head, target, version, fault);
}

/* ---- the headers ----------------------------------------------------------------------------- */

/* Those that the front end acts on, and those that it would be wrong to join: each may be there once. */
enum single { SINGLE_HOST, SINGLE_CONTENT_LENGTH, SINGLE_TRANSFER_ENCODING, SINGLE_EXPECT, SINGLE_OTHERS };
static const char *const singles[] = {
    "host",      "content-length",    "transfer-encoding", "expect",     "content-type", "authorization",
    "x-api-key", "x-session-api-key", "x-request-id",      "user-agent", "range",        "if-modified-since",
};
enum { SINGLES_LEN = sizeof singles / sizeof *singles };

struct headers_seen {
    uint32_t singles; /* a bit each */
    bool close, keep_alive;
};

static enum http_progress parse_content_length(struct http_head *head, const char *value, size_t len,
                                               struct http_fault *fault)
{
    uint64_t number = 0;
    bool valid = len > 0 && syntax_all(value, len, CHAR_DIGIT);
    for (size_t i = 0; valid && i < len; i++) {
        number = number * 10 + (uint64_t)(value[i] - '0');
        valid = number <= INT64_MAX / 16; /* so that the next digit can't overflow */
    }
    if (!valid)
        return refuse(fault, 400, "Content-Length must be one decimal number of bytes, such as 42");
    head->content_length = number;
    return HTTP_DONE;
}

static enum http_progress parse_transfer_encoding(struct http_head *head, const char *value,
                                                  struct http_fault *fault)
{
    const char *element;
    size_t len;
    bool last_chunked = false, unknown = false;
    unsigned chunked = 0;
    while (syntax_next_element(&value, &element, &len)) {
        last_chunked = syntax_equal(element, len, "chunked");
        chunked += last_chunked;
        unknown |= !last_chunked;
    }
    if (!last_chunked || chunked > 1)
        return refuse(fault, 400, "Transfer-Encoding must be chunked, once and last");
    if (unknown)
        return refuse(fault, 501, "the only Transfer-Encoding that is known is chunked");
    head->chunked = true;
    return HTTP_DONE;
}

static void parse_connection(struct headers_seen *seen, const char *value)
{
    const char *element;
    size_t len;
    while (syntax_next_element(&value, &element, &len)) {
        seen->close |= syntax_equal(element, len, "close");
        seen->keep_alive |= syntax_equal(element, len, "keep-alive");
    }
}

static enum http_progress note_header(struct http_head *head, struct headers_seen *seen, const char *name,
                                      size_t name_len, const char *value, size_t value_len,
                                      struct http_fault *fault)
{
    if (syntax_equal(name, name_len, "connection")) {
        parse_connection(seen, value);
        return HTTP_DONE;
    }
    size_t single = 0;
    while (single < SINGLES_LEN && !syntax_equal(name, name_len, singles[single]))
        single++;
    if (single == SINGLES_LEN)
        return HTTP_DONE;
    if (seen->singles & 1u << single)
        return refuse(fault, 400,
                      single == SINGLE_HOST             ? "Host must be sent once, not twice"
                      : single == SINGLE_CONTENT_LENGTH ? "Content-Length must be sent once, not twice"
                                                        : "a header that may be sent once was sent twice");
    seen->singles |= 1u << single;
    switch (single) {
    case SINGLE_HOST:
        if (!valid_authority(value, value_len))
            return refuse(fault, 400, "Host must be a host name or address, and a port if need be");
        return HTTP_DONE;
    case SINGLE_CONTENT_LENGTH: return parse_content_length(head, value, value_len, fault);
    case SINGLE_TRANSFER_ENCODING: return parse_transfer_encoding(head, value, fault);
    case SINGLE_EXPECT:
        if (!syntax_equal(value, value_len, "100-continue"))
            return refuse(fault, 417, "the only expectation that is known is 100-continue");
        head->expect_continue = true;
        return HTTP_DONE;
    default: return HTTP_DONE;
    }
}

/* `line` up to `end`, where its CR is. */
static enum http_progress parse_header(struct http_head *head, struct headers_seen *seen, char *line,
                                       char *end, struct http_fault *fault)
{
    if (*line == ' ' || *line == '\t')
        return refuse(fault, 400, "a header line must not begin with a space; line folding is not allowed");
    if (head->fields_len == HTTP_FIELDS_MAX)
        return refuse(fault, 431, "the request has more than 100 headers");
    char *colon = line;
    while (colon < end && syntax_is(*colon, CHAR_TOKEN))
        colon++;
    if (colon == end)
        return refuse(fault, 400, "a header line has no colon");
    if (*colon != ':')
        return refuse(fault, 400,
                      *colon == ' ' || *colon == '\t' ? "there must be no space before the colon of a header"
                                                      : "a header name has a character that none may have");
    if (colon == line)
        return refuse(fault, 400, "a header has no name");
    char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    if (!syntax_all(value, (size_t)(end - value), CHAR_VALUE))
        return refuse(fault, 400, "a header value holds a control character");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *colon = '\0';
    *end = '\0';
    struct http_field *field = &head->fields[head->fields_len++];
    field->name = (uint16_t)(line - head->text);
    field->value = (uint16_t)(value - head->text);
    return note_header(head, seen, line, (size_t)(colon - line), value, (size_t)(end - value), fault);
}

/* What no single header tells: RFC 9112, sections 3.2, 6.1 and 9.3. */
static enum http_progress check_whole(struct http_head *head, const struct headers_seen *seen,
                                      struct http_fault *fault)
{
    if (head->minor >= 1 && !(seen->singles & 1u << SINGLE_HOST))
        return refuse(fault, 400, "an HTTP/1.1 request must have a Host header");
    if (head->chunked && seen->singles & 1u << SINGLE_CONTENT_LENGTH)
        return refuse(fault, 400, "a request must not have both Content-Length and Transfer-Encoding");
    if (head->chunked && head->minor == 0)
        return refuse(fault, 400, "an HTTP/1.0 request must not have Transfer-Encoding");
    /* HTTP/1.0 knows no 100 (Continue): RFC 9110, section 10.1.1. */
    if (head->minor == 0)
        head->expect_continue = false;
    head->keep_alive = !seen->close && (head->minor >= 1 || seen->keep_alive);
    return HTTP_DONE;
}

enum http_progress http_head_parse(struct http_head *head, char *text, size_t len, struct http_fault *fault)
{
    memset(head, 0, offsetof(struct http_head, fields));
    head->text = text;
    struct headers_seen seen = {0};
    bool first = true;
    char *stop = text + len - 2; /* the CR LF of the empty line that ends the head */
    for (char *line = text; line < stop;) {
        char *end = memchr(line, '\r', (size_t)(stop - line));
        enum http_progress progress =
            first ? parse_request_line(head, line, end, fault) : parse_header(head, &seen, line, end, fault);
        if (progress == HTTP_FAULT)
            return progress;
        first = false;
        line = end + 2;
    }
    return check_whole(head, &seen, fault);
}
