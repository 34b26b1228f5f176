/* api/shell_words.c: see shell_words.h. */
#include "api/shell_words.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What follows the opening quote at `text`, up to behind the closing one; NULL: there is none. */
static const char *single_quoted(const char *text, char **out)
{
    const char *end = strchr(text, '\'');
    if (!end)
        return NULL;
    memcpy(*out, text, (size_t)(end - text));
    *out += end - text;
    return end + 1;
}

/* Between double quotes a backslash counts before these alone, and stands for itself before others. */
static const char *double_quoted(const char *text, char **out)
{
    for (; *text && *text != '"'; text++) {
        if (*text == '\\' && text[1] == '\n') {
            text++;
            continue;
        }
        if (*text == '\\' && text[1] && strchr("$`\"\\", text[1]))
            text++;
        *(*out)++ = *text;
    }
    return *text ? text + 1 : NULL;
}

/* The word at `text`, up to behind it. */
static const char *take_word(const char *text, char **out, const char **why)
{
    while (*text && !is_blank(*text)) {
        char c = *text++;
        if (c == '\'' || c == '"') {
            text = c == '"' ? double_quoted(text, out) : single_quoted(text, out);
            *why = "a quote in it is not closed";
        } else if (c == '\\' && *text == '\n') {
            text++; /* a line goes on */
        } else if (c == '\\') {
            *why = "it ends in a backslash";
            *(*out)++ = *text;
            text = *text ? text + 1 : NULL;
        } else {
            *(*out)++ = c;
        }
        if (!text)
            return NULL;
    }
    *(*out)++ = '\0';
    return text;
}

long shell_words(const char *text, char *out, const char **why)
{
    long count = 0;
    for (;;) {
        while (is_blank(*text) || (*text == '\\' && text[1] == '\n'))
            text += *text == '\\' ? 2 : 1;
        if (!*text)
            return count;
        text = take_word(text, &out, why);
        if (!text)
            return -1;
        count++;
    }
}
