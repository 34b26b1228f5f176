/* config/tree.c: see tree.h. Turns libyaml's events into nodes. */
#include "config/tree.h"

#include "config/expand.h"
#include "config/text.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
    yaml_parser_t parser;
    struct config_arena *arena;
    struct config_problems *problems;
    struct config_node *root, *parent;
    size_t nodes, depth;
    size_t budget; /* for the text of scalars */
    unsigned documents;
    char *key; /* of the member whose value comes next */
    unsigned key_line, key_column;
};

static unsigned position(size_t from_zero)
{
    return from_zero < UINT32_MAX ? (unsigned)from_zero + 1 : UINT32_MAX;
}

/* An error after which nothing more can be read. Returns false. */
static bool give_up(struct builder *builder, const yaml_mark_t *mark, const char *what)
{
    config_problem_add(builder->problems, false, position(mark->line), position(mark->column), "", "%s",
                       what);
    return false;
}

static bool out_of_memory(struct builder *builder)
{
    config_problem_add(builder->problems, false, 0, 0, "", "there is not enough memory to read it");
    return false;
}

static bool is_anchored(const yaml_event_t *event)
{
    return (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
}

static bool is_tagged(const yaml_event_t *event)
{
    return (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag);
}

static const char no_aliases[] =
    "aliases are not supported: write the value again (a text that begins with \"*\" needs quotes)";

static bool take_key(struct builder *builder, const yaml_event_t *event)
{
    const yaml_mark_t *mark = &event->start_mark;
    if (event->type != YAML_SCALAR_EVENT)
        return give_up(builder, mark,
                       event->type == YAML_ALIAS_EVENT
                           ? no_aliases
                           : "a key must be text; a value that begins with { or [ needs quotes");
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (len == 0 || memchr(text, '\0', len))
        return give_up(builder, mark,
                       len == 0 ? "a key is missing before the \":\"" : "a key has a zero byte");
    if (is_anchored(event) || is_tagged(event))
        return give_up(builder, mark, "anchors and tags are not supported");
    builder->key = arena_copy(builder->arena, text, len);
    builder->key_line = position(mark->line);
    builder->key_column = position(mark->column);
    return builder->key ? true : out_of_memory(builder);
}

static struct config_node *add_node(struct builder *builder, const yaml_event_t *event, enum node_kind kind)
{
    const yaml_mark_t *mark = &event->start_mark;
    if (++builder->nodes > CONFIG_MAX_NODES) {
        config_problem_add(builder->problems, false, position(mark->line), position(mark->column), "",
                           "there are more than %d values in the file", CONFIG_MAX_NODES);
        return NULL;
    }
    struct config_node *node = arena_alloc(builder->arena, 1, sizeof *node);
    if (!node) {
        out_of_memory(builder);
        return NULL;
    }
    struct config_node *parent = builder->parent;
    *node = (struct config_node){.kind = kind, .parent = parent, .key = builder->key};
    if (node->key) {
        node->line = builder->key_line;
        node->column = builder->key_column;
        builder->key = NULL;
    } else if (parent) {
        node->line = position(mark->line);
        node->column = position(mark->column);
    }
    if (!parent)
        builder->root = node;
    else {
        node->index = parent->count++;
        if (parent->last)
            parent->last->next = node;
        else
            parent->first = node;
        parent->last = node;
    }
    if (is_anchored(event))
        node_error(node, builder->problems, "anchors are not supported: remove the \"&\" and its name");
    else if (is_tagged(event))
        node_error(node, builder->problems, "tags are not supported: remove the \"!\" and its name");
    return node;
}

static bool add_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct config_node *node = add_node(builder, event, NODE_SCALAR);
    if (!node)
        return false;
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_copy(builder->arena, "", 0); /* until all has gone well */
    if (!node->text)
        return out_of_memory(builder);
    if (memchr(text, '\0', len)) {
        node_error(node, builder->problems, "a zero byte is not allowed in a value");
        return true;
    }
    char why[256];
    char *expanded = expand_text(builder->arena, text, len, &builder->budget, &node->len, &node->replaced,
                                 why, sizeof why);
    if (expanded)
        node->text = expanded;
    else if (*why)
        node_error(node, builder->problems, "%s", why);
    else
        return out_of_memory(builder);
    return true;
}

static bool open_branch(struct builder *builder, const yaml_event_t *event, enum node_kind kind)
{
    const yaml_mark_t *mark = &event->start_mark;
    if (builder->depth == CONFIG_MAX_DEPTH) {
        config_problem_add(builder->problems, false, position(mark->line), position(mark->column), "",
                           "this is nested too deeply: %d levels are allowed", CONFIG_MAX_DEPTH);
        return false;
    }
    struct config_node *node = add_node(builder, event, kind);
    builder->parent = node ? node : builder->parent;
    builder->depth++;
    return node;
}

