/* create_env.c: a container's environment. Precedence, least first: our defaults, the spec, the operator's `kwargs`, and
 * last what the daemon can't do without.
 *
 * An object while it is put together, so that each name is there once.
 */
#include "operations/create_parts.h"

#include "common/bytes.h"
#include "common/failure.h"
#include "containers/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_port(const struct creation *creation, sbx_json *env, const char *name, uint16_t port)
{
    char number[8];
    snprintf(number, sizeof number, "%u", (unsigned)port);
    create_put_text(creation, env, name, number);
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
        create_put_text(creation, env, name, json->string(value, ""));
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
            create_put(creation, env, name, text[len] ? json->new_string(text + len + 1) : NULL);
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
    const uint16_t *told =
        options->told_ports == TOLD_HOST ? creation->input->host_ports : creation->input->container_ports;
    bool own_ports = json->type(json->get(creation->input->spec, "ports")) == SBX_JSON_ARRAY;
    for (uint32_t i = 0; i < options->ports_len; i++) {
        /* Who chose the ports inside may mean those by these names. */
        if (!own_ports || json->type(json->get(given, options->ports[i].name)) != SBX_JSON_STRING)
            put_port(creation, env, options->ports[i].name, told[i]);
        for (size_t at = 0; options->profile == PROFILE_RUNTIME && at < sizeof names / sizeof *names; at++)
            if (strcmp(options->ports[i].name, names[at][0]) == 0)
                put_port(creation, env, names[at][1], creation->input->container_ports[i]);
    }
}

sbx_json *create_environment(const struct creation *creation, const sbx_json *more)
{
    const struct sbx_json_api *json = creation->json;
    sbx_json *env = json->new_object(), *list = json->new_array();
    if (creation->options->webhook_base)
        create_put_text(creation, env, "OH_WEBHOOKS_0_BASE_URL", creation->options->webhook_base);
    if (creation->options->profile == PROFILE_RUNTIME) {
        create_put_text(creation, env, "PYTHONUNBUFFERED", "1");
        create_put_text(creation, env, "PIP_BREAK_SYSTEM_PACKAGES", "1");
    }
    if (put_spec_env(creation, env) != 0) {
        json->free(env);
        json->free(list);
        return NULL;
    }
    put_more_env(creation, env, more);
    put_ports_env(creation, env);
    create_put_text(creation, env, "SANDBOX_ID", creation->input->sandbox_id);
    create_put_text(creation, env, ENV_SESSION_KEY, creation->input->session_key);
    create_put_text(creation, env, "SESSION_API_KEY", creation->input->session_key);
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
        create_push_text(creation, list, entry.data);
        bytes_finish(&entry);
    }
    json->free(env);
    return list;
}
