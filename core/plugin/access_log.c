/* plugin/access_log.c: see access_log.h. */
#include "plugin/access_log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define AGENT_BEGIN "sandboxd/"
#define AGENT_END " (health check)"

static const char *find(const char *text, size_t len, const char *what)
{
    return memmem(text, len, what, strlen(what));
}

static size_t digits(const char *text, size_t len)
{
    size_t count = 0;
    while (count < len && text[count] >= '0' && text[count] <= '9')
        count++;
    return count;
}

/* Of whatever version: the log may be older than this daemon. */
static bool names_us(const char *line, size_t len)
{
    const char *begin = find(line, len, AGENT_BEGIN);
    if (!begin)
        return false;
    size_t left = len - (size_t)(begin - line) - strlen(AGENT_BEGIN);
    const char *version = begin + strlen(AGENT_BEGIN);
    size_t word = 0;
    while (word < left && version[word] != ' ' && version[word] != '"')
        word++;
    return left - word >= strlen(AGENT_END) && memcmp(version + word, AGENT_END, strlen(AGENT_END)) == 0;
}

/* What follows the request in the combined format of Apache and nginx: `" STATUS BYTES "REFERER" "AGENT"`. */
static bool names_an_agent(const char *rest, size_t len)
{
    size_t bytes = digits(rest, len);
    if (bytes == 0 && len > 0 && *rest == '-')
        bytes = 1;
    return bytes > 0 && len > bytes + 1 && rest[bytes] == ' ' &&
           (rest[bytes + 1] == '"' || rest[bytes + 1] == '\\');
}

static bool is_check(const char *line, size_t len, const char *path)
{
    char request[1100];
    if (names_us(line, len))
        return true;
    int request_len = path ? snprintf(request, sizeof request, "\"GET %s HTTP/", path) : 0;
    if (request_len <= 0 || (size_t)request_len >= sizeof request)
        return false;
    const char *at = find(line, len, request);
    const char *end = line + len;
    const char *quote = at ? memchr(at + 1, '"', (size_t)(end - at - 1)) : NULL;
    if (!quote || end - quote < 5 || quote[1] != ' ' || digits(quote + 2, (size_t)(end - quote - 2)) != 3)
        return false;
    const char *rest = quote + 5;
    return rest == end || *rest != ' ' || !names_an_agent(rest + 1, (size_t)(end - rest - 1));
}

size_t access_log_drop_checks(char *text, size_t len, const char *path)
{
    size_t kept = 0;
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t line = newline ? (size_t)(newline - text) + 1 - at : len - at;
        if (!is_check(text + at, newline ? line - 1 : line, path)) {
            memmove(text + kept, text + at, line);
            kept += line;
        }
        at += line;
    }
    return kept;
}
