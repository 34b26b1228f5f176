/* kwargs.c: `kwargs`: is it something that can be merged into the engine's create request? What in it gives
 * sandboxes the host is privileges.c's.
 */
#include "operations/create.h"
#include "options/parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The members of the request (Engine API 1.41 to 1.47, ContainerCreate). Of the first ones the type is checked: ours
 * are of that type, with labels and keys in them that nothing may replace. */
static const struct {
    const char *name;
    enum sbx_json_type type;
} typed[] = {
    {"HostConfig", SBX_JSON_OBJECT},       {"Labels", SBX_JSON_OBJECT}, {"ExposedPorts", SBX_JSON_OBJECT},
    {"NetworkingConfig", SBX_JSON_OBJECT}, {"Env", SBX_JSON_ARRAY},
};
static const char *const others[] = {
    "ArgsEscaped", "AttachStderr",    "AttachStdin", "AttachStdout", "Cmd",
    "Domainname",  "Entrypoint",      "Healthcheck", "Hostname",     "MacAddress",
    "OnBuild",     "OpenStdin",       "Shell",       "StdinOnce",    "StopSignal",
    "StopTimeout", "NetworkDisabled", "Tty",         "User",         "Volumes",
    "WorkingDir"};

static void check_member(struct options_reader *reader, const char *name, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    char path[OPTION_PATH_SIZE];
    snprintf(path, sizeof path, "kwargs.%.100s", name);
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++)
        if (strcasecmp(typed[i].name, name) == 0) {
            if (json->type(value) != typed[i].type)
                option_complain(&reader->base, path, "must be a %s",
                                typed[i].type == SBX_JSON_ARRAY ? "list" : "mapping");
            return;
        }
    if (strcasecmp(name, "Image") == 0) {
        option_complain(&reader->base, path, "can't be chosen here: the image is the id of the spec");
        return;
    }
    if (strcasecmp(name, "NetworkDisabled") == 0 && json->boolean(value, 0))
        option_warn(
            &reader->base, path,
            "leaves sandboxes without a network: none will be RUNNING unless health_check_path is null");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcasecmp(others[i], name) == 0)
            return;
    option_warn(&reader->base, path, /* only: a newer engine may have it */
                "the engine's create request has no such member; most limits and settings of a container are "
                "members of HostConfig, under the engine's names (HostConfig.ShmSize)");
}

/* In the list of strings that the environment is, a name is enough: it takes the variable away. */
static void check_environment(struct options_reader *reader, const char *name, const sbx_json *list)
{
    const struct sbx_json_api *json = reader->base.host->json;
    for (size_t i = 0; i < json->length(list); i++) {
        const char *text = json->string(json->at(list, i), "=");
        char path[OPTION_PATH_SIZE];
        snprintf(path, sizeof path, "kwargs.%.60s[%zu]", name, i);
        if (*text == '=' || *text == '\0')
            option_complain(&reader->base, path, "must be NAME=VALUE");
    }
}

void options_read_kwargs(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    if (json->type(value) != SBX_JSON_OBJECT) {
        option_complain(&reader->base, "kwargs", "must be a mapping: members of the engine's create request");
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *member;
        const char *name = json->member(value, i, &member);
        check_member(reader, name, member);
        if (strcasecmp(name, "Env") == 0 && json->type(member) == SBX_JSON_ARRAY)
            check_environment(reader, name, member);
    }
    options_check_security(reader, value);
    option_copy(&reader->options->kwargs, json->text(value, NULL));
    if (reader->base.check)
        privileges_warn(reader->base.host, reader->base.check, value);
}
