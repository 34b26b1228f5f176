/* remove.c: takes away what belongs to a sandbox: container, volumes, overlay folders (remove.h), and the operation
 * that does so. Does not decide that a sandbox is to go.
 *
 * The order is the one in which each thing is let go of: a volume can't go while its container is there, and an
 * overlay's folder is mounted until then. Cut off anywhere, by a crash too, the whole is done again by the host,
 * which forgets the sandbox only after success; so each step takes what is not there any more for done.
 */
#include "operations/remove.h"

#include "common/failure.h"
#include "engine/refusal.h"
#include "operations/halt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REMOVE_MS = 100000,  /* of an operation; the host gives it 120 s */
    SETTLE_US = 1000000, /* a create of a daemon that was killed has come to its end by then */
    POLL_US = 200000,    /* while the engine is at a removal that somebody else asked for */
    LEAST_CALL_MS = 1000,
    VOLUME_NAME_SIZE = 512, /* the engine's names are shorter */
};

struct removal {
    struct docker *docker;
    char name[SANDBOX_ID_MAX + 1];
    enum removal_scope scope;
    bool gracefully, settle;
    uint64_t deadline_ms;
    void (*done)(void *arg, const struct sbx_error *err);
    void *arg;

    char id[ENGINE_ID_SIZE]; /* the container that goes */
    sbx_json *labelled;      /* the engine's list of volumes that bear its id; NULL: none */
    size_t labelled_at;      /* the next of them */
    uint32_t volume;         /* the next: 0 is the workspace's, then options->mounts */
    int result;              /* of the pool's part */
    struct sbx_error error;
};

/* ---- how it ends ---- */

static void end(struct removal *removal, const struct sbx_error *err)
{
    if (err && refusal_is_unknown(err))
        watch_doubt(removal->docker);
    removal->docker->host->json->free(removal->labelled);
    removal->done(removal->arg, err);
    free(removal);
}

static void end_well(struct removal *removal)
{
    struct docker *docker = removal->docker;
    struct container *container = table_find(docker, removal->name);
    if (removal->scope == REMOVAL_ALL) {
        start_log_end(docker, removal->name);
        /* What the store says of its end goes too, also where this instance has never seen the container. */
        if (!container)
            container = table_add(docker, removal->name);
        ending_forget(docker, container);
        table_remove(docker, container);
    }
    end(removal, NULL);
}

static uint32_t time_left(const struct removal *removal)
{
    uint64_t now = removal->docker->host->now_ms();
    uint64_t left = removal->deadline_ms > now ? removal->deadline_ms - now : 0;
    if (left < LEAST_CALL_MS)
        return LEAST_CALL_MS;
    return left < CALL_TIMEOUT_MS ? (uint32_t)left : CALL_TIMEOUT_MS;
}

static void call(struct removal *removal, const char *method, const char *path, engine_done done)
{
    uint32_t left = time_left(removal);
    struct engine_request request = {
        .method = method, .path = path, .timeout_ms = left, .cut_short = left < CALL_TIMEOUT_MS};
    engine_call(&removal->docker->engine, &request, done, removal);
}

/* ---- overlay folders ---- */

static void overlay_run(void *arg)
{
    struct removal *removal = arg;
    removal->result = overlay_remove(&removal->docker->options, removal->name, &removal->error);
}

static void overlay_done(void *arg)
{
    struct removal *removal = arg;
    if (removal->result == 0)
        end_well(removal);
    else
        end(removal, &removal->error);
}

/* ---- volumes ---- */

/* The name in `source` with the sandbox's id in it; false where it has no place for that: then it is not the
 * sandbox's own. */
static bool volume_name(char *to, size_t size, const char *source, const char *id)
{
    const char *place = strstr(source, "{id}");
    if (!place)
        return false;
    size_t len = 0;
    for (; place; source = place + 4, place = strstr(source, "{id}")) {
        int added = snprintf(to + len, size - len, "%.*s%s", (int)(place - source), source, id);
        if (added < 0 || (size_t)added >= size - len)
            return false;
        len += (size_t)added;
    }
    int added = snprintf(to + len, size - len, "%s", source);
    return added >= 0 && (size_t)added < size - len;
}

static void remove_volumes(struct removal *removal);

