/* options.c: see options.h. Reads user and group names; makes and opens nothing. */
#include "options.h"

#include "common/option_reader.h"
#include "run_as.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (UINT64_C(1024) * 1024)
#define AT(member) offsetof(struct options, member)

static const struct option limits[] = {
    {"memory", OPTION_SIZE, AT(memory), .min = MIB, .max = UINT64_MAX / 2},
    {"cpu", OPTION_CPUS, AT(cpu_milli), .min = 10, .max = 1024000},
    {"pids", OPTION_INTEGER, AT(pids), .min = 1, .max = 4194304},
    {"files", OPTION_INTEGER, AT(files), .min = 16, .max = 1048576},
};
static const struct option_table limits_table = {"limit", limits, sizeof limits / sizeof *limits};

static const struct option all[] = {
    {"base_working_dir", OPTION_PATH, AT(base_working_dir), .text = "/tmp/openhands-sandboxes"},
    {"base_port", OPTION_INTEGER, AT(base_port), .min = 1, .max = 65535, .number = 8000},
    {"python_executable", OPTION_TEXT, AT(python_executable), .text = "python3"},
    {"agent_server_module", OPTION_TEXT, AT(agent_server_module), .text = "openhands.agent_server"},
    {.name = "on_shutdown", .type = OPTION_OTHER},
    {"stop_timeout", OPTION_DURATION, AT(stop_timeout_ms), .max = 3600000, .number = 10000},
    {.name = "run_as", .type = OPTION_OTHER},
    {"limits", OPTION_MAPPING, .nested = &limits_table},
    {"log_size", OPTION_SIZE, AT(log_size), .min = 4096, .max = 1024 * MIB, .number = MIB},
    {.name = "pass_env", .type = OPTION_OTHER},
    {.name = "shared_dirs", .type = OPTION_OTHER},
};
static const struct option_table table = {"option", all, sizeof all / sizeof *all};

/* ---- options with rules of their own --------------------------------------------------------- */

struct reader {
    struct option_reader base;
    struct options *options;
};

static void read_pass_env(struct reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    if (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_NAMES_MAX) {
        option_complain(&reader->base, "pass_env",
                        "must be a list of at most %d names of environment variables", OPTIONS_NAMES_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const char *name = json->string(json->at(value, i), "");
        if (*name == '\0' || strchr(name, '=')) {
            char path[32];
            snprintf(path, sizeof path, "pass_env[%zu]", i);
            option_complain(&reader->base, path, "must be the name of an environment variable");
        } else {
            option_copy(&reader->options->pass_env[reader->options->pass_env_len++], name);
        }
    }
}

static void read_shared_dirs(struct reader *reader, const sbx_json *value)
{
    enum { DIRECTORY_MAX = 1024 };
    const struct sbx_json_api *json = reader->base.host->json;
    if (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_NAMES_MAX) {
        option_complain(&reader->base, "shared_dirs", "must be a list of at most %d absolute paths",
                        OPTIONS_NAMES_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const char *dir = json->string(json->at(value, i), "");
        if (*dir != '/' || strlen(dir) > DIRECTORY_MAX) {
            char path[48];
            snprintf(path, sizeof path, "shared_dirs[%zu]", i);
            option_complain(&reader->base, path, "must be an absolute path of at most %d bytes",
                            DIRECTORY_MAX);
        } else {
            option_copy(&reader->options->shared_dirs[reader->options->shared_dirs_len++], dir);
        }
    }
}

static void read_run_as(struct reader *reader, const sbx_json *value)
{
    struct sbx_error err;
    if (!run_as_parse(reader->options, reader->base.host->json->string(value, ""))) {
        option_complain(&reader->base, "run_as", "must be a user, or user:group");
        return;
    }
    if (geteuid() != 0) {
        option_complain(&reader->base, "run_as",
                        "only a daemon that runs as root can run sandboxes as another user");
        return;
    }
    if (!reader->base.check)
        return; /* it is being opened: it is found on the pool */
    switch (run_as_check(reader->options, &err)) {
    case RUN_AS_WRONG: option_complain(&reader->base, "run_as", "%s", err.message); break;
    case RUN_AS_ELSEWHERE:
        option_warn(&reader->base, "run_as",
                    "is no user and group of this machine's own: whether a directory service knows them is "
                    "found out when the backend opens");
        break;
    default: break;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err)
{
    static const char *const shutdowns[] = {"keep", "pause", "stop", "remove", NULL};
    struct reader reader = {.base = {.host = host, .check = check, .err = err}, .options = options};
    *options = (struct options){.on_shutdown = SBX_SHUTDOWN_KEEP};
    option_defaults(&table, options);
    sbx_json *root = option_parse(&reader.base, config);
    if (!root)
        return -1;
    option_read(&reader.base, "", root, &table, options);
    const sbx_json *value = option_given(&reader.base, root, "on_shutdown");
    options->on_shutdown =
        (enum sbx_on_shutdown)option_choice(&reader.base, "on_shutdown", value, shutdowns, SBX_SHUTDOWN_KEEP);
    if ((value = option_given(&reader.base, root, "run_as")))
        read_run_as(&reader, value);
    if ((value = option_given(&reader.base, root, "pass_env")))
        read_pass_env(&reader, value);
    if ((value = option_given(&reader.base, root, "shared_dirs")))
        read_shared_dirs(&reader, value);
    host->json->free(root);
    return reader.base.errors == 0 ? 0 : -1;
}

void options_finish(struct options *options)
{
    free(options->base_working_dir);
    free(options->python_executable);
    free(options->agent_server_module);
    free(options->run_as_user);
    free(options->run_as_group);
    free(options->user_name);
    free(options->user_home);
    for (uint32_t i = 0; i < options->pass_env_len; i++)
        free(options->pass_env[i]);
    for (uint32_t i = 0; i < options->shared_dirs_len; i++)
        free(options->shared_dirs[i]);
    *options = (struct options){0};
}
