/* docker.c: the docker plugin: its entry in the ABI, how an instance opens and closes, and the two operations that
 * are answered from what is known already (confirm, describe). It asks the engine for nothing itself; every other
 * operation belongs to the file that docker.h names for it.
 */
#include "docker.h"
#include "common/failure.h"
#include "options/spec.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct docker *self_of(const struct sbx_backend *backend)
{
    return backend->self;
}

/* ---- where the daemon runs ------------------------------------------------------------------- */

/* What Docker, and what Podman puts into each container. Either is also found where a file system was made of a
 * container's, as that of many a virtual machine. */
static bool looks_like_container(void)
{
    return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
}

/* On the pool. A container with the host's network has no need of the name, and mostly does not know it. */
static void find_host(void *arg)
{
    struct docker *docker = arg;
    struct addrinfo *found = NULL;
    docker->host_found = getaddrinfo("host.docker.internal", NULL, NULL, &found) == 0;
    if (docker->host_found)
        freeaddrinfo(found);
}

static void host_looked_for(void *arg)
{
    struct docker *docker = arg;
    docker->inside_container = docker->host_found;
    size_t bucket = 0;
    const struct container *container = NULL;
    while (docker->inside_container && (container = table_next(docker, &bucket, container)))
        if (container->facts.state == CONTAINER_RUNNING)
            report_container(docker, container);
}

/* ---- the default spec of `profile: runtime` ---- */

/* The image of the older runtime, started as its app server starts it: its program, the port, the folder of the
 * workspace, the plugins and the user. */
static const char runtime_spec[] =
    "{\"id\":\"ghcr.io/openhands/runtime:latest-nikolaik\",\"command\":["
    "\"/openhands/micromamba/bin/micromamba\",\"run\",\"-n\",\"openhands\",\"poetry\",\"run\","
    "\"python\",\"-u\",\"-m\",\"openhands.runtime.action_execution_server\",\"{port}\","
    "\"--working-dir\",\"/workspace\",\"--plugins\",\"agent_skills\",\"jupyter\",\"vscode\","
    "\"--username\",\"openhands\",\"--user-id\",\"1000\",\"--no-enable-browser\"],"
    "\"initial_env\":{},\"working_dir\":\"/openhands/code/\"}";

/* ---- opening and closing --------------------------------------------------------------------- */

static int validate(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config)
{
    struct options options;
    int result = options_parse(&options, host, check, config, NULL);
    options_finish(&options);
    return result;
}

static void opened(struct docker *docker)
{
    sbx_op op = docker->opening;
    docker->opening = 0;
    docker->host->complete(docker->public, op, NULL);
}

static void open_backend(struct sbx_backend *public, const struct sbx_backend_config *config, sbx_op op)
{
    const struct sbx_host *host = public->host;
    struct docker *docker = calloc(1, sizeof *docker);
    if (!docker)
        abort();
    struct sbx_error error;
    if (options_parse(&docker->options, host, NULL, config, &error) != 0) {
        options_finish(&docker->options);
        free(docker);
        host->complete(public, op, &error);
        return;
    }
    docker->public = public;
    docker->host = host;
    if (!(docker->state_dir = strdup(config->state_dir)))
        abort();
    if (SBX_HAS(config, instance_id) && !(docker->instance_id = strdup(config->instance_id)))
        abort();
    docker->opening = op;
    public->self = docker;
    engine_init(&docker->engine, public, &docker->options);
    host->id_prefix(public, docker->options.container_name_prefix);
    if (docker->options.profile == PROFILE_RUNTIME && SBX_HAS(host, default_spec))
        host->default_spec(public, runtime_spec);
    if (docker->options.profile == PROFILE_RUNTIME && SBX_HAS(host, health_check))
        host->health_check(public, "/alive", "{\"status\":\"ok\"}");
    host->on_shutdown(public, docker->options.on_shutdown);
    if (SBX_HAS(host, on_shutdown_scope))
        host->on_shutdown_scope(public, docker->options.shutdown_scope);
    if (looks_like_container())
        host->work(public, find_host, host_looked_for, docker);
    watch_begin(docker, opened);
}

static void quiesce(struct sbx_backend *public)
{
    struct docker *docker = self_of(public);
    docker->quiesced = true;
    watch_quiesce(docker);
}

