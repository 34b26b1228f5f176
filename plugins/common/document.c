/* common/document.c: see document.h. Owns the copy of a text that it has to change. */
#include "common/document.h"

#include <stdlib.h>
#include <string.h>

static const char zero[] = "\\u0000", replacement[] = "\\ufffd";

enum { ESCAPE_LEN = sizeof zero - 1 };

/* A backslash stands in strings only, and in front of what it escapes: another one is no beginning of an escape. */
static void replace_zeros(char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] != '\\')
            continue;
        if (len - i >= ESCAPE_LEN && memcmp(text + i, zero, ESCAPE_LEN) == 0)
            memcpy(text + i, replacement, ESCAPE_LEN);
        i++;
    }
}

sbx_json *document_parse(const struct sbx_json_api *json, const char *text, size_t len)
{
    if (len == 0)
        return NULL;
    if (!memmem(text, len, zero, ESCAPE_LEN))
        return json->parse(text, len, NULL);
    char *copy = malloc(len);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    replace_zeros(copy, len);
    sbx_json *document = json->parse(copy, len, NULL);
    explicit_bzero(copy, len); /* session keys stand in such documents */
    free(copy);
    return document;
}
