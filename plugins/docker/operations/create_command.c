/* create_command.c: which program a container runs: the spec's `entrypoint` and `command` in the engine's words. Knows
 * nothing of the image.
 *
 * An entry point that the spec gives stands, and the command is appended to it; an empty one is none. Without it a
 * command that begins with an option ('-') is appended to the image's entry point, and every other command replaces
 * that: it names a program. Without a command the image's own is run.
 */
#include "operations/create_parts.h"

#include "common/failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT "{port}"

static bool takes_port(const struct sbx_json_api *json, const sbx_json *words)
{
    for (size_t i = 0; i < json->length(words); i++)
        if (strstr(json->string(json->at(words, i), ""), PORT))
            return true;
    return false;
}

bool create_command_takes_port(const struct sbx_json_api *json, const struct sbx_json *spec)
{
    return takes_port(json, json->get(spec, "command")) || takes_port(json, json->get(spec, "entrypoint"));
}

/* The port that "{port}" stands for: where the agent server listens inside. */
static uint16_t agent_port(const struct creation *creation)
{
    for (uint32_t i = 0; i < creation->options->ports_len; i++)
        if (strcmp(creation->options->ports[i].name, "AGENT_SERVER") == 0)
            return creation->input->container_ports[i];
    return 0;
}

/* The words of a member of the spec, with their ports. Owned; NULL with err. */
static sbx_json *words_of(const struct creation *creation, const char *name)
{
    const struct sbx_json_api *json = creation->json;
    const sbx_json *given = json->get(creation->input->spec, name);
    if (json->type(given) != SBX_JSON_ARRAY) {
        failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                    "the spec's %s must be a list of texts, or null for the image's own", name);
        return NULL;
    }
    if (takes_port(json, given) && agent_port(creation) == 0) {
        failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                    "the spec's %s has {port} in it, and no exposed port is called AGENT_SERVER", name);
        return NULL;
    }
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)agent_port(creation));
    sbx_json *list = json->new_array();
    for (size_t i = 0; i < json->length(given); i++) {
        const char *word = json->string(json->at(given, i), NULL);
        char *text = word ? create_replaced(word, PORT, port, ARGUMENT_MAX) : NULL;
        if (!text) {
            json->free(list);
            failure_set(creation->err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                        "%s[%zu] of the spec must be a text of less than 128 KiB", name, i);
            return NULL;
        }
        create_push_text(creation, list, text);
        free(text);
    }
    return list;
}

static bool begins_with_an_option(const struct sbx_json_api *json, const sbx_json *command)
{
    return json->length(command) == 0 || *json->string(json->at(command, 0), "") == '-';
}

int create_put_command(const struct creation *creation, sbx_json *body)
{
    const struct sbx_json_api *json = creation->json;
    const sbx_json *spec = creation->input->spec;
    /* The operator's kwargs go before the spec, and an entry point can't be two. */
    bool fixed = create_same_member(json, creation->kwargs, "Entrypoint") != NULL;
    if (!fixed && json->type(json->get(spec, "entrypoint")) != SBX_JSON_NULL) {
        sbx_json *entrypoint = words_of(creation, "entrypoint");
        if (!entrypoint)
            return -1;
        create_put(creation, body, "Entrypoint", entrypoint);
        fixed = true;
    } else if (!fixed && creation->options->profile == PROFILE_RUNTIME) {
        create_put(creation, body, "Entrypoint",
                   json->new_array()); /* the command of such an image is a program */
        fixed = true;
    }
    if (json->type(json->get(spec, "command")) == SBX_JSON_NULL)
        return 0; /* the image's own */
    sbx_json *command = words_of(creation, "command");
    if (!command)
        return -1;
    if (fixed || begins_with_an_option(json, command)) {
        create_put(creation, body, "Cmd", command);
    } else {
        create_put(creation, body, "Entrypoint", command);
        create_put(creation, body, "Cmd", json->new_array()); /* or the image's would be appended */
    }
    return 0;
}
