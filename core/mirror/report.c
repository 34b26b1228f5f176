/* mirror/report.c: reports on their way: room, splitting off the loop, the store, the answer. Those of one sandbox are
 * worked off one after the other, so that they are stored in the order in which they came, and so that the store
 * serves others between two of them. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "mirror/internal.h"
#include "mirror/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARE_MAX = 8 << 20, /* bytes of one sandbox's reports on their way; one report always may */
    TOTAL_MAX =
        32 << 20, /* of all that are here whole: half of what may wait for the disk stays for sandboxes */
    REPORT_COST = 1024,      /* what a report counts beside its text */
    SMALL_REPORT = 8 * 1024, /* bytes that are split on the loop: handing them over would cost as much */
    LOG_AGAIN_MS = 60000
};

/* A sandbox with reports on their way. */
struct source {
    char *sandbox_id;
    size_t on_the_way;
    unsigned reports;                    /* that are open: it goes with the last */
    struct mirror_report *first, **last; /* that were sent; the first is being worked on */
};

struct mirror_report {
    struct mirror *mirror; /* NULL: it is gone, and the store alone holds this */
    struct source *source;
    struct mirror_report *next_open, **open; /* of all */
    struct mirror_report *next_sent;         /* in its source's queue */
    struct loop_task task;                   /* splits it, or answers it, on the next turn */
    size_t reserved;                         /* of its source's share */
    bool sent, in_store;
    mirror_report_done done; /* NULL: nobody waits */
    void *arg;

    char *sandbox_id, *owner; /* owner NULL: nobody */
    char conversation_id[MIRROR_CONVERSATION_ID_SIZE];
    bool of_events;
    char *text;
    size_t len;
    int64_t arrived_us;
    struct sbx_error err; /* kind not 0: it was refused before it was looked at */

    /* Written off the loop. */
    bool bad;
    struct split split;
    struct split_problem problem;
};

/* ---- room ------------------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

static struct source *source_of(struct mirror *mirror, const char *sandbox_id)
{
    struct source *source = map_get(&mirror->sources, sandbox_id);
    if (source)
        return source;
    source = calloc(1, sizeof *source);
    if (!source)
        abort();
    source->sandbox_id = copy_text(sandbox_id);
    source->last = &source->first;
    map_put(&mirror->sources, source->sandbox_id, source);
    return source;
}

static void drop_source(struct mirror *mirror, struct source *source)
{
    map_remove(&mirror->sources, source->sandbox_id);
    free(source->sandbox_id);
    free(source);
}

/* A bound that was hit is told once a minute: who floods must not flood the log too. */
static void log_refusal(struct mirror *mirror, const char *sandbox_id, const char *why)
{
    uint64_t now = clock_ms();
    if (mirror->logged_ms && now - mirror->logged_ms < LOG_AGAIN_MS)
        return;
    mirror->logged_ms = now;
    log_line(LOG_WARN, &(struct log_context){.sandbox = sandbox_id},
             "a report of its agent was refused, or a part of it: %s", why);
}

static int busy(struct sbx_error *err, const char *why)
{
    error_set(err, SBX_ERR_UNAVAILABLE, "REPORTS_WAIT", "%s", why);
    err->retryable = 1;
    return -1;
}

struct mirror_report *mirror_report_open(struct mirror *mirror, const struct sandbox *sandbox, size_t size,
                                         struct sbx_error *err)
{
    const struct source *known = map_get(&mirror->sources, sandbox->id);
    size += REPORT_COST;
    if (known && known->on_the_way + size > SHARE_MAX) {
        busy(err, "8 MiB of this sandbox's reports are on their way to the disk: send it again later");
        mirror->stats.refused++;
        log_refusal(mirror, sandbox->id, err->message);
        return NULL;
    }
    struct mirror_report *report = calloc(1, sizeof *report);
    if (!report)
        abort();
    report->mirror = mirror;
    report->source = source_of(mirror, sandbox->id);
    report->source->reports++;
    report->source->on_the_way += size;
    report->reserved = size;
    report->sandbox_id = copy_text(sandbox->id);
    report->owner = copy_text(sandbox->owner->name);
    report->next_open = mirror->open;
    report->open = &mirror->open;
    if (report->next_open)
        report->next_open->open = &report->next_open;
    mirror->open = report;
    return report;
}

