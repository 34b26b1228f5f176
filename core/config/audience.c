/* config/audience.c: the rules on what the operator gives to sandboxes and users (`secrets`, `llms`), and for whom each
 * entry is. */
#include "config/keys.h"

#include <string.h>

bool config_is_for_user(const char *const *users, size_t users_len, const char *user)
{
    for (size_t i = 0; i < users_len; i++)
        if (user && strcmp(users[i], user) == 0)
            return true;
    return users_len == 0;
}

static struct config_node *find(struct config_node *map, const char *key)
{
    return map && map->kind == NODE_MAP ? node_find(map, key) : NULL;
}

static bool is_given(struct config_node *map, const char *key)
{
    const struct config_node *node = find(map, key);
    return node && !node_is_null(node);
}

/* An empty list is what is left when the last name was taken out: everybody is not what was meant. */
static void check_not_empty(struct config_reader *reader, struct config_node *entry, const char *key)
{
    struct config_node *list = find(entry, key);
    if (list && list->kind == NODE_LIST && list->count == 0 && !list->refused)
        node_error(list, reader->problems,
                   "must not be empty: leave the key out for all, or remove the whole entry");
}

void check_secret(struct config_reader *reader, struct config_node *node, void *target)
{
    const struct config_secret *secret = target;
    bool value = is_given(node, "value"), file = is_given(node, "value_file");
    if (!value && !file)
        node_error(node, reader->problems, "needs one of value and value_file");
    else if (value && file)
        node_error(node, reader->problems, "must have only one of value and value_file");
    else if (secret->value && !*secret->value && !find(node, value ? "value" : "value_file")->refused)
        node_error(find(node, value ? "value" : "value_file"), reader->problems, "must not be empty");
    check_not_empty(reader, node, "users");
    check_not_empty(reader, node, "specs");
}

void check_llm(struct config_reader *reader, struct config_node *node, void *target)
{
    (void)target;
    if (is_given(node, "api_key") && is_given(node, "api_key_file"))
        node_error(node, reader->problems, "must have only one of api_key and api_key_file");
    check_not_empty(reader, node, "users");
}

/* A user without a key is no error: a key may be taken away for a while. */
static void check_users(struct config_reader *reader, struct config_node *entry, const struct config *config,
                        const char *const *users, size_t count)
{
    struct config_node *list = find(entry, "users");
    if (count == 0 || !list || list->refused)
        return;
    if (config->keys_len == 0) {
        node_error(list, reader->problems, "without auth.keys there are no users: leave it out");
        return;
    }
    struct config_node *node = list->first;
    for (size_t i = 0; i < count; i++, node = node->next) {
        bool known = !users[i];
        for (size_t k = 0; k < config->keys_len && !known; k++)
            known = config->keys[k].user && strcmp(config->keys[k].user, users[i]) == 0;
        char path[NODE_PATH_SIZE];
        node_path(node, path, sizeof path);
        if (!known && !node->refused)
            config_problem_add(reader->problems, true, node->line, node->column, path,
                               "no key of auth.keys is of the user '%.128s'", users[i]);
    }
}

static struct config_node *first_of(struct config_node *root, const char *key)
{
    struct config_node *list = find(root, key);
    return list && list->kind == NODE_LIST ? list->first : NULL;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* One that comes behind another of its name which is for everybody is for nobody. */
static void check_names(struct config_reader *reader, struct config_node *list, struct config_node *node,
                        const struct config_secret *secrets)
{
    const struct config_node *before = list;
    for (size_t i = 0; before != node && secrets[node->index].name; i++, before = before->next)
        if (is_same(secrets[i].name, secrets[node->index].name) && secrets[i].users_len == 0 &&
            secrets[i].specs_len == 0 && !node_has_refused(before)) {
            node_error(find(node, "name"), reader->problems,
                       "is the same as that of secrets[%zu], which is for all sandboxes: of several the "
                       "first counts",
                       i);
            return;
        }
}

/* The same of models: of several under one profile, or under none, a user has the first. */
static void check_profiles(struct config_reader *reader, struct config_node *list, struct config_node *node,
                           const struct config_llm *llms)
{
    const struct config_node *before = list;
    struct config_node *profile = find(node, "profile");
    if (profile && profile->refused)
        return;
    for (size_t i = 0; before != node; i++, before = before->next)
        if (is_same(llms[i].profile, llms[node->index].profile) && llms[i].users_len == 0 &&
            !node_has_refused(before)) {
            if (llms[i].profile)
                node_error(profile, reader->problems,
                           "is the same as that of llms[%zu], which is for all users: of several the first "
                           "counts",
                           i);
            else
                node_error(node, reader->problems,
                           "has no profile, like llms[%zu], which is for all users: of several the first "
                           "counts",
                           i);
            return;
        }
}

void check_audiences(struct config_reader *reader, struct config_node *root, const struct config *config)
{
    struct config_node *list = first_of(root, "secrets"), *node = list;
    for (size_t i = 0; i < config->secrets_len && node; i++, node = node->next) {
        const struct config_secret *secret = &config->secrets[i];
        check_users(reader, node, config, secret->users, secret->users_len);
        check_names(reader, list, node, config->secrets);
    }
    node = list = first_of(root, "llms");
    for (size_t i = 0; i < config->llms_len && node; i++, node = node->next) {
        check_users(reader, node, config, config->llms[i].users, config->llms[i].users_len);
        check_profiles(reader, list, node, config->llms);
    }
}
