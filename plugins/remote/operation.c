/* operation.c: what operations have in common (remote.h): their life, their cancelling, and the requests that several
 * of them make. Knows nothing of what they do.
 */
#include "common/failure.h"
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *operation_new(struct remote *remote, size_t size, sbx_op op, const char *sandbox_id,
                    uint64_t deadline_ms)
{
    struct operation *operation = calloc(1, size);
    if (!operation)
        abort();
    operation->remote = remote;
    operation->op = op;
    operation->deadline_ms = deadline_ms;
    operation->next = remote->operations;
    operation->prev = &remote->operations;
    if (operation->next)
        operation->next->prev = &operation->next;
    remote->operations = operation;
    if (sandbox_id) {
        snprintf(operation->id, sizeof operation->id, "%s", sandbox_id);
        table_add(remote, operation->id)->busy++;
    }
    return operation;
}

struct sandbox *operation_sandbox(const struct operation *operation)
{
    return table_add(operation->remote, operation->id);
}

static void release_sandbox(struct operation *operation)
{
    struct remote *remote = operation->remote;
    struct sandbox *sandbox = *operation->id ? table_find(remote, operation->id) : NULL;
    if (!sandbox)
        return;
    sandbox->busy--;
    if (sandbox->busy == 0 && !sandbox->recorded && !sandbox->runtime_id)
        table_remove(remote, sandbox);
}

static void destroy(struct operation *operation)
{
    struct remote *remote = operation->remote;
    api_cancel(operation->call);
    remote->host->timer_cancel(remote->public, operation->timer);
    *operation->prev = operation->next;
    if (operation->next)
        operation->next->prev = operation->prev;
    release_sandbox(operation);
    if (operation->finish)
        operation->finish(operation);
    free(operation);
}

void operation_end(struct operation *operation, const struct sbx_error *error)
{
    struct remote *remote = operation->remote;
    sbx_op op = operation->op;
    struct sbx_error kept;
    if (error)
        kept = *error; /* it may be part of what goes now */
    destroy(operation);
    remote->host->complete(remote->public, op, error ? &kept : NULL);
    poll_starting(remote);
}

static void end_cancelled(struct operation *operation)
{
    struct sbx_error error;
    failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                "it was given up before the runtime API had answered");
    operation_end(operation, &error);
}

void operation_cancel(struct remote *remote, sbx_op op)
{
    for (struct operation *operation = remote->operations; operation; operation = operation->next) {
        if (operation->op != op)
            continue;
        if (operation->storing)
            operation->cancelled = true;
        else
            end_cancelled(operation);
        return;
    }
}

bool operation_stored(struct operation *operation)
{
    operation->storing = false;
    if (operation->cancelled)
        end_cancelled(operation);
    else
        return false;
    return true;
}

void operation_finish_all(struct remote *remote)
{
    while (remote->operations)
        destroy(remote->operations);
}

/* ---- requests ---- */

void operation_look(struct operation *operation, api_done done)
{
    char path[SANDBOX_ID_SIZE + 16];
    snprintf(path, sizeof path, "/sessions/%s", operation->id);
    const struct api_request request = {.method = "GET", .path = path, .deadline_ms = operation->deadline_ms};
    operation->call = api_call(&operation->remote->api, &request, done, operation);
}

void operation_post(struct operation *operation, const char *path, const char *runtime_id, api_done done)
{
    const struct sbx_json_api *json = operation->remote->host->json;
    sbx_json *body = json->new_object();
    size_t len;
    json->set(body, "runtime_id", json->new_string(runtime_id));
    const struct api_request request = {.method = "POST",
                                        .path = path,
                                        .body = json->text(body, &len),
                                        .deadline_ms = operation->deadline_ms};
    operation->call = api_call(&operation->remote->api, &request, done, operation);
    json->free(body);
}

void operation_wait(struct operation *operation, uint64_t delay_ms, void (*then)(void *operation))
{
    struct remote *remote = operation->remote;
    operation->timer = remote->host->timer_start(remote->public, delay_ms * 1000, then, operation);
}