static void free_report(struct mirror_report *report)
{
    split_finish(&report->split);
    free(report->text);
    free(report->sandbox_id);
    free(report->owner);
    free(report);
}

/* The room that it had is free, and nothing of the mirror knows it any more. */
static void take_out(struct mirror_report *report)
{
    struct mirror *mirror = report->mirror;
    struct source *source = report->source;
    *report->open = report->next_open;
    if (report->next_open)
        report->next_open->open = report->open;
    if (report->text)
        mirror->on_the_way -= report->len + REPORT_COST;
    source->on_the_way -= report->reserved;
    if (--source->reports == 0)
        drop_source(mirror, source);
    report->mirror = NULL;
}

/* ---- working them off ------------------------------------------------------------------------- */

static void begin(struct mirror_report *report);

static void count(struct mirror *mirror, const struct mirror_report *report, const struct sbx_error *err,
                  const struct mirror_outcome *outcome)
{
    mirror->stats.events += outcome->stored;
    mirror->stats.duplicates += outcome->known;
    mirror->stats.rejected += outcome->rejected_len;
    mirror->stats.conversations += !err && !report->of_events;
    if (err && (err->kind == SBX_ERR_INVALID || err->kind == SBX_ERR_LIMIT || report->err.kind))
        mirror->stats.refused++;
    else if (err)
        mirror->stats.failed++;
}

static void answer(struct mirror_report *report, const struct sbx_error *err,
                   const struct mirror_outcome *outcome)
{
    struct mirror *mirror = report->mirror;
    struct source *source = report->source;
    mirror_report_done done = report->done;
    void *arg = report->arg;
    source->first = report->next_sent;
    if (source->first)
        begin(source->first);
    else
        source->last = &source->first;
    count(mirror, report, err, outcome);
    take_out(report);
    if (outcome->stored && mirror->stored)
        mirror->stored(mirror->stored_arg);
    if (done)
        done(arg, err, outcome);
    if (!report->in_store)
        free_report(report); /* last: `outcome` may point into it */
}

/* One line for a batch, as log_refusal() has it. */
static void log_rejected(struct mirror_report *report)
{
    const struct split *split = &report->split;
    const struct mirror_rejected *first = &split->rejected[0];
    char text[256];
    snprintf(text, sizeof text, "%zu of its %zu events are none; event %lld%s%s %s", split->rejected_count,
             split->count + split->rejected_count, (long long)first->event, first->member ? ": " : "",
             first->member ? first->member : "", first->why);
    log_refusal(report->mirror, report->sandbox_id, text);
}

static struct mirror_outcome outcome_of(const struct mirror_report *report)
{
    return (struct mirror_outcome){.event = MIRROR_WHERE_NOTHING,
                                   .rejected = report->split.rejected,
                                   .rejected_len = report->split.rejected_count};
}

static void stored(void *arg, const struct sbx_error *err, const struct store_reported *reported)
{
    struct mirror_report *report = arg;
    if (!report->mirror)
        return;
    struct mirror_outcome outcome = outcome_of(report);
    struct sbx_error full;
    if (err) {
        answer(report, err, &outcome);
    } else if (reported->full) {
        error_set(&full, SBX_ERR_LIMIT, "EVENTS_FULL",
                  "the sandbox has as much stored as events.max_per_sandbox lets it (%llu bytes)",
                  (unsigned long long)report->mirror->config->events_max_per_sandbox);
        log_refusal(report->mirror, report->sandbox_id, full.message);
        answer(report, &full, &outcome);
    } else {
        outcome.stored = reported->stored;
        outcome.known = reported->known;
        answer(report, NULL, &outcome);
    }
}

static void released(void *arg)
{
    free_report(arg);
}

static void store_it(struct mirror_report *report)
{
    struct store_report to_store = {.sandbox_id = report->sandbox_id,
                                    .owner = report->owner,
                                    .conversation_id = report->conversation_id,
                                    .arrived_us = report->arrived_us,
                                    .max_bytes = report->mirror->config->events_max_per_sandbox,
                                    .conversation_json = report->of_events ? NULL : report->text,
                                    .conversation_len = report->of_events ? 0 : report->len,
                                    .events = report->split.events,
                                    .events_len = report->split.count};
    report->in_store = true;
    store_report(report->mirror->deps.store, &to_store, stored, released, report);
}

