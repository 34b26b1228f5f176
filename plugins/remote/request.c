/* request.c: the text of a /start request: what the spec says, and the options where it says nothing. Sends nothing.
 *
 * Of a spec's members `ports` has no counterpart here: what is inside listens on the ports that the protocol fixes
 * (60000, 60001, 12000 and 12001), and the far end exposes them.
 */
#include "common/failure.h"
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBHOOK_VARIABLE "OH_WEBHOOKS_0_BASE_URL"

static void set_webhook(const struct options *options, const struct sbx_json_api *json, sbx_json *environment,
                        const char *sandbox_id)
{
    if (!options->webhook_base)
        return;
    size_t size = strlen(options->webhook_base) + strlen(sandbox_id) + 2;
    char *url = malloc(size);
    if (!url)
        abort();
    snprintf(url, size, "%s/%s", options->webhook_base, sandbox_id);
    json->set(environment, WEBHOOK_VARIABLE, json->new_string(url));
    free(url);
}

static void set_number(const struct sbx_json_api *json, sbx_json *request, const sbx_json *spec,
                       const char *name, uint64_t otherwise)
{
    json->set(request, name, json->new_integer(json->integer(json->get(spec, name), (int64_t)otherwise)));
}

/* The protocol has one list of words, which replaces an image's entry point where it names a program. So an entry point
 * of the spec's goes before its command; what can't be said so is refused. Owned; NULL with err. */
static sbx_json *command_of(const struct sbx_json_api *json, const sbx_json *spec, struct sbx_error *err)
{
    const sbx_json *given = json->get(spec, "command"), *entrypoint = json->get(spec, "entrypoint");
    if (json->type(entrypoint) != SBX_JSON_ARRAY)
        return json->copy(given);
    sbx_json *words = json->copy(entrypoint);
    for (size_t i = 0; i < json->length(given); i++)
        json->push(words, json->copy(json->at(given, i)));
    if (*json->string(json->at(words, 0), "-") != '-')
        return words;
    json->free(words);
    failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                "the spec's entrypoint and command name no program, and a runtime API takes them as one "
                "list, which it would append to the image's entry point: begin one of them with a program");
    return NULL;
}

char *request_write(const struct options *options, const struct sbx_json_api *json, const char *sandbox_id,
                    const sbx_json *spec, struct sbx_error *err)
{
    const char *image = json->string(json->get(spec, "id"), NULL);
    if (!image) {
        failure_set(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "the spec to start has no id");
        return NULL;
    }
    if (json->type(json->get(spec, "build")) != SBX_JSON_NULL) {
        failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                    "the spec has a build, and a runtime API takes images that are there: build it where its "
                    "sandboxes run, and name the image here");
        return NULL;
    }
    sbx_json *command = command_of(json, spec, err);
    if (!command && json->type(json->get(spec, "entrypoint")) != SBX_JSON_NULL)
        return NULL;
    sbx_json *request = json->new_object();
    const sbx_json *given = json->get(spec, "initial_env");
    sbx_json *environment = json->type(given) == SBX_JSON_OBJECT ? json->copy(given) : json->new_object();
    set_webhook(options, json, environment, sandbox_id);
    json->set(request, "image", json->new_string(image));
    json->set(request, "command", command);
    json->set(request, "working_dir", json->copy(json->get(spec, "working_dir")));
    json->set(request, "environment", environment);
    json->set(request, "session_id", json->new_string(sandbox_id));
    set_number(json, request, spec, "resource_factor", options->resource_factor);
    set_number(json, request, spec, "run_as_user", options->run_as_user);
    set_number(json, request, spec, "run_as_group", options->run_as_group);
    set_number(json, request, spec, "fs_group", options->fs_group);
    const char *runtime_class =
        json->string(json->get(spec, "runtime_class"), options->sysbox ? "sysbox-runc" : NULL);
    if (runtime_class)
        json->set(request, "runtime_class", json->new_string(runtime_class));
    const char *policy = json->string(json->get(spec, "image_pull_policy"), NULL);
    if (policy)
        json->set(request, "image_pull_policy", json->new_string(policy));
    size_t len;
    char *text = strdup(json->text(request, &len));
    if (!text)
        abort(); /* a spec is bounded by the host */
    json->free(request);
    return text;
}
