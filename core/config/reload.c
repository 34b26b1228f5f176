/* config/reload.c: see reload.h. Owns the generation in force and the transaction under way; knows no part. */
#include "config/reload.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

struct waiter {
    struct waiter *next;
    reload_done done; /* may be NULL */
    void *arg;
};

/* Reading the file, on the pool. Apart from the transaction, since it belongs to that thread meanwhile. */
struct reading {
    struct reload *reload;
    const char *file;
    struct config *config; /* NULL: it has errors */
    struct config_problems problems;
};

struct step {
    struct reload_part part;
    bool prepared; /* it can roll back */
};

struct reload {
    struct loop *loop;
    struct pool *pool;
    char *file;
    struct step *steps;
    size_t count;
    struct config *current;
    uint64_t number;

    /* The transaction under way; idle when `running` is false. */
    bool running;
    struct reading *reading; /* while it is on the pool */
    struct config *next;
    struct config_problems problems;
    size_t at;            /* the step at work */
    size_t errors_before; /* it */
    bool ok;              /* what it ended with */
    bool failed;          /* one of them */
    bool stopped;
    struct loop_task advance;
    struct waiter *waiters, *later; /* of this transaction, and of the one to follow */
};

static void begin(struct reload *reload);

static void log_problems(const struct reload *reload)
{
    char line[1536];
    for (size_t i = 0; i < reload->problems.len; i++) {
        const struct config_problem *problem = &reload->problems.list[i];
        config_problem_format(reload->file, problem, line, sizeof line);
        log_line(config_problem_level(problem), NULL, "%s", line);
    }
}

/* Ends the transaction: `ok` when a new generation is in force. */
static void finish(struct reload *reload, bool ok)
{
    struct waiter *waiters = reload->waiters;
    config_problems_finish(&reload->problems);
    reload->waiters = NULL;
    reload->next = NULL;
    reload->running = false;
    if (reload->later && !reload->stopped)
        begin(reload);
    for (struct waiter *waiter = waiters, *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->done)
            waiter->done(waiter->arg, ok);
        free(waiter);
    }
}

static void fail(struct reload *reload)
{
    for (size_t i = reload->count; i-- > 0;) {
        const struct step *step = &reload->steps[i];
        if (step->prepared && step->part.rollback)
            step->part.rollback(step->part.self);
    }
    if (reload->stopped) {
        config_unref(reload->next);
        reload->next = NULL;
        return;
    }
    config_problems_sort(&reload->problems);
    log_problems(reload);
    size_t errors = reload->problems.errors;
    log_error("%s: %zu error%s", reload->current ? "configuration not changed" : "not started", errors,
              errors == 1 ? "" : "s");
    config_unref(reload->next);
    finish(reload, false);
}

static void commit(struct reload *reload)
{
    struct config *old = reload->current;
    reload->next->number = ++reload->number;
    reload->current = reload->next;
    for (size_t i = 0; i < reload->count; i++)
        if (reload->steps[i].part.commit)
            reload->steps[i].part.commit(reload->steps[i].part.self, reload->current);
    config_unref(old);
    config_problems_sort(&reload->problems);
    log_problems(reload);
    log_info("generation %llu in force", (unsigned long long)reload->number);
    finish(reload, true);
}

static void prepared(void *transaction, bool ok)
{
    struct reload *reload = transaction;
    reload->ok = ok;
    /* On the next turn: a prepare that ends inside its call is still on the stack. */
    loop_defer(reload->loop, &reload->advance);
}

static bool takes_part(const struct reload *reload, const struct reload_part *part)
{
    return part->prepare && (!reload->failed || part->tells_always);
}

/* Has the next part that prepares do so, or ends the transaction. */
static void prepare_next(struct reload *reload)
{
    if (reload->stopped) {
        fail(reload);
        return;
    }
    while (reload->at < reload->count && !takes_part(reload, &reload->steps[reload->at].part))
        reload->at++;
    if (reload->at == reload->count) {
        if (reload->failed)
            fail(reload);
        else
            commit(reload);
        return;
    }
    const struct reload_part *part = &reload->steps[reload->at].part;
    reload->errors_before = reload->problems.errors;
    part->prepare(part->self, reload->current, reload->next, &reload->problems, prepared, reload);
}

