/* config/node.c: looking at the nodes of a tree (tree.h): members, paths, positions. Changes none of them. */
#include "config/scalar.h"
#include "config/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config_node *node_find(const struct config_node *map, const char *key)
{
    for (struct config_node *node = map->first; node; node = node->next)
        if (strcmp(node->key, key) == 0)
            return node;
    return NULL;
}

bool node_is_null(const struct config_node *node)
{
    return node->kind == NODE_SCALAR && node->plain && !node->replaced && !node->refused &&
           scalar_sort(node->text) == SCALAR_NULL;
}

const char *node_kind_text(const struct config_node *node)
{
    if (node->kind == NODE_LIST)
        return "a list";
    if (node->kind == NODE_MAP)
        return "a mapping";
    if (!node->plain)
        return "text";
    switch (scalar_sort(node->text)) {
    case SCALAR_NULL: return "nothing";
    case SCALAR_TRUE:
    case SCALAR_FALSE: return "true or false";
    case SCALAR_INTEGER:
    case SCALAR_FLOAT: return "a number";
    default: return "text";
    }
}

/* Appends what fits. Keys come from the file: over-long ones are cut, between two characters. */
static void add_to_path(char *out, size_t size, const struct config_node *node)
{
    enum { KEY_BYTES = 64 };
    size_t used = strlen(out);
    if (!node->key) {
        snprintf(out + used, size - used, "[%zu]", node->index);
        return;
    }
    size_t len = strlen(node->key);
    bool cut = len > KEY_BYTES;
    if (cut)
        for (len = KEY_BYTES; len > 0 && (node->key[len] & 0xc0) == 0x80;)
            len--;
    snprintf(out + used, size - used, "%s%.*s%s", used > 0 ? "." : "", (int)len, node->key, cut ? "…" : "");
}

void node_path(const struct config_node *node, char *out, size_t size)
{
    const struct config_node *way[CONFIG_MAX_DEPTH + 1];
    size_t count = 0;
    for (; node->parent && count < CONFIG_MAX_DEPTH + 1; node = node->parent)
        way[count++] = node;
    *out = '\0';
    while (count-- > 0)
        add_to_path(out, size, way[count]);
}

void node_error(struct config_node *node, struct config_problems *problems, const char *format, ...)
{
    char path[NODE_PATH_SIZE], message[512];
    node_path(node, path, sizeof path);
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    config_problem_add(problems, false, node->line, node->column, path, "%s", message);
    node->refused = true;
}

bool node_has_refused(const struct config_node *node)
{
    bool found = node->refused;
    if (node->kind != NODE_SCALAR)
        for (const struct config_node *child = node->first; child && !found; child = child->next)
            found = node_has_refused(child);
    return found;
}

/* The child that the path goes to, and the path from there. Names may have dots in them: the longest that
 * fits is taken. */
static const struct config_node *step(const struct config_node *node, const char **path)
{
    const char *at = *path;
    if (node->kind == NODE_LIST && *at == '[') {
        char *end;
        unsigned long index = strtoul(at + 1, &end, 10);
        if (*end != ']' || index >= node->count)
            return NULL;
        const struct config_node *child = node->first;
        while (index-- > 0)
            child = child->next;
        *path = end + 1;
        return child;
    }
    if (node->kind != NODE_MAP)
        return NULL;
    if (*at == '.')
        at++;
    const struct config_node *best = NULL;
    size_t best_len = 0;
    for (const struct config_node *child = node->first; child; child = child->next) {
        size_t len = strlen(child->key);
        if (len > best_len && strncmp(at, child->key, len) == 0 && strchr(".[", at[len])) {
            best = child;
            best_len = len;
        }
    }
    *path = at + best_len;
    return best;
}

const struct config_node *node_walk(const struct config_node *node, const char *path)
{
    while (*path) {
        const struct config_node *child = step(node, &path);
        if (!child)
            break;
        node = child;
    }
    return node;
}

static int compare(const void *a, const void *b)
{
    const struct config_node *x = *(struct config_node *const *)a, *y = *(struct config_node *const *)b;
    int order = strcmp(x->key, y->key);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

struct config_node **node_sorted(const struct config_node *map)
{
    if (map->count == 0)
        return NULL;
    struct config_node **members = calloc(map->count, sizeof(struct config_node *));
    if (!members)
        return NULL;
    size_t count = 0;
    for (struct config_node *node = map->first; node; node = node->next)
        members[count++] = node;
    qsort(members, count, sizeof(struct config_node *), compare);
    return members;
}
