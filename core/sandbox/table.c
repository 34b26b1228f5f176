/* sandbox/table.c: see table.h. */
#include "sandbox/table.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sandbox_status_name(enum sandbox_status status)
{
    static const char *const names[SANDBOX_STATUSES] = {"STARTING", "RUNNING",  "PAUSED",
                                                        "ERROR",    "DELETING", "MISSING"};
    return names[status];
}

const char *sandbox_status_detail(const struct sandbox *sandbox)
{
    bool paused = sandbox->status == SANDBOX_PAUSED || sandbox->phase == PHASE_PAUSING;
    return !sandbox->detail && paused ? sandbox->pause_reason : sandbox->detail;
}

/* ---- the order ---- */

/* A place in the order: that of a sandbox, or between two. */
struct place {
    int64_t sequence;
    int64_t created_at_us;
    const char *id;
};

static int compare(const struct place *place, const struct sandbox *sandbox)
{
    if (place->sequence != sandbox->sequence)
        return place->sequence < sandbox->sequence ? -1 : 1;
    if (place->created_at_us != sandbox->created_at_us)
        return place->created_at_us < sandbox->created_at_us ? -1 : 1;
    return strcmp(place->id, sandbox->id);
}

/* The index of the first sandbox that is not older than `place`. */
static size_t order_find(const struct sandbox_order *order, const struct place *place)
{
    size_t low = 0, high = order->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(place, order->items[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct place place_of(const struct sandbox *sandbox)
{
    return (struct place){
        .sequence = sandbox->sequence, .created_at_us = sandbox->created_at_us, .id = sandbox->id};
}

/* New ones are the newest as a rule, so that hardly anything is moved. */
static void order_insert(struct sandbox_order *order, struct sandbox *sandbox)
{
    if (order->len == order->capacity) {
        size_t capacity = order->capacity ? order->capacity * 2 : 4;
        struct sandbox **items = realloc(order->items, capacity * sizeof *items);
        if (!items)
            abort();
        order->items = items;
        order->capacity = capacity;
    }
    struct place place = place_of(sandbox);
    size_t at = order_find(order, &place);
    memmove(order->items + at + 1, order->items + at, (order->len - at) * sizeof *order->items);
    order->items[at] = sandbox;
    order->len++;
}

static void order_remove(struct sandbox_order *order, struct sandbox *sandbox)
{
    struct place place = place_of(sandbox);
    size_t at = order_find(order, &place);
    if (at == order->len || order->items[at] != sandbox)
        abort(); /* sequence, created_at_us or id changed while it was in the order */
    order->len--;
    memmove(order->items + at, order->items + at + 1, (order->len - at) * sizeof *order->items);
}

/* Looks from the newest backwards. Everything above an adopted one that is old enough was seen to be too new already, so
 * its place is this one's too. */
int64_t table_sequence_of(const struct table *table, int64_t created_at_us)
{
    for (size_t i = table->order.len; i-- > 0;)
        if (table->order.items[i]->created_at_us <= created_at_us)
            return table->order.items[i]->sequence;
    return 0;
}

/* ---- owners ---- */

static struct owner *owner_create(const char *name)
{
    struct owner *owner = calloc(1, sizeof *owner);
    if (!owner || (name && !(owner->name = strdup(name))))
        abort();
    map_init(&owner->sessions);
    return owner;
}

static void owner_destroy(struct owner *owner)
{
    map_finish(&owner->sessions);
    free(owner->order.items);
    free(owner->name);
    free(owner);
}

static struct owner *owner_get(struct table *table, const char *name)
{
    if (!name || !*name) /* a backend's report may say "" */
        return table->nobody;
    struct owner *owner = map_get(&table->owners, name);
    if (!owner) {
        owner = owner_create(name);
        map_put(&table->owners, owner->name, owner);
    }
    return owner;
}

/* ---- the table ---- */

void table_init(struct table *table)
{
    *table = (struct table){0};
    map_init(&table->by_id);
    map_init(&table->by_key);
    map_init(&table->owners);
    table->nobody = owner_create(NULL);
}

static void sandbox_free(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->urls_len; i++) {
        free(sandbox->urls[i].name);
        free(sandbox->urls[i].url);
    }
    free(sandbox->urls);
    free(sandbox->agent_url);
    if (sandbox->failure)
        free(sandbox->failure->log_tail);
    free(sandbox->failure);
    free(sandbox->detail);
    free(sandbox->pause_reason);
    free(sandbox->json);
    free(sandbox->runtime_json);
    free(sandbox->session_key);
    free(sandbox->session_id);
    free(sandbox->own_spec);
    free(sandbox->spec_id);
    free(sandbox->id);
    free(sandbox);
}

void table_finish(struct table *table)
{
    struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = map_next(&table->by_id, &i));)
        sandbox_free(sandbox);
    struct owner *owner;
    for (size_t i = 0; (owner = map_next(&table->owners, &i));)
        owner_destroy(owner);
    owner_destroy(table->nobody);
    map_finish(&table->by_id);
    map_finish(&table->by_key);
    map_finish(&table->owners);
    free(table->order.items);
}

