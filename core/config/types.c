/* config/types.c: the types of single values and of lists of texts: what is checked, and how it is stored. */
#include "config/keys.h"

#include "config/scalar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void key_store_number(const struct key *key, void *target, uint64_t value)
{
    char *at = (char *)target + key->offset;
    uint32_t narrow = (uint32_t)value;
    bool flag = value != 0;
    if (key->size == sizeof flag)
        memcpy(at, &flag, sizeof flag);
    else if (key->size == sizeof narrow)
        memcpy(at, &narrow, sizeof narrow);
    else
        memcpy(at, &value, sizeof value);
    if (key->given)
        *((bool *)target + key->given) = true;
}

void key_store_pointer(const struct key *key, void *target, const void *value)
{
    memcpy((char *)target + key->offset, &value, sizeof value);
    if (key->given)
        *((bool *)target + key->given) = true;
}

void key_store_length(const struct key *key, void *target, size_t length)
{
    memcpy((char *)target + key->length, &length, sizeof length);
}

/* Cut to what a message can bear, between two characters. */
static void quote(const struct config_node *node, char *out, size_t size)
{
    enum { SHOWN = 40 };
    size_t len = node->len;
    bool cut = len > SHOWN;
    if (cut)
        for (len = SHOWN; len > 0 && (node->text[len] & 0xc0) == 0x80;)
            len--;
    const char *mark = node->plain ? "" : "\"";
    snprintf(out, size, "%s%.*s%s%s", mark, (int)len, node->text, cut ? "…" : "", mark);
}

void reader_refuse(struct config_reader *reader, const struct key *key, struct config_node *node,
                   const char *must)
{
    char got[64];
    if (node->refused)
        return;
    if (node->kind != NODE_SCALAR || node_is_null(node))
        node_error(node, reader->problems, "%s, got %s", must, node_kind_text(node));
    else if (node->replaced || (key->flags & KEY_SECRET) || strchr(node->text, '@')) /* or user:password@ */
        node_error(node, reader->problems, "%s (the value is not shown)", must);
    else {
        quote(node, got, sizeof got);
        node_error(node, reader->problems, "%s, got %s", must, got);
    }
}

/* Numbers of all sorts ---------------------------------------------------------------------------- */

static void refuse_bound(struct config_reader *reader, const struct key *key, struct config_node *node,
                         const char *which, uint64_t bound)
{
    char must[64], text[SCALAR_TEXT_SIZE];
    key->type->print(bound, text);
    snprintf(must, sizeof must, "must be at %s %s", which, text);
    reader_refuse(reader, key, node, must);
}

static void read_number(struct config_reader *reader, const struct key *key, struct config_node *node,
                        void *target)
{
    uint64_t value;
    bool scalar = node->kind == NODE_SCALAR;
    /* "1024" is text, as any YAML tool would say; what came through ${NAME} can't be written otherwise
     * between braces. */
    bool quoted = !node->plain && !node->replaced && key->type == &type_integer;
    if (scalar && !quoted && key->type->parse(node->text, &value)) {
        if (value < key->min)
            refuse_bound(reader, key, node, "least", key->min);
        else if (value > key->max)
            refuse_bound(reader, key, node, "most", key->max);
        else
            key_store_number(key, target, value);
    } else if (scalar && !quoted && *node->text == '-' && scalar_sort(node->text) == SCALAR_INTEGER)
        refuse_bound(reader, key, node, "least", key->min);
    else
        reader_refuse(reader, key, node, key->type->must);
}

static void print_count(uint64_t value, char *out)
{
    snprintf(out, SCALAR_TEXT_SIZE, "%" PRIu64, value);
}

const struct key_type type_integer = {"whole number", "must be a whole number", read_number, scalar_count,
                                      print_count};
const struct key_type type_duration = {"duration", "must be a duration such as 500ms, 5s, 2m, 1h or 7d",
                                       read_number, scalar_duration, scalar_print_duration};
const struct key_type type_size = {"size", "must be a size such as 4096, 64KiB, 1MiB or 1GiB", read_number,
                                   scalar_size, scalar_print_size};

static void read_boolean(struct config_reader *reader, const struct key *key, struct config_node *node,
                         void *target)
{
    enum scalar_sort sort = SCALAR_TEXT;
    if (node->kind == NODE_SCALAR && (node->plain || node->replaced))
        sort = scalar_sort(node->text);
    if (sort == SCALAR_TRUE || sort == SCALAR_FALSE)
        key_store_number(key, target, sort == SCALAR_TRUE);
    else
        reader_refuse(reader, key, node, key->type->must);
}

const struct key_type type_boolean = {
    .name = "boolean", .must = "must be true or false", .read = read_boolean};

