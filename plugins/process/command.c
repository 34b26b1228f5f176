/* command.c: see command.h. Pure: looks at nothing but what it is given, and the daemon's environment. */
#include "command.h"

#include "common/failure.h"
#include "owner.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_MAX = 4096, ENVIRONMENT_MAX = 1024 };

static const char *const always_passed[] = {"PATH", "HOME", "LANG", "TZ"};
enum { OF_USER = 3 }; /* HOME, USER and LOGNAME */
enum { ALWAYS_PASSED = sizeof always_passed / sizeof *always_passed };

static void add_zero(struct bytes *bytes)
{
    bytes_add(bytes, "", 1);
}

/* One argument with the port in the place of each {port}; true when there was one. */
static bool add_argument(struct bytes *bytes, const char *text, const char *port)
{
    static const char mark[] = "{port}";
    bool found = false;
    for (const char *at; (at = strstr(text, mark)); text = at + sizeof mark - 1) {
        bytes_add(bytes, text, (size_t)(at - text));
        bytes_add_text(bytes, port);
        found = true;
    }
    bytes_add_text(bytes, text);
    add_zero(bytes);
    return found;
}

static int add_arguments(const struct command *command, struct bytes *bytes, uint32_t *count,
                         struct sbx_error *err)
{
    const struct sbx_json_api *json = command->json;
    const sbx_json *list = json->get(command->spec, "command");
    char port[8];
    snprintf(port, sizeof port, "%u", command->port);
    bool placed = false;
    if (json->type(json->get(command->spec, "entrypoint")) != SBX_JSON_NULL)
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec has an entrypoint, which only images have: write the whole command");
    if (json->type(json->get(command->spec, "build")) != SBX_JSON_NULL)
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec has a build, which makes images: processes have none, leave it out");
    if (json->type(list) == SBX_JSON_NULL) {
        placed |= add_argument(bytes, command->options->python_executable, port);
        placed |= add_argument(bytes, "-m", port);
        placed |= add_argument(bytes, command->options->agent_server_module, port);
        *count = 3;
    } else {
        size_t len = json->length(list);
        if (json->type(list) != SBX_JSON_ARRAY || len == 0 || len > ARGUMENTS_MAX)
            return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                               "the spec's command must be a list of 1 to %d texts", ARGUMENTS_MAX);
        for (size_t i = 0; i < len; i++) {
            const char *text = json->string(json->at(list, i), NULL);
            if (!text)
                return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                                   "the spec's command[%zu] must be a text", i);
            placed |= add_argument(bytes, text, port);
        }
        *count = (uint32_t)len;
    }
    if (!placed) {
        add_argument(bytes, "--port", port);
        add_argument(bytes, port, port);
        *count += 2;
    }
    return 0;
}

static void set_variable(const struct command *command, sbx_json *all, const char *name, const char *value)
{
    (void)command->json->set(all, name, command->json->new_string(value));
}

/* Later ones replace earlier ones, so that the spec's win over the daemon's and ours over the spec's. */
static int collect_environment(const struct command *command, sbx_json *all, struct sbx_error *err)
{
    const struct sbx_json_api *json = command->json;
    for (char *const *entry = command->environment; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        char name[256];
        int len = snprintf(name, sizeof name, "%.*s", (int)(equals - *entry), *entry);
        if (len > 0 && (size_t)len < sizeof name)
            set_variable(command, all, name, equals + 1);
    }
    const sbx_json *initial = json->get(command->spec, "initial_env");
    size_t count = json->length(initial);
    if (json->type(initial) != SBX_JSON_NULL && json->type(initial) != SBX_JSON_OBJECT)
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's initial_env must be a mapping");
    if (count > ENVIRONMENT_MAX)
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's initial_env has more than %d variables", ENVIRONMENT_MAX);
    for (size_t i = 0; i < count; i++) {
        const sbx_json *value;
        const char *name = json->member(initial, i, &value);
        const char *text = json->string(value, NULL);
        if (*name == '\0' || strchr(name, '=') || !text)
            return failure_set(
                err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                "the spec's initial_env: \"%.100s\" must be a name without '=' and have a text", name);
        set_variable(command, all, name, text);
    }
    set_variable(command, all, "SESSION_API_KEY", command->session_key);
    set_variable(command, all, "OH_SESSION_API_KEYS_0", command->session_key);
    set_variable(command, all, "SANDBOX_ID", command->sandbox_id);
    set_variable(command, all, OWNER_VARIABLE, command->owner_mark);
    return 0;
}

