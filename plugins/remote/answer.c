/* answer.c: see answer.h. Knows nothing of runtimes, and of what a status means. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { RETRY_AFTER_MAX_S = 3600 };

uint64_t answer_retry_after_ms(const char *header, int64_t now_us)
{
    static const char name[] = "Retry-After:";
    if (strncasecmp(header, name, strlen(name)) != 0)
        return 0;
    const char *text = header + strlen(name);
    text += strspn(text, " \t");
    struct tm when = {0};
    int64_t seconds = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && text[digits] == '\0')
        seconds = digits > 9 ? RETRY_AFTER_MAX_S : strtol(text, NULL, 10);
    else if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &when))
        seconds = (int64_t)timegm(&when) - now_us / 1000000;
    if (seconds > RETRY_AFTER_MAX_S)
        seconds = RETRY_AFTER_MAX_S;
    return seconds > 0 ? (uint64_t)seconds * 1000 : 0;
}

/* What follows a backslash belongs to it: "\\u0000" in a document is a backslash and five letters. */
static void replace_zeroes(char *text, size_t len)
{
    static const char zero[] = "\\u0000", replacement[] = "\\ufffd";
    const size_t size = strlen(zero);
    const char *end = text + len;
    while ((text = memchr(text, '\\', (size_t)(end - text))) && (size_t)(end - text) >= size) {
        if (memcmp(text, zero, size) == 0)
            memcpy(text, replacement, size);
        text += 2;
    }
}

sbx_json *answer_parse(const struct sbx_json_api *json, char *text, size_t len)
{
    replace_zeroes(text, len);
    return json->parse(text, len, NULL);
}
