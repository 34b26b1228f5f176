/* config/json.c: see json.h. The one place that turns YAML into JSON: by the core schema of YAML 1.2, where
 * a quoted scalar is always a string. */
#include "config/json.h"

#include "config/scalar.h"

#include <json-c/json.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *from_number(struct config_reader *reader, struct config_node *node,
                                       enum scalar_sort sort)
{
    uint64_t magnitude;
    bool negative;
    if (sort == SCALAR_FLOAT) {
        double value = strtod(node->text, NULL);
        if (strpbrk(node->text, "nN") || !isfinite(value)) /* .inf, .nan and what is too large */
            node_error(node, reader->problems, "must be a finite number; quote it where text is meant");
        else
            return json_object_new_double(value);
    } else if (!scalar_integer(node->text, &magnitude, &negative))
        node_error(node, reader->problems,
                   "must be a number of at most 64 bits; quote it where text is meant");
    else if (negative)
        return json_object_new_int64((int64_t)(0 - magnitude));
    else
        return magnitude <= INT64_MAX ? json_object_new_int64((int64_t)magnitude)
                                      : json_object_new_uint64(magnitude);
    return NULL;
}

static struct json_object *from_scalar(struct config_reader *reader, struct config_node *node)
{
    enum scalar_sort sort = node->plain ? scalar_sort(node->text) : SCALAR_TEXT;
    switch (sort) {
    case SCALAR_NULL:
        if (!node->replaced) /* an empty variable is an empty text */
            return NULL;
        break;
    case SCALAR_TRUE: return json_object_new_boolean(true);
    case SCALAR_FALSE: return json_object_new_boolean(false);
    case SCALAR_INTEGER:
    case SCALAR_FLOAT: return from_number(reader, node, sort);
    default: break;
    }
    return json_object_new_string_len(node->text, (int)node->len);
}

/* NULL is JSON's null. Recurses as deep as CONFIG_MAX_DEPTH. */
static struct json_object *from_node(struct config_reader *reader, struct config_node *node)
{
    if (node->kind == NODE_SCALAR)
        return node->refused ? NULL : from_scalar(reader, node);
    bool list = node->kind == NODE_LIST;
    struct json_object *branch = list ? json_object_new_array() : json_object_new_object();
    for (struct config_node *child = node->first; child; child = child->next) {
        struct json_object *value = from_node(reader, child);
        if (list)
            json_object_array_add(branch, value);
        else
            json_object_object_add(branch, child->key, value);
    }
    return branch;
}

/* The text of `owned` in the arena; frees it. */
static const char *write_json(struct config_reader *reader, struct json_object *owned, size_t *len)
{
    const char *text = json_object_to_json_string_length(
        owned, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, len);
    const char *copy = text ? arena_copy(reader->arena, text, *len) : NULL;
    json_object_put(owned);
    return copy;
}

static void read_options(struct config_reader *reader, const struct key *key, struct config_node *node,
                         void *target)
{
    if (node->kind != NODE_MAP) {
        reader_refuse(reader, key, node, key->type->must);
        return;
    }
    size_t len = 0;
    const char *text = write_json(reader, from_node(reader, node), &len);
    if (text) {
        key_store_pointer(key, target, text);
        key_store_length(key, target, len);
    }
}

const struct key_type type_options = {
    .name = "mapping", .must = "must be a mapping of options", .read = read_options};

static bool is_fit_scalar(struct config_reader *reader, const struct key *key, struct config_node *node)
{
    if (node->kind != NODE_SCALAR)
        node_error(node, reader->problems, "must be text, a number, true, false or null, got %s",
                   node_kind_text(node));
    else if (node->len > key->max)
        node_error(node, reader->problems, "must be at most %llu bytes long, got %zu",
                   (unsigned long long)key->max, node->len);
    else
        return true;
    return false;
}

/* Stored as JSON text; NULL where there is no member. */
static void read_scalars(struct config_reader *reader, const struct key *key, struct config_node *node,
                         void *target)
{
    bool fit = true;
    size_t len = 0;
    if (node_is_null(node)) {
        key_store_pointer(key, target, NULL);
        return;
    }
    if (!key_is_branch(reader, key, node, NODE_MAP))
        return;
    for (struct config_node *child = node->first; child; child = child->next)
        fit = is_fit_scalar(reader, key, child) && fit;
    if (fit)
        key_store_pointer(key, target,
                          node->count > 0 ? write_json(reader, from_node(reader, node), &len) : NULL);
}

