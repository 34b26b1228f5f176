/* look.c: one container's inspection (GET /containers/{id}/json, Engine API 1.41), taken into the table and reported;
 * see docker.h. The only file that writes facts into the table. Does not decide when to look.
 *
 *   queue ──▶ asking (at most ASKING_MAX) ──▶ applied ──▶ done
 *               │                         ▲      └──▶ ending.c, for one that has ended ──▶ done
 *               └──▶ overdue (OVERDUE_MAX)┘
 *
 * The engine may answer nothing on one container for ever (its storage hangs) while it answers on all others. Such a look
 * is overdue: it gives up its place, and who has others to ask waits for it no longer. A look that is still in the queue
 * is not asked yet, and an engine that answers nobody is slow or gone, which is watch.c's to find out.
 */
#include "common/failure.h"
#include "docker.h"
#include "engine/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASKING_MAX = 16,
    OVERDUE_MAX = 64,  /* beyond ASKING_MAX: each is a connection */
    OVERDUE_MS = 3500, /* since it was asked. The first listing has 5 s, and a heartbeat comes every 3 s */
    OVERDUE_AGAIN_MS = 250, /* the engine answered nobody since */
    LOOK_MAX_BODY = 4 * 1024 * 1024
};

struct look {
    struct look *next; /* docker->looks, or the queue */
    struct docker *docker;
    char *name;      /* asked for: a name, or the engine's id */
    uint64_t number; /* in the order of asking */
    struct engine_call *call;
    uint64_t asked_ms;
    sbx_timer timer; /* until it is overdue */
    bool brief;      /* `done` does not wait for what is overdue */
    bool overdue;
    bool again;              /* there was an event meanwhile */
    bool killed, died_alone; /* were known when it was asked for: they are of that run */
    bool in_table;           /* when it was asked */
    char id[ENGINE_ID_SIZE]; /* of what was found, for after the ending */
    look_done done;
    void *arg;
};

static void ask_more(struct docker *docker);
static void queue(struct look *look);

static struct container *find(const struct look *look)
{
    return container_is_engine_id(look->name) ? table_find_id(look->docker, look->name)
                                              : table_find(look->docker, look->name);
}

/* ---- how it ends ---- */

static void destroy(struct look *look)
{
    look->docker->host->timer_cancel(look->docker->public, look->timer);
    free(look->name);
    free(look);
}

static void take_out(struct look *look)
{
    struct look **at = &look->docker->looks;
    while (*at != look)
        at = &(*at)->next;
    *at = look->next;
}

/* What an event told of is not known, and nobody else asks again. */
static void have_listed(struct look *look)
{
    struct container *container = find(look);
    if (container)
        look_doubt(look->docker, container);
    look->docker->host->relist(look->docker->public);
}

static void finish(struct look *look, const struct sbx_error *err, struct container *container)
{
    struct docker *docker = look->docker;
    take_out(look);
    if (look->done)
        look->done(look->arg, err, container);
    else if (err && !docker->quiesced)
        have_listed(look);
    else if (look->again && !docker->quiesced)
        look_at(docker, look->name, NULL, NULL);
    destroy(look);
    ask_more(docker);
}

/* Nothing is left of it. An operation keeps its place in the table; one that has not made anything yet (a start)
 * does not hear that it is gone. */
static void forget(struct docker *docker, struct container *container)
{
    bool known = container->facts.id[0] != '\0';
    if (container->busy > 0 && !known)
        return;
    report_gone(docker, container->name);
    ending_forget(docker, container);
    if (container->busy > 0) {
        facts_finish(&container->facts);
        return;
    }
    start_log_end(docker, container->name);
    table_remove(docker, container);
}

static void found_none(struct look *look)
{
    struct docker *docker = look->docker;
    struct container *container = find(look);
    if (container && container->applied < look->number)
        forget(docker, container);
    finish(look, NULL, NULL);
}

/* ---- what was found ---- */

/* Another run, of which the events may have been missed: what was known of the end of the one before does not hold for
 * it. What was told since the look was asked for is of this one. */
static void begin_run(const struct look *look, struct container *container)
{
    if (look->killed)
        container->killed = false;
    if (look->died_alone)
        container->died_alone = false;
}

