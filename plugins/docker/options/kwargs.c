/* kwargs.c: `kwargs`: settings of a container under docker-py's names or under the engine's, turned into members of the
 * engine's create request (create.c merges them in). The names are kwargs_names.c's; what in them gives sandboxes the
 * host is privileges.c's.
 */
#include "operations/create_parts.h"
#include "options/kwargs_names.h"
#include "options/kwargs_values.h"
#include "options/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOST "HostConfig"

struct translation {
    struct options_reader *reader;
    const struct sbx_json_api *json;
    sbx_json *request, *host; /* what it comes to, and its HostConfig; owned by the whole */
};

static void complain(struct translation *translation, const char *outer, const char *name, const char *what)
{
    char path[OPTION_PATH_SIZE];
    snprintf(path, sizeof path, "kwargs.%s%s%.100s", outer, *outer ? "." : "", name);
    option_complain(&translation->reader->base, path, "%s", what);
}

/* Takes the value. */
static void put(struct translation *translation, const char *outer, const char *given, const char *engine,
                bool host, sbx_json *value)
{
    const struct sbx_json_api *json = translation->json;
    sbx_json *object = host ? translation->host : translation->request;
    if (strcmp(given, engine) != 0 && create_same_member(json, object, engine)) {
        char what[200];
        snprintf(what, sizeof what, "is given twice: the engine has it as %s%s, which is there too",
                 host ? HOST "." : "", engine);
        complain(translation, outer, given, what);
        json->free(value);
        return;
    }
    if (json->set(object, engine, value) != 0)
        abort();
}

/* ---- under docker-py's names ---- */

static void translate(struct translation *translation, const struct kwarg *kwarg, const sbx_json *value)
{
    if (translation->json->type(value) == SBX_JSON_NULL)
        return; /* as docker-py takes it: not given */
    if (kwarg->kind == KWARG_REFUSED) {
        complain(translation, "", kwarg->name, kwarg->why);
        return;
    }
    const char *must = NULL;
    sbx_json *converted = kwarg_value(translation->json, kwarg->kind, value, &must);
    if (converted)
        put(translation, "", kwarg->name, kwarg->engine, kwarg->host, converted);
    else
        complain(translation, "", kwarg->name, must);
}

/* ---- under the engine's ---- */

static void complain_unknown(struct translation *translation, const char *outer, const char *name)
{
    const struct kwarg *other = kwarg_find(name);
    char what[256];
    if (*outer && other && other->engine && other->host)
        snprintf(what, sizeof what, "is called %s here, by the engine", other->engine);
    else if (!*outer && kwarg_engine_has(name, true))
        snprintf(what, sizeof what, "is a member of HostConfig: the engine has it as " HOST ".%.60s", name);
    else
        snprintf(what, sizeof what,
                 "neither docker-py nor the engine has such a setting%s; the engine's names are those of its "
                 "ContainerCreate, where most are members of HostConfig",
                 *outer ? " of HostConfig" : "");
    complain(translation, outer, name, what);
}

static void take_host(struct translation *translation, const char *outer, const sbx_json *config)
{
    const struct sbx_json_api *json = translation->json;
    for (size_t i = 0; i < json->length(config); i++) {
        const sbx_json *value;
        const char *name = json->member(config, i, &value);
        if (kwarg_engine_has(name, true))
            put(translation, outer, name, name, true, json->copy(value));
        else
            complain_unknown(translation, outer, name);
    }
}

static void take(struct translation *translation, const char *name, const sbx_json *value)
{
    const struct sbx_json_api *json = translation->json;
    if (strcasecmp(name, "Image") == 0) {
        complain(translation, "", name, kwarg_find("image")->why);
        return;
    }
    if (!kwarg_engine_has(name, false)) {
        complain_unknown(translation, "", name);
        return;
    }
    if (strcasecmp(name, HOST) != 0)
        put(translation, "", name, name, false, json->copy(value));
    else if (json->type(value) == SBX_JSON_OBJECT)
        take_host(translation, name, value);
    else
        complain(translation, "", name, "must be a mapping");
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

static void warn_of_no_network(struct options_reader *reader, const char *name)
{
    char path[OPTION_PATH_SIZE];
    snprintf(path, sizeof path, "kwargs.%.100s", name);
    option_warn(&reader->base, path,
                "leaves sandboxes without a network: none will be RUNNING unless health_check_path is null");
}

/* ---- the whole ---- */

void options_read_kwargs(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    if (json->type(value) != SBX_JSON_OBJECT) {
        option_complain(&reader->base, "kwargs",
                        "must be a mapping of settings, under docker-py's names or the engine's");
        return;
    }
    reader->kwargs = value;
    struct translation translation = {reader, json, json->new_object(), json->new_object()};
    for (size_t i = 0; i < json->length(value);
         i++) { /* the engine's first: what is said twice is told of ours */
        const sbx_json *member;
        const char *name = json->member(value, i, &member);
        const struct kwarg *kwarg = kwarg_find(name);
        const char *engine = kwarg && kwarg->engine ? kwarg->engine : name;
        if (strcasecmp(engine, "Env") == 0 && json->type(member) == SBX_JSON_ARRAY)
            check_environment(reader, name, member);
        if (strcasecmp(engine, "NetworkDisabled") == 0 && json->boolean(member, 0))
            warn_of_no_network(reader, name);
        if (!kwarg)
            take(&translation, name, member);
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *member;
        const char *name = json->member(value, i, &member);
        const struct kwarg *kwarg = kwarg_find(name);
        if (kwarg)
            translate(&translation, kwarg, member);
    }
    if (json->length(translation.host) == 0)
        json->free(translation.host);
    else if (json->set(translation.request, HOST, translation.host) != 0)
        abort();
    options_check_kwargs(reader, translation.request);
    options_check_security(reader, translation.request);
    option_copy(&reader->options->kwargs, json->text(translation.request, NULL));
    if (reader->base.check)
        privileges_warn(reader->base.host, reader->base.check, translation.request, value);
    json->free(translation.request);
}
