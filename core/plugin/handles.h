/* plugin/handles.h: the numbers that a plugin holds in place of pointers.
 *
 * A handle is a slot and a count that never repeats, so one that has ended, one of another backend and
 * one that somebody made up all name nothing. Loop thread only.
 */
#ifndef PLUGIN_HANDLES_H
#define PLUGIN_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum handle_kind {
    HANDLE_OPERATION,
    HANDLE_TIMER,
    HANDLE_WATCH,
    HANDLE_CHILD,
    HANDLE_TRANSFER,
    HANDLE_KINDS
};
enum { HANDLES_MAX = 1 << 18 }; /* at once, for each backend */

struct handle_slot {
    uint64_t id; /* 0: free */
    void *object;
    uint32_t next_free; /* index + 1 of the next free slot; 0: none */
    uint32_t kind;
};

struct handles {
    struct handle_slot *slots;
    size_t used, capacity; /* slots that were ever used; room */
    uint32_t free;         /* index + 1 of the first free slot; 0: none */
    unsigned counts[HANDLE_KINDS];
};

void handles_finish(struct handles *handles); /* objects are their owners' */

uint64_t handles_add(struct handles *handles, enum handle_kind kind, void *object);   /* 0: too many */
void *handles_get(const struct handles *handles, enum handle_kind kind, uint64_t id); /* NULL: no such */
void handles_remove(struct handles *handles, uint64_t id);
/* Visits all of a kind: for (size_t i = 0; (object = handles_next(handles, kind, &i));). The one that was
 * returned last may be removed meanwhile. */
void *handles_next(const struct handles *handles, enum handle_kind kind, size_t *position);
/* Was this number given out at some time? */
bool handles_known(uint64_t id);

#endif