static int add_environment(const struct command *command, struct bytes *bytes, uint32_t *count,
                           struct sbx_error *err)
{
    const struct sbx_json_api *json = command->json;
    sbx_json *all = json->new_object();
    int result = collect_environment(command, all, err);
    *count = (uint32_t)json->length(all);
    for (uint32_t i = 0; result == 0 && i < *count; i++) {
        const sbx_json *value;
        bytes_add_text(bytes, json->member(all, i, &value));
        bytes_add(bytes, "=", 1);
        bytes_add_text(bytes, json->string(value, ""));
        add_zero(bytes);
    }
    json->free(all);
    return result;
}

int command_build(const struct command *command, struct bytes *launch, struct sbx_error *err)
{
    const struct options *options = command->options;
    struct wire_launch head = {
        .magic = WIRE_MAGIC,
        .version = WIRE_VERSION,
        .size = sizeof head,
        .flags = (options->run_as ? WIRE_LAUNCH_RUN_AS : 0u) |
                 (command->groups->freezer == 2   ? WIRE_LAUNCH_CGROUP2
                  : command->groups->freezer == 1 ? WIRE_LAUNCH_FREEZER1
                                                  : 0u),
        .groups = options->run_as ? options->groups_len : 0,
        .cgroups = command->groups->count,
        .uid = options->uid,
        .gid = options->gid,
        .port = command->port,
        .stop_timeout_ms = (uint32_t)options->stop_timeout_ms,
        .files = options->files,
        .log_size = options->log_size,
        .incarnation = command->incarnation,
    };
    launch->max = WIRE_LAUNCH_MAX;
    bytes_add(launch, &head, sizeof head);
    bytes_add(launch, options->groups, head.groups * sizeof *options->groups);
    if (add_arguments(command, launch, &head.arguments, err) != 0 ||
        add_environment(command, launch, &head.environment, err) != 0)
        return -1;
    for (uint32_t i = 0; i < head.cgroups; i++) {
        bytes_add_text(launch, command->groups->dirs[i]);
        add_zero(launch);
    }
    if (launch->failed)
        return failure_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                           "the spec's command and environment are more than %d bytes", WIRE_LAUNCH_MAX);
    memcpy(launch->data, &head, sizeof head);
    return 0;
}

static char *variable(const char *name, const char *value, const char *behind)
{
    char *entry = NULL;
    if (asprintf(&entry, "%s=%s%s", name, value, behind) < 0)
        abort();
    return entry;
}

/* In place of the daemon's HOME, which may be one that this user can't even enter. */
static size_t add_user(const struct options *options, char **list)
{
    size_t count = 0;
    if (!options->run_as)
        return 0;
    list[count++] = variable("HOME", options->user_home, "");
    if (options->user_name) {
        list[count++] = variable("USER", options->user_name, "");
        list[count++] = variable("LOGNAME", options->user_name, "");
    }
    return count;
}

char **command_environment(const struct options *options, const char *public_url)
{
    char **list = calloc(ALWAYS_PASSED + OF_USER + options->pass_env_len + 2u, sizeof *list);
    if (!list)
        abort();
    size_t count = 0;
    for (uint32_t i = 0; i < ALWAYS_PASSED + options->pass_env_len; i++) {
        const char *name = i < ALWAYS_PASSED ? always_passed[i] : options->pass_env[i - ALWAYS_PASSED];
        const char *value = getenv(name);
        if (value)
            list[count++] = variable(name, value, "");
        if (i + 1 == ALWAYS_PASSED)
            count += add_user(options, list + count);
    }
    if (public_url)
        list[count++] = variable("OH_WEBHOOKS_0_BASE_URL", public_url, "/api/v1/webhooks");
    return list;
}

void command_environment_free(char **environment)
{
    for (char **entry = environment; entry && *entry; entry++)
        free(*entry);
    free(environment);
}