static void read_choice(struct config_reader *reader, const struct key *key, struct config_node *node,
                        void *target)
{
    char must[128] = "must be ";
    for (size_t i = 0; key->choices[i]; i++) {
        if (node->kind == NODE_SCALAR && strcmp(node->text, key->choices[i]) == 0) {
            key_store_number(key, target, i);
            return;
        }
        size_t used = strlen(must);
        snprintf(must + used, sizeof must - used, "%s%s",
                 i == 0                ? ""
                 : key->choices[i + 1] ? ", "
                                       : " or ",
                 key->choices[i]);
    }
    reader_refuse(reader, key, node, must);
}

const struct key_type type_choice = {.name = "one of", .read = read_choice};

/* Texts ------------------------------------------------------------------------------------------- */

static bool has_control(const struct key *key, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        bool space = *s == '\t' || *s == '\n' || *s == '\r';
        if ((*s < 0x20 && !(space && (key->flags & KEY_LINES))) || *s == 0x7f)
            return true;
    }
    return false;
}

const char *key_text(struct config_reader *reader, const struct key *key, struct config_node *node)
{
    if (node->refused)
        return NULL;
    const char *wrong = NULL;
    if (node->kind != NODE_SCALAR) {
        wrong = "must be text (one that has \"{\" or \"[\" in it needs quotes)";
        reader_refuse(reader, key, node, wrong);
        return NULL;
    }
    if (node_is_null(node))
        wrong = "must be text (an empty one is \"\")";
    else if (node->len == 0 && !(key->flags & KEY_LINES))
        wrong = "must not be empty";
    if (wrong) {
        node_error(node, reader->problems, "%s", wrong);
        return NULL;
    }
    if (node->len > key->max) {
        node_error(node, reader->problems, "must be at most %" PRIu64 " bytes long, got %zu", key->max,
                   node->len);
        return NULL;
    }
    if (has_control(key, node->text)) {
        node_error(node, reader->problems, "must not have control characters in it");
        return NULL;
    }
    wrong = key->accept ? key->accept(node->text) : NULL;
    if (wrong)
        reader_refuse(reader, key, node, wrong);
    return wrong ? NULL : node->text;
}

static void read_text(struct config_reader *reader, const struct key *key, struct config_node *node,
                      void *target)
{
    if ((key->flags & KEY_NULL) && node_is_null(node)) {
        key_store_pointer(key, target, NULL);
        return;
    }
    const char *text = key_text(reader, key, node);
    if (text)
        key_store_pointer(key, target, text);
}

const struct key_type type_text = {.name = "text", .must = "must be text", .read = read_text};

bool key_is_branch(struct config_reader *reader, const struct key *key, struct config_node *node,
                   enum node_kind kind)
{
    if (node->kind != kind) {
        reader_refuse(reader, key, node, key->type->must);
        return false;
    }
    if (node->count > key->most) {
        node_error(node, reader->problems, "must have at most %zu elements, got %zu", key->most, node->count);
        return false;
    }
    return true;
}

static void read_texts(struct config_reader *reader, const struct key *key, struct config_node *node,
                       void *target)
{
    if (!key_is_branch(reader, key, node, NODE_LIST))
        return;
    const char **texts = arena_alloc(reader->arena, node->count + 1, sizeof(const char *));
    if (!texts)
        return;
    for (struct config_node *child = node->first; child; child = child->next)
        texts[child->index] = key_text(reader, key, child);
    key_store_pointer(key, target, texts);
    key_store_length(key, target, node->count);
}

const struct key_type type_texts = {
    .name = "list of texts", .must = "must be a list of texts", .read = read_texts};

/* Without its name: in TOKEN=abc that is more than a name. */
static void refuse_name(struct config_reader *reader, struct config_node *node)
{
    char path[NODE_PATH_SIZE];
    if (node->refused)
        return;
    node_path(node->parent, path, sizeof path);
    config_problem_add(reader->problems, false, node->line, node->column, path, "%s",
                       accept_variable(node->key));
    node->refused = true;
}

static void read_pairs(struct config_reader *reader, const struct key *key, struct config_node *node,
                       void *target)
{
    if (!key_is_branch(reader, key, node, NODE_MAP) || node->count == 0)
        return;
    struct config_pair *pairs = arena_alloc(reader->arena, node->count, sizeof *pairs);
    if (!pairs)
        return;
    for (struct config_node *child = node->first; child; child = child->next) {
        if (accept_variable(child->key))
            refuse_name(reader, child);
        pairs[child->index] = (struct config_pair){.name = child->key, .value = key_text(reader, key, child)};
    }
    key_store_pointer(key, target, pairs);
    key_store_length(key, target, node->count);
}

const struct key_type type_pairs = {
    .name = "mapping of texts", .must = "must be a mapping of names to texts", .read = read_pairs};
