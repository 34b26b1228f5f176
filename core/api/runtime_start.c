/* api/runtime_start.c: /start: from what a client asks for to the spec that a sandbox is started with. Each wrong
 * member of the body is told, in one answer. */
#include "api/runtime.h"

#include "api/errors.h"
#include "api/routes.h"
#include "api/shell_words.h"
#include "api/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IMAGE_MAX = 512,
    PATH_MAX_BYTES = 4095,
    WORDS_MAX = 1000,
    ARGUMENT_MAX = 128 * 1024 - 1, /* what execve(2) takes: MAX_ARG_STRLEN */
    SPEC_MAX = 2 * 1024 * 1024,    /* as JSON: no execve(2) takes more, nor the store much more */
    ID_MOST = 2147483647           /* of a user or a group */
};

/* Where the protocol has services listen inside a sandbox, and the variables that tell them. */
static const struct {
    const char *name;
    int port;
    const char *variable;
} services[] = {
    {"AGENT_SERVER", 60000, NULL},
    {"VSCODE", 60001, "OH_VSCODE_PORT"},
    {"WORKER_1", 12000, "WORKER_1"},
    {"WORKER_2", 12001, "WORKER_2"},
};

static const char *const runtime_classes[] = {"sysbox-runc", "gvisor", NULL};
static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};

struct asked {
    struct params params;
    struct json_object *body;    /* owned */
    struct json_object *command; /* owned; an array, or NULL: none given */
    struct json_object *spec;    /* owned; the configured one of this image, or NULL */
    bool specs_first;            /* own_command: ignore */
};

/* ---- members of the body ---- */

static struct json_object *member(const struct asked *asked, const char *name)
{
    return json_object_object_get(asked->body, name);
}

static void refuse(struct asked *asked, const char *name, const char *must)
{
    params_problem(&asked->params, "value_error", name, must, NULL);
}

/* NULL: it is not given, or empty, or refused. */
static const char *take_text(struct asked *asked, const char *name, size_t most)
{
    struct json_object *value = member(asked, name);
    if (!value)
        return NULL;
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
    char must[64];
    snprintf(must, sizeof must, "must be a text of at most %zu bytes", most);
    if (!text || strlen(text) > most) {
        refuse(asked, name, must);
        return NULL;
    }
    return *text ? text : NULL;
}

static void check_choice(struct asked *asked, const char *name, const char *const *choices, const char *must)
{
    const char *text = take_text(asked, name, 64);
    bool known = text == NULL;
    for (size_t i = 0; choices[i] && !known; i++)
        known = strcmp(choices[i], text) == 0;
    if (!known)
        refuse(asked, name, must);
}

static void check_id(struct asked *asked, const char *name)
{
    struct json_object *value = member(asked, name);
    bool right = !value || (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0 &&
                            json_object_get_int64(value) <= ID_MOST);
    if (!right)
        refuse(asked, name, "must be a whole number from 0 to 2147483647");
}

static void check_factor(struct asked *asked)
{
    struct json_object *value = member(asked, "resource_factor");
    int64_t factor = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    if (value && factor != 1 && factor != 2 && factor != 4 && factor != 8)
        refuse(asked, "resource_factor", "must be 1, 2, 4 or 8");
}

/* One that a path of the runtime API can name, and a line of the log. */
static void check_session(struct asked *asked)
{
    const char *text = take_text(asked, "session_id", CALL_ID_SIZE - 1);
    bool right = !text || strcmp(text, "batch") != 0;
    for (const char *c = text; c && *c && right; c++)
        right = (unsigned char)*c > 0x20 && *c != 0x7f && *c != '/';
    if (!right)
        refuse(asked, "session_id", "must have no blanks and no '/' in it, and not be 'batch'");
}

