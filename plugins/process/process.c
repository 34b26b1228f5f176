/* process.c: the process plugin: its entry in the ABI, and how an instance opens and closes.
 *
 * Each sandbox is a program on this host under a supervisor of its own (supervisor/main.c), which outlives the
 * daemon. The operations themselves are sandbox.c's; this file gives them to it.
 */
#include "backend.h"
#include "check.h"
#include "command.h"
#include "common/failure.h"
#include "control_dir.h"
#include "directory.h"
#include "job.h"
#include "link.h"
#include "record.h"
#include "run_as.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct process_backend *self_of(const struct sbx_backend *backend)
{
    return backend->self;
}

/* ---- opening and closing --------------------------------------------------------------------- */

struct opening {
    struct process_backend *backend;
    sbx_op op;
    char *public_url; /* NULL: there is none */
    int result;
    struct sbx_error error;
};

static void backend_free(struct process_backend *backend)
{
    if (backend->state_dir >= 0)
        close(backend->state_dir);
    command_environment_free(backend->environment);
    options_finish(&backend->options);
    free(backend->supervisor);
    free(backend->state_path);
    free(backend);
}

static int open_all(struct opening *opening)
{
    struct process_backend *backend = opening->backend;
    const struct options *options = &backend->options;
    struct sbx_error *err = &opening->error;
    if (access(backend->supervisor, X_OK) != 0)
        return failure_errno(err, errno, "%.300s, which belongs beside the plugin, can't be executed",
                             backend->supervisor);
    if (options->run_as) {
        struct sbx_error why;
        if (run_as_find(&backend->options, &why) != 0)
            return failure_set(err, SBX_ERR_INVALID, "INVALID_OPTIONS", "run_as: %s", why.message);
    }
    backend->environment = command_environment(options, opening->public_url);
    int base = directory_open_base(options->base_working_dir, options->run_as ? options->uid : geteuid(),
                                   options->run_as ? options->gid : getegid(), err);
    if (base < 0)
        return -1;
    close(base);
    backend->state_dir = open(backend->state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (backend->state_dir < 0)
        return failure_errno(err, errno, "%.300s can't be opened", backend->state_path);
    if (limits_find(&backend->limits, options, NULL, NULL, err) != 0 ||
        limits_prepare(&backend->limits, options, err) != 0)
        return -1;
    control_dir_clean(backend->state_dir);
    return 0;
}

static void open_run(void *arg)
{
    struct opening *opening = arg;
    opening->result = open_all(opening);
}

static void open_done(void *arg)
{
    struct opening *opening = arg;
    struct process_backend *backend = opening->backend;
    struct sbx_backend *public = backend->public;
    const struct sbx_host *host = backend->host;
    if (opening->result == 0) {
        host->on_shutdown(public, backend->options.on_shutdown);
        host->complete(public, opening->op, NULL);
    } else {
        public->self = NULL;
        backend_free(backend);
        host->complete(public, opening->op, &opening->error);
    }
    free(opening->public_url);
    free(opening);
}

static void open_backend(struct sbx_backend *public, const struct sbx_backend_config *config, sbx_op op)
{
    const struct sbx_host *host = public->host;
    struct process_backend *backend = calloc(1, sizeof *backend);
    struct opening *opening = calloc(1, sizeof *opening);
    if (!backend || !opening)
        abort();
    backend->public = public;
    backend->host = host;
    backend->state_dir = -1;
    struct sbx_error error;
    if (options_parse(&backend->options, host, NULL, config, &error) != 0) {
        backend_free(backend);
        free(opening);
        host->complete(public, op, &error);
        return;
    }
    opening->public_url = config->public_url ? strdup(config->public_url) : NULL;
    backend->supervisor = check_supervisor_path(config->plugin_path);
    public->self = backend;
    if (SBX_HAS(host, health_check)) /* an agent server that says "not initialized" is not ready */
        host->health_check(public, NULL, "{\"status\":\"ok\"}");
    opening->backend = backend;
    opening->op = op;
    backend->state_path = realpath(config->state_dir, NULL);
    if (!backend->state_path && !(backend->state_path = strdup(config->state_dir)))
        abort();
    host->work(public, open_run, open_done, opening);
}

static void quiesce(struct sbx_backend *public)
{
    struct process_backend *backend = self_of(public);
    backend->quiesced = true;
    for (size_t i = 0; i < SANDBOX_BUCKETS; i++)
        for (struct sandbox *sandbox = backend->buckets[i], *next; sandbox; sandbox = next) {
            next = sandbox->next;
            sandbox_step(sandbox);
        }
    list_check(backend);
}

static void close_backend(struct sbx_backend *public)
{
    struct process_backend *backend = self_of(public);
    for (size_t i = 0; i < SANDBOX_BUCKETS; i++)
        while (backend->buckets[i])
            sandbox_destroy(backend->buckets[i]);
    limits_release(&backend->limits);
    backend_free(backend);
    public->self = NULL;
}

/* ---- operations ------------------------------------------------------------------------------ */

static void fail(struct process_backend *backend, sbx_op op, enum sbx_error_kind kind, const char *code,
                 const char *message)
{
    struct sbx_error error;
    failure_set(&error, kind, code, "%s", message);
    backend->host->complete(backend->public, op, &error);
}

static struct sandbox *begin(struct sbx_backend *public, const char *id, enum verb verb, sbx_op op)
{
    struct process_backend *backend = self_of(public);
    if (!list_is_id(id)) {
        fail(backend, op, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no sandbox of such a name");
        return NULL;
    }
    struct sandbox *sandbox = sandbox_find(backend, id);
    if (!sandbox)
        sandbox = sandbox_add(backend, id);
    if (sandbox->request) {
        fail(backend, op, SBX_ERR_CONFLICT, SBX_CODE_INTERNAL, "another operation on it is in flight");
        return NULL;
    }
    sandbox->request = calloc(1, sizeof *sandbox->request);
    if (!sandbox->request)
        abort();
    sandbox->request->verb = verb;
    sandbox->request->op = op;
    return sandbox;
}

static void start(struct sbx_backend *public, const struct sbx_start *start, sbx_op op)
{
    struct process_backend *backend = self_of(public);
    struct record record;
    struct sbx_error error;
    if (record_new(&record, backend->host->json, start, backend->options.base_working_dir, &error) != 0) {
        backend->host->complete(public, op, &error);
        return;
    }
    struct sandbox *sandbox = begin(public, start->sandbox_id, VERB_START, op);
    if (!sandbox) {
        record_finish(&record);
        return;
    }
    sandbox->request->record = record.document;
    sandbox->request->deadline_ms = start->deadline_ms;
    sandbox_step(sandbox);
}

static void act(struct sbx_backend *public, const char *id, enum verb verb, sbx_op op)
{
    struct sandbox *sandbox = begin(public, id, verb, op);
    if (sandbox)
        sandbox_step(sandbox);
}

static void pause_sandbox(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(public, id, VERB_PAUSE, op);
}

static void resume(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(public, id, VERB_RESUME, op);
}

static void stop(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(public, id, VERB_STOP, op);
}

static void remove_sandbox(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(public, id, VERB_REMOVE, op);
}

static void list(struct sbx_backend *public, sbx_op op)
{
    list_begin(self_of(public), op);
}

static void confirm(struct sbx_backend *public, const char *id, sbx_op op)
{
    struct process_backend *backend = self_of(public);
    struct sandbox *sandbox = sandbox_find(backend, id);
    uint32_t serial = sandbox && sandbox->life == LIFE_RUNNING ? link_send(sandbox, WIRE_CONFIRM, 0, 0) : 0;
    struct confirmation *confirmation = serial != 0 ? calloc(1, sizeof *confirmation) : NULL;
    if (!confirmation) {
        fail(backend, op, SBX_ERR_CONFLICT, "NOT_RUNNING", "its program does not run");
        return;
    }
    confirmation->op = op;
    confirmation->serial = serial;
    confirmation->next = sandbox->confirmations;
    sandbox->confirmations = confirmation;
}

static void logs(struct sbx_backend *public, const struct sbx_logs *logs, sbx_op op)
{
    struct process_backend *backend = self_of(public);
    if (list_is_id(logs->sandbox_id))
        logs_begin(backend, logs, op);
    else
        fail(backend, op, SBX_ERR_NOT_FOUND, "NOT_FOUND", "there is no sandbox of such a name");
}

static void stream_ready(struct sbx_backend *public, sbx_op op)
{
    logs_ready(self_of(public), op);
}

static void describe(struct sbx_backend *public, sbx_op op)
{
    struct process_backend *backend = self_of(public);
    const struct options *options = &backend->options;
    uint64_t last = options->base_port + OPTIONS_PORTS - 1;
    char text[160];
    int len = snprintf(text, sizeof text,
                       "{\"sandboxes\":%zu,\"freezer\":\"%s\",\"first_port\":%" PRIu64
                       ",\"last_port\":%" PRIu64 "}",
                       backend->count,
                       *backend->limits.unified   ? "cgroup"
                       : *backend->limits.freezer ? "cgroup1"
                                                  : "signals",
                       options->base_port, last < 65535 ? last : 65535);
    backend->host->result(public, op, text, (size_t)len);
    backend->host->complete(public, op, NULL);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static void cancel_request(struct sandbox *sandbox)
{
    struct request *request = sandbox->request;
    request->cancelled = true;
    if (sandbox->busy)
        return; /* what the job does is short, or should be finished */
    bool ends = request->verb == VERB_STOP || request->verb == VERB_REMOVE;
    if (sandbox->life == LIFE_LAUNCHING) {
        link_kill(sandbox);
    } else if (sandbox->life == LIFE_ENDING && (ends || !request->launched)) {
        (void)link_send(sandbox, WIRE_END, 0, request->verb == VERB_STOP ? WIRE_STOPPED : 0);
    } else if (sandbox->life != LIFE_ENDING) {
        struct sbx_error error;
        failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                    "it was given up before its supervisor had answered");
        sandbox_complete(sandbox, &error);
        sandbox_step(sandbox);
    }
}

static void cancel_confirmation(struct sandbox *sandbox, sbx_op op)
{
    for (struct confirmation **at = &sandbox->confirmations; *at; at = &(*at)->next) {
        struct confirmation *found = *at;
        if (found->op != op)
            continue;
        *at = found->next;
        free(found);
        fail(sandbox->backend, op, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
             "it was given up before its supervisor had answered");
        return;
    }
}

static void cancel(struct sbx_backend *public, sbx_op op)
{
    struct process_backend *backend = self_of(public);
    if (!backend)
        return; /* it is being opened: that is short */
    logs_cancel(backend, op);
    list_cancel(backend, op);
    for (size_t i = 0; i < SANDBOX_BUCKETS; i++)
        for (struct sandbox *sandbox = backend->buckets[i]; sandbox; sandbox = sandbox->next) {
            if (sandbox->request && sandbox->request->op == op) {
                cancel_request(sandbox);
                return;
            }
            cancel_confirmation(sandbox, op);
        }
}

/* ---- the ABI --------------------------------------------------------------------------------- */

static const struct sbx_backend_ops ops = {
    .size = sizeof ops,
    .validate = check_validate,
    .open = open_backend,
    .quiesce = quiesce,
    .close = close_backend,
    .start = start,
    .pause = pause_sandbox,
    .resume = resume,
    .remove = remove_sandbox,
    .list = list,
    .cancel = cancel,
    .logs = logs,
    .stream_ready = stream_ready,
    .confirm = confirm,
    .describe = describe,
    .stop = stop,
    .check_spec = check_spec,
};

/* The agent server of `python_executable` and `agent_server_module`. VS Code is off: all would want the same port. */
static const char default_spec[] = "{\"id\":\"agent-server\",\"initial_env\":{\"OH_ENABLE_VSCODE\":\"0\"}}";

const struct sbx_plugin sandboxd_plugin = {
    .magic = SBX_PLUGIN_MAGIC,
    .size = sizeof sandboxd_plugin,
    .abi_major = SBX_ABI_MAJOR,
    .abi_minor = SBX_ABI_MINOR,
    .min_host_minor = 0,
    .name = "process",
    .version = "0.1.0",
    .health_check_path = "/alive",
    .default_max_sandboxes = 0,
    .ops = &ops,
    .default_spec_json = default_spec,
};
