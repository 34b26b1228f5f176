/* table.c: the containers that an instance knows, by name; see docker.h. Decides nothing about them. */
#include "docker.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: names are made by us, or by people who may act on the engine anyway. */
static size_t bucket_of(const char *name)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return (size_t)(hash % CONTAINER_BUCKETS);
}

struct container *table_find(const struct docker *docker, const char *name)
{
    struct container *container = docker->table.buckets[bucket_of(name)];
    while (container && strcmp(container->name, name) != 0)
        container = container->next;
    return container;
}

struct container *table_find_id(const struct docker *docker, const char *engine_id)
{
    size_t bucket = 0;
    struct container *container = NULL;
    while ((container = table_next(docker, &bucket, container)))
        if (strcmp(container->facts.id, engine_id) == 0)
            return container;
    return NULL;
}

struct container *table_add(struct docker *docker, const char *name)
{
    struct container *container = table_find(docker, name);
    if (container)
        return container;
    container = calloc(1, sizeof *container);
    if (!container || !(container->name = strdup(name)))
        abort();
    struct container **bucket = &docker->table.buckets[bucket_of(name)];
    container->next = *bucket;
    *bucket = container;
    docker->table.count++;
    return container;
}

static void destroy(struct container *container)
{
    ending_drop(container);
    free(container->last_tail);
    facts_finish(&container->facts);
    free(container->name);
    free(container);
}

void table_remove(struct docker *docker, struct container *container)
{
    struct container **at = &docker->table.buckets[bucket_of(container->name)];
    while (*at != container)
        at = &(*at)->next;
    *at = container->next;
    docker->table.count--;
    destroy(container);
}

void table_finish(struct docker *docker)
{
    size_t bucket = 0;
    struct container *container = table_next(docker, &bucket, NULL);
    while (container) {
        struct container *next = table_next(docker, &bucket, container);
        destroy(container);
        container = next;
    }
    docker->table = (struct table){0};
}

struct container *table_next(const struct docker *docker, size_t *bucket, const struct container *before)
{
    if (before && before->next)
        return before->next;
    for (size_t i = before ? *bucket + 1 : *bucket; i < CONTAINER_BUCKETS; i++)
        if (docker->table.buckets[i]) {
            *bucket = i;
            return docker->table.buckets[i];
        }
    return NULL;
}
