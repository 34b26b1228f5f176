/* list.c: the list operation: one GET /containers/json (Engine API 1.41, ContainerList), and a look at each container
 * that the table does not have like that; see docker.h.
 *
 * No filter is asked for, since a container is ours by its name or by its label, and the engine can only join filters
 * by "and". What the table has and the listing leaves out is dropped without a word: the host takes it as gone.
 */
#include "common/failure.h"
#include "docker.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKS_MAX = 12 }; /* at once: a few less than look.c takes, so that others need not wait for all */

/* To be looked at. What the listing says of it has to do where the engine refuses to say more. */
struct unseen {
    struct listing *listing;
    char *name, *owner, *spec_id; /* owned; the last two may be NULL */
    int64_t created_at_us;
};

struct listing {
    struct listing *next; /* docker->listings */
    struct docker *docker;
    sbx_op op; /* 0: cancelled */
    uint64_t number;
    uint64_t looks_before; /* docker->looks_begun when it was asked for */
    struct engine_call *call;
    struct unseen **unseen; /* looked at up to `asked`; owned */
    size_t count, capacity, asked;
    unsigned looking;
    bool failed;
    struct sbx_error error;
    char (*ids)[ENGINE_ID_SIZE]; /* of all of ours; sorted in the end */
    size_t ids_count, ids_capacity;
};

/* ---- how it ends ---- */

static void destroy(struct listing *listing)
{
    struct listing **at = &listing->docker->listings;
    while (*at != listing)
        at = &(*at)->next;
    *at = listing->next;
    engine_cancel(listing->call);
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->unseen[i]->name);
        free(listing->unseen[i]->owner);
        free(listing->unseen[i]->spec_id);
        free(listing->unseen[i]);
    }
    free(listing->unseen);
    free(listing->ids);
    free(listing);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sweep(struct listing *listing)
{
    if (listing->ids_count > 0)
        qsort(listing->ids, listing->ids_count, sizeof *listing->ids, compare_ids);
    ending_sweep(listing->docker, listing->ids, listing->ids_count);
    listing->ids = NULL;
}

static void fail(struct listing *listing, const struct sbx_error *error)
{
    if (!listing->failed)
        listing->error = *error;
    listing->failed = true;
}

static void end(struct listing *listing)
{
    struct docker *docker = listing->docker;
    if (docker->quiesced) { /* what was reported since was dropped, and would be taken as gone */
        struct sbx_error replaced;
        failure_set(&replaced, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the backend is being replaced");
        fail(listing, &replaced);
    }
    if (!listing->failed && listing->op)
        sweep(listing);
    if (listing->op)
        docker->host->complete(docker->public, listing->op, listing->failed ? &listing->error : NULL);
    destroy(listing);
}

/* ---- looks ---- */

static void looked(void *arg, const struct sbx_error *err, struct container *container);

static void ignore(void *arg)
{
    (void)arg;
}

/* The engine does not say more of it than the listing, for this `why`. */
static void report_unseen(const struct unseen *unseen, const struct sbx_error *why)
{
    struct docker *docker = unseen->listing->docker;
    const struct container unread = {.name = unseen->name,
                                     .facts = {.owner = unseen->owner,
                                               .spec_id = unseen->spec_id,
                                               .created_at_us = unseen->created_at_us}};
    report_unread(docker, &unread, why);
}

/* The same where it has only not said it yet: what was known before holds on. */
static void report_as_known(const struct unseen *unseen, const struct sbx_error *why)
{
    struct docker *docker = unseen->listing->docker;
    struct container *known = table_find(docker, unseen->name);
    if (!known || !*known->facts.id)
        report_unseen(unseen, why);
    else if (ending_is_due(&known->facts))
        ending_report(docker, known, ignore, NULL);
    else
        report_container(docker, known);
}

static void look_on(struct listing *listing)
{
    struct sbx_error why;
    while (listing->op && !listing->failed && listing->looking < LOOKS_MAX &&
           listing->asked < listing->count) {
        struct unseen *unseen = listing->unseen[listing->asked++];
        if (look_is_overdue(listing->docker, unseen->name, &why)) {
            report_as_known(unseen, &why);
            continue;
        }
        listing->looking++;
        look_at_briefly(listing->docker, unseen->name, looked, unseen);
    }
    if (listing->looking == 0)
        end(listing);
}

/* The engine answers, and can't tell of this one (a layer of it is lost): no reason to know nothing of the others. */
static bool is_of_one(const struct sbx_error *err)
{
    return err->kind != SBX_ERR_UNAVAILABLE && err->kind != SBX_ERR_TIMEOUT && err->kind != SBX_ERR_INTERNAL;
}

static void looked(void *arg, const struct sbx_error *err, struct container *container)
{
    (void)container; /* reported, or gone since */
    struct unseen *unseen = arg;
    struct listing *listing = unseen->listing;
    listing->looking--;
    if (err && is_of_one(err))
        report_unseen(unseen, err);
    else if (err && look_is_overdue(listing->docker, unseen->name, NULL))
        report_as_known(unseen, err);
    else if (err)
        fail(listing, err);
    look_on(listing);
}

/* ---- the answer ---- */

static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 64;
    void *more = reallocarray(array, *capacity, size);
    if (!more)
        abort(); /* bounded by LIST_MAX_BODY */
    return more;
}

