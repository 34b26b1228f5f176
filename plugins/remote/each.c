/* each.c: asks about sandboxes one by one (remote.h): GET /sessions/{id}, for an API that has no GET /sessions/batch.
 *
 * A 404 is what an API says of a session that it does not know, and what anything else at a wrong api_url says of
 * everything. So what is not there is held back until the API has proven that it is one: by knowing one of the others,
 * by GET /registry_prefix, or by a GET of /start, which only a server that has a POST /start refuses with 405. Without a
 * proof nothing is taken as missing. Decides neither when to ask nor what a failure means.
 */
#include "common/failure.h"
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>

struct question {
    struct each *each;
    struct api_call *call; /* NULL: it is free */
    size_t at;             /* of the id that is asked about */
};

struct each {
    struct remote *remote;
    char (*ids)[SANDBOX_ID_SIZE]; /* borrowed */
    size_t count, asked;
    bool *missing; /* of each id: it was answered with 404 */
    struct question *questions;
    size_t questions_len, under_way;
    bool known;             /* one was answered with success */
    bool stopped;           /* no more is asked */
    bool failed;            /* in `error`, the first */
    struct api_call *proof; /* under way, or NULL */
    struct sbx_error error;
    struct each_asker asker;
};

/* ---- the end ---- */

static void destroy(struct each *each)
{
    for (size_t i = 0; i < each->questions_len; i++)
        api_cancel(each->questions[i].call);
    api_cancel(each->proof);
    free(each->questions);
    free(each->missing);
    free(each);
}

void each_cancel(struct each *each)
{
    if (each)
        destroy(each);
}

static void end(struct each *each, bool proven)
{
    struct each_asker asker = each->asker;
    struct sbx_error error = each->error;
    bool failed = each->failed;
    for (size_t i = 0; proven && i < each->asked; i++)
        if (each->missing[i])
            asker.take(asker.arg, each->ids[i], NULL);
    destroy(each);
    asker.done(asker.arg, failed ? &error : NULL, proven);
}

/* ---- is it a runtime API? ---- */

static void prove_by(struct each *each, const char *path, api_done done)
{
    const struct remote *remote = each->remote;
    const struct api_request request = {.method = "GET",
                                        .path = path,
                                        .deadline_ms = remote->host->now_ms() + sweep_time_ms(remote),
                                        .once = true};
    each->proof = api_call(&each->remote->api, &request, done, each);
}

static void on_start_asked(void *arg, const struct api_answer *answer)
{
    struct each *each = arg;
    each->proof = NULL;
    end(each, answer->status == 405);
}

static void on_prefix_asked(void *arg, const struct api_answer *answer)
{
    struct each *each = arg;
    each->proof = NULL;
    if (answer->error)
        prove_by(each, "/start", on_start_asked);
    else
        end(each, true);
}

static bool misses_any(const struct each *each)
{
    for (size_t i = 0; i < each->asked; i++)
        if (each->missing[i])
            return true;
    return false;
}

static void all_answered(struct each *each)
{
    if (each->known || each->stopped || !misses_any(each))
        end(each, each->known);
    else
        prove_by(each, "/registry_prefix", on_prefix_asked);
}

/* ---- asking ---- */

static void ask_on(struct each *each);

/* That the API does not answer, or does not want to be asked, is no matter of one sandbox. */
static bool is_about_all(const struct api_answer *answer)
{
    return answer->status == 0 || answer->status == 401 || answer->status == 403 || answer->may_pass;
}

static void on_answer(void *arg, const struct api_answer *answer)
{
    struct question *question = arg;
    struct each *each = question->each;
    const struct sbx_error *error = answer->error;
    question->call = NULL;
    each->under_way--;
    if (!error) {
        each->known = true;
        each->asker.take(each->asker.arg, each->ids[question->at], answer->body);
    } else if (answer->status == 404) {
        each->missing[question->at] = true;
    } else {
        if (!each->failed)
            each->error = *error;
        each->failed = true;
        each->stopped = each->stopped || is_about_all(answer);
        if (answer->retry_after_ms > 0)
            poll_hold_off(each->remote, error, answer->retry_after_ms);
    }
    ask_on(each);
}

static void ask(struct question *question)
{
    struct each *each = question->each;
    const struct remote *remote = each->remote;
    char path[SANDBOX_ID_SIZE + 16];
    question->at = each->asked++;
    snprintf(path, sizeof path, "/sessions/%s", each->ids[question->at]);
    const struct api_request request = {.method = "GET",
                                        .path = path,
                                        .deadline_ms = remote->host->now_ms() + sweep_time_ms(remote),
                                        .once = true};
    each->under_way++;
    question->call = api_call(&each->remote->api, &request, on_answer, question);
}

static void ask_on(struct each *each)
{
    for (size_t i = 0; i < each->questions_len && each->asked < each->count && !each->stopped; i++)
        if (!each->questions[i].call)
            ask(&each->questions[i]);
    if (each->under_way == 0)
        all_answered(each);
}

/* Half of all that may be under way: the other half is for what clients ask for. */
size_t each_at_once(const struct remote *remote)
{
    return (size_t)(remote->options.max_in_flight + 1) / 2;
}

struct each *each_begin(struct remote *remote, char (*ids)[SANDBOX_ID_SIZE], size_t count,
                        const struct each_asker *asker)
{
    size_t at_once = each_at_once(remote);
    struct each *each = calloc(1, sizeof *each);
    struct question *questions = calloc(at_once, sizeof *questions);
    bool *missing = calloc(count, sizeof *missing);
    if (!each || !questions || !missing)
        abort();
    *each = (struct each){.remote = remote,
                          .ids = ids,
                          .count = count,
                          .missing = missing,
                          .questions = questions,
                          .questions_len = at_once,
                          .asker = *asker};
    for (size_t i = 0; i < at_once; i++)
        questions[i].each = each;
    ask_on(each);
    return each;
}
