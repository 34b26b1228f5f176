/* api/multipart.c: see multipart.h. A boundary has no CR in it, so that what looked like a delimiter and is none is data
 * up to the next CR. */
#include "api/multipart.h"

#include <string.h>
#include <strings.h>

enum {
    FIRST,     /* the first delimiter, whose CR LF is not there */
    DELIMITED, /* after a delimiter: CR LF, or "--" */
    HEAD,
    DATA,
    CLOSED, /* after the last one: CR LF, or nothing */
    ENDED
};

/* ---- the type ---- */

static bool is_boundary(const char *text, size_t len)
{
    static const char others[] = "'()+_,-./:=? ";
    if (len == 0 || len > MULTIPART_BOUNDARY_MAX || text[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return true;
}

/* One `; name=value`, whose value is a token or quoted without escapes. The text behind it; NULL: it is none. */
static const char *parameter(const char *text, const char **name, size_t *name_len, const char **value,
                             size_t *value_len)
{
    text += strspn(text, " \t");
    if (*text != ';')
        return NULL;
    text += 1 + strspn(text + 1, " \t");
    *name = text;
    *name_len = strcspn(text, "=; \t");
    text += *name_len;
    if (*name_len == 0 || *text != '=')
        return NULL;
    text++;
    bool quoted = *text == '"';
    *value = text + quoted;
    *value_len = strcspn(*value, quoted ? "\"" : "; \t\"");
    text = *value + *value_len;
    if (quoted && *text++ != '"')
        return NULL;
    return text;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

bool multipart_begin(struct multipart *multipart, const char *content_type)
{
    static const char type[] = "multipart/form-data";
    const char *name, *value, *boundary = NULL;
    size_t name_len, value_len, boundary_len = 0;
    if (!content_type || strncasecmp(content_type, type, sizeof type - 1) != 0)
        return false;
    const char *text = content_type + sizeof type - 1;
    while (text[strspn(text, " \t")]) {
        text = parameter(text, &name, &name_len, &value, &value_len);
        if (!text)
            return false;
        if (!is_word(name, name_len, "boundary"))
            continue;
        if (boundary)
            return false;
        boundary = value;
        boundary_len = value_len;
    }
    if (!boundary || !is_boundary(boundary, boundary_len))
        return false;
    *multipart = (struct multipart){.state = FIRST, .matched = 2, .delimiter_len = 4 + boundary_len};
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary, boundary_len);
    return true;
}

/* ---- a part's head ---- */

static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len > MULTIPART_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!plain && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* A file's name may have quotes, as \" or as a byte: what follows the name is not looked at. */
static const char *disposition(const char *value, char name[MULTIPART_NAME_MAX + 1])
{
    static const char form[] = "form-data";
    const char *its_name, *its_value;
    size_t name_len, value_len;
    value += strspn(value, " \t");
    if (strncasecmp(value, form, sizeof form - 1) != 0)
        return "has a part that is no form-data";
    value = parameter(value + sizeof form - 1, &its_name, &name_len, &its_value, &value_len);
    if (!value || !is_word(its_name, name_len, "name") || !is_name(its_value, value_len))
        return "has a part whose Content-Disposition does not begin with a plain name";
    memcpy(name, its_value, value_len);
    name[value_len] = '\0';
    return NULL;
}

static const char *encoding(const char *value)
{
    static const char *const plain[] = {"7bit", "8bit", "binary"};
    value += strspn(value, " \t");
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcasecmp(value, plain[i]) == 0)
            return NULL;
    return "has a part with a Content-Transfer-Encoding (RFC 7578 has none)";
}

/* One line without its end, as a text. */
static const char *head_line(const char *line, char name[MULTIPART_NAME_MAX + 1])
{
    static const char is_disposition[] = "Content-Disposition:", is_encoding[] = "Content-Transfer-Encoding:";
    if (strncasecmp(line, is_encoding, sizeof is_encoding - 1) == 0)
        return encoding(line + sizeof is_encoding - 1);
    if (strncasecmp(line, is_disposition, sizeof is_disposition - 1) != 0)
        return strchr(line, ':') && *line != ':' && *line != ' ' && *line != '\t'
                   ? NULL
                   : "has a part whose head is malformed";
    if (*name)
        return "has a part with two Content-Dispositions";
    return disposition(line + sizeof is_disposition - 1, name);
}

static const char *read_head(struct multipart *multipart, const struct multipart_handler *handler)
{
    char name[MULTIPART_NAME_MAX + 1] = "";
    char *line = multipart->head;
    line[multipart->head_len] = '\0';
    if (strlen(line) != multipart->head_len)
        return "has a part whose head is malformed";
    for (char *end; *line != '\r'; line = end + 2) {
        end = strstr(line, "\r\n");
        *end = '\0';
        const char *wrong =
            strpbrk(line, "\r\n") ? "has a part whose head is malformed" : head_line(line, name);
        if (wrong)
            return wrong;
    }
    if (!*name)
        return "has a part without a Content-Disposition";
    return handler->part(handler->arg, name);
}

/* Up to the empty line. The bytes used. */
static size_t take_head(struct multipart *multipart, const char *bytes, size_t len, bool *complete)
{
    size_t used = 0;
    *complete = false;
    while (used < len && multipart->head_len < MULTIPART_HEAD_MAX && !*complete) {
        multipart->head[multipart->head_len++] = bytes[used++];
        size_t have = multipart->head_len;
        *complete = (have == 2 && memcmp(multipart->head, "\r\n", 2) == 0) ||
                    (have >= 4 && memcmp(multipart->head + have - 4, "\r\n\r\n", 4) == 0);
    }
    return used;
}

/* ---- states ---- */

static const char *take_first(struct multipart *multipart, char c)
{
    if (c != multipart->delimiter[multipart->matched])
        return "does not begin with its boundary";
    if (++multipart->matched == multipart->delimiter_len) {
        multipart->state = DELIMITED;
        multipart->matched = 0;
    }
    return NULL;
}

static const char *take_delimited(struct multipart *multipart, char c)
{
    static const char wrong[] = "has a boundary that is followed by something else on its line";
    if (multipart->matched == 0) {
        if (c != '\r' && c != '-')
            return wrong;
        multipart->matched = c == '\r' ? 1 : 2;
        return NULL;
    }
    if (c != (multipart->matched == 1 ? '\n' : '-'))
        return wrong;
    if (multipart->matched == 1 && multipart->parts++ == MULTIPART_PARTS_MAX)
        return "has more than 100 parts";
    multipart->state = multipart->matched == 1 ? HEAD : CLOSED;
    multipart->head_len = multipart->matched = 0;
    return NULL;
}

static const char *take_closed(struct multipart *multipart, char c)
{
    if (c != (multipart->matched == 0 ? '\r' : '\n'))
        return "goes on after its last boundary";
    if (++multipart->matched == 2)
        multipart->state = ENDED;
    return NULL;
}

static const char *give(const struct multipart_handler *handler, const char *bytes, size_t len)
{
    return len > 0 ? handler->data(handler->arg, bytes, len) : NULL;
}

/* Data up to the next CR, or a step on in the delimiter. */
static const char *take_data(struct multipart *multipart, const char *bytes, size_t len, size_t *used,
                             const struct multipart_handler *handler)
{
    if (multipart->matched == 0) {
        const char *cr = memchr(bytes, '\r', len);
        *used = cr ? (size_t)(cr - bytes) + 1 : len;
        multipart->matched = cr != NULL;
        return give(handler, bytes, cr ? *used - 1 : *used);
    }
    if (*bytes != multipart->delimiter[multipart->matched]) {
        size_t seen = multipart->matched;
        multipart->matched = 0;
        *used = 0; /* it may be a CR */
        return give(handler, multipart->delimiter, seen);
    }
    *used = 1;
    if (++multipart->matched < multipart->delimiter_len)
        return NULL;
    multipart->state = DELIMITED;
    multipart->matched = 0;
    return handler->end(handler->arg);
}

const char *multipart_feed(struct multipart *multipart, const char *bytes, size_t len,
                           const struct multipart_handler *handler)
{
    const char *wrong = NULL;
    while (len > 0 && !wrong) {
        size_t used = 1;
        bool complete;
        switch (multipart->state) {
        case FIRST: wrong = take_first(multipart, *bytes); break;
        case DELIMITED: wrong = take_delimited(multipart, *bytes); break;
        case HEAD:
            used = take_head(multipart, bytes, len, &complete);
            if (complete) {
                multipart->state = DATA;
                wrong = read_head(multipart, handler);
            } else if (multipart->head_len == MULTIPART_HEAD_MAX) {
                wrong = "has a part whose head is over 2 KiB";
            }
            break;
        case DATA: wrong = take_data(multipart, bytes, len, &used, handler); break;
        case CLOSED: wrong = take_closed(multipart, *bytes); break;
        default: wrong = "goes on after its last boundary"; break;
        }
        bytes += used;
        len -= used;
    }
    return wrong;
}

const char *multipart_end(const struct multipart *multipart)
{
    bool complete = multipart->state == ENDED || (multipart->state == CLOSED && multipart->matched == 0);
    return complete ? NULL : "breaks off before its last boundary";
}
