/* store/operation.h: one call of the store, on its way from the loop to the thread and back. Private. */
#ifndef STORE_OPERATION_H
#define STORE_OPERATION_H

#include "base/buffer.h"
#include "store/store.h"

/* JOB is not one of those that are one statement each. */
enum operation_kind {
    PUT_SANDBOX,
    DELETE_SANDBOX,
    PUT,
    DELETE,
    GET,
    LIST,
    OPERATION_KINDS,
    JOB = OPERATION_KINDS
};

struct database;

/* A call that is more than one statement (reports): embedded in what it knows. */
struct job {
    bool writes;
    /* On the thread: 0, or JOB_UNDO: well, but nothing of it shall stay; -1: it failed, and is undone. May be called
     * again then, and forgets first what came of it before. */
    int (*run)(struct job *job, struct database *database, struct sbx_error *err);
    void (*tell)(struct job *job,
                 const struct sbx_error *err); /* on the loop; not when the store closes first */
    void (*release)(struct job *job);          /* the last, and always */
};
enum { JOB_UNDO = 1 };

struct operation {
    struct operation *next;
    enum operation_kind kind;
    void *arg;
    union { /* each may be NULL */
        store_done done;
        store_value value;
        store_keys keys;
    } told;

    struct job *job; /* JOB */

    /* What is asked; all texts lie behind the operation itself. */
    struct store_sandbox sandbox; /* PUT_SANDBOX; DELETE_SANDBOX: its id */
    const char *space, *key;      /* of the others; LIST: key is the prefix */
    const void *value;            /* PUT */
    size_t value_len;
    size_t size; /* of the whole operation, for the bound on what waits */

    /* How it went. Written by the thread, read by the loop afterwards. */
    bool refused;          /* `err` was set before it was queued: it is not carried out */
    struct sbx_error *err; /* NULL: well; owned */
    bool found;            /* GET */
    struct buffer result;  /* GET: the value; LIST: the keys, each with its zero byte */
};

/* Copies all that it is given. `told` is the caller's to set. One of more than 4 MiB is refused. */
struct operation *operation_new_sandbox(enum operation_kind kind, const struct store_sandbox *sandbox,
                                        void *arg);
struct operation *operation_new_record(enum operation_kind kind, const char *space, const char *key,
                                       const void *value, size_t len, void *arg);
/* `size` bytes are counted for it; it holds and frees them itself. */
struct operation *operation_new_job(struct job *job, size_t size);
void operation_free(struct operation *op);

void operation_fail(struct operation *op, const struct sbx_error *err);
/* It will not be carried out, but answered in its turn. */
void operation_refuse(struct operation *op, enum sbx_error_kind kind, const char *why);
/* Makes one that was carried out as if it had not been. */
void operation_forget_outcome(struct operation *op);
/* Calls back whoever asked. */
void operation_tell(const struct operation *op);

static inline bool operation_writes(const struct operation *op)
{
    return op->kind == JOB ? op->job->writes : op->kind != GET && op->kind != LIST;
}

/* Queues it (store.c). Answers come in the order of the calls. */
void store_submit(struct store *store, struct operation *op);

#endif
