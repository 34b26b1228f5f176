/* plugin/options.c: see options.h. Owns one run of validate(); opens nothing. */
#include "plugin/options.h"

#include "plugin/instance.h"
#include "plugin/sanitize.h"

#include <stdio.h>
#include <string.h>

struct sbx_check {
    const struct config_backend *backend;
    struct config_problems *problems;
    unsigned errors;
};

enum { PATH_SIZE = 512, MESSAGE_SIZE = 1024 };

enum sort { SORT_ERROR, SORT_WARNING, SORT_NOTE };

static void add(struct sbx_check *check, enum sort sort, const char *path, const char *message)
{
    if (!check)
        return;
    char option[PATH_SIZE / 2], text[MESSAGE_SIZE], full[PATH_SIZE];
    sanitize_text(option, sizeof option, path ? path : "", path ? strlen(path) : 0);
    sanitize_text(text, sizeof text, message ? message : "", message ? strlen(message) : 0);
    const char *dot = option[0] && option[0] != '[' ? "." : "";
    snprintf(full, sizeof full, "backends.%.128s.options%s%s", check->backend->name, dot, option);
    unsigned line = 0, column = 0;
    config_option_position(check->backend, option, &line, &column);
    const char *told = text[0] ? text : "the plugin does not say what is wrong here";
    if (sort == SORT_NOTE)
        config_note_add(check->problems, line, column, full, told);
    else
        config_problem_add(check->problems, sort == SORT_WARNING, line, column, full, "%s", told);
    check->errors += sort == SORT_ERROR;
}

void options_error(struct sbx_check *check, const char *path, const char *message)
{
    add(check, SORT_ERROR, path, message);
}

void options_warning(struct sbx_check *check, const char *path, const char *message)
{
    add(check, SORT_WARNING, path, message);
}

void options_note(struct sbx_check *check, const char *path, const char *message)
{
    add(check, SORT_NOTE, path, message);
}

struct sbx_backend_config options_settings(const struct config *config, const struct config_backend *backend,
                                           const struct module *module, const char *plugin_path,
                                           const char *state_dir, const char *instance_id)
{
    return (struct sbx_backend_config){
        .size = sizeof(struct sbx_backend_config),
        .max_sandboxes = backend->max_sandboxes_given ? backend->max_sandboxes
                                                      : module_head(module)->default_max_sandboxes,
        .name = backend->name,
        .options_json = backend->options_json,
        .options_len = backend->options_len,
        .plugin_path = plugin_path,
        .state_dir = state_dir,
        .public_url = config->public_url,
        .instance_id = instance_id,
        .listen_urls = config->listen_urls,
    };
}

bool options_check(const struct module *module, const struct sbx_backend_config *settings,
                   const struct config_backend *backend, struct config_problems *problems)
{
    struct sbx_check check = {.backend = backend, .problems = problems};
    int result = module_ops(module)->validate(host_table(), &check, settings);
    if (result != 0 && check.errors == 0)
        options_error(&check, "", "the plugin refuses these options and does not say why");
    return check.errors == 0;
}
