/* create.c: see create.h. What a container is asked for; asks for nothing itself.
 *
 * Precedence, least first: our defaults, the spec, the operator's `kwargs`, and last what the daemon can't do
 * without: its labels, the session key and the ports.
 */
#include "operations/create_parts.h"

#include "common/bytes.h"
#include "common/failure.h"
#include "containers/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ID "{id}"
#define RUNTIME_WORKING_DIR "/openhands/code/" /* where images of the second seed have their program */

/* ---- JSON ------------------------------------------------------------------------------------ */

void create_put(const struct creation *creation, sbx_json *object, const char *key, sbx_json *value)
{
    if (creation->json->set(object, key, value) != 0)
        abort();
}

void create_put_text(const struct creation *creation, sbx_json *object, const char *key, const char *text)
{
    create_put(creation, object, key, creation->json->new_string(text));
}

static void put_number(const struct creation *creation, sbx_json *object, const char *key, uint64_t number)
{
    create_put(creation, object, key, creation->json->new_integer((int64_t)number));
}

void create_push(const struct creation *creation, sbx_json *array, sbx_json *value)
{
    if (creation->json->push(array, value) != 0)
        abort();
}

void create_push_text(const struct creation *creation, sbx_json *array, const char *text)
{
    create_push(creation, array, creation->json->new_string(text));
}

char *create_replaced(const char *text, const char *what, const char *with, size_t max)
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

/* ---- the container --------------------------------------------------------------------------- */

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
        create_put_text(creation, body, "WorkingDir", path);
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
        create_put_text(creation, body, "User", text);
    }
    sbx_json *groups = json->new_array();
    for (size_t i = user >= 0; i < sizeof more / sizeof *more; i++) {
        group = json->integer(json->get(spec, more[i]), -1);
        snprintf(text, sizeof text, "%lld", (long long)group);
        if (group >= 0)
            create_push_text(creation, groups, text);
    }
    if (json->length(groups) > 0)
        create_put(creation, host, "GroupAdd", groups);
    else
        json->free(groups);
}

static void put_port(const struct creation *creation, sbx_json *object, const char *name, uint16_t port)
{
    char number[8];
    snprintf(number, sizeof number, "%u", (unsigned)port);
    create_put_text(creation, object, name, number);
}

/* The words after `--plugins`, up to the next option. */
static bool has_plugin(const struct sbx_json_api *json, const struct sbx_json *command, const char *plugin)
{
    bool inside = false, has = false;
    for (size_t i = 0, count = json->length(command); i < count; i++) {
        const char *word = json->string(json->at(command, i), "");
        if (strncmp(word, "--", 2) == 0)
            inside = strcmp(word, "--plugins") == 0;
        else
            has |= inside && strcmp(word, plugin) == 0;
    }
    return has;
}

bool create_publishes(const struct sbx_json_api *json, const struct options *options,
                      const struct sbx_json *spec, const char *name)
{
    return options->profile != PROFILE_RUNTIME || strcmp(name, "VSCODE") != 0 ||
           has_plugin(json, json->get(spec, "command"), "vscode");
}

static void put_labels(const struct creation *creation, sbx_json *labels)
{
    const struct options *options = creation->options;
    const struct create_input *input = creation->input;
    char text[80];
    create_put_text(creation, labels, LABEL_BACKEND, input->backend_name);
    if (input->instance_id)
        create_put_text(creation, labels, LABEL_INSTANCE, input->instance_id);
    create_put_text(creation, labels, LABEL_SPEC, input->spec_id);
    snprintf(text, sizeof text, "%lld", (long long)input->created_at_us);
    create_put_text(creation, labels, LABEL_CREATED, text);
    if (input->owner)
        create_put_text(creation, labels, LABEL_OWNER, input->owner);
    for (uint32_t i = 0; i < options->ports_len; i++) {
        if (!create_publishes(creation->json, options, input->spec, options->ports[i].name))
            continue;
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
        if (!create_publishes(json, options, creation->input->spec, options->ports[i].name))
            continue;
        char name[16], number[8];
        snprintf(name, sizeof name, "%u/tcp", (unsigned)creation->input->container_ports[i]);
        snprintf(number, sizeof number, "%u", (unsigned)creation->input->host_ports[i]);
        sbx_json *binding = json->new_object(), *list = json->new_array();
        create_put_text(creation, binding, "HostIp", options->bind_address);
        create_put_text(creation, binding, "HostPort", number);
        create_push(creation, list, binding);
        create_put(creation, bindings, name, list);
        create_put(creation, exposed, name, json->new_object());
    }
    create_put(creation, body, "ExposedPorts", exposed);
    if (options->host_network)
        json->free(bindings);
    else
        create_put(creation, host, "PortBindings", bindings);
}

