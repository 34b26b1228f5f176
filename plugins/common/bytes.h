/* bytes.h: a bounded byte string that is put together piece by piece.
 *
 * After a failed append nothing more is appended and `failed` stays set: a series is checked at its end.
 */
#ifndef PLUGINS_BYTES_H
#define PLUGINS_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct bytes {
    char *data; /* NULL while empty */
    size_t len, capacity, max;
    bool failed;
};

void bytes_add(struct bytes *bytes, const void *data, size_t len);
void bytes_add_text(struct bytes *bytes, const char *text); /* without its zero byte */
void bytes_finish(struct bytes *bytes);                     /* frees; wipes, since keys pass through */

#endif
