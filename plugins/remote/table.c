/* table.c: the sandboxes that an instance knows, by id; see remote.h. Decides nothing about them. */
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a: ids are made by us. */
static size_t bucket_of(const char *id)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * UINT64_C(1099511628211);
    return (size_t)(hash % SANDBOX_BUCKETS);
}

struct sandbox *table_find(const struct remote *remote, const char *id)
{
    struct sandbox *sandbox = remote->table.buckets[bucket_of(id)];
    while (sandbox && strcmp(sandbox->id, id) != 0)
        sandbox = sandbox->next;
    return sandbox;
}

struct sandbox *table_add(struct remote *remote, const char *id)
{
    struct sandbox *sandbox = table_find(remote, id);
    if (sandbox)
        return sandbox;
    if (!(sandbox = calloc(1, sizeof *sandbox)))
        abort();
    snprintf(sandbox->id, sizeof sandbox->id, "%s", id);
    struct sandbox **bucket = &remote->table.buckets[bucket_of(id)];
    sandbox->next = *bucket;
    *bucket = sandbox;
    remote->table.count++;
    return sandbox;
}

static void destroy(struct sandbox *sandbox)
{
    record_finish(&sandbox->record);
    free(sandbox->runtime_id);
    free(sandbox);
}

void table_remove(struct remote *remote, struct sandbox *sandbox)
{
    struct sandbox **at = &remote->table.buckets[bucket_of(sandbox->id)];
    while (*at != sandbox)
        at = &(*at)->next;
    *at = sandbox->next;
    remote->table.count--;
    destroy(sandbox);
}

void table_finish(struct remote *remote)
{
    for (struct sandbox *sandbox; (sandbox = table_next(remote, NULL));)
        table_remove(remote, sandbox);
}

struct sandbox *table_next(const struct remote *remote, const struct sandbox *before)
{
    if (before && before->next)
        return before->next;
    for (size_t i = before ? bucket_of(before->id) + 1 : 0; i < SANDBOX_BUCKETS; i++)
        if (remote->table.buckets[i])
            return remote->table.buckets[i];
    return NULL;
}