struct sandbox *table_add(struct table *table, const char *id, const char *owner)
{
    struct sandbox *sandbox = calloc(1, sizeof *sandbox);
    if (!sandbox || !(sandbox->id = strdup(id)) || !(sandbox->session_key = strdup("")))
        abort();
    sandbox->owner = owner_get(table, owner);
    sandbox->owner->count++;
    if (map_put(&table->by_id, sandbox->id, sandbox))
        abort();
    return sandbox;
}

/* Keys are looked up by their digest, so that how long a look-up takes tells nothing of a key. */
static void digest_key(const char *session_key, char *out)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_Digest(session_key, strlen(session_key), digest, &len, EVP_sha256(), NULL) || len != 32)
        abort();
    base62_encode(digest, len, out);
}

void table_set_key(struct table *table, struct sandbox *sandbox, const char *session_key)
{
    if (*sandbox->key_digest && map_get(&table->by_key, sandbox->key_digest) == sandbox)
        map_remove(&table->by_key, sandbox->key_digest);
    char *copy = strdup(session_key ? session_key : "");
    if (!copy)
        abort();
    free(sandbox->session_key);
    sandbox->session_key = copy;
    sandbox->key_digest[0] = '\0';
    if (!*copy)
        return;
    digest_key(copy, sandbox->key_digest);
    /* Two sandboxes with one key can only come from outside: the first one keeps it. */
    if (map_get(&table->by_key, sandbox->key_digest))
        sandbox->key_digest[0] = '\0';
    else
        map_put(&table->by_key, sandbox->key_digest, sandbox);
}

void table_set_session(struct sandbox *sandbox, const char *session_id)
{
    struct map *sessions = &sandbox->owner->sessions;
    if (sandbox->session_id && map_get(sessions, sandbox->session_id) == sandbox)
        map_remove(sessions, sandbox->session_id);
    free(sandbox->session_id);
    sandbox->session_id = NULL;
    if (!session_id)
        return;
    if (!(sandbox->session_id = strdup(session_id)))
        abort();
    map_remove(sessions, session_id); /* with its key, which is another's */
    map_put(sessions, sandbox->session_id, sandbox);
}

void table_show(struct table *table, struct sandbox *sandbox)
{
    if (sandbox->in_order)
        return;
    sandbox->in_order = true;
    order_insert(&table->order, sandbox);
    order_insert(&sandbox->owner->order, sandbox);
}

void table_hide(struct table *table, struct sandbox *sandbox)
{
    if (!sandbox->in_order)
        return;
    sandbox->in_order = false;
    order_remove(&table->order, sandbox);
    order_remove(&sandbox->owner->order, sandbox);
}

void table_remove(struct table *table, struct sandbox *sandbox)
{
    table_hide(table, sandbox);
    table_set_key(table, sandbox, NULL);
    table_set_session(sandbox, NULL);
    map_remove(&table->by_id, sandbox->id);
    struct owner *owner = sandbox->owner;
    if (--owner->count == 0 && owner->name) {
        map_remove(&table->owners, owner->name);
        owner_destroy(owner);
    }
    sandbox_free(sandbox);
}

struct sandbox *table_find(const struct table *table, const char *id)
{
    return map_get(&table->by_id, id);
}

struct sandbox *table_next(const struct table *table, size_t *position)
{
    return map_next(&table->by_id, position);
}