static void remember(struct listing *listing, const struct listed *listed)
{
    listing->ids = grow(listing->ids, listing->ids_count, &listing->ids_capacity, sizeof *listing->ids);
    memcpy(listing->ids[listing->ids_count++], listed->id, ENGINE_ID_SIZE);
}

/* NULL stays NULL. */
static char *copy(const char *text)
{
    char *made = text ? strdup(text) : NULL;
    if (text && !made)
        abort(); /* bounded by listed_from() */
    return made;
}

static void look_later(struct listing *listing, const struct listed *listed)
{
    struct unseen *unseen = malloc(sizeof *unseen);
    if (!unseen)
        abort();
    *unseen = (struct unseen){.listing = listing,
                              .name = copy(listed->name),
                              .owner = copy(listed->owner),
                              .spec_id = copy(listed->spec_id),
                              .created_at_us = listed->created_at_us};
    listing->unseen = grow(listing->unseen, listing->count, &listing->capacity, sizeof(struct unseen *));
    listing->unseen[listing->count++] = unseen;
}

/* Is it still what the table says? A start that failed since leaves an endpoint behind, and another end mostly another
 * code, if nothing else that a listing shows. */
static bool is_unchanged(const struct container *container, const struct listed *listed)
{
    const struct facts *facts = &container->facts;
    if (strcmp(facts->id, listed->id) != 0 || facts->state != listed->state ||
        container->applied <= container->doubted)
        return false;
    if (!ending_is_due(facts))
        return facts->run == listed->run;
    return ending_is_known(container) && (listed->exit_code == -1 || listed->exit_code == facts->exit_code);
}

static void take(struct listing *listing, const struct listed *listed)
{
    struct docker *docker = listing->docker;
    remember(listing, listed);
    struct container *container = table_add(docker, listed->name); /* so that its removal would be noticed */
    if (container->listed == listing->number)
        return; /* twice the same name */
    container->listed = listing->number;
    if (container->busy > 0)
        return; /* the operation's end looks at it */
    if (!is_unchanged(container, listed))
        look_later(listing, listed);
    else if (ending_is_due(&container->facts))
        ending_report(docker, container, ignore, NULL);
    else
        report_container(docker, container);
}

/* What an operation or a look is about since the listing was asked for is newer than it. */
static void drop_missing(struct listing *listing)
{
    struct docker *docker = listing->docker;
    size_t bucket = 0;
    struct container *container = table_next(docker, &bucket, NULL);
    while (container) {
        struct container *next = table_next(docker, &bucket, container);
        if (container->listed < listing->number && container->busy == 0 &&
            container->applied <= listing->looks_before) {
            ending_forget(docker, container);
            start_log_end(docker, container->name);
            table_remove(docker, container);
        }
        container = next;
    }
}

static void answered(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    struct listing *listing = arg;
    struct docker *docker = listing->docker;
    const struct sbx_json_api *json = docker->host->json;
    listing->call = NULL;
    if (error) {
        fail(listing, error);
    } else if (json->type(body) != SBX_JSON_ARRAY) {
        struct sbx_error why;
        failure_set(&why, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the engine's answer to GET /containers/json is no list");
        fail(listing, &why);
    } else if (!docker->quiesced) {
        struct listed listed;
        for (size_t i = 0, count = json->length(body); i < count; i++)
            if (listed_from(&listed, json, json->at(body, i)) &&
                ours_is(docker, listed.name, listed.backend, listed.instance))
                take(listing, &listed);
        drop_missing(listing);
    }
    look_on(listing);
}

/* ---- the operation ---- */

void list_begin(struct docker *docker, sbx_op op)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing)
        abort();
    listing->docker = docker;
    listing->op = op;
    listing->number = ++docker->listings_begun;
    listing->looks_before = docker->looks_begun;
    listing->next = docker->listings;
    docker->listings = listing;
    static const struct engine_request request = {.method = "GET",
                                                  .path = "/containers/json?all=1",
                                                  .timeout_ms = CALL_TIMEOUT_MS,
                                                  .max_body = LIST_MAX_BODY};
    listing->call = engine_call(&docker->engine, &request, answered, listing);
}

void list_cancel(struct docker *docker, sbx_op op)
{
    for (struct listing *listing = docker->listings; listing; listing = listing->next) {
        if (listing->op != op)
            continue;
        listing->op = 0;
        struct sbx_error error;
        failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                    "the listing was given up before all containers were looked at");
        docker->host->complete(docker->public, op, &error);
        if (listing->looking == 0)
            destroy(listing);
        return;
    }
}

void list_finish(struct docker *docker)
{
    while (docker->listings)
        destroy(docker->listings);
}
