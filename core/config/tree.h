/* config/tree.h: a YAML document as a tree of nodes that know their place in the file.
 *
 * It knows YAML's rules and this program's on what a file may have (one document, no aliases, no tags,
 * bounds), and no key of the configuration. Nodes belong to the arena they were made in.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "config/arena.h"
#include "config/config.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct config_node {
    enum node_kind kind;
    bool plain;    /* a scalar that is neither quoted nor a block: it may be a number, true, null */
    bool replaced; /* ${NAME} was replaced in it: its text may be a secret */
    bool refused;  /* a problem was told: nothing more is said about it */

    /* Where messages point to: the key of a member, an element itself. From 1; 0 for the root. */
    unsigned line, column;

    char *text; /* of a scalar, after ${NAME}; no zero byte in it */
    size_t len;

    struct config_node *parent, *next;
    struct config_node *first, *last; /* members or elements, in order */
    size_t count;
    const char *key; /* where the parent is a map; never empty */
    size_t index;    /* the place in the parent */
};

/* The root, or NULL where nothing can be made of the text. Problems are added either way. */
struct config_node *tree_parse(struct config_arena *arena, const char *text, size_t len,
                               struct config_problems *problems);

struct config_node *node_find(const struct config_node *map, const char *key); /* NULL: none */

/* A plain scalar that YAML calls null: empty, ~, null. */
bool node_is_null(const struct config_node *node);

/* "a list", "a mapping", "text", "a number", …: what stands there, for messages. */
const char *node_kind_text(const struct config_node *node);

enum { NODE_PATH_SIZE = 512 };
/* The path as in messages: "backends.local.options.mounts[1]"; over-long keys are cut. */
void node_path(const struct config_node *node, char *out, size_t size);

/* Adds an error about a node and marks it as refused. */
void node_error(struct config_node *node, struct config_problems *problems, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Was a problem told about the node, or about one inside it? */
bool node_has_refused(const struct config_node *node);

/* The node that a path leads to from `node`, or the last one on the way there. */
const struct config_node *node_walk(const struct config_node *node, const char *path);

/* The members of a map by key (equal ones in the order of the file); to be freed. NULL: no memory or no
 * member. */
struct config_node **node_sorted(const struct config_node *map);

#endif