static void advance(void *arg)
{
    struct reload *reload = arg;
    struct step *step = &reload->steps[reload->at++];
    step->prepared = reload->ok;
    reload->failed |= !reload->ok;
    if (!reload->ok && reload->problems.errors == reload->errors_before)
        config_problem_add(&reload->problems, false, 0, 0, "", "%s could not prepare for it",
                           step->part.name);
    prepare_next(reload);
}

/* What a running daemon can't take over. */
static void check_fixed(struct reload *reload)
{
    const struct config *old = reload->current, *next = reload->next;
    if (!old || strcmp(old->state_dir, next->state_dir) == 0)
        return;
    unsigned line, column;
    config_position(next, "state_dir", &line, &column);
    config_problem_add(&reload->problems, false, line, column, "state_dir",
                       "can't change while the daemon runs: restart it to move from %s", old->state_dir);
}

static void read_file(void *arg)
{
    struct reading *reading = arg;
    reading->config = config_load(reading->file, &reading->problems);
}

static void file_was_read(void *arg)
{
    struct reading *reading = arg;
    struct reload *reload = reading->reload;
    reload->reading = NULL;
    reload->next = reading->config;
    reload->problems = reading->problems;
    free(reading);
    if (reload->next)
        check_fixed(reload);
    if (reload->problems.errors > 0)
        fail(reload);
    else
        prepare_next(reload);
}

static void begin_transaction(struct reload *reload)
{
    reload->running = true;
    reload->waiters = reload->later;
    reload->later = NULL;
    reload->at = 0;
    reload->failed = false;
    for (size_t i = 0; i < reload->count; i++)
        reload->steps[i].prepared = false;
}

static void begin(struct reload *reload)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading)
        abort();
    reading->reload = reload;
    reading->file = reload->file;
    config_problems_init(&reading->problems);
    begin_transaction(reload);
    reload->reading = reading;
    pool_submit(reload->pool, read_file, file_was_read, reading);
}

struct reload *reload_create(struct loop *loop, struct pool *pool, const char *file)
{
    struct reload *reload = calloc(1, sizeof *reload);
    if (!reload || !(reload->file = strdup(file)))
        abort();
    reload->loop = loop;
    reload->pool = pool;
    reload->advance = (struct loop_task){.run = advance, .arg = reload};
    config_problems_init(&reload->problems);
    return reload;
}

static void free_waiters(struct waiter *waiter)
{
    for (struct waiter *next; waiter; waiter = next) {
        next = waiter->next;
        free(waiter);
    }
}

void reload_destroy(struct reload *reload)
{
    if (!reload)
        return;
    loop_undefer(reload->loop, &reload->advance);
    if (reload->reading) {
        config_unref(reload->reading->config);
        config_problems_finish(&reload->reading->problems);
        free(reload->reading);
    }
    config_unref(reload->next);
    config_unref(reload->current);
    config_problems_finish(&reload->problems);
    free_waiters(reload->waiters);
    free_waiters(reload->later);
    free(reload->steps);
    free(reload->file);
    free(reload);
}

void reload_add(struct reload *reload, const struct reload_part *part)
{
    struct step *steps = realloc(reload->steps, (reload->count + 1) * sizeof *steps);
    if (!steps)
        abort();
    steps[reload->count++] = (struct step){.part = *part};
    reload->steps = steps;
}

static void add_waiter(struct reload *reload, reload_done done, void *arg)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    if (!waiter)
        abort();
    *waiter = (struct waiter){.done = done, .arg = arg};
    struct waiter **end = &reload->later;
    while (*end)
        end = &(*end)->next;
    *end = waiter;
}

void reload_run_first(struct reload *reload, struct config *first, reload_done done, void *arg)
{
    add_waiter(reload, done, arg);
    begin_transaction(reload);
    reload->next = config_ref(first);
    prepare_next(reload);
}

void reload_run(struct reload *reload, reload_done done, void *arg)
{
    add_waiter(reload, done, arg);
    if (!reload->running && !reload->stopped)
        begin(reload);
}

void reload_stop(struct reload *reload)
{
    reload->stopped = true;
}

struct config *reload_current(const struct reload *reload)
{
    return reload->current;
}