static void check_environment(struct asked *asked)
{
    struct json_object *value = member(asked, "environment");
    bool right = !value || (json_object_is_type(value, json_type_object) &&
                            json_object_object_length(value) <= WORDS_MAX);
    if (right && value) {
        json_object_object_foreach(value, name, text)
        {
            right = right && *name && !strchr(name, '=') && json_object_is_type(text, json_type_string) &&
                    strlen(name) + (size_t)json_object_get_string_len(text) < ARGUMENT_MAX;
        }
    }
    if (!right)
        refuse(asked, "environment", "must be an object of at most 1000 texts, whose names have no '='");
}

/* ---- the command: a list, or one line as for a shell ---- */

static const char at_most[] = "must be at most 1000 texts of at most 128 KiB";

static struct json_object *split(struct asked *asked, struct json_object *line)
{
    const char *text = json_object_get_string(line), *why = NULL;
    char *words = malloc(strlen(text) + 1);
    if (!words)
        abort();
    long count = shell_words(text, words, &why);
    struct json_object *list = NULL;
    if (count < 0) {
        char must[96];
        snprintf(must, sizeof must, "must be split into words as by a shell, but %s", why);
        refuse(asked, "command", must);
    } else if (count > WORDS_MAX) { /* before each is made a value: a body may have hundreds of thousands */
        refuse(asked, "command", at_most);
    } else if (count > 0) {
        list = json_object_new_array();
        const char *word = words;
        for (long i = 0; i < count; i++, word += strlen(word) + 1)
            text_push(list, text_string(word));
    }
    free(words);
    return list;
}

static bool is_command(struct json_object *list)
{
    size_t count = json_object_array_length(list);
    for (size_t i = 0; i < count; i++) {
        struct json_object *word = json_object_array_get_idx(list, i);
        if (!json_object_is_type(word, json_type_string) || json_object_get_string_len(word) > ARGUMENT_MAX)
            return false;
    }
    return count <= WORDS_MAX;
}

static void take_command(struct asked *asked)
{
    struct json_object *value = member(asked, "command");
    if (json_object_is_type(value, json_type_string))
        asked->command = split(asked, value);
    else if (json_object_is_type(value, json_type_array) && json_object_array_length(value) > 0)
        asked->command = json_object_get(value);
    else if (value && !json_object_is_type(value, json_type_array))
        refuse(asked, "command", "must be a list of texts, a text, or null");
    if (asked->command && !is_command(asked->command))
        refuse(asked, "command", at_most);
}

/* ---- may it be? ---- */

static bool is_own_command(const struct asked *asked)
{
    return asked->command &&
           !json_object_equal(asked->command, json_object_object_get(asked->spec, "command"));
}

static bool is_named(const struct config *config, const char *backend)
{
    for (size_t i = 0; i < config->own_commands_len; i++)
        if (strcmp(config->own_commands[i], backend) == 0)
            return true;
    return false;
}

/* ---- the spec ---- */

static void add_all(struct json_object *env, struct json_object *more)
{
    if (!more)
        return;
    json_object_object_foreach(more, name, value)
    {
        json_object_object_add(env, name, json_object_get(value));
    }
}

static struct json_object *environment_of(const struct asked *asked, bool isolates)
{
    struct json_object *env = json_object_new_object();
    for (size_t i = 0; isolates && i < sizeof services / sizeof services[0]; i++) {
        char port[16];
        snprintf(port, sizeof port, "%d", services[i].port);
        if (services[i].variable)
            text_put(env, services[i].variable, text_string(port));
    }
    struct json_object *specs = json_object_object_get(asked->spec, "initial_env");
    struct json_object *requests = member(asked, "environment");
    add_all(env, asked->specs_first ? requests : specs); /* the later one wins */
    add_all(env, asked->specs_first ? specs : requests);
    return env;
}

static struct json_object *ports(void)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        struct json_object *port = json_object_new_object();
        text_put(port, "name", text_string(services[i].name));
        text_put(port, "container_port", json_object_new_int(services[i].port));
        text_push(list, port);
    }
    return list;
}