/* A volume of its own, without a name, that the engine removes with the container. */
static sbx_json *overlay(const struct creation *creation, uint32_t index)
{
    const struct sbx_json_api *json = creation->json;
    sbx_json *driver = json->new_object(), *settings = json->new_object();
    sbx_json *volume = json->new_object(), *labels = json->new_object(), *mount = json->new_object();
    char *layers = overlay_mount_options(creation->options, creation->input->sandbox_id, index);
    create_put_text(creation, settings, "type", "overlay");
    create_put_text(creation, settings, "device", "overlay");
    create_put_text(creation, settings, "o", layers);
    free(layers);
    create_put_text(creation, driver, "Name", "local");
    create_put(creation, driver, "Options", settings);
    create_put_text(creation, labels, LABEL_BACKEND, creation->input->backend_name);
    create_put_text(creation, labels, LABEL_SANDBOX, creation->input->sandbox_id);
    create_put(creation, volume, "DriverConfig", driver);
    create_put(creation, volume, "Labels", labels);
    create_put_text(creation, mount, "Type", "volume");
    create_put_text(creation, mount, "Target", creation->options->mounts[index].target);
    create_put(creation, mount, "VolumeOptions", volume);
    return mount;
}

static void push_bind(const struct creation *creation, sbx_json *binds, const struct mount *mount)
{
    struct bytes bind = {.max = 4 * ARGUMENT_MAX};
    char *source = NULL;
    if (mount->kind == MOUNT_VOLUME)
        source = create_replaced(mount->source, ID, creation->input->sandbox_id, ARGUMENT_MAX);
    bytes_add_text(&bind, source ? source : mount->source);
    bytes_add_text(&bind, ":");
    bytes_add_text(&bind, mount->target);
    bytes_add_text(&bind, ":");
    bytes_add(&bind, mount->mode, strlen(mount->mode) + 1);
    if (bind.failed)
        abort();
    create_push_text(creation, binds, bind.data);
    bytes_finish(&bind);
    free(source);
}

static void put_mounts(const struct creation *creation, sbx_json *host)
{
    const struct options *options = creation->options;
    sbx_json *binds = creation->json->new_array(), *mounts = creation->json->new_array();
    for (uint32_t i = 0; i < options->mounts_len; i++)
        if (options->mounts[i].kind == MOUNT_OVERLAY)
            create_push(creation, mounts, overlay(creation, i));
        else
            push_bind(creation, binds, &options->mounts[i]);
    create_put(creation, host, "Binds", binds);
    create_put(creation, host, "Mounts", mounts);
}