static const struct owner *find_owner(const struct table *table, const char *name)
{
    return name ? map_get(&table->owners, name) : table->nobody;
}

struct sandbox *table_find_session(const struct table *table, const char *owner, const char *session_id)
{
    const struct owner *whose = find_owner(table, owner);
    struct sandbox *sandbox = whose ? map_get(&whose->sessions, session_id) : NULL;
    if (sandbox || !whose)
        return sandbox;
    sandbox = map_get(&table->by_id, session_id);
    bool by_id = sandbox && (!sandbox->session_id || sandbox->adopted);
    return by_id && sandbox->owner == whose ? sandbox : NULL;
}

/* ---- readers ---- */

static bool may_see(const struct viewer *viewer, const struct sandbox *sandbox)
{
    const char *owner = sandbox->owner->name;
    return sandbox->in_order &&
           (viewer->everything || (owner && viewer->user && strcmp(owner, viewer->user) == 0));
}

const struct sandbox *table_get(const struct table *table, const struct viewer *viewer, const char *id)
{
    const struct sandbox *sandbox = map_get(&table->by_id, id);
    return sandbox && may_see(viewer, sandbox) ? sandbox : NULL;
}

const struct sandbox *table_get_session(const struct table *table, const struct viewer *viewer,
                                        const char *session_id)
{
    const struct sandbox *sandbox = table_find_session(table, viewer->user, session_id);
    const struct owner *owner;
    for (size_t i = 0; viewer->everything && !sandbox && (owner = map_next(&table->owners, &i));)
        sandbox = table_find_session(table, owner->name, session_id);
    if (viewer->everything && !sandbox)
        sandbox = table_find_session(table, NULL, session_id);
    return sandbox && may_see(viewer, sandbox) ? sandbox : NULL;
}

const struct sandbox *table_get_reporter(const struct table *table, const char *session_key)
{
    char digest[BASE62_SIZE_32];
    digest_key(session_key, digest);
    const struct sandbox *sandbox = map_get(&table->by_key, digest);
    return sandbox && (sandbox->in_order || sandbox->deleting) ? sandbox : NULL;
}

const struct sandbox *table_get_by_key(const struct table *table, const char *session_key)
{
    const struct sandbox *sandbox = table_get_reporter(table, session_key);
    return sandbox && sandbox->in_order ? sandbox : NULL;
}

/* Reads a number and the '_' behind it. */
static bool parse_number(const char **at, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(*at, &end, 10);
    if (errno || end == *at || *end != '_')
        return false;
    *at = end + 1;
    return true;
}

/* "SEQUENCE_MICROSECONDS_ID", the place of the last sandbox of the page before. */
static bool parse_page_id(const char *page_id, struct place *place)
{
    const char *at = page_id;
    if (!parse_number(&at, &place->sequence) || !parse_number(&at, &place->created_at_us) || *at == '\0')
        return false;
    place->id = at;
    return true;
}

size_t table_search(const struct table *table, const struct viewer *viewer, const char *page_id, size_t limit,
                    const struct sandbox **out, char *next)
{
    static const struct sandbox_order none;
    const struct sandbox_order *order = &table->order;
    if (!viewer->everything) {
        const struct owner *owner = viewer->user ? map_get(&table->owners, viewer->user) : NULL;
        order = owner ? &owner->order : &none;
    }
    size_t end = order->len; /* what is older than the place stands before this index */
    struct place place;
    if (page_id && parse_page_id(page_id, &place))
        end = order_find(order, &place);
    *next = '\0'; /* not before: `page_id` may be the same buffer */
    size_t count = 0;
    while (count < limit && end > 0)
        out[count++] = order->items[--end];
    if (count > 0 && end > 0) {
        const struct sandbox *last = out[count - 1];
        snprintf(next, TABLE_PAGE_ID_SIZE, "%lld_%lld_%s", (long long)last->sequence,
                 (long long)last->created_at_us, last->id);
    }
    return count;
}

void table_count(const struct table *table, const struct home *home, size_t counts[SANDBOX_STATUSES])
{
    memset(counts, 0, SANDBOX_STATUSES * sizeof *counts);
    const struct sandbox *sandbox;
    for (size_t i = 0; (sandbox = map_next(&table->by_id, &i));)
        if (!home || sandbox->home == home)
            counts[sandbox->status]++;
}