/* What was asked for, or else the spec's. */
static struct json_object *first_of(struct json_object *given, struct json_object *otherwise)
{
    return json_object_get(given ? given : otherwise);
}

/* As the ABI's spec_json (sandboxd/backend.h). */
static struct json_object *spec_of(struct asked *asked, const char *image, bool isolates)
{
    static const char *const passed_on[] = {"runtime_class", "run_as_user", "run_as_group", "fs_group",
                                            "image_pull_policy"};
    bool has_dir = !asked->specs_first && take_text(asked, "working_dir", PATH_MAX_BYTES) != NULL;
    struct json_object *out = json_object_new_object(), *value;
    text_put(out, "id", text_string(image));
    text_put(out, "command", first_of(asked->command, json_object_object_get(asked->spec, "command")));
    if ((value = json_object_object_get(asked->spec, "entrypoint")))
        text_put(out, "entrypoint", json_object_get(value)); /* the operator's: a request has none */
    if ((value = json_object_object_get(asked->spec, "build")))
        text_put(out, "build", json_object_get(value));
    text_put(out, "initial_env", environment_of(asked, isolates));
    text_put(out, "working_dir",
             first_of(has_dir ? member(asked, "working_dir") : NULL,
                      json_object_object_get(asked->spec, "working_dir")));
    if (isolates)
        text_put(out, "ports", ports());
    if ((value = member(asked, "resource_factor")))
        text_put(out, "resource_factor", json_object_get(value));
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++)
        if ((value = member(asked, passed_on[i])) && *json_object_get_string(value))
            text_put(out, passed_on[i], json_object_get(value));
    return out;
}

/* ---- the call ---- */

/* Clients need a URL. */
static bool answer(struct call *call, const struct sandbox *sandbox, const struct sbx_error *err)
{
    if (err) {
        errors_reply_failure(call, err);
        return true;
    }
    snprintf(call->id, sizeof call->id, "%s", sandbox->id);
    if (runtime_url(sandbox))
        runtime_reply(call, sandbox);
    return runtime_url(sandbox) != NULL;
}

/* Asked again, the session's sandbox is found, and perhaps where it is. */
static void started(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    if (answer(arg, sandbox, err))
        return;
    if (sandbox->status == SANDBOX_ERROR)
        errors_reply_failure(arg, &sandbox->failure->error);
    else
        errors_reply(arg, 503, "it is being started, but where it will be is not known yet: ask again");
}

/* Asked again, one without a session would not be found: another would be started each time. */
struct taking_back {
    struct call *call;
    struct sandbox_wait *wait;
    bool failed;
    /* It failed: */
    struct sbx_error why;
    int exit_code;
    char *log_tail; /* owned; NULL: none */
};

static void free_taking_back(struct taking_back *taking)
{
    free(taking->log_tail);
    free(taking);
}

static void taken_back(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    (void)sandbox;
    struct taking_back *taking = arg;
    if (taking->failed)
        errors_reply_end(taking->call, &taking->why, taking->exit_code, taking->log_tail);
    else if (err)
        errors_reply_failure(taking->call, err);
    else
        errors_reply(taking->call, 503,
                     "it was not known in time where it would be, so it was taken back: ask again");
    free_taking_back(taking);
}

static void give_up_taking_back(struct call *call)
{
    struct taking_back *taking = call->state;
    service_give_up(taking->wait);
    free_taking_back(taking);
}

static void started_unnamed(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    struct call *call = arg;
    struct sbx_error refusal;
    if (answer(call, sandbox, err))
        return;
    struct taking_back *taking = calloc(1, sizeof *taking);
    if (!taking)
        abort();
    *taking = (struct taking_back){.call = call, .failed = sandbox->status == SANDBOX_ERROR};
    if (taking->failed) {
        const struct sandbox_failure *failure = sandbox->failure;
        taking->why = failure->error;
        taking->exit_code = failure->exit_code;
        if (failure->log_tail && !(taking->log_tail = strdup(failure->log_tail)))
            abort();
    }
    taking->wait =
        service_delete(call->api->deps.service, &call->viewer, sandbox->id, taken_back, taking, &refusal);
    if (taking->wait)
        call_hold(call, give_up_taking_back, taking);
    else
        taken_back(taking, NULL, &refusal);
}

