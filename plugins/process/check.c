/* check.c: see check.h. Looks at files and folders; makes, opens and starts nothing. */
#include "check.h"

#include "command.h"
#include "directory.h"
#include "sandbox_limits.h"
#include "working_dir.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef void (*told)(struct sbx_check *check, const char *path, const char *message);

static void tell(told how, struct sbx_check *check, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(told how, struct sbx_check *check, const char *path, const char *format, ...)
{
    char text[700];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    how(check, path, text);
}

char *check_supervisor_path(const char *plugin_path)
{
    static const char name[] = "process-supervisor";
    const char *slash = strrchr(plugin_path, '/');
    size_t folder = slash ? (size_t)(slash - plugin_path) + 1 : 0;
    char *path = malloc(folder + sizeof name);
    if (!path)
        abort();
    memcpy(path, plugin_path, folder);
    memcpy(path + folder, name, sizeof name);
    return path;
}

/* ---- options --------------------------------------------------------------------------------- */

static int check_supervisor(const struct sbx_host *host, struct sbx_check *check, const char *plugin_path)
{
    char *path = check_supervisor_path(plugin_path);
    int result = access(path, X_OK);
    if (result != 0)
        tell(host->option_error, check, "", "%.300s, which belongs beside the plugin, can't be executed: %s",
             path, strerrordesc_np(errno));
    free(path);
    return result;
}

/* Cuts the last part of an absolute path off, down to "/". */
static void to_parent(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path ? 1 : 0] = '\0';
}

/* Warnings alone: who checks may be another user than who serves. */
static void check_base(const struct sbx_host *host, struct sbx_check *check, const char *path)
{
    static const char option[] = "base_working_dir";
    struct sbx_error why;
    struct stat status;
    char text[1100];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", path);
    while (len > 1 && len < sizeof text && text[len - 1] == '/')
        text[--len] = '\0';
    if (lstat(text, &status) == 0) {
        if (directory_check_base(text, &status, &why) != 0)
            host->option_warning(check, option, why.message + strlen("base_working_dir: "));
        return;
    }
    /* The nearest one above it that is there. */
    while (stat(text, &status) != 0 && errno == ENOENT && text[1] != '\0')
        to_parent(text);
    if (access(text, W_OK | X_OK) != 0 || !S_ISDIR(status.st_mode))
        tell(host->option_warning, check, option,
             "%.200s can't be made by the user who checks this, since %.200s can't be written to: %s", path,
             text, strerrordesc_np(errno));
}

static void check_shared(const struct sbx_host *host, struct sbx_check *check, const struct options *options)
{
    for (uint32_t i = 0; i < options->shared_dirs_len; i++) {
        char path[32];
        struct stat status;
        snprintf(path, sizeof path, "shared_dirs[%u]", (unsigned)i);
        if (stat(options->shared_dirs[i], &status) != 0 || !S_ISDIR(status.st_mode))
            tell(host->option_warning, check, path, "there is no directory %.200s: make it first",
                 options->shared_dirs[i]);
        else if (SBX_HAS(host, option_note))
            tell(host->option_note, check, path,
                 "sandboxes whose working_dir is in %.200s share what is in there, whoever they belong to",
                 options->shared_dirs[i]);
    }
}

int check_validate(const struct sbx_host *host, struct sbx_check *check,
                   const struct sbx_backend_config *config)
{
    struct options options;
    struct sbx_error why;
    int result = options_parse(&options, host, check, config, NULL);
    struct limits *limits = malloc(sizeof *limits);
    if (!limits)
        abort();
    if (check_supervisor(host, check, config->plugin_path) != 0)
        result = -1;
    if (result == 0) {
        if (limits_find(limits, &options, NULL, NULL, &why) != 0)
            host->option_warning(check, "limits", why.message);
        check_base(host, check, options.base_working_dir);
        check_shared(host, check, &options);
    }
    free(limits);
    options_finish(&options);
    return result;
}

/* ---- specs ----------------------------------------------------------------------------------- */

/* Is there such a program in a PATH? */
static bool is_in_path(const char *name, const char *path)
{
    while (path) {
        const char *colon = strchrnul(path, ':');
        char file[4096];
        int len = snprintf(file, sizeof file, "%.*s/%s", (int)(colon - path), path, name);
        struct stat status;
        if (len > 0 && (size_t)len < sizeof file && stat(file, &status) == 0 && S_ISREG(status.st_mode) &&
            access(file, X_OK) == 0)
            return true;
        path = *colon ? colon + 1 : NULL;
    }
    return false;
}

/* A warning alone: who checks may be another user, with another PATH. */
static void check_program(const struct sbx_host *host, struct sbx_check *check, const struct options *options,
                          const sbx_json *spec)
{
    const struct sbx_json_api *json = host->json;
    const sbx_json *command = json->get(spec, "command");
    bool given = json->type(command) == SBX_JSON_ARRAY;
    const char *program = given ? json->string(json->at(command, 0), "") : options->python_executable;
    const char *path = json->string(json->get(json->get(spec, "initial_env"), "PATH"), getenv("PATH"));
    if (strchr(program, '{') || (*program != '/' && strchr(program, '/')))
        return; /* known when it is started */
    bool found = *program == '/' ? access(program, X_OK) == 0
                                 : is_in_path(program, path ? path : "/usr/local/bin:/usr/bin:/bin");
    if (found)
        return;
    if (given)
        tell(host->option_warning, check, "command[0]", "there is no program %.200s that can be executed%s",
             program, *program == '/' ? "" : " in PATH");
    else
        tell(host->option_warning, check, "",
             "it has no command, and there is no program %.200s (python_executable) that can be executed%s",
             program, *program == '/' ? "" : " in PATH");
}

/* All that a start would say of the command and the environment. */
static int check_command(const struct sbx_host *host, const struct options *options, const sbx_json *spec,
                         struct sbx_error *err)
{
    static char *const none[] = {NULL};
    struct limits_groups *groups = calloc(1, sizeof *groups);
    if (!groups)
        abort();
    const struct command command = {.options = options,
                                    .json = host->json,
                                    .spec = spec,
                                    .environment = none,
                                    .sandbox_id = "",
                                    .session_key = "",
                                    .owner_mark = "",
                                    .port = 65535,
                                    .groups = groups};
    struct bytes launch = {0};
    int result = command_build(&command, &launch, err);
    bytes_finish(&launch);
    free(groups);
    return result;
}

int check_spec(const struct sbx_host *host, struct sbx_check *check, const struct sbx_backend_config *config,
               const char *spec_json, size_t spec_len)
{
    static const char member[] = "working_dir";
    const struct sbx_json_api *json = host->json;
    struct options options;
    struct working_dir dir;
    struct sbx_error why;
    sbx_json *spec = json->parse(spec_json, spec_len, NULL);
    int result = options_parse(&options, host, NULL, config, &why);
    if (result == 0 &&
        working_dir_find(&dir, &options, json->string(json->get(spec, member), NULL), &why) != 0) {
        host->option_error(check, member, why.message + strlen("working_dir: "));
        result = -1;
    }
    if (result == 0 && check_command(host, &options, spec, &why) != 0) {
        host->option_error(check, "", why.message);
        result = -1;
    }
    if (result == 0)
        check_program(host, check, &options, spec);
    options_finish(&options);
    json->free(spec);
    return result;
}
