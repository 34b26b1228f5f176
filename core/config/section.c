/* config/section.c: reads a mapping by a section's table: each key by its type, defaults, what is missing and
 * what does not belong there. Knows no key by its name. */
#include "config/keys.h"

#include <stdio.h>
#include <string.h>

/* `member` is the key where it is there without a value, else NULL. */
static void tell_missing(struct config_reader *reader, const struct config_node *section,
                         const struct config_node *member, const struct key *key)
{
    char path[NODE_PATH_SIZE];
    node_path(section, path, sizeof path);
    size_t used = strlen(path);
    snprintf(path + used, sizeof path - used, "%s%s", used > 0 ? "." : "", key->name);
    const struct config_node *at = member ? member : section;
    config_problem_add(reader->problems, false, at->line, at->column, path,
                       member ? "has no value, and needs one" : "is missing");
}

static void read_default(struct config_reader *reader, const struct key *key, void *target)
{
    if (key->type == &type_section)
        section_read(reader, key->section, NULL, target);
    if (!key->fallback)
        return;
    char *text = arena_copy(reader->arena, key->fallback, strlen(key->fallback));
    if (!text)
        return;
    struct config_node node = {.kind = NODE_SCALAR, .plain = true, .text = text, .len = strlen(text)};
    key->type->read(reader, key, &node, target);
}

static bool is_left_out(const struct key *key, const struct config_node *node)
{
    if (!node || (node_is_null(node) && !(key->flags & KEY_NULL)))
        return true;
    return (key->flags & KEY_EMPTY) && node->kind == NODE_SCALAR && node->len == 0 && !node->refused;
}

static void list_keys(const struct section *section, char *out, size_t size)
{
    *out = '\0';
    for (size_t i = 0; i < section->count; i++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s",
                 i == 0                    ? ""
                 : i + 1 == section->count ? " and "
                                           : ", ",
                 section->keys[i].name);
    }
}

static const struct key *find_key(const struct section *section, const char *name, size_t len)
{
    for (size_t i = 0; i < section->count; i++)
        if (strlen(section->keys[i].name) == len && memcmp(section->keys[i].name, name, len) == 0)
            return &section->keys[i];
    return NULL;
}

/* A key of a section inside this one, written a level too high. */
static bool tell_misplaced(struct config_reader *reader, const struct section *section,
                           struct config_node *node)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct key *key = &section->keys[i];
        if (key->type != &type_section || !find_key(key->section, node->key, strlen(node->key)))
            continue;
        node_error(node, reader->problems, "unknown key here, did you mean %s.%s?", key->section->path,
                   node->key);
        return true;
    }
    return false;
}

static void tell_unknown(struct config_reader *reader, const struct section *section, struct config_node *map,
                         struct config_node *node)
{
    char names[256], path[NODE_PATH_SIZE];
    const char *colon = strchr(node->key, ':');
    const struct key *key = colon ? find_key(section, node->key, (size_t)(colon - node->key)) : NULL;
    const char *close = suggest(node->key, &section->keys->name, section->count, sizeof *section->keys);
    node_path(map, path, sizeof path);
    list_keys(section, names, sizeof names);
    if (key) /* "key:VALUE": the name is more than a name, and not shown */
        config_problem_add(reader->problems, false, node->line, node->column, path,
                           "%s needs a space after its \":\"", key->name);
    else if (close)
        node_error(node, reader->problems, "unknown key, did you mean %s?", close);
    else if (section->secrets)
        config_problem_add(reader->problems, false, node->line, node->column, path,
                           "unknown key; those known here are %s", names);
    else if (!tell_misplaced(reader, section, node))
        node_error(node, reader->problems, "unknown key; those known here are %s", names);
    node->refused = true;
}

void section_read(struct config_reader *reader, const struct section *section, struct config_node *node,
                  void *target)
{
    if (node && node->kind != NODE_MAP) {
        const bool glued = node->kind == NODE_SCALAR && node->plain && strchr(node->text, ':');
        if (!node->refused)
            node_error(node, reader->problems, "must be a mapping of keys, got %s%s", node_kind_text(node),
                       glued ? " (a key needs a space after its \":\")" : "");
        return;
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct key *key = &section->keys[i];
        struct config_node *member = node ? node_find(node, key->name) : NULL;
        if (!is_left_out(key, member)) {
            if (!member->refused || member->kind != NODE_SCALAR)
                key->type->read(reader, key, member, target);
        } else if (node && (key->flags & KEY_REQUIRED))
            tell_missing(reader, node, member, key);
        else
            read_default(reader, key, target);
    }
    for (struct config_node *member = node ? node->first : NULL; member; member = member->next)
        if (!member->refused && !find_key(section, member->key, strlen(member->key)))
            tell_unknown(reader, section, node, member);
    if (section->check)
        section->check(reader, node, target);
}

static void read_section(struct config_reader *reader, const struct key *key, struct config_node *node,
                         void *target)
{
    section_read(reader, key->section, node, target);
}

static void read_elements(struct config_reader *reader, const struct key *key, struct config_node *node,
                          void *target, enum node_kind kind)
{
    if (!key_is_branch(reader, key, node, kind) || node->count == 0)
        return;
    char *elements = arena_alloc(reader->arena, node->count, key->section->size);
    if (!elements)
        return;
    for (struct config_node *child = node->first; child; child = child->next) {
        void *element = elements + child->index * key->section->size;
        section_read(reader, key->section, child, element);
    }
    key_store_pointer(key, target, elements);
    key_store_length(key, target, node->count);
}

static void read_sections(struct config_reader *reader, const struct key *key, struct config_node *node,
                          void *target)
{
    read_elements(reader, key, node, target, NODE_LIST);
}

static void read_named_sections(struct config_reader *reader, const struct key *key, struct config_node *node,
                                void *target)
{
    read_elements(reader, key, node, target, NODE_MAP);
}

const struct key_type type_section = {
    .name = "mapping", .must = "must be a mapping of keys", .read = read_section};
const struct key_type type_sections = {
    .name = "list of mappings", .must = "must be a list", .read = read_sections};
const struct key_type type_named_sections = {.name = "mapping of names to mappings",
                                             .must = "must be a mapping of names",
                                             .read = read_named_sections};