static void refuse_command(struct call *call, const struct config_spec *spec, const char *backend)
{
    char detail[320];
    if (spec && spec->own_command == OWN_COMMAND_REFUSE)
        snprintf(detail, sizeof detail,
                 "the spec of this image takes no command of a request (own_command: refuse): leave it out");
    else
        snprintf(
            detail, sizeof detail,
            "backend '%.63s' does not isolate its sandboxes from this host, so a request may not bring a "
            "command of its own; leave it out, or have the operator set own_command of this image's spec, "
            "or name the backend in runtime_api.own_commands",
            backend);
    errors_reply(call, 403, detail);
}

static void start(struct asked *asked, const char *image)
{
    struct call *call = asked->params.call;
    const struct config_spec *spec;
    const char *backend_name;
    if (!runtime_find_image(call, image, &spec, &backend_name))
        return;
    if (spec)
        asked->spec = text_parse_object(spec->json, spec->json_len);
    const struct backend *backend = runtime_backend(call, backend_name);
    bool isolates = backend && backend_isolates(backend);
    enum own_command rule = spec ? spec->own_command : OWN_COMMAND_BACKEND;
    if (rule == OWN_COMMAND_BACKEND)
        rule = isolates || is_named(http_config(call->request), backend_name) ? OWN_COMMAND_USE
                                                                              : OWN_COMMAND_REFUSE;
    if (rule == OWN_COMMAND_IGNORE) {
        asked->specs_first = true; /* the paths in a request are those of an image that is not here */
        json_object_put(asked->command);
        asked->command = NULL;
    } else if (rule == OWN_COMMAND_REFUSE && is_own_command(asked)) {
        refuse_command(call, spec, backend_name);
        return;
    }
    struct json_object *own = spec_of(asked, image, isolates);
    size_t len;
    const char *own_text = text_of(own, &len);
    if (len > SPEC_MAX) {
        json_object_put(own);
        errors_reply(call, 413, "what is asked for is over 2 MiB: shorten command or environment");
        return;
    }
    const char *session_id = take_text(asked, "session_id", CALL_ID_SIZE - 1);
    struct service_session session = {
        .session_id = session_id, .spec_id = image, .backend = backend_name, .spec_json = own_text};
    struct sbx_error err;
    struct sandbox_wait *wait =
        service_start_session(call->api->deps.service, http_config(call->request), &call->viewer, &session,
                              session_id ? started : started_unnamed, call, &err);
    json_object_put(own);
    call_hold_wait(call, wait, &err);
}

void runtime_start(struct call *call)
{
    struct asked asked = {.params = runtime_params(call), .body = runtime_body(call)};
    if (!asked.body)
        return;
    const char *image = take_text(&asked, "image", IMAGE_MAX);
    if (!image && !asked.params.problems)
        params_problem(&asked.params, "missing", "image", "is needed: the name of an image", NULL);
    take_command(&asked);
    take_text(&asked, "working_dir", PATH_MAX_BYTES);
    check_environment(&asked);
    check_session(&asked);
    check_factor(&asked);
    check_choice(&asked, "runtime_class", runtime_classes, "must be sysbox-runc or gvisor");
    check_choice(&asked, "image_pull_policy", pull_policies, "must be Always, IfNotPresent or Never");
    check_id(&asked, "run_as_user");
    check_id(&asked, "run_as_group");
    check_id(&asked, "fs_group");
    if (!params_reject(&asked.params))
        start(&asked, image);
    json_object_put(asked.spec);
    json_object_put(asked.command);
    json_object_put(asked.body);
}
