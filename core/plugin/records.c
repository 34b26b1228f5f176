/* plugin/records.c: a plugin's durable map, in the store, under the backend's name. Owns each call under way;
 * close() waits for them. */
#include "base/error.h"
#include "plugin/instance.h"
#include "plugin/sanitize.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 512, VALUE_MAX = 1024 * 1024 };

struct record_call {
    struct backend *backend;
    sbx_store_callback done; /* one of these two, or none */
    sbx_store_list_callback listed;
    void *arg;
    struct loop_task refuse; /* for what is refused before it gets to the store */
    struct sbx_error why;
};

static void end(struct record_call *call)
{
    struct backend *backend = call->backend;
    free(call);
    backend->pending--;
    instance_settle(backend);
}

static void on_value(void *arg, const struct sbx_error *err, const void *value, size_t len)
{
    struct record_call *call = arg;
    if (call->done)
        call->done(err, value, len, call->arg);
    end(call);
}

static void on_done(void *arg, const struct sbx_error *err)
{
    on_value(arg, err, NULL, 0);
}

static void on_keys(void *arg, const struct sbx_error *err, const char *const *keys, size_t count)
{
    struct record_call *call = arg;
    if (call->listed)
        call->listed(err, keys, count, call->arg);
    end(call);
}

static void refuse(void *arg)
{
    struct record_call *call = arg;
    if (call->listed)
        on_keys(call, &call->why, NULL, 0);
    else
        on_value(call, &call->why, NULL, 0);
}

/* NULL when the call may not be made, or was refused; the callback comes all the same. */
static struct record_call *begin(struct sbx_backend *abi, const char *service, const char *key,
                                 size_t key_min, size_t len, struct record_call what)
{
    struct backend *backend = host_enter(abi, service);
    if (!backend)
        return NULL;
    struct record_call *call = malloc(sizeof *call);
    if (!call)
        abort();
    *call = what;
    call->backend = backend;
    backend->pending++;
    size_t key_len = key ? strnlen(key, KEY_MAX + 1) : 0;
    const char *why = !backend->env->store                     ? "The daemon has no store."
                      : key_len < key_min || key_len > KEY_MAX ? "A key has 1 to 512 bytes."
                      : key && !sanitize_is_utf8(key, key_len) ? "A key is UTF-8."
                      : len > VALUE_MAX                        ? "A value has at most 1 MiB."
                                                               : NULL;
    if (!why)
        return call;
    error_set(&call->why, SBX_ERR_INVALID, SBX_CODE_INTERNAL, "%s: %s", service, why);
    call->refuse = (struct loop_task){.run = refuse, .arg = call};
    loop_defer(backend->env->loop, &call->refuse);
    return NULL;
}

void records_put(struct sbx_backend *abi, const char *key, const void *value, size_t len,
                 sbx_store_callback done, void *arg)
{
    struct record_call *call =
        begin(abi, "store_put", key, 1, len, (struct record_call){.done = done, .arg = arg});
    if (call)
        store_put(call->backend->env->store, call->backend->name, key, value, len, on_done, call);
}

void records_get(struct sbx_backend *abi, const char *key, sbx_store_callback done, void *arg)
{
    struct record_call *call =
        begin(abi, "store_get", key, 1, 0, (struct record_call){.done = done, .arg = arg});
    if (call)
        store_get(call->backend->env->store, call->backend->name, key, on_value, call);
}

void records_delete(struct sbx_backend *abi, const char *key, sbx_store_callback done, void *arg)
{
    struct record_call *call =
        begin(abi, "store_delete", key, 1, 0, (struct record_call){.done = done, .arg = arg});
    if (call)
        store_delete(call->backend->env->store, call->backend->name, key, on_done, call);
}

void records_list(struct sbx_backend *abi, const char *prefix, sbx_store_list_callback done, void *arg)
{
    struct record_call *call =
        begin(abi, "store_list", prefix, 0, 0, (struct record_call){.listed = done, .arg = arg});
    if (call)
        store_list(call->backend->env->store, call->backend->name, prefix ? prefix : "", on_keys, call);
}
