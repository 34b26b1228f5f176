/* base/buffer.h: a byte buffer that grows up to a bound. All that is sized by input goes through one.
 *
 * The content is followed by a zero byte that does not count, so text in it is a C string. After a
 * failed append the buffer is as it was and `failed` stays set: a series of appends can be checked
 * once, at its end.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* NULL while nothing was appended */
    size_t len, capacity, max;
    bool failed; /* an append went over `max` or found no memory */
};

static inline struct buffer buffer_init(size_t max)
{
    return (struct buffer){.max = max};
}
void buffer_finish(struct buffer *buffer); /* frees the content; the bound stays */

int buffer_add(struct buffer *buffer, const void *bytes, size_t len); /* -1: over the bound */
int buffer_add_text(struct buffer *buffer, const char *text);
int buffer_add_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_drop_front(struct buffer *buffer, size_t len);
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    buffer->failed = false;
    if (buffer->data)
        buffer->data[0] = '\0';
}

/* The content as a C string, owned by the buffer; "" when it is empty. */
static inline const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data ? buffer->data : "";
}
/* Hands the content to the caller, who frees it. NULL after a failure. */
char *buffer_take(struct buffer *buffer);

#endif
