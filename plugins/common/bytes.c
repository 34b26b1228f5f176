/* bytes.c: see bytes.h. */
#include "bytes.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct bytes *bytes, size_t wanted)
{
    size_t capacity = bytes->capacity ? bytes->capacity : 1024;
    while (capacity < wanted)
        capacity *= 2;
    char *data = malloc(capacity);
    if (!data)
        return false;
    if (bytes->data) {
        memcpy(data, bytes->data, bytes->len);
        explicit_bzero(bytes->data, bytes->len);
        free(bytes->data);
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

void bytes_add(struct bytes *bytes, const void *data, size_t len)
{
    if (bytes->failed || len == 0)
        return;
    if (len > bytes->max - bytes->len ||
        (len > bytes->capacity - bytes->len && !grow(bytes, bytes->len + len))) {
        bytes->failed = true;
        return;
    }
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
}

void bytes_add_text(struct bytes *bytes, const char *text)
{
    bytes_add(bytes, text, strlen(text));
}

void bytes_finish(struct bytes *bytes)
{
    if (bytes->data)
        explicit_bzero(bytes->data, bytes->len);
    free(bytes->data);
    *bytes = (struct bytes){.max = bytes->max};
}
