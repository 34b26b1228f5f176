/* create.c: see create.h. What a container is asked for; asks for nothing itself.
 *
 * Precedence, least first: our defaults, the spec, the operator's `kwargs`, and last what the daemon can't do
 * without: its labels, the session key and the ports.
 */
#include "operations/create.h"

#include "common/bytes.h"
#include "common/failure.h"
#include "containers/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PORT "{port}"
#define ID "{id}"
#define RUNTIME_WORKING_DIR "/openhands/code/" /* where images of the second seed have their program */

enum { ARGUMENT_MAX = 128 * 1024 }; /* execve(2), MAX_ARG_STRLEN */

struct creation {
    const struct sbx_json_api *json;
    const struct options *options;
    const struct create_input *input;
    struct sbx_error *err;
};

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put(const struct creation *creation, sbx_json *object, const char *key, sbx_json *value)
{
    if (creation->json->set(object, key, value) != 0)
        abort();
}

static void put_text(const struct creation *creation, sbx_json *object, const char *key, const char *text)
{
    put(creation, object, key, creation->json->new_string(text));
}

static void put_number(const struct creation *creation, sbx_json *object, const char *key, uint64_t number)
{
    put(creation, object, key, creation->json->new_integer((int64_t)number));
}

static void push(const struct creation *creation, sbx_json *array, sbx_json *value)
{
    if (creation->json->push(array, value) != 0)
        abort();
}

static void push_text(const struct creation *creation, sbx_json *array, const char *text)
{
    push(creation, array, creation->json->new_string(text));
}

/* `text` with each `what` in it replaced. Owned; NULL: longer than `max`. */
static char *replaced(const char *text, const char *what, const char *with, size_t max)
{
    struct bytes bytes = {.max = max};
    for (const char *at; (at = strstr(text, what)); text = at + strlen(what)) {
        bytes_add(&bytes, text, (size_t)(at - text));
        bytes_add_text(&bytes, with);
    }
    bytes_add(&bytes, text, strlen(text) + 1);
    if (bytes.failed)
        bytes_finish(&bytes);
    return bytes.data;
}

/* ---- the environment: an object while it is put together, so that each name is there once ----- */

static void put_port(const struct creation *creation, sbx_json *env, const char *name, uint16_t port)
{
    char number[8];
    snprintf(number, sizeof number, "%u", (unsigned)port);
    put_text(creation, env, name, number);
}

static int put_spec_env(const struct creation *creation, sbx_json *env)
{
    const struct sbx_json_api *json = creation->json;
    const sbx_json *given = json->get(creation->input->spec, "initial_env");
    if (json->type(given) != SBX_JSON_OBJECT && json->type(given) != SBX_JSON_NULL)
        return failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's initial_env must be a mapping of names to texts");
    for (size_t i = 0; i < json->length(given); i++) {
        const sbx_json *value;
        const char *name = json->member(given, i, &value);
        if (json->type(value) != SBX_JSON_STRING || *name == '\0' || strchr(name, '='))
            return failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                               "initial_env.%.64s: a variable needs a name without '=', and a text", name);
        put_text(creation, env, name, json->string(value, ""));
    }
    return 0;
}

/* NAME=VALUE. The engine takes a name alone for a variable to be taken away: as null here. */
static void put_more_env(const struct creation *creation, sbx_json *env, const sbx_json *list)
{
    const struct sbx_json_api *json = creation->json;
    for (size_t i = 0; i < json->length(list); i++) {
        const char *text = json->string(json->at(list, i), "");
        size_t len = strcspn(text, "=");
        char *name = strndup(text, len);
        if (!name)
            abort();
        if (len > 0)
            put(creation, env, name, text[len] ? json->new_string(text + len + 1) : NULL);
        free(name);
    }
}