static void put_gpus(const struct creation *creation, sbx_json *host)
{
    const struct sbx_json_api *json = creation->json;
    const struct options *options = creation->options;
    if (!options->gpus_all && options->gpus_len == 0)
        return;
    sbx_json *request = json->new_object(), *any = json->new_array(), *all = json->new_array();
    create_push_text(creation, all, "gpu");
    create_push(creation, any, all);
    create_put(creation, request, "Capabilities", any);
    if (options->gpus_all) {
        create_put(creation, request, "Count", json->new_integer(-1));
    } else {
        sbx_json *ids = json->new_array();
        for (uint32_t i = 0; i < options->gpus_len; i++)
            create_push_text(creation, ids, options->gpus[i]);
        create_put(creation, request, "DeviceIDs", ids);
    }
    sbx_json *requests = json->new_array();
    create_push(creation, requests, request);
    create_put(creation, host, "DeviceRequests", requests);
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

/* What the options have for the spec's runtime_class, else the option. */
static void put_runtime(const struct creation *creation, sbx_json *host)
{
    const struct sbx_json_api *json = creation->json;
    const char *asked = json->string(json->get(creation->input->spec, "runtime_class"), ""), *runtime = asked;
    for (unsigned i = 0; i < RUNTIME_CLASSES; i++)
        if (strcmp(asked, runtime_classes[i]) == 0)
            runtime = creation->options->class_runtimes[i];
    if (!*runtime)
        runtime = creation->options->runtime;
    if (runtime)
        create_put_text(creation, host, "Runtime", runtime);
}

static void put_list(const struct creation *creation, sbx_json *host, const char *name, char *const *texts,
                     uint32_t len)
{
    if (len == 0)
        return;
    sbx_json *list = creation->json->new_array();
    for (uint32_t i = 0; i < len; i++)
        create_push_text(creation, list, texts[i]);
    create_put(creation, host, name, list);
}

/* "NAME=VALUE" */
static void push_security(const struct creation *creation, sbx_json *list, const char *name,
                          const char *value)
{
    struct bytes text = {.max = SIZE_MAX / 2};
    bytes_add_text(&text, name);
    bytes_add(&text, "=", 1);
    bytes_add(&text, value, strlen(value) + 1);
    if (text.failed)
        abort();
    create_push_text(creation, list, text.data);
    bytes_finish(&text);
}

/* What is not asked for is left to the engine. */
static void put_security(const struct creation *creation, sbx_json *host)
{
    const struct sbx_json_api *json = creation->json;
    const struct security *security = &creation->options->security;
    sbx_json *list = json->new_array();
    if (security->no_new_privileges)
        create_push_text(creation, list, "no-new-privileges");
    if (security->seccomp)
        push_security(creation, list, "seccomp", security->seccomp);
    if (security->apparmor)
        push_security(creation, list, "apparmor", security->apparmor);
    if (json->length(list) > 0)
        create_put(creation, host, "SecurityOpt", list);
    else
        json->free(list);
    put_list(creation, host, "CapDrop", security->cap_drop, security->cap_drop_len);
    put_list(creation, host, "CapAdd", security->cap_add, security->cap_add_len);
    if (security->read_only)
        create_put(creation, host, "ReadonlyRootfs", json->new_boolean(1));
}

static sbx_json *host_config(const struct creation *creation, sbx_json *body)
{
    const struct sbx_json_api *json = creation->json;
    const struct options *options = creation->options;
    sbx_json *host = json->new_object(), *list = json->new_array(), *policy = json->new_object();
    create_put(creation, host, "Init",
               json->new_boolean(1)); /* reaps what a sandbox leaves, and passes signals on */
    create_put_text(creation, host, "NetworkMode", options->network);
    put_ports(creation, body, host);
    put_mounts(creation, host);
    for (uint32_t i = 0; i < options->extra_hosts_len; i++)
        create_push_text(creation, list, options->extra_hosts[i]);
    create_put(creation, host, "ExtraHosts", list);
    put_security(creation, host);
    create_put_text(creation, policy, "Name", "no");
    create_put(creation, host, "RestartPolicy", policy);
    put_limits(creation, host);
    put_runtime(creation, host);
    put_user(creation, body, host);
    put_gpus(creation, host);
    return host;
}

/* ---- the operator's own members -------------------------------------------------------------- */

/* The engine reads names without regard to case, and the last of two that are one to it wins. */
const char *create_same_member(const struct sbx_json_api *json, const sbx_json *object, const char *name)
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
        create_push(creation, result, json->copy(json->at(theirs, i)));
    for (size_t i = 0; type == SBX_JSON_OBJECT && i < json->length(theirs); i++) {
        const sbx_json *value;
        const char *name = json->member(theirs, i, &value), *same = create_same_member(json, result, name);
        if (same)
            create_put(creation, result, same, merged(creation, json->get(result, same), value));
        else
            create_put(creation, result, name, json->copy(value));
    }
    return result;
}

struct sbx_json *create_body(const struct sbx_json_api *json, const struct options *options,
                             const struct create_input *input, struct sbx_error *err)
{
    sbx_json *kwargs = options->kwargs ? json->parse(options->kwargs, strlen(options->kwargs), NULL) : NULL;
    const struct creation creation = {json, options, input, kwargs, err};
    sbx_json *body = json->new_object(), *env = NULL;
    create_put_text(&creation, body, "Image", input->image ? input->image : input->spec_id);
    create_put(&creation, body, "Env", json->new_array());
    create_put(&creation, body, "Labels", json->new_object());
    if (create_put_command(&creation, body) == 0 && put_working_dir(&creation, body) == 0) {
        create_put(&creation, body, "HostConfig", host_config(&creation, body));
        if (kwargs) {
            sbx_json *both = merged(&creation, body, kwargs);
            json->free(body);
            body = both;
        }
        sbx_json *labels = json->copy(json->get(body, "Labels"));
        put_labels(&creation, labels);
        create_put(&creation, body, "Labels", labels);
        env = create_environment(&creation, json->get(body, "Env"));
    }
    json->free(kwargs);
    if (!env) {
        json->free(body);
        return NULL;
    }
    create_put(&creation, body, "Env", env);
    return body;
}