static void volume_removed(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    (void)body;
    struct removal *removal = arg;
    if (error && error->kind == SBX_ERR_CONFLICT) {
        removal->docker->host->log(removal->docker->public, SBX_LOG_WARN, removal->name,
                                   "a volume of it is left, since another container uses it: %s",
                                   error->message);
    } else if (error && !refusal_is_not_found(error)) {
        end(removal, error);
        return;
    }
    remove_volumes(removal);
}

/* False where it can't be the name of a volume. */
static bool remove_volume(struct removal *removal, const char *name)
{
    char encoded[3 * VOLUME_NAME_SIZE], path[sizeof encoded + 16];
    if (!engine_encode(encoded, sizeof encoded, name))
        return false;
    snprintf(path, sizeof path, "/volumes/%s", encoded);
    call(removal, "DELETE", path, volume_removed);
    return true;
}

static void remove_volumes(struct removal *removal)
{
    struct docker *docker = removal->docker;
    const struct options *options = &docker->options;
    const struct sbx_json_api *json = docker->host->json;
    while (removal->labelled_at < json->length(removal->labelled)) {
        const sbx_json *volume = json->at(removal->labelled, removal->labelled_at++);
        const char *name = json->string(json->get(volume, "Name"), "");
        if (*name && remove_volume(removal, name))
            return;
    }
    while (removal->volume <= options->mounts_len) {
        uint32_t number = removal->volume++;
        const struct mount *mount = number > 0 ? &options->mounts[number - 1] : NULL;
        const char *source = mount ? mount->source : "openhands-workspace-{id}";
        char name[VOLUME_NAME_SIZE];
        if ((!mount || mount->kind == MOUNT_VOLUME) &&
            volume_name(name, sizeof name, source, removal->name) && remove_volume(removal, name))
            return;
    }
    if (options->overlay_base)
        docker->host->work(docker->public, overlay_run, overlay_done, removal);
    else
        end_well(removal);
}

static void volumes_listed(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    struct removal *removal = arg;
    const struct sbx_json_api *json = removal->docker->host->json;
    if (error) {
        end(removal, error);
        return;
    }
    removal->labelled = json->copy(json->get(body, "Volumes"));
    remove_volumes(removal);
}

/* Those of overlays have no name of ours, and go with their container, but not where the engine was killed over the
 * making or the removal of that: what says whose they are is their label. */
static void list_volumes(struct removal *removal)
{
    char filters[SANDBOX_ID_MAX + 64], encoded[3 * sizeof filters], path[sizeof encoded + 32];
    if (!removal->docker->options.overlay_base) {
        remove_volumes(removal);
        return;
    }
    snprintf(filters, sizeof filters, "{\"label\":[\"" LABEL_SANDBOX "=%s\"]}", removal->name);
    engine_encode(encoded, sizeof encoded, filters);
    snprintf(path, sizeof path, "/volumes?filters=%s", encoded);
    call(removal, "GET", path, volumes_listed);
}

/* ---- the container ---- */

static void delete_container(void *arg);

static void container_deleted(void *arg, const struct sbx_error *error, int status,
                              const struct sbx_json *body)
{
    (void)status;
    (void)body;
    struct removal *removal = arg;
    const struct sbx_host *host = removal->docker->host;
    if (error && refusal_is_being_removed(error) && host->now_ms() < removal->deadline_ms) {
        host->timer_start(removal->docker->public, POLL_US, delete_container, removal);
    } else if (error && refusal_is_being_removed(error)) {
        failure_set(&removal->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "the engine has not removed the container in time: %s", error->message);
        end(removal, &removal->error);
    } else if (error && !refusal_is_not_found(error)) {
        end(removal, error);
    } else if (removal->scope == REMOVAL_CONTAINER) {
        end_well(removal);
    } else {
        list_volumes(removal);
    }
}

static void delete_container(void *arg)
{
    struct removal *removal = arg;
    char path[128];
    snprintf(path, sizeof path, "/containers/%s?force=1&v=1", removal->id);
    call(removal, "DELETE", path, container_deleted);
}

static void halted(void *arg, const struct sbx_error *err)
{
    (void)err; /* where it can't be asked to end, it is ended by force */
    delete_container(arg);
}

static void find(void *arg);

