/* remote.c: the remote plugin: its entry in the ABI, how an instance opens and closes, and its description. Asks the API
 * for nothing itself; every other operation belongs to the file that remote.h names for it.
 */
#include "remote.h"

#include <stdlib.h>

static struct remote *self_of(const struct sbx_backend *backend)
{
    return backend->self;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int validate(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config)
{
    struct options options;
    int result = options_parse(&options, host, check, config, NULL);
    options_finish(&options);
    return result;
}

/* Writes the request that a start would send. */
static int check_spec(const struct sbx_host *host, struct sbx_check *check,
                      const struct sbx_backend_config *config, const char *spec_json, size_t spec_len)
{
    struct options options;
    struct sbx_error why;
    sbx_json *spec = host->json->parse(spec_json, spec_len, NULL);
    char *request = NULL;
    int result = options_parse(&options, host, NULL, config, &why);
    if (result == 0 && !(request = request_write(&options, host->json, "", spec, &why))) {
        host->option_error(check, "", why.message);
        result = -1;
    }
    free(request);
    options_finish(&options);
    host->json->free(spec);
    return result;
}

static void end_opening(struct remote *remote, const struct sbx_error *error)
{
    sbx_op op = remote->opening;
    remote->opening = 0;
    if (op != 0)
        remote->host->complete(remote->public, op, error);
}

static void opened(struct remote *remote)
{
    end_opening(remote, NULL);
}

static void destroy(struct remote *remote)
{
    struct sbx_backend *public = remote->public;
    operation_finish_all(remote);
    poll_stop(remote);
    api_finish(&remote->api);
    table_finish(remote);
    options_finish(&remote->options);
    free(remote);
    public->self = NULL;
}

static void loaded(void *arg, const struct sbx_error *error)
{
    struct remote *remote = arg;
    if (!error) {
        poll_begin(remote, opened);
        return;
    }
    struct sbx_error kept = *error;
    const struct sbx_host *host = remote->host;
    struct sbx_backend *public = remote->public;
    sbx_op op = remote->opening;
    remote->opening = 0;
    destroy(remote); /* close() is not called */
    host->complete(public, op, &kept);
}

static void open_backend(struct sbx_backend *public, const struct sbx_backend_config *config, sbx_op op)
{
    const struct sbx_host *host = public->host;
    struct remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        abort();
    struct sbx_error error;
    if (options_parse(&remote->options, host, NULL, config, &error) != 0) {
        options_finish(&remote->options);
        free(remote);
        host->complete(public, op, &error);
        return;
    }
    remote->public = public;
    remote->host = host;
    remote->opening = op;
    public->self = remote;
    api_init(&remote->api, public, &remote->options, poll_doubt, remote);
    host->on_shutdown(public, remote->options.on_shutdown);
    if (SBX_HAS(host, polling_interval))
        host->polling_interval(public, (uint32_t)remote->options.polling_interval_ms);
    records_load(remote, loaded, remote);
}

static void quiesce(struct sbx_backend *public)
{
    struct remote *remote = self_of(public);
    remote->quiesced = true;
    poll_stop(remote);
}

static void close_backend(struct sbx_backend *public)
{
    destroy(self_of(public));
}

/* ---- operations ------------------------------------------------------------------------------ */

/* The host asks nothing of a backend that can't be reached, but it may hear of the loss a turn later. */
static bool refuse_lost(struct remote *remote, sbx_op op)
{
    const struct poll *poll = &remote->poll;
    if (poll->lost)
        remote->host->complete(remote->public, op, &poll->why);
    return poll->lost;
}

static void start(struct sbx_backend *public, const struct sbx_start *start, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        start_begin(self_of(public), start, op);
}

static void pause_sandbox(struct sbx_backend *public, const char *id, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        act_begin(self_of(public), VERB_PAUSE, id, op);
}

static void resume(struct sbx_backend *public, const char *id, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        act_begin(self_of(public), VERB_RESUME, id, op);
}

static void remove_sandbox(struct sbx_backend *public, const char *id, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        remove_begin(self_of(public), id, op);
}

static void list(struct sbx_backend *public, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        list_begin(self_of(public), op);
}

static void logs(struct sbx_backend *public, const struct sbx_logs *logs, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        logs_begin(self_of(public), logs, op);
}

static void stream_ready(struct sbx_backend *public, sbx_op op)
{
    logs_ready(self_of(public), op);
}

static void image(struct sbx_backend *public, const char *image, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        image_begin(self_of(public), image, op);
}

static void cancel(struct sbx_backend *public, sbx_op op)
{
    struct remote *remote = self_of(public);
    if (remote) /* else it was not opened; an opening is short, and just goes on */
        operation_cancel(remote, op);
}

/* ---- describe -------------------------------------------------------------------------------- */

static void describe(struct sbx_backend *public, sbx_op op)
{
    const struct remote *remote = self_of(public);
    const struct sbx_json_api *json = remote->host->json;
    static const struct {
        const char *name;
        enum sbx_state state;
    } counted[] = {
        {"starting", SBX_STATE_STARTING}, {"running", SBX_STATE_RUNNING}, {"paused", SBX_STATE_PAUSED}};
    int64_t counts[sizeof counted / sizeof *counted] = {0};
    const struct sandbox *sandbox = NULL;
    while ((sandbox = table_next(remote, sandbox)))
        for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
            counts[i] += sandbox->state == counted[i].state;
    sbx_json *facts = json->new_object();
    json->set(facts, "api_url", json->new_string(remote->options.api_url));
    json->set(facts, "sandboxes", json->new_integer((int64_t)remote->table.count));
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
        json->set(facts, counted[i].name, json->new_integer(counts[i]));
    json->set(facts, "requests_under_way", json->new_integer(remote->api.running));
    json->set(facts, "requests_waiting", json->new_integer(remote->api.queued));
    size_t len;
    const char *text = json->text(facts, &len);
    remote->host->result(public, op, text, len);
    remote->host->complete(public, op, NULL);
    json->free(facts);
}

/* ---- the ABI --------------------------------------------------------------------------------- */

static const struct sbx_backend_ops ops = {
    .size = sizeof ops,
    .flags = SBX_BACKEND_ISOLATES,
    .validate = validate,
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
    .describe = describe,
    .image = image,
    .check_spec = check_spec,
};

/* The image that OpenHands runs, and the ports that the protocol gives what is inside. */
static const char default_spec[] =
    "{\"id\":\"ghcr.io/openhands/agent-server:latest-python\","
    "\"command\":[\"/usr/local/bin/openhands-agent-server\",\"--port\",\"60000\"],"
    "\"initial_env\":{"
    "\"OPENVSCODE_SERVER_ROOT\":\"/openhands/.openvscode-server\","
    "\"OH_ENABLE_VNC\":\"0\","
    "\"LOG_JSON\":\"true\","
    "\"OH_CONVERSATIONS_PATH\":\"/workspace/conversations\","
    "\"OH_BASH_EVENTS_DIR\":\"/workspace/bash_events\","
    "\"OH_VSCODE_PORT\":\"60001\","
    "\"WORKER_1\":\"12000\","
    "\"WORKER_2\":\"12001\"},"
    "\"working_dir\":\"/workspace/project\"}";

const struct sbx_plugin sandboxd_plugin = {
    .magic = SBX_PLUGIN_MAGIC,
    .size = sizeof sandboxd_plugin,
    .abi_major = SBX_ABI_MAJOR,
    .abi_minor = SBX_ABI_MINOR,
    .min_host_minor = 1,
    .name = "remote",
    .version = "0.1.0",
    .health_check_path = "", /* the far end checks it, and says `ready` */
    .ops = &ops,
    .default_spec_json = default_spec,
};
