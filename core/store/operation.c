/* store/operation.c: see operation.h. Owns the copying of what is asked and the telling of how it went. It
 * runs nothing. */
#include "store/operation.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OPERATION = 4 << 20, MAX_RESULT = 64 << 20 };

/* ---- making --------------------------------------------------------------------------------- */

/* With room for `extra` bytes behind it, at `*at`. What is larger than the bound is refused, and has none. */
static struct operation *new_operation(enum operation_kind kind, void *arg, size_t extra, char **at)
{
    size_t room = extra > MAX_OPERATION ? 0 : extra;
    struct operation *op = calloc(1, sizeof *op + room);
    if (!op)
        abort();
    op->kind = kind;
    op->arg = arg;
    op->size = sizeof *op + room;
    op->result = buffer_init(MAX_RESULT);
    *at = (char *)(op + 1);
    if (extra > MAX_OPERATION)
        operation_refuse(op, SBX_ERR_LIMIT, "the record is larger than the 4 MiB that the store takes");
    return op;
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *copy(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t size = size_of(text);
    char *to = memcpy(*at, text, size);
    *at += size;
    return to;
}

struct operation *operation_new_sandbox(enum operation_kind kind, const struct store_sandbox *sandbox,
                                        void *arg)
{
    char *at;
    size_t size = size_of(sandbox->id) + size_of(sandbox->backend) + size_of(sandbox->owner) +
                  size_of(sandbox->spec_id) + size_of(sandbox->session_key) + size_of(sandbox->error_json) +
                  size_of(sandbox->session_id) + size_of(sandbox->spec_json) + size_of(sandbox->pause_reason);
    struct operation *op = new_operation(kind, arg, size, &at);
    if (op->refused)
        return op;
    op->sandbox = *sandbox;
    op->sandbox.id = copy(&at, sandbox->id);
    op->sandbox.backend = copy(&at, sandbox->backend);
    op->sandbox.owner = copy(&at, sandbox->owner);
    op->sandbox.spec_id = copy(&at, sandbox->spec_id);
    op->sandbox.session_key = copy(&at, sandbox->session_key);
    op->sandbox.error_json = copy(&at, sandbox->error_json);
    op->sandbox.session_id = copy(&at, sandbox->session_id);
    op->sandbox.spec_json = copy(&at, sandbox->spec_json);
    op->sandbox.pause_reason = copy(&at, sandbox->pause_reason);
    return op;
}

struct operation *operation_new_record(enum operation_kind kind, const char *space, const char *key,
                                       const void *value, size_t len, void *arg)
{
    char *at;
    size_t names = size_of(space) + size_of(key);
    struct operation *op = new_operation(kind, arg, len > MAX_OPERATION ? len : names + len, &at);
    if (op->refused)
        return op;
    op->space = copy(&at, space);
    op->key = copy(&at, key);
    op->value_len = len;
    op->value = at;
    if (len)
        memcpy(at, value, len);
    return op;
}

struct operation *operation_new_job(struct job *job, size_t size)
{
    char *at;
    struct operation *op = new_operation(JOB, NULL, 0, &at);
    op->job = job;
    op->size += size;
    return op;
}

/* ---- how it went ---------------------------------------------------------------------------- */

void operation_fail(struct operation *op, const struct sbx_error *err)
{
    if (!op->err && !(op->err = malloc(sizeof *op->err)))
        abort();
    *op->err = *err;
}

void operation_refuse(struct operation *op, enum sbx_error_kind kind, const char *why)
{
    struct sbx_error err;
    error_set(&err, kind, STORE_FAILED, "%s", why);
    operation_fail(op, &err);
    op->refused = true;
}

void operation_forget_outcome(struct operation *op)
{
    if (op->refused)
        return;
    free(op->err);
    op->err = NULL;
    op->found = false;
    buffer_clear(&op->result);
}

static void tell_keys(const struct operation *op)
{
    size_t count = 0;
    for (size_t i = 0; i < op->result.len; i++)
        count += op->result.data[i] == '\0';
    const char **keys = calloc(count + 1, sizeof *keys);
    if (!keys)
        abort();
    const char *key = op->result.data;
    for (size_t i = 0; i < count; i++, key += strlen(key) + 1)
        keys[i] = key;
    op->told.keys(op->arg, NULL, keys, count);
    free(keys);
}

void operation_tell(const struct operation *op)
{
    if (op->kind == JOB)
        op->job->tell(op->job, op->err);
    else if (op->kind == LIST && op->err)
        op->told.keys(op->arg, op->err, NULL, 0);
    else if (op->kind == LIST)
        tell_keys(op);
    else if (op->kind == GET)
        op->told.value(op->arg, op->err, op->found && !op->err ? buffer_text(&op->result) : NULL,
                       op->result.len);
    else if (op->told.done)
        op->told.done(op->arg, op->err);
}

void operation_free(struct operation *op)
{
    if (op->kind == JOB)
        op->job->release(op->job);
    free(op->err);
    buffer_finish(&op->result);
    free(op);
}
