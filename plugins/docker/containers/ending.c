/* ending.c: why a container ended: stopped on purpose, or by itself and how. Does not find out that it ended (look.c).
 *
 * The engine keeps an exit code, and not who asked for the end. That is in its events; where they were missed, the
 * code has to do, as in the first seed, for which every exited container was stopped: 0, 130, 137 and 143 are what
 * stopped programs leave. Where this is wrong and the events told so, the store keeps the difference: ended/ENGINE_ID
 * = "alone TIME" or "stopped TIME", the time being State.FinishedAt, so that it is never taken for another end.
 */
#include "common/exec_failure.h"
#include "common/failure.h"
#include "docker.h"
#include "engine/refusal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_PREFIX "ended/"

enum { KEY_SIZE = sizeof KEY_PREFIX + ENGINE_ID_SIZE, TAIL_MAX = 4096 };

/* Who ended it. */
enum told { TOLD_NOTHING, TOLD_ALONE, TOLD_STOPPED };

struct ending { /* of the end at `finished_at_ns` */
    uint64_t finished_at_ns;
    enum told told;
    bool noted; /* the store has a note, which says `note` (NOTHING: of another end) */
    enum told note;
    bool store_asked;
    char *tail; /* NULL: not asked for */
};

struct waiter {
    struct waiter *next;
    void (*done)(void *arg);
    void *arg;
};

/* What is being asked on one end, for all that wait for it. */
struct inquiry {
    struct inquiry *next; /* docker->inquiries */
    struct docker *docker;
    char *name;
    char id[ENGINE_ID_SIZE];
    uint64_t finished_at_ns;
    struct waiter *waiters;
};

static void proceed(struct inquiry *inquiry);

/* ---- the verdict ---- */

bool ending_is_due(const struct facts *facts)
{
    return facts->state == CONTAINER_EXITED || (facts->state == CONTAINER_CREATED && *facts->error);
}

/* The engine's mark of a lack of memory stays when a child of its was killed long before the end. */
static bool looks_stopped(const struct facts *facts)
{
    int code = facts->exit_code;
    return code == 0 || code == 130 || code == 143 || (code == 137 && !facts->out_of_memory);
}

static bool is_stopped(const struct facts *facts, const struct ending *ending)
{
    if (*facts->error)
        return false; /* it could not be started at all */
    return ending->told == TOLD_NOTHING ? looks_stopped(facts) : ending->told == TOLD_STOPPED;
}

static void can_not_execute(struct sbx_error *err, const char *name, size_t name_len, const char *reason)
{
    char words[128];
    snprintf(words, sizeof words, "%.*s",
             (int)(strcspn(reason, "\r\n") < 100 ? strcspn(reason, "\r\n") : 100), reason);
    failure_set(err, SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND, "its command can't be executed: %.*s: %s%s",
                (int)(name_len < 200 ? name_len : 200), name, words, exec_failure_hint(words));
}

/* Without docker-init it is the runtime's last step that fails, once the engine took the container for started. The
 * one line that it says, "exec NAME: no such file or directory" (runc from 1.1 on, crun), is all of the output. */
static bool explain_exec(const struct facts *facts, const char *tail, struct sbx_error *err)
{
    static const char exec[] = "exec ", missing[] = ": no such file or directory";
    const char *reason = strncmp(tail, exec, sizeof exec - 1) == 0 ? strstr(tail, missing) : NULL;
    if (!reason || facts->exit_code == 0 ||
        reason[sizeof missing - 1 + strspn(reason + sizeof missing - 1, "\r\n")])
        return false;
    const char *name = tail + sizeof exec - 1;
    can_not_execute(err, name, (size_t)(reason - name), reason + 2);
    return true;
}

/* docker-init says it alone: "[FATAL tini (7)] exec NAME failed: No such file or directory", and exits with 126 or
 * 127, as a shell does that could not find one of its commands. */
static bool explain_command(const struct facts *facts, const char *tail, struct sbx_error *err)
{
    const char *line = strstr(tail, "[FATAL tini (");
    const char *name = line ? strstr(line, ")] exec ") : NULL;
    size_t rest = name ? strcspn(name, "\n") : 0;
    const char *failed = NULL;
    for (const char *at = name; at && (at = strstr(at, " failed: ")) && (size_t)(at - name) < rest; at++)
        failed = at;
    if (!failed || (facts->exit_code != 126 && facts->exit_code != 127))
        return explain_exec(facts, tail, err);
    name += strlen(")] exec ");
    can_not_execute(err, name, (size_t)(failed - name), failed + strlen(" failed: "));
    return true;
}