static struct container *apply(struct look *look, struct facts *facts)
{
    struct docker *docker = look->docker;
    struct container *container = table_add(docker, facts->name);
    const struct facts *before = &container->facts;
    bool known = before->id[0] != '\0', same = known && strcmp(before->id, facts->id) == 0;
    bool alive = facts->state == CONTAINER_RUNNING || facts->state == CONTAINER_PAUSED;
    if (known && (!same || before->started_at_ns != facts->started_at_ns))
        begin_run(look, container);
    if (known && (!same || alive))
        ending_forget(docker, container);
    if (same && before->started_at_ns == facts->started_at_ns) {
        facts->vscode_token = container->facts.vscode_token;
        container->facts.vscode_token = NULL;
    }
    facts_finish(&container->facts);
    container->facts = *facts;
    container->applied = look->number;
    if (facts->state == CONTAINER_RESTARTING) {
        container->has_ended = true;
        container->last_exit = facts->exit_code;
    } else if (!same || facts->restart_count == 0) {
        container->has_ended = false;
        free(container->last_tail);
        container->last_tail = NULL;
    }
    container->overdue = false;
    container->seen_alive = alive || (same && container->seen_alive);
    return container;
}

static void ended(void *arg)
{
    struct look *look = arg;
    struct container *container = table_find(look->docker, look->name);
    bool same = container && strcmp(container->facts.id, look->id) == 0;
    finish(look, NULL, same ? container : NULL);
}

static void found(struct look *look, struct facts *facts)
{
    struct docker *docker = look->docker;
    struct container *container = table_find(docker, facts->name);
    if (look->in_table && !find(look)) { /* it was removed meanwhile, and the answer may be from before */
        facts_finish(facts);
        take_out(look);
        queue(look);
        return;
    }
    if (container && container->applied > look->number) {
        facts_finish(facts); /* older than what is known */
        finish(look, NULL, container);
        return;
    }
    container = apply(look, facts);
    if (ending_is_due(&container->facts)) {
        memcpy(look->id, container->facts.id, sizeof look->id);
        free(look->name); /* it may have been asked for by its id */
        if (!(look->name = strdup(container->name)))
            abort();
        ending_report(docker, container, ended, look);
    } else {
        report_container(docker, container);
        restarts_follow(docker, container);
        finish(look, NULL, container);
    }
}

static void answered(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    struct look *look = arg;
    struct docker *docker = look->docker;
    struct facts facts;
    struct sbx_error why;
    look->call = NULL;
    docker->host->timer_cancel(docker->public, look->timer);
    look->timer = 0;
    if (look->overdue)
        docker->looks_overdue--;
    else
        docker->looks_asking--;
    look->overdue = false;
    if (error && status == 404 && refusal_is_not_found(error)) {
        found_none(look);
    } else if (error) {
        finish(look, error, NULL);
    } else if (facts_from_inspect(&facts, docker->host->json, body, &why) != 0) {
        finish(look, &why, NULL);
    } else if ((strcmp(facts.name, look->name) != 0 && strcmp(facts.id, look->name) != 0) ||
               !ours_is(docker, facts.name, facts.backend, facts.instance)) {
        facts_finish(&facts); /* the engine takes the beginning of an id for a name too */
        found_none(look);
    } else {
        found(look, &facts);
    }
}

/* ---- what is overdue ---- */

static int say_overdue(struct sbx_error *err, const char *name)
{
    return failure_set(
        err, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
        "the engine answers other calls, and has not answered GET /containers/%.127s/json for %d.%d s", name,
        OVERDUE_MS / 1000, OVERDUE_MS % 1000 / 100);
}

static struct look *find_overdue(const struct docker *docker, const char *name)
{
    struct look *look = docker->looks_overdue > 0 ? docker->looks : NULL;
    while (look && (!look->overdue || strcmp(look->name, name) != 0))
        look = look->next;
    return look;
}

bool look_is_overdue(const struct docker *docker, const char *name, struct sbx_error *err)
{
    bool is = find_overdue(docker, name) != NULL;
    if (is && err)
        say_overdue(err, name);
    return is;
}

