/* config/check.c: the rules between keys, once each of them is right for itself; and what follows from several
 * (the default backend, the digest). Values that were refused are missing here: that was told already. */
#include "config/json.h"
#include "config/keys.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <string.h>

static struct config_node *find(struct config_node *map, const char *key)
{
    return map && map->kind == NODE_MAP ? node_find(map, key) : NULL;
}

static struct config_node *find_element(struct config_node *list, size_t index)
{
    if (!list || list->kind == NODE_SCALAR)
        return list;
    struct config_node *child = list->first;
    while (child && index-- > 0)
        child = child->next;
    return child;
}

void check_server(struct config_reader *reader, struct config_node *node, void *target)
{
    struct config *config = target;
    (void)reader;
    if (!config->public_url)
        return;
    /* Paths are put behind it. */
    struct config_node *url = find(node, "public_url");
    while (url->len > 0 && url->text[url->len - 1] == '/')
        url->text[--url->len] = '\0';
}

void check_auth_key(struct config_reader *reader, struct config_node *node, void *target)
{
    (void)target;
    static const char *const forms[] = {"key", "key_file", "sha256"};
    unsigned given = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct config_node *form = find(node, forms[i]);
        given += form && !node_is_null(form);
    }
    if (given == 0)
        node_error(node, reader->problems, "needs one of key, key_file and sha256");
    else if (given > 1)
        node_error(node, reader->problems, "must have only one of key, key_file and sha256");
}

void check_backend(struct config_reader *reader, struct config_node *node, void *target)
{
    struct config_backend *backend = target;
    const char *wrong = accept_backend_name(node->key);
    if (wrong && !node->refused)
        node_error(node, reader->problems, "%s", wrong);
    backend->name = node->key;
    backend->line = node->line;
    backend->column = node->column;
    backend->options = find(node, "options");
    if (backend->options && node_has_refused(backend->options)) {
        backend->options_json = NULL;
    } else if (!backend->options_json) {
        backend->options_json = "{}";
        backend->options_len = 2;
    }
    if (backend->health_check_body && backend->health_path_given && !backend->health_check_path)
        node_error(find(node, "health_check_body"), reader->problems,
                   "is never looked at, since health_check_path is null: leave one of the two out");
    json_digest(node, backend->digest);
}

void check_spec(struct config_reader *reader, struct config_node *node, void *target)
{
    struct config_spec *spec = target;
    struct config_node *command = find(node, "command");
    if (spec->command && spec->command_len == 0)
        node_error(command, reader->problems,
                   "must have at least one element; leave it out for the backend's own");
    else if (spec->command && spec->command[0] && !*spec->command[0])
        node_error(command->first, reader->problems, "must be a program, and not be empty");
    if (spec->entrypoint_len > 0 && spec->entrypoint[0] && !*spec->entrypoint[0])
        node_error(find(node, "entrypoint")->first, reader->problems,
                   "must be a program, and not be empty; [] is for no entry point");
    json_write_spec(reader, spec);
}