/* NULL: the host's own words for an exit do. */
static const struct sbx_error *explain(const struct facts *facts, const char *tail, struct sbx_error *err)
{
    if (*facts->error) {
        refusal_of(err, 500, facts->error);
        return err;
    }
    if (facts->out_of_memory && facts->exit_code != 0) {
        char limit[64] = "";
        if (facts->memory_limit >= 1024 * 1024)
            snprintf(limit, sizeof limit, " of %" PRIu64 " MiB", facts->memory_limit / (1024 * 1024));
        failure_set(err, SBX_ERR_REFUSED, SBX_CODE_OUT_OF_MEMORY, "it was killed at its memory limit%s",
                    limit);
        return err;
    }
    return explain_command(facts, tail, err) ? err : NULL;
}

/* ---- the store ---- */

static void key_of(char key[KEY_SIZE], const char *engine_id)
{
    snprintf(key, KEY_SIZE, KEY_PREFIX "%s", engine_id);
}

static void settle_note(struct docker *docker, const struct facts *facts, struct ending *ending)
{
    bool differs = ending->told != TOLD_NOTHING && !*facts->error &&
                   looks_stopped(facts) != (ending->told == TOLD_STOPPED);
    char key[KEY_SIZE], value[48];
    key_of(key, facts->id);
    if (differs && (!ending->noted || ending->note != ending->told)) {
        int len = snprintf(value, sizeof value, "%s %" PRIu64,
                           ending->told == TOLD_ALONE ? "alone" : "stopped", facts->finished_at_ns);
        docker->host->store_put(docker->public, key, value, (size_t)len, NULL, NULL);
        ending->note = ending->told;
    } else if (!differs && ending->noted) {
        docker->host->store_delete(docker->public, key, NULL, NULL);
    }
    ending->noted = differs;
}

static void read_note(struct ending *ending, const char *value, size_t len)
{
    char text[2][48];
    ending->noted = true;
    snprintf(text[0], sizeof text[0], "alone %" PRIu64, ending->finished_at_ns);
    snprintf(text[1], sizeof text[1], "stopped %" PRIu64, ending->finished_at_ns);
    for (size_t i = 0; i < 2; i++)
        if (len == strlen(text[i]) && memcmp(value, text[i], len) == 0)
            ending->note = i == 0 ? TOLD_ALONE : TOLD_STOPPED;
    if (ending->told == TOLD_NOTHING) /* an event may have told meanwhile */
        ending->told = ending->note;
}

/* ---- what is asked ---- */

bool ending_was_asked_for(const struct container *container, uint64_t at_ns)
{
    return container->killed && (container->killed_until_ns == 0 || at_ns <= container->killed_until_ns);
}

static void hear_events(const struct container *container)
{
    if (ending_was_asked_for(container, container->facts.finished_at_ns))
        container->ending->told = TOLD_STOPPED;
    else if (container->died_alone)
        container->ending->told = TOLD_ALONE;
}

static bool wants_note(const struct facts *facts, const struct ending *ending)
{
    return ending->told == TOLD_NOTHING && !ending->store_asked && !*facts->error;
}

static bool wants_tail(const struct facts *facts, const struct ending *ending)
{
    return !ending->tail && !*facts->error && !is_stopped(facts, ending);
}

static void tell(struct docker *docker, struct container *container)
{
    const struct facts *facts = &container->facts;
    struct ending *ending = container->ending;
    struct sbx_error error;
    const char *tail = ending->tail ? ending->tail : "";
    bool stopped = is_stopped(facts, ending);
    settle_note(docker, facts, ending);
    report_end(docker, container, stopped, stopped ? NULL : explain(facts, tail, &error), tail);
}

/* The container that it is about, if that is still at this end. */
static struct container *subject_of(const struct inquiry *inquiry)
{
    struct container *container = table_find(inquiry->docker, inquiry->name);
    if (!container || !container->ending || !ending_is_due(&container->facts) ||
        strcmp(container->facts.id, inquiry->id) != 0 ||
        container->ending->finished_at_ns != inquiry->finished_at_ns)
        return NULL;
    return container;
}

static void destroy(struct inquiry *inquiry)
{
    struct inquiry **at = &inquiry->docker->inquiries;
    while (*at != inquiry)
        at = &(*at)->next;
    *at = inquiry->next;
    for (struct waiter *waiter; (waiter = inquiry->waiters);) {
        inquiry->waiters = waiter->next;
        free(waiter);
    }
    free(inquiry->name);
    free(inquiry);
}

static void end(struct inquiry *inquiry)
{
    struct waiter *waiters = inquiry->waiters;
    inquiry->waiters = NULL;
    destroy(inquiry);
    for (struct waiter *waiter; (waiter = waiters);) {
        waiters = waiter->next;
        waiter->done(waiter->arg);
        free(waiter);
    }
}

static void note_came(const struct sbx_error *error, const void *value, size_t len, void *arg)
{
    struct inquiry *inquiry = arg;
    const struct container *container = subject_of(inquiry);
    if (container && !error && value)
        read_note(container->ending, value, len);
    proceed(inquiry);
}

