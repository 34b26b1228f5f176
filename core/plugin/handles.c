/* plugin/handles.c: see handles.h. Owns the slots and the count that all backends share. */
#include "plugin/handles.h"

#include <stdlib.h>

enum { SLOT_BITS = 18 };
_Static_assert(HANDLES_MAX == 1 << SLOT_BITS, "a slot's index fills the low bits of a handle");

static uint64_t last_count;

void handles_finish(struct handles *handles)
{
    free(handles->slots);
    *handles = (struct handles){0};
}

static bool grow(struct handles *handles)
{
    if (handles->used < handles->capacity)
        return true;
    size_t capacity = handles->capacity ? handles->capacity * 2 : 16;
    if (capacity > HANDLES_MAX)
        return false;
    struct handle_slot *slots = realloc(handles->slots, capacity * sizeof *slots);
    if (!slots)
        return false;
    handles->slots = slots;
    handles->capacity = capacity;
    return true;
}

uint64_t handles_add(struct handles *handles, enum handle_kind kind, void *object)
{
    size_t index;
    if (handles->free) {
        index = handles->free - 1;
        handles->free = handles->slots[index].next_free;
    } else if (grow(handles)) {
        index = handles->used++;
    } else {
        return 0;
    }
    uint64_t id = ++last_count << SLOT_BITS | index;
    handles->slots[index] = (struct handle_slot){.id = id, .object = object, .kind = kind};
    handles->counts[kind]++;
    return id;
}

static struct handle_slot *find(const struct handles *handles, uint64_t id)
{
    size_t index = id & (HANDLES_MAX - 1);
    if (id == 0 || index >= handles->used || handles->slots[index].id != id)
        return NULL;
    return &handles->slots[index];
}

void *handles_get(const struct handles *handles, enum handle_kind kind, uint64_t id)
{
    const struct handle_slot *slot = find(handles, id);
    return slot && slot->kind == kind ? slot->object : NULL;
}

void handles_remove(struct handles *handles, uint64_t id)
{
    struct handle_slot *slot = find(handles, id);
    if (!slot)
        return;
    handles->counts[slot->kind]--;
    slot->id = 0;
    slot->object = NULL;
    slot->next_free = handles->free;
    handles->free = (uint32_t)(slot - handles->slots) + 1;
}

void *handles_next(const struct handles *handles, enum handle_kind kind, size_t *position)
{
    while (handles->counts[kind] > 0 && *position < handles->used) {
        const struct handle_slot *slot = &handles->slots[(*position)++];
        if (slot->id && slot->kind == (uint32_t)kind)
            return slot->object;
    }
    return NULL;
}

bool handles_known(uint64_t id)
{
    return id >> SLOT_BITS != 0 && id >> SLOT_BITS <= last_count;
}
