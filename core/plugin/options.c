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
    /* check_spec() alone: */
    const struct config *config;
    const char *spec; /* "specs[3]"; "": the backend's own. NULL: it is the options that are checked */
};

enum { PATH_SIZE = 512, MESSAGE_SIZE = 1024 };

enum sort { SORT_ERROR, SORT_WARNING, SORT_NOTE };

static const char *dot_before(const char *member)
{
    return member[0] && member[0] != '[' ? "." : "";
}

static void place_in_options(const struct sbx_check *check, const char *option, char *full, unsigned *line,
                             unsigned *column)
{
    snprintf(full, PATH_SIZE, "backends.%.128s.options%s%s", check->backend->name, dot_before(option),
             option);
    config_option_position(check->backend, option, line, column);
}

static void place_in_spec(const struct sbx_check *check, const char *member, char *full, unsigned *line,
                          unsigned *column)
{
    if (*check->spec) {
        snprintf(full, PATH_SIZE, "%s%s%s", check->spec, dot_before(member), member);
        config_position(check->config, full, line, column);
    } else {
        snprintf(full, PATH_SIZE, "backends.%.128s: its own spec%s%s", check->backend->name,
                 member[0] ? ": " : "", member);
        *line = check->backend->line;
        *column = check->backend->column;
    }
}

static void add(struct sbx_check *check, enum sort sort, const char *path, const char *message)
{
    if (!check)
        return;
    char option[PATH_SIZE / 2], text[MESSAGE_SIZE], full[PATH_SIZE];
    sanitize_text(option, sizeof option, path ? path : "", path ? strlen(path) : 0);
    sanitize_text(text, sizeof text, message ? message : "", message ? strlen(message) : 0);
    unsigned line = 0, column = 0;
    if (check->spec)
        place_in_spec(check, option, full, &line, &column);
    else
        place_in_options(check, option, full, &line, &column);
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

static bool check_one(const struct module *module, const struct sbx_backend_config *settings,
                      struct sbx_check *check, const char *json, size_t len)
{
    if (module_ops(module)->check_spec(host_table(), check, settings, json, len) != 0 && check->errors == 0)
        options_error(check, "", "the plugin refuses this spec and does not say why");
    return check->errors == 0;
}

bool options_check_specs(const struct module *module, const struct sbx_backend_config *settings,
                         const struct config *config, const struct config_backend *backend,
                         struct config_problems *problems)
{
    char path[32] = "";
    bool right = true;
    const char *own = module_default_spec(module);
    if (!SBX_HAS(module_ops(module), check_spec))
        return true;
    for (size_t i = 0; i < config->specs_len; i++) {
        const struct config_spec *spec = &config->specs[i];
        if (!spec->json || !spec->backend || strcmp(spec->backend, backend->name) != 0)
            continue;
        snprintf(path, sizeof path, "specs[%zu]", i);
        struct sbx_check check = {.backend = backend, .problems = problems, .config = config, .spec = path};
        right &= check_one(module, settings, &check, spec->json, spec->json_len);
    }
    if (config->specs_len > 0 || !own || !config->default_backend ||
        strcmp(config->default_backend, backend->name) != 0)
        return right;
    struct sbx_check check = {.backend = backend, .problems = problems, .config = config, .spec = ""};
    return check_one(module, settings, &check, own, strlen(own)) && right;
}
