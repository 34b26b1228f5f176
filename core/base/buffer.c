/* base/buffer.c: see buffer.h. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_finish(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = buffer_init(buffer->max);
}

/* Room for `more` bytes and the zero byte. */
static int reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed || more > buffer->max || buffer->len > buffer->max - more) {
        buffer->failed = true;
        return -1;
    }
    size_t need = buffer->len + more + 1;
    if (need <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < need)
        capacity = capacity > buffer->max / 2 ? buffer->max + 1 : capacity * 2;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return -1;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_add(struct buffer *buffer, const void *bytes, size_t len)
{
    if (reserve(buffer, len) < 0)
        return -1;
    if (len > 0)
        memcpy(buffer->data + buffer->len, bytes, len);
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
    return 0;
}

int buffer_add_text(struct buffer *buffer, const char *text)
{
    return buffer_add(buffer, text, strlen(text));
}

int buffer_add_format(struct buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int result = -1;
    if (len < 0)
        buffer->failed = true;
    else if (reserve(buffer, (size_t)len) == 0) {
        vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, again);
        buffer->len += (size_t)len;
        result = 0;
    }
    va_end(again);
    return result;
}

void buffer_drop_front(struct buffer *buffer, size_t len)
{
    if (len == 0 || !buffer->data)
        return;
    if (len > buffer->len)
        len = buffer->len;
    buffer->len -= len;
    memmove(buffer->data, buffer->data + len, buffer->len + 1);
}

char *buffer_take(struct buffer *buffer)
{
    char *data = buffer->failed ? NULL : buffer->data ? buffer->data : strdup("");
    if (buffer->failed)
        free(buffer->data);
    *buffer = buffer_init(buffer->max);
    return data;
}