static void on_overdue(void *arg)
{
    struct look *look = arg;
    struct docker *docker = look->docker;
    struct sbx_error err;
    look->timer = 0;
    if (docker->engine.answered_ms <= look->asked_ms || docker->looks_overdue >= OVERDUE_MAX) {
        look->timer =
            docker->host->timer_start(docker->public, OVERDUE_AGAIN_MS * UINT64_C(1000), on_overdue, look);
        return;
    }
    look->overdue = true;
    docker->looks_asking--;
    docker->looks_overdue++;
    say_overdue(&err, look->name);
    struct container *container = find(look);
    if (!container || !container->overdue)
        docker->host->log(docker->public, SBX_LOG_WARN, look->name,
                          "%s: it is shown as last known until then", err.message);
    if (container)
        container->overdue = true;
    look_done done = look->brief ? look->done : NULL;
    if (done)
        look->done = NULL;
    if (done)
        done(look->arg, &err, NULL);
    ask_more(docker);
}

/* ---- asking ---- */

static void ask(struct look *look)
{
    struct docker *docker = look->docker;
    size_t size = strlen(look->name) * 3 + 1;
    char *name = malloc(size), *path = NULL;
    if (!name || !engine_encode(name, size, look->name) || asprintf(&path, "/containers/%s/json", name) < 0)
        abort(); /* names are bounded by what they came with */
    look->number = ++docker->looks_begun;
    look->in_table = find(look) != NULL;
    look->next = docker->looks;
    docker->looks = look;
    docker->looks_asking++;
    look->asked_ms = docker->host->now_ms();
    look->timer = docker->host->timer_start(docker->public, OVERDUE_MS * UINT64_C(1000), on_overdue, look);
    struct engine_request request = {
        .method = "GET", .path = path, .timeout_ms = CALL_TIMEOUT_MS, .max_body = LOOK_MAX_BODY};
    look->call = engine_call(&docker->engine, &request, answered, look);
    free(path);
    free(name);
}

static void ask_more(struct docker *docker)
{
    while (docker->looks_queue && docker->looks_asking < ASKING_MAX) {
        struct look *look = docker->looks_queue;
        docker->looks_queue = look->next;
        if (!docker->looks_queue)
            docker->looks_end = &docker->looks_queue;
        ask(look);
    }
}

static void remember_flags(struct look *look)
{
    const struct container *container = find(look);
    look->killed = container && container->killed;
    look->died_alone = container && container->died_alone;
}

static void queue(struct look *look)
{
    struct docker *docker = look->docker;
    look->next = NULL;
    if (!docker->looks_end)
        docker->looks_end = &docker->looks_queue;
    *docker->looks_end = look;
    docker->looks_end = &look->next;
    ask_more(docker);
}

void look_doubt(struct docker *docker, struct container *container)
{
    container->doubted = docker->looks_begun;
}

/* Many events on one container are one look, as long as it has not been asked for. */
static struct look *find_queued(const struct docker *docker, const char *name)
{
    struct look *look = docker->looks_queue;
    while (look && strcmp(look->name, name) != 0)
        look = look->next;
    return look;
}

static void add(struct docker *docker, const char *name, bool brief, look_done done, void *arg)
{
    struct look *look = calloc(1, sizeof *look);
    if (!look || !(look->name = strdup(name)))
        abort();
    look->docker = docker;
    look->brief = brief;
    look->done = done;
    look->arg = arg;
    remember_flags(look);
    queue(look);
}

void look_at(struct docker *docker, const char *name, look_done done, void *arg)
{
    struct look *queued = done ? NULL : find_queued(docker, name), *overdue = find_overdue(docker, name);
    if (queued)
        remember_flags(queued);
    else if (!done && overdue)
        overdue->again = true;
    else
        add(docker, name, false, done, arg);
}

void look_at_briefly(struct docker *docker, const char *name, look_done done, void *arg)
{
    add(docker, name, true, done, arg);
}

static void destroy_all(struct look *look)
{
    while (look) {
        struct look *next = look->next;
        engine_cancel(look->call);
        destroy(look);
        look = next;
    }
}

void look_finish(struct docker *docker)
{
    destroy_all(docker->looks);
    destroy_all(docker->looks_queue);
    docker->looks = docker->looks_queue = NULL;
    docker->looks_end = NULL;
    docker->looks_asking = docker->looks_overdue = 0;
    ending_finish(docker);
}