const struct key_type type_scalars = {.name = "mapping of names to text, numbers, booleans or null",
                                      .must = "must be a mapping such as {status: ok}, or null",
                                      .read = read_scalars};

static struct json_object *text_or_null(const char *text)
{
    return text ? json_object_new_string(text) : NULL;
}

static struct json_object *text_list(const char *const *texts, size_t len)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < len; i++)
        json_object_array_add(list, text_or_null(texts[i]));
    return list;
}

static struct json_object *build_object(const struct config_spec *spec)
{
    struct json_object *build = json_object_new_object();
    json_object_object_add(build, "base_image", text_or_null(spec->base_image));
    json_object_object_add(build, "extra_deps", text_or_null(spec->extra_deps));
    json_object_object_add(build, "enable_browser", json_object_new_boolean(spec->enable_browser));
    json_object_object_add(build, "force_rebuild", json_object_new_boolean(spec->force_rebuild));
    return build;
}

void json_write_spec(struct config_reader *reader, struct config_spec *spec)
{
    struct json_object *object = json_object_new_object(), *env = json_object_new_object();
    for (size_t i = 0; i < spec->initial_env_len; i++)
        json_object_object_add(env, spec->initial_env[i].name, text_or_null(spec->initial_env[i].value));
    json_object_object_add(object, "id", text_or_null(spec->id));
    json_object_object_add(object, "command",
                           spec->command ? text_list(spec->command, spec->command_len) : NULL);
    if (spec->entrypoint)
        json_object_object_add(object, "entrypoint", text_list(spec->entrypoint, spec->entrypoint_len));
    if (spec->base_image)
        json_object_object_add(object, "build", build_object(spec));
    json_object_object_add(object, "initial_env", env);
    json_object_object_add(object, "working_dir", text_or_null(spec->working_dir));
    spec->json = write_json(reader, object, &spec->json_len);
}

void json_write_listen(struct config_reader *reader, struct config *config)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < config->listen_len; i++) {
        const struct config_address *address = &config->listen[i];
        char url[300];
        if (!address->text || address->kind != ADDRESS_TCP || address->port == 0)
            continue;
        bool six = strchr(address->host, ':') != NULL;
        snprintf(url, sizeof url, "%s://%s%.255s%s:%u", config->tls_cert ? "https" : "http", six ? "[" : "",
                 address->host, six ? "]" : "", (unsigned)address->port);
        json_object_array_add(list, json_object_new_string(url));
    }
    size_t len;
    config->listen_urls = write_json(reader, list, &len);
}

static void add(EVP_MD_CTX *context, char sort, const char *bytes, size_t len)
{
    uint64_t size = len;
    if (!EVP_DigestUpdate(context, &sort, 1) || !EVP_DigestUpdate(context, &size, sizeof size) ||
        !EVP_DigestUpdate(context, bytes, bytes ? len : 0))
        abort();
}

static void add_node(EVP_MD_CTX *context, const struct config_node *node)
{
    if (node->kind == NODE_SCALAR) {
        add(context, node->plain ? 'p' : 'q', node->text, node->len);
        return;
    }
    add(context, node->kind == NODE_LIST ? 'l' : 'm', NULL, node->count);
    struct config_node **sorted = node->kind == NODE_MAP ? node_sorted(node) : NULL;
    const struct config_node *child = node->first;
    for (size_t i = 0; i < node->count; i++, child = child->next) {
        const struct config_node *member = sorted ? sorted[i] : child;
        if (node->kind == NODE_MAP)
            add(context, 'k', member->key, strlen(member->key));
        add_node(context, member);
    }
    free(sorted);
}

void json_digest(const struct config_node *node, uint8_t *sha256)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        abort();
    add_node(context, node);
    if (!EVP_DigestFinal_ex(context, sha256, NULL))
        abort();
    EVP_MD_CTX_free(context);
}