/* What makes calls goes before what they are about, and the engine after all that may call it. */
static void close_backend(struct sbx_backend *public)
{
    struct docker *docker = self_of(public);
    look_finish(docker);
    list_finish(docker);
    confirm_finish(docker);
    runtime_image_finish(docker);
    pull_finish(docker);
    start_log_finish(docker);
    logs_finish(docker);
    restarts_finish(docker);
    watch_end(docker);
    table_finish(docker);
    engine_finish(&docker->engine);
    options_finish(&docker->options);
    free(docker->state_dir);
    free(docker->instance_id);
    free(docker);
    public->self = NULL;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* The host asks nothing of a backend that can't be reached, but it may hear of the loss a turn later. */
static bool refuse_lost(struct docker *docker, sbx_op op)
{
    const struct sbx_error *why = watch_lost(docker);
    if (why)
        docker->host->complete(docker->public, op, why);
    return why != NULL;
}

static void start(struct sbx_backend *public, const struct sbx_start *start, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        start_begin(self_of(public), start, op);
}

static void act(struct docker *docker, enum verb verb, const char *id, sbx_op op)
{
    if (!refuse_lost(docker, op))
        act_begin(docker, verb, id, op);
}

static void pause_sandbox(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(self_of(public), VERB_PAUSE, id, op);
}

static void resume(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(self_of(public), VERB_RESUME, id, op);
}

static void stop(struct sbx_backend *public, const char *id, sbx_op op)
{
    act(self_of(public), VERB_STOP, id, op);
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
    build_ready(self_of(public), op);
}

static void confirm(struct sbx_backend *public, const char *id, sbx_op op)
{
    confirm_begin(self_of(public), id, op);
}

/* ---- describe -------------------------------------------------------------------------------- */

static void describe(struct sbx_backend *public, sbx_op op)
{
    struct docker *docker = self_of(public);
    const struct sbx_json_api *json = docker->host->json;
    const struct sbx_json *version = watch_version(docker);
    static const struct {
        const char *ours, *engines;
    } members[] = {{"engine", "Version"}, {"os", "Os"}, {"arch", "Arch"}, {"kernel", "KernelVersion"}};
    sbx_json *facts = json->new_object();
    json->set(facts, "host", json->new_string(docker->options.host));
    if (version)
        json->set(facts, "api", json->new_string(docker->engine.version));
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *text = json->string(json->get(version, members[i].engines), NULL);
        if (text)
            json->set(facts, members[i].ours, json->new_string(text));
    }
    json->set(facts, "containers", json->new_integer((int64_t)docker->table.count));
    size_t len;
    const char *text = json->text(facts, &len);
    docker->host->result(public, op, text, len);
    docker->host->complete(public, op, NULL);
    json->free(facts);
}

static void image(struct sbx_backend *public, const char *name, sbx_op op)
{
    image_begin(self_of(public), name, op);
}

static void build(struct sbx_backend *public, const struct sbx_build *build, sbx_op op)
{
    if (!refuse_lost(self_of(public), op))
        build_begin(self_of(public), build, op);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

/* Opening, pausing, resuming and removing are short, or should be finished: they just go on. */
static void cancel(struct sbx_backend *public, sbx_op op)
{
    struct docker *docker = self_of(public);
    if (!docker)
        return; /* it was not opened */
    start_cancel(docker, op);
    list_cancel(docker, op);
    logs_cancel(docker, op);
    image_cancel(docker, op);
    build_cancel(docker, op);
    confirm_cancel(docker, op);
}

/* ---- the ABI --------------------------------------------------------------------------------- */

static const struct sbx_backend_ops ops = {
    .size = sizeof ops,
    .flags = SBX_BACKEND_ISOLATES, /* but for what `kwargs` and mounts give away, which validate() warns of */
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
    .confirm = confirm,
    .describe = describe,
    .stop = stop,
    .image = image,
    .build = build,
    .check_spec = spec_check,
};

/* The image that OpenHands runs, as it runs it: its entry point is the agent server, so the command is arguments
 * alone, and the port is the one that `exposed_ports` calls AGENT_SERVER. VS Code stays on, being among
 * `exposed_ports`; the desktop, which nothing is published for, is off. */
static const char default_spec[] = "{\"id\":\"ghcr.io/openhands/agent-server:latest-python\","
                                   "\"command\":[\"--port\",\"8000\"],"
                                   "\"initial_env\":{"
                                   "\"OPENVSCODE_SERVER_ROOT\":\"/openhands/.openvscode-server\","
                                   "\"OH_ENABLE_VNC\":\"0\","
                                   "\"LOG_JSON\":\"true\","
                                   "\"OH_CONVERSATIONS_PATH\":\"/workspace/conversations\","
                                   "\"OH_BASH_EVENTS_DIR\":\"/workspace/bash_events\"},"
                                   "\"working_dir\":\"/workspace/project\"}";

const struct sbx_plugin sandboxd_plugin = {
    .magic = SBX_PLUGIN_MAGIC,
    .size = sizeof sandboxd_plugin,
    .abi_major = SBX_ABI_MAJOR,
    .abi_minor = SBX_ABI_MINOR,
    .min_host_minor = 1,
    .name = "docker",
    .version = "0.1.0",
    .health_check_path = "/health",
    .default_max_sandboxes = 5,
    .ops = &ops,
    .default_spec_json = default_spec,
};