static void put_ports_env(const struct creation *creation, sbx_json *env)
{
    static const char *const names[][2] = {{"AGENT_SERVER", "port"},
                                           {"VSCODE", "VSCODE_PORT"},
                                           {"WORKER_1", "APP_PORT_1"},
                                           {"WORKER_2", "APP_PORT_2"}};
    const struct options *options = creation->options;
    const struct sbx_json_api *json = creation->json;
    const sbx_json *given = json->get(creation->input->spec, "initial_env");
    bool own_ports = json->type(json->get(creation->input->spec, "ports")) == SBX_JSON_ARRAY;
    for (uint32_t i = 0; i < options->ports_len; i++) {
        /* Who chose the ports inside may mean those by these names. */
        if (!own_ports || json->type(json->get(given, options->ports[i].name)) != SBX_JSON_STRING)
            put_port(creation, env, options->ports[i].name, creation->input->host_ports[i]);
        for (size_t at = 0; options->profile == PROFILE_RUNTIME && at < sizeof names / sizeof *names; at++)
            if (strcmp(options->ports[i].name, names[at][0]) == 0)
                put_port(creation, env, names[at][1], creation->input->container_ports[i]);
    }
}

/* An array as the engine takes it. Owned; NULL with err. */
static sbx_json *environment(const struct creation *creation, const sbx_json *kwargs_env)
{
    const struct sbx_json_api *json = creation->json;
    sbx_json *env = json->new_object(), *list = json->new_array();
    if (creation->options->webhook_base)
        put_text(creation, env, "OH_WEBHOOKS_0_BASE_URL", creation->options->webhook_base);
    if (creation->options->profile == PROFILE_RUNTIME) {
        put_text(creation, env, "PYTHONUNBUFFERED", "1");
        put_text(creation, env, "PIP_BREAK_SYSTEM_PACKAGES", "1");
    }
    if (put_spec_env(creation, env) != 0) {
        json->free(env);
        json->free(list);
        return NULL;
    }
    put_more_env(creation, env, kwargs_env);
    put_ports_env(creation, env);
    put_text(creation, env, ENV_SESSION_KEY, creation->input->session_key);
    put_text(creation, env, "SESSION_API_KEY", creation->input->session_key);
    for (size_t i = 0; i < json->length(env); i++) {
        const sbx_json *value;
        const char *name = json->member(env, i, &value), *text = json->string(value, NULL);
        struct bytes entry = {.max = SIZE_MAX / 2};
        bytes_add_text(&entry, name);
        if (text) {
            bytes_add_text(&entry, "=");
            bytes_add_text(&entry, text);
        }
        bytes_add(&entry, "", 1);
        if (entry.failed)
            abort();
        push_text(creation, list, entry.data);
        bytes_finish(&entry);
    }
    json->free(env);
    return list;
}

/* ---- the container --------------------------------------------------------------------------- */

bool create_command_takes_port(const struct sbx_json_api *json, const struct sbx_json *spec)
{
    const sbx_json *command = json->get(spec, "command");
    for (size_t i = 0; i < json->length(command); i++)
        if (strstr(json->string(json->at(command, i), ""), PORT))
            return true;
    return false;
}

/* The port that "{port}" stands for: where the agent server listens inside. */
static uint16_t agent_port(const struct creation *creation)
{
    for (uint32_t i = 0; i < creation->options->ports_len; i++)
        if (strcmp(creation->options->ports[i].name, "AGENT_SERVER") == 0)
            return creation->input->container_ports[i];
    return 0;
}

static int put_command(const struct creation *creation, sbx_json *body)
{
    const struct sbx_json_api *json = creation->json;
    const sbx_json *command = json->get(creation->input->spec, "command");
    if (json->type(command) == SBX_JSON_NULL)
        return 0; /* the image's own */
    if (json->type(command) != SBX_JSON_ARRAY)
        return failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's command must be a list of texts, or null for the image's own");
    if (create_command_takes_port(json, creation->input->spec) && agent_port(creation) == 0)
        return failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's command has {port} in it, and no exposed port is called AGENT_SERVER");
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)agent_port(creation));
    sbx_json *list = json->new_array();
    for (size_t i = 0; i < json->length(command); i++) {
        const char *given = json->string(json->at(command, i), NULL);
        char *text = given ? replaced(given, PORT, port, ARGUMENT_MAX) : NULL;
        if (!text) {
            json->free(list);
            return failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                               "command[%zu] of the spec must be a text of less than 128 KiB", i);
        }
        push_text(creation, list, text);
        free(text);
    }
    put(creation, body, "Cmd", list);
    return 0;
}