static void tail_came(void *arg, const char *tail)
{
    struct inquiry *inquiry = arg;
    const struct container *container = subject_of(inquiry);
    if (container && !container->ending->tail &&
        !(container->ending->tail = strndup(tail ? tail : "", TAIL_MAX)))
        abort(); /* bounded */
    proceed(inquiry);
}

static void proceed(struct inquiry *inquiry)
{
    struct docker *docker = inquiry->docker;
    struct container *container = docker->quiesced ? NULL : subject_of(inquiry);
    if (!container) {
        end(inquiry);
        return;
    }
    struct ending *ending = container->ending;
    hear_events(container);
    if (wants_note(&container->facts, ending)) {
        char key[KEY_SIZE];
        key_of(key, inquiry->id);
        ending->store_asked = true;
        docker->host->store_get(docker->public, key, note_came, inquiry);
    } else if (wants_tail(&container->facts, ending)) {
        logs_tail(docker, container, tail_came, inquiry);
    } else {
        tell(docker, container);
        end(inquiry);
    }
}

static void add_waiter(struct inquiry *inquiry, void (*done)(void *arg), void *arg)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    if (!waiter)
        abort();
    *waiter = (struct waiter){.next = inquiry->waiters, .done = done, .arg = arg};
    inquiry->waiters = waiter;
}

static void inquire(struct docker *docker, const struct container *container, void (*done)(void *arg),
                    void *arg)
{
    for (struct inquiry *inquiry = docker->inquiries; inquiry; inquiry = inquiry->next)
        if (subject_of(inquiry) == container) {
            add_waiter(inquiry, done, arg);
            return;
        }
    struct inquiry *inquiry = calloc(1, sizeof *inquiry);
    if (!inquiry || !(inquiry->name = strdup(container->name)))
        abort();
    inquiry->docker = docker;
    memcpy(inquiry->id, container->facts.id, sizeof inquiry->id);
    inquiry->finished_at_ns = container->ending->finished_at_ns;
    inquiry->next = docker->inquiries;
    docker->inquiries = inquiry;
    add_waiter(inquiry, done, arg);
    proceed(inquiry);
}

void ending_report(struct docker *docker, struct container *container, void (*done)(void *arg), void *arg)
{
    if (docker->quiesced || !ending_is_due(&container->facts)) {
        done(arg);
        return;
    }
    if (container->ending && container->ending->finished_at_ns != container->facts.finished_at_ns)
        ending_forget(docker, container);
    if (!container->ending) {
        if (!(container->ending = calloc(1, sizeof *container->ending)))
            abort();
        container->ending->finished_at_ns = container->facts.finished_at_ns;
    }
    inquire(docker, container, done, arg);
}

bool ending_is_known(const struct container *container)
{
    const struct ending *ending = container->ending;
    const struct facts *facts = &container->facts;
    return ending && ending->finished_at_ns == facts->finished_at_ns && !wants_note(facts, ending) &&
           !wants_tail(facts, ending);
}

static void ignore(void *arg)
{
    (void)arg;
}

void ending_note_alone(struct docker *docker, struct container *container)
{
    container->died_alone = true;
    /* A look has overtaken the event, and was told by the exit code alone. */
    if (ending_is_known(container) && container->ending->told == TOLD_NOTHING)
        ending_report(docker, container, ignore, NULL);
}

/* ---- what is forgotten ---- */

void ending_drop(struct container *container)
{
    if (container->ending)
        free(container->ending->tail);
    free(container->ending);
    container->ending = NULL;
}

void ending_forget(struct docker *docker, struct container *container)
{
    if (container->ending && container->ending->noted) {
        char key[KEY_SIZE];
        key_of(key, container->facts.id);
        docker->host->store_delete(docker->public, key, NULL, NULL);
    }
    ending_drop(container);
}

struct sweep {
    struct docker *docker;
    char (*ids)[ENGINE_ID_SIZE];
    size_t count;
};

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void swept(const struct sbx_error *error, const char *const *keys, size_t count, void *arg)
{
    struct sweep *sweep = arg;
    struct docker *docker = sweep->docker;
    for (size_t i = 0; !error && !docker->quiesced && i < count; i++) {
        const char *id = keys[i] + strlen(KEY_PREFIX);
        if (!bsearch(id, sweep->ids, sweep->count, sizeof *sweep->ids, compare_ids) &&
            !table_find_id(docker, id))
            docker->host->store_delete(docker->public, keys[i], NULL, NULL);
    }
    free(sweep->ids);
    free(sweep);
}

void ending_sweep(struct docker *docker, char (*ids)[ENGINE_ID_SIZE], size_t count)
{
    struct sweep *sweep = malloc(sizeof *sweep);
    if (!sweep)
        abort();
    *sweep = (struct sweep){.docker = docker, .ids = ids, .count = count};
    docker->host->store_list(docker->public, KEY_PREFIX, swept, sweep);
}

void ending_finish(struct docker *docker)
{
    while (docker->inquiries)
        destroy(docker->inquiries);
}
