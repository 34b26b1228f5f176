/* config/arena.c: see arena.h. Owns the blocks; knows nothing of what is in them. */
#include "config/arena.h"

#include <openssl/crypto.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8 * 1024 };

struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

struct config_arena {
    struct block *first; /* the one that is filled; the others are full */
    size_t held, max;
    bool failed;
};

struct config_arena *arena_create(size_t max)
{
    struct config_arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        abort();
    arena->max = max;
    return arena;
}

void arena_destroy(struct config_arena *arena)
{
    if (!arena)
        return;
    for (struct block *block = arena->first, *next; block; block = next) {
        next = block->next;
        OPENSSL_cleanse(block->bytes, block->used);
        free(block);
    }
    free(arena);
}

void *arena_alloc(struct config_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > arena->max - arena->held) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct block *block = arena->first;
    if (!block || bytes > block->size - block->used) {
        size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        struct block *fresh = malloc(sizeof *fresh + room);
        if (!fresh) {
            arena->failed = true;
            return NULL;
        }
        fresh->used = 0;
        fresh->size = room;
        /* A large one is full at once: what still has room stays in front. */
        struct block **place = block && room > BLOCK_BYTES ? &block->next : &arena->first;
        fresh->next = *place;
        *place = fresh;
        block = fresh;
    }
    void *at = block->bytes + block->used;
    memset(at, 0, bytes);
    block->used += bytes;
    arena->held = bytes < arena->max - arena->held ? arena->held + bytes : arena->max;
    return at;
}

char *arena_copy(struct config_arena *arena, const char *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len + 1, 1);
    if (copy && len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

bool arena_failed(const struct config_arena *arena)
{
    return arena->failed;
}