static int put_working_dir(const struct creation *creation, sbx_json *body)
{
    const struct sbx_json_api *json = creation->json;
    const sbx_json *given = json->get(creation->input->spec, "working_dir");
    if (json->type(given) != SBX_JSON_STRING && json->type(given) != SBX_JSON_NULL)
        return failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's working_dir must be a text");
    const char *path = json->string(given, "");
    if (creation->options->profile == PROFILE_RUNTIME)
        path = RUNTIME_WORKING_DIR; /* where the command of such an image is found, whatever the spec says */
    if (*path)
        put_text(creation, body, "WorkingDir", path);
    return 0;
}

/* Without a user the group is one more, beside the image's own. */
static void put_user(const struct creation *creation, sbx_json *body, sbx_json *host)
{
    static const char *const more[] = {"run_as_group", "fs_group"};
    const struct sbx_json_api *json = creation->json;
    const sbx_json *spec = creation->input->spec;
    int64_t user = json->integer(json->get(spec, "run_as_user"), -1);
    int64_t group = json->integer(json->get(spec, "run_as_group"), -1);
    char text[48];
    if (user >= 0) {
        int len = snprintf(text, sizeof text, "%lld", (long long)user);
        if (group >= 0)
            snprintf(text + len, sizeof text - (size_t)len, ":%lld", (long long)group);
        put_text(creation, body, "User", text);
    }
    sbx_json *groups = json->new_array();
    for (size_t i = user >= 0; i < sizeof more / sizeof *more; i++) {
        group = json->integer(json->get(spec, more[i]), -1);
        snprintf(text, sizeof text, "%lld", (long long)group);
        if (group >= 0)
            push_text(creation, groups, text);
    }
    if (json->length(groups) > 0)
        put(creation, host, "GroupAdd", groups);
    else
        json->free(groups);
}

static void put_labels(const struct creation *creation, sbx_json *labels)
{
    const struct options *options = creation->options;
    const struct create_input *input = creation->input;
    char text[80];
    put_text(creation, labels, LABEL_BACKEND, input->backend_name);
    put_text(creation, labels, LABEL_SPEC, input->spec_id);
    snprintf(text, sizeof text, "%lld", (long long)input->created_at_us);
    put_text(creation, labels, LABEL_CREATED, text);
    if (input->owner)
        put_text(creation, labels, LABEL_OWNER, input->owner);
    for (uint32_t i = 0; i < options->ports_len; i++) {
        char label[sizeof LABEL_PORT_PREFIX + 64];
        snprintf(label, sizeof label, LABEL_PORT_PREFIX "%s", options->ports[i].name);
        put_port(creation, labels, label, input->container_ports[i]);
    }
}

/* ---- its HostConfig -------------------------------------------------------------------------- */

static void put_ports(const struct creation *creation, sbx_json *body, sbx_json *host)
{
    const struct sbx_json_api *json = creation->json;
    const struct options *options = creation->options;
    sbx_json *exposed = json->new_object(), *bindings = json->new_object();
    for (uint32_t i = 0; i < options->ports_len; i++) {
        char name[16], number[8];
        snprintf(name, sizeof name, "%u/tcp", (unsigned)creation->input->container_ports[i]);
        snprintf(number, sizeof number, "%u", (unsigned)creation->input->host_ports[i]);
        sbx_json *binding = json->new_object(), *list = json->new_array();
        put_text(creation, binding, "HostIp", options->bind_address);
        put_text(creation, binding, "HostPort", number);
        push(creation, list, binding);
        put(creation, bindings, name, list);
        put(creation, exposed, name, json->new_object());
    }
    put(creation, body, "ExposedPorts", exposed);
    if (options->host_network)
        json->free(bindings);
    else
        put(creation, host, "PortBindings", bindings);
}

