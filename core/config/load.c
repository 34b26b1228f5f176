/* config/load.c: from a file to a configuration, and a configuration's life. Every rule on what may be in the
 * file is elsewhere: tree.c (YAML), keys.c (the table), check.c (between keys). */
#include "config/load.h"

#include "config/keys.h"
#include "config/text.h"

#include <stdlib.h>
#include <string.h>

static struct config *build(struct config_arena *arena, const char *file, const char *text, size_t len,
                            struct config_problems *problems)
{
    struct config_node *root = tree_parse(arena, text, len, problems);
    struct config *config = root ? arena_alloc(arena, 1, sizeof *config) : NULL;
    if (config) {
        struct config_reader reader = {.arena = arena, .problems = problems};
        config->arena = arena;
        config->root = root;
        config->refs = 1;
        config->file = arena_copy(arena, file, strlen(file));
        section_read(&reader, &config_section, root, config);
    }
    if (arena_failed(arena))
        config_problem_add(problems, false, 0, 0, "", "there is not enough memory for all that is in it");
    return config;
}

/* NULL: there is nothing of it. */
static struct config *parse(const char *file, const char *text, size_t len, size_t memory,
                            struct config_problems *problems)
{
    struct config_arena *arena = arena_create(memory);
    struct config *config = build(arena, file, text, len, problems);
    config_problems_sort(problems);
    if (config && !arena_failed(arena))
        return config;
    arena_destroy(arena);
    return NULL;
}

static struct config *without_errors(struct config *config, const struct config_problems *problems,
                                     size_t errors_before)
{
    if (problems->errors == errors_before)
        return config;
    config_unref(config);
    return NULL;
}

struct config *config_parse(const char *file, const char *text, size_t len, size_t memory,
                            struct config_problems *problems)
{
    size_t errors = problems->errors;
    return without_errors(parse(file, text, len, memory, problems), problems, errors);
}

struct config *config_load(const char *file, struct config_problems *problems)
{
    size_t errors = problems->errors;
    return without_errors(config_load_to_check(file, problems), problems, errors);
}

struct config *config_load_to_check(const char *file, struct config_problems *problems)
{
    char why[128];
    size_t len;
    bool world_readable;
    char *text = text_read_file(file, CONFIG_MAX_FILE, &len, &world_readable, why, sizeof why);
    if (!text) {
        config_problem_add(problems, false, 0, 0, "", "%s", why);
        return NULL;
    }
    struct config *config = parse(file, text, len, CONFIG_MEMORY, problems);
    text_free(text, len);
    return config;
}

struct config *config_ref(struct config *config)
{
    config->refs++;
    return config;
}

void config_unref(struct config *config)
{
    if (config && --config->refs == 0)
        arena_destroy(config->arena); /* the configuration itself is in it */
}

const struct config_backend *config_find_backend(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->backends_len; i++)
        if (strcmp(config->backends[i].name, name) == 0)
            return &config->backends[i];
    return NULL;
}

const struct config_spec *config_find_spec(const struct config *config, const char *id)
{
    for (size_t i = 0; i < config->specs_len; i++)
        if (strcmp(config->specs[i].id, id) == 0)
            return &config->specs[i];
    return NULL;
}

void config_position(const struct config *config, const char *path, unsigned *line, unsigned *column)
{
    const struct config_node *node = config->root ? node_walk(config->root, path) : NULL;
    *line = node ? node->line : 0;
    *column = node ? node->column : 0;
}

void config_option_position(const struct config_backend *backend, const char *path, unsigned *line,
                            unsigned *column)
{
    const struct config_node *node = backend->options ? node_walk(backend->options, path) : NULL;
    *line = node ? node->line : backend->line;
    *column = node ? node->column : backend->column;
}
