/* mirror/mirror.c: the mirror's life, its settings, and which agents there are. Knows nothing of what a report says. */
#include "mirror/mirror.h"

#include "mirror/internal.h"

#include <stdlib.h>

struct mirror *mirror_create(const struct mirror_deps *deps)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);
    if (!mirror)
        abort();
    mirror->deps = *deps;
    map_init(&mirror->sources);
    return mirror;
}

void mirror_commit(struct mirror *mirror, struct config *next)
{
    struct config *before = mirror->config;
    mirror->config = config_ref(next);
    config_unref(before);
}

void mirror_destroy(struct mirror *mirror)
{
    if (!mirror)
        return;
    reports_finish(mirror);
    map_finish(&mirror->sources);
    config_unref(mirror->config);
    free(mirror);
}

void mirror_listen(struct mirror *mirror, void (*stored)(void *arg), void *arg)
{
    mirror->stored = stored;
    mirror->stored_arg = arg;
}

bool mirror_next_agent(const struct mirror *mirror, size_t *position, struct mirror_agent *agent)
{
    const struct sandbox *sandbox;
    while ((sandbox = table_next(service_table(mirror->deps.service), position))) {
        const char *url = sandbox_agent_url(sandbox);
        if (sandbox->status != SANDBOX_RUNNING || !url || !sandbox->session_key[0])
            continue;
        *agent = (struct mirror_agent){sandbox, url, sandbox->session_key};
        return true;
    }
    return false;
}

struct mirror_stats mirror_stats(const struct mirror *mirror)
{
    return mirror->stats;
}
