/* build/context.h: the context of a build on its way to the disk. Owns the file while it is written, and no thread but
 * those of the pool touches the disk. Loop thread only. */
#ifndef BUILD_CONTEXT_H
#define BUILD_CONTEXT_H

#include "base/pool.h"

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>

struct context;

struct context_events {
    void (*ready)(void *arg); /* it takes more, after context_write() answered false */
    /* Once: the whole file is there (err NULL, after context_finish()), or it can't be written. */
    void (*done)(void *arg, const struct sbx_error *err);
    void *arg;
};

/* A new file, 0600, in its owner's list `all`. `path` is copied. No event comes before the call that it follows has returned. */
struct context *context_create(struct context **all, struct pool *pool, const char *path,
                               const struct context_events *events);
/* False: to be left alone until `ready`; the bytes were taken all the same. */
bool context_write(struct context *context, const void *bytes, size_t len);
void context_finish(struct context *context);
/* No event comes any more, and it is freed. `keep`: the file, which is complete, stays. Else it is removed. */
void context_drop(struct context *context, bool keep);
/* After pool_destroy(): those that are left, dropped ones among them. */
void context_free_all(struct context **all);

/* Removes a file, soon. */
void context_remove(struct pool *pool, const char *path);

#endif