/* A volume of its own, without a name, that the engine removes with the container. */
static sbx_json *overlay(const struct creation *creation, uint32_t index)
{
    const struct sbx_json_api *json = creation->json;
    sbx_json *driver = json->new_object(), *settings = json->new_object();
    sbx_json *volume = json->new_object(), *labels = json->new_object(), *mount = json->new_object();
    char *layers = overlay_mount_options(creation->options, creation->input->sandbox_id, index);
    put_text(creation, settings, "type", "overlay");
    put_text(creation, settings, "device", "overlay");
    put_text(creation, settings, "o", layers);
    free(layers);
    put_text(creation, driver, "Name", "local");
    put(creation, driver, "Options", settings);
    put_text(creation, labels, LABEL_BACKEND, creation->input->backend_name);
    put_text(creation, labels, LABEL_SANDBOX, creation->input->sandbox_id);
    put(creation, volume, "DriverConfig", driver);
    put(creation, volume, "Labels", labels);
    put_text(creation, mount, "Type", "volume");
    put_text(creation, mount, "Target", creation->options->mounts[index].target);
    put(creation, mount, "VolumeOptions", volume);
    return mount;
}

static void push_bind(const struct creation *creation, sbx_json *binds, const struct mount *mount)
{
    struct bytes bind = {.max = 4 * ARGUMENT_MAX};
    char *source = NULL;
    if (mount->kind == MOUNT_VOLUME)
        source = replaced(mount->source, ID, creation->input->sandbox_id, ARGUMENT_MAX);
    bytes_add_text(&bind, source ? source : mount->source);
    bytes_add_text(&bind, ":");
    bytes_add_text(&bind, mount->target);
    bytes_add_text(&bind, ":");
    bytes_add(&bind, mount->mode, strlen(mount->mode) + 1);
    if (bind.failed)
        abort();
    push_text(creation, binds, bind.data);
    bytes_finish(&bind);
    free(source);
}

static void put_mounts(const struct creation *creation, sbx_json *host)
{
    const struct options *options = creation->options;
    sbx_json *binds = creation->json->new_array(), *mounts = creation->json->new_array();
    for (uint32_t i = 0; i < options->mounts_len; i++)
        if (options->mounts[i].kind == MOUNT_OVERLAY)
            push(creation, mounts, overlay(creation, i));
        else
            push_bind(creation, binds, &options->mounts[i]);
    put(creation, host, "Binds", binds);
    put(creation, host, "Mounts", mounts);
}

static void put_gpus(const struct creation *creation, sbx_json *host)
{
    const struct sbx_json_api *json = creation->json;
    const struct options *options = creation->options;
    if (!options->gpus_all && options->gpus_len == 0)
        return;
    sbx_json *request = json->new_object(), *any = json->new_array(), *all = json->new_array();
    push_text(creation, all, "gpu");
    push(creation, any, all);
    put(creation, request, "Capabilities", any);
    if (options->gpus_all) {
        put(creation, request, "Count", json->new_integer(-1));
    } else {
        sbx_json *ids = json->new_array();
        for (uint32_t i = 0; i < options->gpus_len; i++)
            push_text(creation, ids, options->gpus[i]);
        put(creation, request, "DeviceIDs", ids);
    }
    sbx_json *requests = json->new_array();
    push(creation, requests, request);
    put(creation, host, "DeviceRequests", requests);
}

/* The spec's resource_factor counts for each of the limits. */
static void put_limits(const struct creation *creation, sbx_json *host)
{
    const struct options *options = creation->options;
    const struct {
        const char *member;
        uint64_t limit;
    } limits[] = {
        {"PidsLimit", options->pids}, {"Memory", options->memory}, {"NanoCpus", options->nano_cpus}};
    int64_t factor =
        creation->json->integer(creation->json->get(creation->input->spec, "resource_factor"), 1);
    uint64_t times = factor > 1 ? (uint64_t)factor : 1;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].limit > 0)
            put_number(creation, host, limits[i].member,
                       limits[i].limit > INT64_MAX / times ? INT64_MAX : limits[i].limit * times);
}

/* The spec's runtime_class under the name that engines know it by, else the option. */
static void put_runtime(const struct creation *creation, sbx_json *host)
{
    const struct sbx_json_api *json = creation->json;
    const char *runtime = json->string(json->get(creation->input->spec, "runtime_class"), "");
    if (!*runtime)
        runtime = creation->options->runtime;
    else if (strcmp(runtime, "gvisor") == 0)
        runtime = "runsc";
    if (runtime)
        put_text(creation, host, "Runtime", runtime);
}