/* On a thread of the pool, or on the loop. */
static void split_it(void *arg)
{
    struct mirror_report *report = arg;
    if (report->of_events)
        report->bad = split_events(&report->split, report->text, report->len, MIRROR_MAX_EVENTS,
                                   report->arrived_us, &report->problem) != 0;
    else
        report->bad =
            split_conversation(report->text, report->len, report->conversation_id, &report->problem) != 0;
}

static void was_split(void *arg)
{
    struct mirror_report *report = arg;
    struct mirror_outcome outcome = outcome_of(report);
    struct sbx_error err;
    if (report->split.rejected_count > 0)
        log_rejected(report);
    if (report->bad) {
        outcome.event = report->problem.event;
        outcome.member = report->problem.member;
        error_set(&err, SBX_ERR_INVALID, "REPORT_INVALID", "%s", report->problem.text);
        answer(report, &err, &outcome);
    } else if (report->of_events && report->split.count == 0) {
        answer(report, NULL, &outcome);
    } else {
        store_it(report);
    }
}

static void next_turn(void *arg)
{
    struct mirror_report *report = arg;
    if (report->err.kind) {
        struct sbx_error err = report->err;
        answer(report, &err, &(struct mirror_outcome){.event = MIRROR_WHERE_NOTHING});
        return;
    }
    split_it(report);
    was_split(report);
}

static void begin(struct mirror_report *report)
{
    struct mirror *mirror = report->mirror;
    if (report->err.kind || report->len <= SMALL_REPORT) {
        report->task = (struct loop_task){.run = next_turn, .arg = report};
        loop_defer(mirror->deps.loop, &report->task);
    } else {
        pool_submit(mirror->deps.pool, split_it, was_split, report);
    }
}

/* ---- sending ---------------------------------------------------------------------------------- */

static void take_text(struct mirror_report *report, const void *json, size_t len)
{
    struct mirror *mirror = report->mirror;
    if (len + REPORT_COST > report->reserved)
        error_set(&report->err, SBX_ERR_INVALID, "REPORT_INVALID", "is larger than was said");
    else if (mirror->on_the_way + len + REPORT_COST > TOTAL_MAX)
        busy(&report->err, "32 MiB of reports are on their way to the disk: send it again later");
    else if (!(report->text = malloc(len + 1)))
        busy(&report->err, "no memory is left for a report: send it again later");
    if (!report->text)
        return;
    if (len)
        memcpy(report->text, json, len);
    report->text[len] = '\0';
    report->len = len;
    mirror->on_the_way += len + REPORT_COST;
    report->source->on_the_way -= report->reserved - (len + REPORT_COST);
    report->reserved = len + REPORT_COST;
}

static void send_report(struct mirror_report *report, const void *json, size_t len, mirror_report_done done,
                        void *arg)
{
    struct source *source = report->source;
    report->sent = true;
    report->done = done;
    report->arg = arg;
    report->arrived_us = clock_wall_us();
    take_text(report, json, len);
    *source->last = report;
    source->last = &report->next_sent;
    if (source->first == report)
        begin(report);
}

void mirror_report_events(struct mirror_report *report, const char *conversation_id, const void *json,
                          size_t len, mirror_report_done done, void *arg)
{
    report->of_events = true;
    snprintf(report->conversation_id, sizeof report->conversation_id, "%s", conversation_id);
    send_report(report, json, len, done, arg);
}

void mirror_report_conversation(struct mirror_report *report, const void *json, size_t len,
                                mirror_report_done done, void *arg)
{
    send_report(report, json, len, done, arg);
}

void mirror_report_close(struct mirror_report *report)
{
    report->done = NULL;
    if (report->sent)
        return;
    take_out(report);
    free_report(report);
}

void reports_finish(struct mirror *mirror)
{
    while (mirror->open) {
        struct mirror_report *report = mirror->open;
        loop_undefer(mirror->deps.loop, &report->task);
        take_out(report);
        if (!report->in_store)
            free_report(report);
    }
}