static bool check_duplicates(struct builder *builder, struct config_node *map)
{
    if (map->count < 2)
        return true;
    struct config_node **members = node_sorted(map);
    if (!members)
        return out_of_memory(builder);
    for (size_t i = 1; i < map->count; i++)
        if (strcmp(members[i - 1]->key, members[i]->key) == 0)
            node_error(members[i], builder->problems, "is there twice, in line %u too", members[i - 1]->line);
    free(members);
    return true;
}

static bool close_branch(struct builder *builder)
{
    struct config_node *node = builder->parent;
    if (!node)
        return true;
    builder->parent = node->parent;
    builder->depth--;
    return node->kind == NODE_LIST || check_duplicates(builder, node);
}

static bool take_event(struct builder *builder, const yaml_event_t *event)
{
    bool is_end = event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
    if (builder->parent && builder->parent->kind == NODE_MAP && !builder->key && !is_end)
        return take_key(builder, event);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++builder->documents > 1)
            return give_up(builder, &event->start_mark, "a second document begins here: only one is allowed");
        return true;
    case YAML_ALIAS_EVENT: {
        struct config_node *node = add_node(builder, event, NODE_SCALAR);
        if (!node || !(node->text = arena_copy(builder->arena, "", 0)))
            return false;
        node_error(node, builder->problems, "%s", no_aliases);
        return true;
    }
    case YAML_SCALAR_EVENT: return add_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT: return open_branch(builder, event, NODE_LIST);
    case YAML_MAPPING_START_EVENT: return open_branch(builder, event, NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return close_branch(builder);
    default: return true;
    }
}

/* What is most often behind libyaml's words. */
static const char *syntax_hint(const yaml_parser_t *parser, bool tab)
{
    const char *problem = parser->problem;
    if (parser->context && strcmp(parser->context, "while scanning an alias") == 0)
        return " (a text that begins with \"*\" needs quotes)";
    if (tab)
        return " (a tab can't indent: use spaces)";
    if (problem && strcmp(problem, "mapping values are not allowed in this context") == 0)
        return " (a line is indented wrongly, or a text with \": \" in it needs quotes)";
    if (problem && strcmp(problem, "did not find expected key") == 0)
        return " (keys of one mapping are indented alike)";
    return "";
}

/* libyaml's own words, which quote nothing of the file. */
static void tell_syntax_error(struct builder *builder, const char *text, size_t len)
{
    const yaml_parser_t *parser = &builder->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        out_of_memory(builder);
        return;
    }
    const yaml_mark_t *mark = &parser->problem_mark;
    /* Marks count characters; up to the first one that is not ASCII these are bytes. */
    size_t at = 0;
    uint32_t character;
    for (size_t i = 0; i < mark->index && at < len; i++)
        at += text_decode(text + at, len - at, &character);
    bool tab = at < len && text[at] == '\t';
    bool context = parser->context && parser->context_mark.line != mark->line;
    char began[64] = "";
    if (context)
        snprintf(began, sizeof began, " that begins in line %u", position(parser->context_mark.line));
    config_problem_add(builder->problems, false, position(mark->line), position(mark->column), "",
                       "this is not valid YAML: %s%s%s%s%s",
                       parser->problem ? parser->problem : "no reason given", context ? " " : "",
                       context ? parser->context : "", began, syntax_hint(parser, tab));
}

/* The parser's buffers have held the file's secrets. */
static void delete_parser(yaml_parser_t *parser)
{
    OPENSSL_cleanse(parser->raw_buffer.start, (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    OPENSSL_cleanse(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    yaml_parser_delete(parser);
}

static void delete_event(yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT)
        OPENSSL_cleanse(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
}

static bool read_events(struct builder *builder, const char *text, size_t len)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event)) {
            tell_syntax_error(builder, text, len);
            return false;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        bool ok = take_event(builder, &event);
        delete_event(&event);
        if (!ok)
            return false;
    }
    return true;
}

struct config_node *tree_parse(struct config_arena *arena, const char *text, size_t len,
                               struct config_problems *problems)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        text += 3;
        len -= 3;
    }
    unsigned line, column;
    const char *why;
    if (!text_check(text, len, &line, &column, &why)) {
        config_problem_add(problems, false, line, column, "", "%s", why);
        return NULL;
    }
    struct builder builder = {.arena = arena, .problems = problems, .budget = 2 * CONFIG_MAX_FILE};
    if (!yaml_parser_initialize(&builder.parser)) {
        out_of_memory(&builder);
        return NULL;
    }
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
    bool ok = read_events(&builder, text, len);
    delete_parser(&builder.parser);
    if (ok && (!builder.root || node_is_null(builder.root))) {
        config_problem_add(problems, false, 0, 0, "", "there is nothing in it");
        return NULL;
    }
    return ok ? builder.root : NULL;
}