static sbx_json *host_config(const struct creation *creation, sbx_json *body)
{
    const struct sbx_json_api *json = creation->json;
    const struct options *options = creation->options;
    sbx_json *host = json->new_object(), *list = json->new_array(), *policy = json->new_object();
    put(creation, host, "Init",
        json->new_boolean(1)); /* reaps what a sandbox leaves, and passes signals on */
    put_text(creation, host, "NetworkMode", options->network);
    put_ports(creation, body, host);
    put_mounts(creation, host);
    for (uint32_t i = 0; i < options->extra_hosts_len; i++)
        push_text(creation, list, options->extra_hosts[i]);
    put(creation, host, "ExtraHosts", list);
    list = json->new_array();
    push_text(creation, list, "no-new-privileges");
    put(creation, host, "SecurityOpt", list);
    put_text(creation, policy, "Name", "no");
    put(creation, host, "RestartPolicy", policy);
    put_limits(creation, host);
    put_runtime(creation, host);
    put_user(creation, body, host);
    put_gpus(creation, host);
    return host;
}

/* ---- the operator's own members -------------------------------------------------------------- */

/* The engine reads names without regard to case, and the last of two that are one to it wins. */
static const char *same_member(const struct sbx_json_api *json, const sbx_json *object, const char *name)
{
    for (size_t i = 0; i < json->length(object); i++) {
        const char *key = json->member(object, i, NULL);
        if (strcasecmp(key, name) == 0)
            return key;
    }
    return NULL;
}

/* Objects member by member, arrays one after the other, everything else replaces. Owned. */
static sbx_json *merged(const struct creation *creation, const sbx_json *ours, const sbx_json *theirs)
{
    const struct sbx_json_api *json = creation->json;
    enum sbx_json_type type = json->type(ours);
    if (type != json->type(theirs) || (type != SBX_JSON_OBJECT && type != SBX_JSON_ARRAY))
        return json->copy(theirs);
    sbx_json *result = json->copy(ours);
    for (size_t i = 0; type == SBX_JSON_ARRAY && i < json->length(theirs); i++)
        push(creation, result, json->copy(json->at(theirs, i)));
    for (size_t i = 0; type == SBX_JSON_OBJECT && i < json->length(theirs); i++) {
        const sbx_json *value;
        const char *name = json->member(theirs, i, &value), *same = same_member(json, result, name);
        if (same)
            put(creation, result, same, merged(creation, json->get(result, same), value));
        else
            put(creation, result, name, json->copy(value));
    }
    return result;
}

struct sbx_json *create_body(const struct sbx_json_api *json, const struct options *options,
                             const struct create_input *input, struct sbx_error *err)
{
    const struct creation creation = {json, options, input, err};
    sbx_json *body = json->new_object(), *kwargs = NULL;
    put_text(&creation, body, "Image", input->spec_id);
    put(&creation, body, "Env", json->new_array());
    put(&creation, body, "Labels", json->new_object());
    if (options->profile == PROFILE_RUNTIME)
        put(&creation, body, "Entrypoint", json->new_array()); /* its command is a program */
    if (put_command(&creation, body) != 0 || put_working_dir(&creation, body) != 0) {
        json->free(body);
        return NULL;
    }
    put(&creation, body, "HostConfig", host_config(&creation, body));
    if (options->kwargs && (kwargs = json->parse(options->kwargs, strlen(options->kwargs), NULL))) {
        sbx_json *both = merged(&creation, body, kwargs);
        json->free(kwargs);
        json->free(body);
        body = both;
    }
    sbx_json *labels = json->copy(json->get(body, "Labels"));
    put_labels(&creation, labels);
    put(&creation, body, "Labels", labels);
    sbx_json *env = environment(&creation, json->get(body, "Env"));
    if (!env) {
        json->free(body);
        return NULL;
    }
    put(&creation, body, "Env", env);
    return body;
}