static bool is_loopback(const struct config_address *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (address->kind == ADDRESS_UNIX)
        return true;
    if (inet_pton(AF_INET, address->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address->host, &six) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

/* Without keys everybody who can connect may start programs here. */
static void check_exposure(struct config_reader *reader, struct config_node *root,
                           const struct config *config)
{
    struct config_node *keys = find(find(root, "auth"), "keys"),
                       *listen = find(find(root, "server"), "listen");
    if (keys && !node_is_null(keys) && (keys->count > 0 || keys->refused))
        return;
    for (size_t i = 0; i < config->listen_len; i++) {
        struct config_node *node = find_element(listen, i);
        if (node && !node->refused && config->listen[i].text && !is_loopback(&config->listen[i]))
            node_error(
                node, reader->problems,
                "without auth.keys only 127.0.0.1, [::1] and unix: addresses may be listened on, since "
                "everybody who can connect could start programs: give auth.keys, or listen on "
                "127.0.0.1:%u",
                config->listen[i].port);
    }
}

static void check_same_keys(struct config_reader *reader, struct config_node *root,
                            const struct config *config)
{
    static const uint8_t none[sizeof config->keys->sha256];
    struct config_node *node = find_element(find(find(root, "auth"), "keys"), 0);
    for (size_t i = 0; i < config->keys_len; i++, node = node->next)
        for (size_t j = 0; j < i; j++)
            if (CRYPTO_memcmp(config->keys[i].sha256, none, sizeof none) != 0 &&
                CRYPTO_memcmp(config->keys[i].sha256, config->keys[j].sha256, sizeof none) == 0) {
                node_error(node, reader->problems,
                           "is the same key as auth.keys[%zu]: each must be there once", j);
                break;
            }
}

/* By the file: one whose section was refused is there too. */
static bool has_backend(struct config_node *root, const char *name)
{
    return find(find(root, "backends"), name) != NULL;
}

static void refuse_backend(struct config_reader *reader, struct config_node *node,
                           const struct config *config)
{
    const char *close =
        suggest(node->text, &config->backends->name, config->backends_len, sizeof *config->backends);
    static const struct key shown = {0};
    char must[128] = "must be the name of one of backends";
    if (close)
        snprintf(must, sizeof must, "must be the name of one of backends, perhaps %s", close);
    reader_refuse(reader, &shown, node, must);
}

static void check_default_backend(struct config_reader *reader, struct config_node *root,
                                  struct config *config)
{
    struct config_node *node = find(root, "default_backend");
    if (config->default_backend) {
        if (!has_backend(root, config->default_backend))
            refuse_backend(reader, node, config);
    } else if (node && node->refused)
        return;
    else if (config->backends_len == 1)
        config->default_backend = config->backends[0].name;
    else {
        const struct config_node *backends = find(root, "backends");
        for (const struct config_node *child = backends->first; child; child = child->next)
            if (child->refused) /* without it there may be one left */
                return;
        config_problem_add(reader->problems, false, backends->line, backends->column, "default_backend",
                           "is missing: where there are several backends, it names one of them");
    }
}

static void check_specs(struct config_reader *reader, struct config_node *root, struct config *config)
{
    struct config_spec *specs = (struct config_spec *)config->specs;
    struct config_node *node = find_element(find(root, "specs"), 0);
    for (size_t i = 0; i < config->specs_len; i++, node = node->next) {
        if (!specs[i].backend)
            specs[i].backend = config->default_backend;
        else if (!has_backend(root, specs[i].backend))
            refuse_backend(reader, find(node, "backend"), config);
        for (size_t j = 0; specs[i].id && j < i; j++)
            if (specs[j].id && strcmp(specs[i].id, specs[j].id) == 0) {
                node_error(find(node, "id"), reader->problems, "is the same as that of specs[%zu]", j);
                break;
            }
    }
}

static void check_runtime_api(struct config_reader *reader, struct config_node *root, struct config *config)
{
    struct config_node *section = find(root, "runtime_api");
    if (!config->runtime_api_backend)
        config->runtime_api_backend = config->default_backend;
    else if (!has_backend(root, config->runtime_api_backend))
        refuse_backend(reader, find(section, "backend"), config);
    if (config->runtime_api_push && !config->runtime_api_builds)
        node_error(find(section, "push"), reader->problems,
                   "needs runtime_api.builds: true, since it is about images that are built here");
    struct config_node *node = find_element(find(section, "own_commands"), 0);
    for (size_t i = 0; i < config->own_commands_len; i++, node = node->next)
        if (config->own_commands[i] && !has_backend(root, config->own_commands[i]))
            refuse_backend(reader, node, config);
    if (!config->runtime_api_enabled && section && section->count > 0 && !node_has_refused(section))
        config_problem_add(reader->problems, true, section->line, section->column, "runtime_api",
                           "nothing of it is served without enabled: true");
}

/* A URL names its place among the events that were stored. */
static void check_callbacks(struct config_reader *reader, struct config_node *root,
                            const struct config *config)
{
    struct config_node *node = find_element(find(find(root, "events"), "callbacks"), 0);
    for (size_t i = 0; i < config->callbacks_len; i++, node = node->next)
        for (size_t j = 0; config->callbacks[i].url && j < i; j++)
            if (config->callbacks[j].url && strcmp(config->callbacks[i].url, config->callbacks[j].url) == 0) {
                node_error(find(node, "url"), reader->problems,
                           "is the same as that of events.callbacks[%zu]", j);
                break;
            }
}

void check_config(struct config_reader *reader, struct config_node *root, void *target)
{
    struct config *config = target;
    check_exposure(reader, root, config);
    check_same_keys(reader, root, config);
    struct config_node *backends = find(root, "backends");
    if (config->backends_len > 0) {
        check_default_backend(reader, root, config);
        check_specs(reader, root, config);
        check_runtime_api(reader, root, config);
    } else if (backends && backends->kind == NODE_MAP && !backends->refused)
        node_error(backends, reader->problems, "must have at least one backend");
    check_callbacks(reader, root, config);
    check_audiences(reader, root, config);
    json_write_listen(reader, config);
}
