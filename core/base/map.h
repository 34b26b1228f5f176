/* base/map.h: a hash map from text to a pointer. Borrows both: the key is usually a member of the value.
 *
 * Open addressing with a hash keyed by the kernel's randomness, so that no client can choose keys
 * that collide. Loop thread only.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    const char *key; /* NULL: free */
    void *value;
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t count, capacity; /* capacity is 0 or a power of two */
    uint64_t seed;
};

void map_init(struct map *map);
void map_finish(struct map *map); /* keys and values are the caller's */

void *map_get(const struct map *map, const char *key); /* NULL: not there */
/* `key` must stay valid and equal while it is in the map. Replaces; returns the value before or NULL. */
void *map_put(struct map *map, const char *key, void *value);
void *map_remove(struct map *map, const char *key); /* the value that was there or NULL */

/* Visits all, in no order: for (size_t i = 0; (value = map_next(map, &i));). Nothing may be put or
 * removed meanwhile. */
void *map_next(const struct map *map, size_t *position);

#endif
