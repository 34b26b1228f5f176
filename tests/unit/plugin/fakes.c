/* fakes.c: see fakes.h. */
#include "fakes.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- store ---- */

struct entry {
    struct entry *next;
    char space[64], key[600];
    size_t len;
    char *value;
};

enum answer_kind { ANSWER_DONE, ANSWER_VALUE, ANSWER_KEYS };

struct answer {
    struct answer *next;
    enum answer_kind kind;
    store_done done;
    store_value value;
    store_keys keys;
    void *arg;
    char space[64], key[600];
};

struct store {
    struct loop *loop;
    struct loop_task task;
    struct entry *entries;
    struct answer *first, **last;
    bool held;
};

static struct entry **find(struct store *store, const char *space, const char *key)
{
    struct entry **at = &store->entries;
    while (*at && (strcmp((*at)->space, space) != 0 || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

static void answer_keys(struct store *store, struct answer *answer)
{
    const char *keys[100];
    size_t count = 0;
    for (struct entry *entry = store->entries; entry; entry = entry->next)
        if (strcmp(entry->space, answer->space) == 0 &&
            strncmp(entry->key, answer->key, strlen(answer->key)) == 0)
            keys[count++] = entry->key;
    answer->keys(answer->arg, NULL, keys, count);
}

void fake_store_answer(struct store *store)
{
    struct answer *answer;
    while ((answer = store->first)) {
        store->first = answer->next;
        if (!store->first)
            store->last = &store->first;
        struct entry *entry = *find(store, answer->space, answer->key);
        if (answer->kind == ANSWER_VALUE)
            answer->value(answer->arg, NULL, entry ? entry->value : NULL, entry ? entry->len : 0);
        else if (answer->kind == ANSWER_KEYS)
            answer_keys(store, answer);
        else if (answer->done)
            answer->done(answer->arg, NULL);
        free(answer);
    }
}

static void run_answers(void *arg)
{
    struct store *store = arg;
    if (!store->held)
        fake_store_answer(store);
}

struct store *fake_store_create(struct loop *loop)
{
    struct store *store = calloc(1, sizeof *store);
    store->loop = loop;
    store->last = &store->first;
    store->task = (struct loop_task){.run = run_answers, .arg = store};
    return store;
}

void fake_store_destroy(struct store *store)
{
    loop_undefer(store->loop, &store->task);
    for (struct answer *answer = store->first, *next; answer; answer = next) {
        next = answer->next;
        free(answer);
    }
    for (struct entry *entry = store->entries, *next; entry; entry = next) {
        next = entry->next;
        free(entry->value);
        free(entry);
    }
    free(store);
}

void fake_store_hold(struct store *store)
{
    store->held = true;
}

static void later(struct store *store, const char *space, const char *key, struct answer what)
{
    struct answer *answer = malloc(sizeof *answer);
    *answer = what;
    answer->next = NULL;
    snprintf(answer->space, sizeof answer->space, "%s", space);
    snprintf(answer->key, sizeof answer->key, "%s", key);
    *store->last = answer;
    store->last = &answer->next;
    loop_defer(store->loop, &store->task);
}

const char *store_instance_id(const struct store *store)
{
    (void)store;
    return "0123456789ABCDEFabcdef";
}

void store_put(struct store *store, const char *space, const char *key, const void *value, size_t len,
               store_done done, void *arg)
{
    struct entry **at = find(store, space, key);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        snprintf((*at)->space, sizeof(*at)->space, "%s", space);
        snprintf((*at)->key, sizeof(*at)->key, "%s", key);
    }
    free((*at)->value);
    (*at)->value = malloc(len + 1);
    memcpy((*at)->value, value, len);
    (*at)->len = len;
    later(store, space, key, (struct answer){.kind = ANSWER_DONE, .done = done, .arg = arg});
}

void store_get(struct store *store, const char *space, const char *key, store_value done, void *arg)
{
    later(store, space, key, (struct answer){.kind = ANSWER_VALUE, .value = done, .arg = arg});
}

void store_delete(struct store *store, const char *space, const char *key, store_done done, void *arg)
{
    struct entry **at = find(store, space, key);
    struct entry *entry = *at;
    if (entry) {
        *at = entry->next;
        free(entry->value);
        free(entry);
    }
    later(store, space, key, (struct answer){.kind = ANSWER_DONE, .done = done, .arg = arg});
}

void store_list(struct store *store, const char *space, const char *prefix, store_keys done, void *arg)
{
    later(store, space, prefix, (struct answer){.kind = ANSWER_KEYS, .keys = done, .arg = arg});
}

/* ---- client ---- */

struct client *client_create(struct loop *loop)
{
    (void)loop;
    return calloc(1, sizeof(struct client));
}

static void drop(struct client_transfer *transfer)
{
    struct client_transfer **at = &transfer->client->transfers;
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    free(transfer);
}

void client_destroy(struct client *client)
{
    while (client->transfers)
        drop(client->transfers);
    free(client);
}

struct client_transfer *client_start(struct client *client, const struct client_request *request,
                                     const struct client_handler *handler, void *arg, struct sbx_error *err)
{
    if (client->refuse) {
        error_set(err, SBX_ERR_INVALID, SBX_CODE_INTERNAL, "That is no URL.");
        return NULL;
    }
    struct client_transfer *transfer = calloc(1, sizeof *transfer);
    *transfer = (struct client_transfer){
        .client = client, .next = client->transfers, .handler = *handler, .arg = arg};
    snprintf(transfer->url, sizeof transfer->url, "%s", request->url);
    client->transfers = transfer;
    client->started++;
    return transfer;
}

void client_resume(struct client_transfer *transfer)
{
    transfer->resumed++;
}

void client_cancel(struct client_transfer *transfer)
{
    transfer->client->cancelled++;
    drop(transfer);
}

void fake_client_finish(struct client_transfer *transfer, const struct sbx_error *err, int status,
                        const char *body)
{
    struct client_handler handler = transfer->handler;
    void *arg = transfer->arg;
    handler.done(arg, err, status, body, body ? strlen(body) : 0);
    drop(transfer);
}
