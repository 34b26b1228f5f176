/* mirror/place.c: see place.h. A place is written as its number, and a line with a number and an id for each sandbox that
 * is held. */
#include "mirror/place.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct held *place_find(const struct place *place, const char *sandbox_id)
{
    struct held *held = place->held;
    while (held && strcmp(held->sandbox_id, sandbox_id) != 0)
        held = held->next;
    return held;
}

struct held *place_hold(struct place *place, const char *sandbox_id, int64_t told)
{
    if (place->count == PLACE_HELD_MAX)
        return NULL;
    struct held *held = calloc(1, sizeof *held);
    if (!held || !(held->sandbox_id = strdup(sandbox_id)))
        abort();
    held->told = told;
    held->next = place->held;
    place->held = held;
    place->count++;
    return held;
}

void place_release(struct place *place, struct held *held)
{
    struct held **at = &place->held;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    place->count--;
    free(held->sandbox_id);
    free(held);
}

struct held *place_next(const struct place *place)
{
    struct held *next = place->held;
    for (struct held *held = next; held; held = held->next)
        if (held->due_ms < next->due_ms)
            next = held;
    return next;
}

void place_finish(struct place *place)
{
    while (place->held)
        place_release(place, place->held);
    place->told = 0;
}

/* ---- as text ---------------------------------------------------------------------------------- */

void place_write(const struct place *place, struct buffer *out)
{
    buffer_add_format(out, "%" PRId64, place->told);
    for (const struct held *held = place->held; held; held = held->next)
        buffer_add_format(out, "\n%" PRId64 " %s", held->told, held->sandbox_id);
}

/* A number that ends in `end`. */
static bool read_number(const char **at, char end, int64_t *number)
{
    char *behind;
    errno = 0;
    *number = strtoll(*at, &behind, 10);
    bool ok = behind != *at && *behind == end && errno == 0 && *number >= 0;
    *at = behind;
    return ok;
}

static bool read_all(struct place *place, char *text)
{
    char *rest = text, *line = strsep(&rest, "\n");
    const char *at = line;
    if (!read_number(&at, '\0', &place->told))
        return false;
    while ((line = strsep(&rest, "\n"))) {
        int64_t told;
        at = line;
        if (!read_number(&at, ' ', &told) || !at[1] || place_find(place, at + 1) ||
            !place_hold(place, at + 1, told))
            return false;
    }
    return true;
}

bool place_read(struct place *place, const char *text, size_t len)
{
    *place = (struct place){0};
    if (len == 0 || len > PLACE_TEXT_MAX || memchr(text, '\0', len))
        return false;
    char *copy = strndup(text, len);
    if (!copy)
        abort();
    bool ok = read_all(place, copy);
    free(copy);
    if (!ok)
        place_finish(place);
    return ok;
}