static void found_none(struct removal *removal)
{
    const struct container *container = table_find(removal->docker, removal->name);
    if (removal->settle && (!container || *container->facts.id == '\0')) {
        /* Nobody has seen it: a create may still be on its way in the engine, of which a killed daemon, or a
         * call without an answer, will not tell us. */
        removal->settle = false;
        removal->docker->host->timer_start(removal->docker->public, SETTLE_US, find, removal);
    } else if (removal->scope == REMOVAL_CONTAINER) {
        end_well(removal);
    } else {
        list_volumes(removal);
    }
}

/* The host says that the name is a sandbox's of this backend, also where the prefix has become another since; what is
 * labelled as another backend's is nothing of this sandbox, and would be in the way of its removal for ever. */
static void found_one(struct removal *removal, const struct facts *facts)
{
    struct docker *docker = removal->docker;
    if (strcmp(facts->name, removal->name) !=
        0) { /* the engine takes the beginning of an id for a name too */
        found_none(removal);
        return;
    }
    bool others = ours_is_of_another(docker, facts->instance);
    if (others || (facts->backend && strcmp(facts->backend, docker->public->name) != 0)) {
        docker->host->log(docker->public, SBX_LOG_WARN, removal->name,
                          "the container %.64s has its name, and is left: it is of %s '%.100s'", facts->id,
                          others ? "the daemon that runs as instance" : "backend",
                          others ? facts->instance : facts->backend);
        if (others)
            end_well(removal); /* so are its volumes and folders, which a stopped or frozen one needs again */
        else
            found_none(removal);
        return;
    }
    memcpy(removal->id, facts->id, sizeof removal->id);
    bool frozen = facts->state == CONTAINER_PAUSED;
    bool runs = frozen || facts->state == CONTAINER_RUNNING || facts->state == CONTAINER_RESTARTING;
    if (removal->gracefully && runs)
        halt_run(docker, removal->name, removal->id, frozen, halted, removal);
    else
        delete_container(removal);
}

static void found(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    struct removal *removal = arg;
    struct facts facts;
    if (error && refusal_is_not_found(error)) {
        found_none(removal);
    } else if (error) {
        end(removal, error);
    } else if (facts_from_inspect(&facts, removal->docker->host->json, body, &removal->error) != 0) {
        end(removal, &removal->error);
    } else {
        found_one(removal, &facts);
        facts_finish(&facts);
    }
}

static void find(void *arg)
{
    struct removal *removal = arg;
    char path[SANDBOX_ID_MAX + 32];
    snprintf(path, sizeof path, "/containers/%s/json", removal->name);
    call(removal, "GET", path, found);
}

void removal_run(struct docker *docker, const struct removal_order *order,
                 void (*done)(void *arg, const struct sbx_error *err), void *arg)
{
    struct removal *removal = calloc(1, sizeof *removal);
    if (!removal)
        abort();
    removal->docker = docker;
    snprintf(removal->name, sizeof removal->name, "%s", order->name);
    removal->scope = order->scope;
    removal->gracefully = order->gracefully;
    removal->settle = order->settle;
    removal->deadline_ms = order->deadline_ms;
    removal->done = done;
    removal->arg = arg;
    /* The end of its program is one that was asked for, by whatever it comes. */
    struct container *container = table_find(docker, removal->name);
    if (container && removal->scope != REMOVAL_REST) {
        container->killed = true;
        container->killed_until_ns = 0;
    }
    if (removal->scope == REMOVAL_REST)
        list_volumes(removal);
    else
        find(removal);
}

/* ---- the operation ---- */

struct removing {
    struct docker *docker;
    sbx_op op;
    char name[SANDBOX_ID_MAX + 1];
};

static void removed(void *arg, const struct sbx_error *err)
{
    struct removing *removing = arg;
    struct docker *docker = removing->docker;
    operation_end(docker, removing->name);
    docker->host->complete(docker->public, removing->op, err);
    free(removing);
}

void remove_begin(struct docker *docker, const char *sandbox_id, sbx_op op)
{
    struct removing *removing = calloc(1, sizeof *removing);
    if (!removing)
        abort();
    removing->docker = docker;
    removing->op = op;
    snprintf(removing->name, sizeof removing->name, "%s", sandbox_id);
    operation_begin(docker, sandbox_id);
    struct removal_order order = {.name = sandbox_id,
                                  .gracefully = true,
                                  .settle = true,
                                  .deadline_ms = docker->host->now_ms() + REMOVE_MS};
    removal_run(docker, &order, removed, removing);
}
