/* config/arena.h: the memory of one configuration; given back, and wiped, all at once.
 *
 * Bounded, since a file says how much is asked of it. An allocation that fails returns NULL, and the
 * arena remembers it: whoever builds in it goes on as if the value were not there, and asks once, at
 * the end, whether all went well.
 */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct config_arena;

struct config_arena *arena_create(size_t max);
void arena_destroy(struct config_arena *arena); /* wipes what it held; NULL is allowed */

/* Zeroed, aligned for any type. NULL: over the bound or out of memory. */
void *arena_alloc(struct config_arena *arena, size_t count, size_t size);
/* A copy of `len` bytes with a zero byte behind them. */
char *arena_copy(struct config_arena *arena, const char *bytes, size_t len);
bool arena_failed(const struct config_arena *arena);

#endif
