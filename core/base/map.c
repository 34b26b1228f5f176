/* base/map.c: see map.h. Linear probing; removal shifts back, so there are no tombstones. */
#include "base/map.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* SipHash-1-3 would resist more than is asked here: keys that clients choose are only ever looked up. */
static uint64_t hash_text(const struct map *map, const char *key)
{
    uint64_t hash = map->seed;
    for (const unsigned char *s = (const unsigned char *)key; *s; s++) {
        hash = (hash ^ *s) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

void map_init(struct map *map)
{
    *map = (struct map){0};
    random_fill(&map->seed, sizeof map->seed);
}

void map_finish(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

/* The slot that holds `key`, or the free one where it would go. The map is not empty and not full. */
static size_t find(const struct map *map, const char *key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t at = hash & mask;
    while (map->slots[at].key && (map->slots[at].hash != hash || strcmp(map->slots[at].key, key) != 0))
        at = (at + 1) & mask;
    return at;
}

void *map_get(const struct map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    return map->slots[find(map, key, hash_text(map, key))].value;
}

static void grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->slots = calloc(map->capacity, sizeof *map->slots);
    if (!map->slots)
        abort();
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].key)
            map->slots[find(map, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
    free(old.slots);
}

void *map_put(struct map *map, const char *key, void *value)
{
    if (map->count * 4 >= map->capacity * 3)
        grow(map);
    uint64_t hash = hash_text(map, key);
    struct map_slot *slot = &map->slots[find(map, key, hash)];
    void *before = slot->value;
    if (!slot->key)
        map->count++;
    *slot = (struct map_slot){.key = key, .value = value, .hash = hash};
    return before;
}

void *map_remove(struct map *map, const char *key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1;
    size_t hole = find(map, key, hash_text(map, key));
    void *value = map->slots[hole].value;
    if (!map->slots[hole].key)
        return NULL;
    map->count--;
    for (size_t at = (hole + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
        size_t home = map->slots[at].hash & mask;
        /* Move it unless its home lies between the hole and where it is (cyclically). */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    return value;
}

void *map_next(const struct map *map, size_t *position)
{
    while (*position < map->capacity) {
        struct map_slot *slot = &map->slots[(*position)++];
        if (slot->key)
            return slot->value;
    }
    return NULL;
}
