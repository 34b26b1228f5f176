/* test_api.c: calls of the runtime API, with the host's client, clock and timers in the test's hands: the queue, retries,
 * deadlines, and cancelling at every stage. */
#include "api.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 64 };

/* ---- a host ---- */

struct pending_transfer {
    struct sbx_http_handler handler;
    void *arg;
    char url[128];
    uint32_t timeout_ms;
    bool open;
};

struct pending_timer {
    sbx_callback fired;
    void *arg;
    uint64_t due_ms;
};

static struct {
    struct pending_transfer transfers[MOST];
    size_t transfers_len;
    struct pending_timer timers[MOST];
    size_t timers_len;
    sbx_callback posted[MOST], done[MOST];
    void *posted_arg[MOST], *done_arg[MOST];
    size_t posted_len, done_len;
    uint64_t now_ms;
    bool refuse_transfers;
    unsigned unanswered;
    uint32_t random; /* 0: no jitter */
} world;

static uint64_t now_ms(void)
{
    return world.now_ms;
}

static int64_t now_us(void)
{
    return 1000000000000000;
}

static void fill(void *bytes, size_t len)
{
    assert_int_equal(len, sizeof world.random);
    memcpy(bytes, &world.random, len);
}

static sbx_timer timer_start(struct sbx_backend *backend, uint64_t delay_us, sbx_callback fired, void *arg)
{
    (void)backend;
    assert_true(world.timers_len < MOST);
    world.timers[world.timers_len] = (struct pending_timer){fired, arg, world.now_ms + delay_us / 1000};
    return ++world.timers_len;
}

static void timer_cancel(struct sbx_backend *backend, sbx_timer timer)
{
    (void)backend;
    if (timer > 0)
        world.timers[timer - 1].fired = NULL;
}

static sbx_transfer http_start(struct sbx_backend *backend, const struct sbx_http_request *request,
                               const struct sbx_http_handler *handler, void *arg, struct sbx_error *error)
{
    (void)backend;
    if (world.refuse_transfers) {
        *error = (struct sbx_error){.kind = SBX_ERR_LIMIT, .message = "no more"};
        return 0;
    }
    assert_true(world.transfers_len < MOST);
    struct pending_transfer *transfer = &world.transfers[world.transfers_len];
    *transfer = (struct pending_transfer){
        .handler = *handler, .arg = arg, .timeout_ms = request->timeout_ms, .open = true};
    snprintf(transfer->url, sizeof transfer->url, "%s %s", request->method, request->url);
    return ++world.transfers_len;
}

static void http_cancel(struct sbx_backend *backend, sbx_transfer transfer)
{
    (void)backend;
    assert_true(world.transfers[transfer - 1].open);
    world.transfers[transfer - 1].open = false;
}

static void post(struct sbx_backend *backend, sbx_callback call, void *arg)
{
    (void)backend;
    world.posted[world.posted_len] = call;
    world.posted_arg[world.posted_len++] = arg;
}

static void work(struct sbx_backend *backend, sbx_callback run, sbx_callback done, void *arg)
{
    (void)backend;
    run(arg);
    world.done[world.done_len] = done;
    world.done_arg[world.done_len++] = arg;
}

/* ---- moving it on ---- */

static void advance(uint64_t ms)
{
    world.now_ms += ms;
    for (size_t i = 0; i < world.timers_len; i++) {
        struct pending_timer timer = world.timers[i];
        if (!timer.fired || timer.due_ms > world.now_ms)
            continue;
        world.timers[i].fired = NULL;
        timer.fired(timer.arg);
    }
}

static void run_posted(void)
{
    for (size_t i = 0; i < world.posted_len; i++)
        world.posted[i](world.posted_arg[i]);
    for (size_t i = 0; i < world.done_len; i++)
        world.done[i](world.done_arg[i]);
    world.posted_len = world.done_len = 0;
}

static void reply_with(size_t number, int status, const char *header, const char *body)
{
    struct pending_transfer *transfer = &world.transfers[number];
    const char *const headers[] = {"Content-Type: application/json", header, NULL};
    assert_true(number < world.transfers_len && transfer->open);
    transfer->open = false;
    transfer->handler.head(number + 1, status, headers, transfer->arg);
    transfer->handler.done(number + 1, NULL, status, body, strlen(body), transfer->arg);
}

static void reply(size_t number, int status, const char *body)
{
    reply_with(number, status, NULL, body);
}

static void fail_transfer(size_t number, enum sbx_error_kind kind)
{
    struct pending_transfer *transfer = &world.transfers[number];
    const struct sbx_error error = {.kind = kind,
                                    .retryable = kind != SBX_ERR_REFUSED,
                                    .code = SBX_CODE_BACKEND_UNAVAILABLE,
                                    .message = "gone"};
    assert_true(transfer->open);
    transfer->open = false;
    transfer->handler.done(number + 1, &error, 0, NULL, 0, transfer->arg);
}

/* ---- who asks ---- */

struct seen {
    unsigned answers;
    int status, value;
    struct sbx_error error; /* kind 0: none */
    bool may_pass;
    uint64_t retry_after_ms;
};

static void on_answer(void *arg, const struct api_answer *answer)
{
    struct seen *seen = arg;
    seen->answers++;
    seen->status = answer->status;
    seen->error = answer->error ? *answer->error : (struct sbx_error){0};
    seen->may_pass = answer->may_pass;
    seen->retry_after_ms = answer->retry_after_ms;
    seen->value = (int)json_table()->integer(json_table()->get(answer->body, "v"), -1);
}

static void on_unanswered(void *arg)
{
    (void)arg;
    world.unanswered++;
}

static struct api api;
static struct options options;
static struct sbx_backend backend;

static int begin(void **state)
{
    (void)state;
    static char url[] = "https://api", key[] = "top-secret";
    static struct sbx_host host = {.size = sizeof host,
                                   .now_ms = now_ms,
                                   .now_us = now_us,
                                   .random = fill,
                                   .timer_start = timer_start,
                                   .timer_cancel = timer_cancel,
                                   .http_start = http_start,
                                   .http_cancel = http_cancel,
                                   .work = work,
                                   .post = post};
    memset(&world, 0, sizeof world);
    world.now_ms = 1000;
    host.json = json_table();
    backend = (struct sbx_backend){.size = sizeof backend, .host = &host, .name = "far"};
    options = (struct options){.api_url = url, .api_key = key, .max_in_flight = 2, .timeout_ms = 5000};
    api_init(&api, &backend, &options, on_unanswered, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    api_finish(&api);
    run_posted();
    for (size_t i = 0; i < world.transfers_len; i++)
        assert_false(world.transfers[i].open);
    return 0;
}

static struct api_call *call(struct seen *seen, const char *path, uint64_t deadline_ms)
{
    const struct api_request request = {
        .method = "GET", .path = path, .deadline_ms = world.now_ms + deadline_ms};
    return api_call(&api, &request, on_answer, seen);
}

/* ---- tests ---- */

static void an_answer_is_json_or_nothing(void **state)
{
    (void)state;
    struct seen good = {0}, empty = {0}, broken = {0};
    call(&good, "/a?secret", 10000);
    assert_string_equal(world.transfers[0].url, "GET https://api/a?secret");
    assert_int_equal(world.transfers[0].timeout_ms, 5000);
    reply(0, 200, "{\"v\": 7}");
    assert_true(good.answers == 1 && good.value == 7 && good.error.kind == 0);
    call(&empty, "/a", 10000);
    reply(1, 204, "");
    assert_true(empty.answers == 1 && empty.error.kind == 0);
    call(&broken, "/a?secret", 10000);
    reply(2, 200, "{\"v\": ");
    assert_true(broken.answers == 1 && broken.error.kind == SBX_ERR_REFUSED && !broken.may_pass);
    assert_non_null(strstr(broken.error.message, "GET /a "));
    assert_null(strstr(broken.error.message, "secret"));
}

static void large_answers_are_parsed_off_the_loop(void **state)
{
    (void)state;
    enum { SIZE = 200 * 1024 };
    struct seen seen = {0}, dropped = {0};
    char *body = malloc(SIZE + 1);
    memset(body, ' ', SIZE);
    memcpy(body, "{\"v\": 3}", 8);
    body[SIZE] = '\0';
    call(&seen, "/a", 10000);
    reply(0, 200, body);
    assert_int_equal(seen.answers, 0);
    run_posted();
    assert_true(seen.answers == 1 && seen.value == 3);
    struct api_call *second = call(&dropped, "/a", 10000);
    reply(1, 200, body);
    api_cancel(second);
    run_posted();
    assert_int_equal(dropped.answers, 0);
    free(body);
}

static void requests_wait_for_their_turn_in_order(void **state)
{
    (void)state;
    struct seen seen[5] = {0};
    for (size_t i = 0; i < 4; i++) {
        char path[8];
        snprintf(path, sizeof path, "/%zu", i);
        call(&seen[i], path, 10000);
    }
    const struct api_request urgent = {.method = "GET", .path = "/now", .deadline_ms = 9000, .urgent = true};
    api_call(&api, &urgent, on_answer, &seen[4]);
    assert_true(world.transfers_len == 2 && api.running == 2 && api.queued == 3);
    reply(1, 200, "{}");
    assert_string_equal(world.transfers[2].url, "GET https://api/now");
    reply(0, 200, "{}");
    assert_string_equal(world.transfers[3].url, "GET https://api/2");
    reply(2, 200, "{}");
    assert_string_equal(world.transfers[4].url, "GET https://api/3");
    reply(3, 200, "{}");
    reply(4, 200, "{}");
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(seen[i].answers, 1);
    assert_true(api.running == 0 && api.queued == 0);
}

static void one_that_gets_no_turn_ends_in_time(void **state)
{
    (void)state;
    struct seen seen[3] = {0};
    call(&seen[0], "/a", 10000);
    call(&seen[1], "/b", 10000);
    call(&seen[2], "/c", 500);
    advance(499);
    assert_int_equal(seen[2].answers, 0);
    advance(1);
    assert_true(seen[2].answers == 1 && seen[2].error.kind == SBX_ERR_TIMEOUT && seen[2].may_pass);
    assert_int_equal(world.transfers_len, 2);
}

static void what_may_pass_is_tried_again_until_the_deadline(void **state)
{
    (void)state;
    struct seen seen = {0};
    call(&seen, "/a", 1000);
    fail_transfer(0, SBX_ERR_UNAVAILABLE);
    assert_true(seen.answers == 0 && world.transfers_len == 1 && world.unanswered == 1);
    advance(199);
    assert_int_equal(world.transfers_len, 1);
    advance(1);
    assert_int_equal(world.transfers_len, 2);
    assert_int_equal(world.transfers[1].timeout_ms, 800); /* what is left */
    reply(1, 503, "{\"detail\": \"later\"}");
    advance(400);
    assert_int_equal(world.transfers_len, 3);
    reply(2, 502, "<html>"); /* the next would come too late */
    assert_true(seen.answers == 1 && seen.error.kind == SBX_ERR_UNAVAILABLE && seen.may_pass);
    assert_non_null(strstr(seen.error.message, "tried 3 times"));
    assert_int_equal(world.unanswered, 1); /* an answer is an answer */
}

static void what_was_left_of_the_time_is_not_told_as_the_limit(void **state)
{
    (void)state;
    struct seen alone = {0}, full = {0}, after = {0}, queued = {0}, first = {0}, second = {0};
    call(&alone, "/a", 1000);
    advance(1000);
    fail_transfer(0, SBX_ERR_TIMEOUT);
    assert_string_equal(alone.error.message,
                        "the runtime API did not answer GET /a in the time that was left for it");
    call(&full, "/a", 6000);
    advance(5000);
    fail_transfer(1, SBX_ERR_TIMEOUT);
    advance(200);
    assert_int_equal(world.transfers[2].timeout_ms, 800);
    advance(800);
    fail_transfer(2, SBX_ERR_TIMEOUT);
    assert_string_equal(full.error.message,
                        "the runtime API did not answer GET /a within 5000 ms (tried 2 times)");
    call(&after, "/a", 1000);
    reply(3, 503, "{\"detail\": \"too busy\"}");
    advance(200);
    advance(800);
    fail_transfer(4, SBX_ERR_TIMEOUT);
    assert_string_equal(after.error.message,
                        "the runtime API refused GET /a with status 503: too busy (tried 2 times)");
    /* Nor is it overwritten by a wait for a place that comes to nothing. */
    call(&queued, "/a", 1000);
    reply(5, 503, "{\"detail\": \"too busy\"}");
    call(&first, "/b", 9000);
    call(&second, "/c", 9000);
    advance(200);
    advance(800);
    assert_int_equal(world.transfers_len, 8);
    assert_true(queued.answers == 1 && queued.may_pass);
    assert_string_equal(queued.error.message, "the runtime API refused GET /a with status 503: too busy");
}

/* Many that failed at once are not tried again at once, and none earlier than the API asked for. */
static void tries_are_spread(void **state)
{
    (void)state;
    for (unsigned attempt = 1; attempt < 40; attempt++) {
        world.random = 0;
        uint64_t most = api_backoff_ms(&api, attempt, 0);
        assert_int_equal(most, attempt < 6 ? 200 << (attempt - 1) : 5000);
        world.random = (uint32_t)(most / 2) - 1;
        assert_int_equal(api_backoff_ms(&api, attempt, 0), most / 2 + 1);
        assert_int_equal(api_backoff_ms(&api, attempt, 60000), 60000);
    }
}

static void what_will_not_pass_is_not_tried_again(void **state)
{
    (void)state;
    static const int statuses[] = {400, 401, 403, 404, 409, 422, 500};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct seen seen = {0};
        call(&seen, "/a", 10000);
        reply(i, statuses[i], "{\"detail\": \"no\"}");
        assert_true(seen.answers == 1 && seen.status == statuses[i] && !seen.may_pass);
    }
    struct seen nonsense = {0};
    call(&nonsense, "/a", 10000);
    fail_transfer(world.transfers_len - 1, SBX_ERR_REFUSED); /* no HTTP, or too large */
    assert_true(nonsense.answers == 1 && nonsense.error.kind == SBX_ERR_REFUSED);
}

static void it_waits_as_long_as_it_is_asked_to(void **state)
{
    (void)state;
    struct seen seen = {0}, late = {0}, date = {0};
    call(&seen, "/a", 10000);
    reply_with(0, 429, "Retry-After: 3", "{}");
    advance(2999);
    assert_int_equal(world.transfers_len, 1);
    advance(1);
    reply(1, 200, "{\"v\": 1}");
    assert_true(seen.answers == 1 && seen.value == 1);
    call(&late, "/a", 10000);
    reply_with(2, 503, "retry-after: 60", "{}"); /* beyond the deadline: there is no use in waiting */
    assert_true(late.answers == 1 && late.retry_after_ms == 60000);
    call(&date, "/a", 10000);
    reply_with(3, 503, "Retry-After: Sun, 09 Sep 2001 01:46:42 GMT", "{}"); /* 2 s from the host's now */
    advance(1999);
    assert_int_equal(world.transfers_len, 4);
    advance(1);
    assert_int_equal(world.transfers_len, 5);
    reply(4, 200, "{}");
    struct seen odd = {0};
    call(&odd, "/a", 10000);
    reply_with(5, 503, "Retry-After: 1.5 days", "{}"); /* neither seconds nor a date */
    advance(200);
    reply(6, 200, "{\"v\": 2}");
    assert_int_equal(odd.value, 2);
}

static void a_zero_byte_in_an_answer_spoils_nothing_else(void **state)
{
    (void)state;
    static const char *const bodies[] = {"{\"log\": \"\\u0000\\\\\\u0000\", \"v\": 7}",
                                         "{\"v\": 7, \"\\u0000\": 1}", "{\"log\": \"\\\\u0000\", \"v\": 7}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct seen seen = {0};
        call(&seen, "/a", 10000);
        reply(i, 200, bodies[i]);
        assert_true(seen.answers == 1 && seen.value == 7);
    }
    struct seen cut = {0};
    call(&cut, "/a", 10000);
    reply(world.transfers_len - 1, 200, "\"\\u000");
    assert_int_equal(cut.error.kind, SBX_ERR_REFUSED);
}

static void once_means_once(void **state)
{
    (void)state;
    struct seen seen = {0};
    const struct api_request request = {
        .method = "POST", .path = "/start", .body = "{}", .deadline_ms = 99000, .once = true};
    api_call(&api, &request, on_answer, &seen);
    fail_transfer(0, SBX_ERR_TIMEOUT);
    assert_true(seen.answers == 1 && seen.error.kind == SBX_ERR_TIMEOUT && seen.may_pass && seen.status == 0);
}

static void a_call_that_cannot_begin_fails_in_a_turn_of_its_own(void **state)
{
    (void)state;
    struct seen seen = {0}, dropped = {0};
    world.refuse_transfers = true;
    call(&seen, "/a", 10000);
    api_cancel(call(&dropped, "/a", 10000));
    assert_int_equal(seen.answers, 0);
    run_posted();
    assert_true(seen.answers == 1 && seen.error.kind == SBX_ERR_INTERNAL);
    assert_int_equal(dropped.answers, 0);
}

static void a_cancelled_call_makes_room_and_says_nothing(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct api_call *running = call(&seen, "/a", 10000);
    call(&seen, "/b", 10000);
    struct api_call *queued = call(&seen, "/c", 10000);
    call(&seen, "/d", 10000);
    api_cancel(queued);
    assert_int_equal(api.queued, 1);
    api_cancel(running);
    assert_string_equal(world.transfers[2].url, "GET https://api/d");
    reply(2, 503, "{}"); /* waits for its next attempt */
    assert_int_equal(api.running, 1);
    assert_int_equal(seen.answers, 0);
    api_finish(&api); /* the one that runs, and the one that waits */
    advance(60000);
    assert_int_equal(seen.answers, 0);
    api_init(&api, &backend, &options, on_unanswered, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_is_json_or_nothing, begin, end),
        cmocka_unit_test_setup_teardown(large_answers_are_parsed_off_the_loop, begin, end),
        cmocka_unit_test_setup_teardown(requests_wait_for_their_turn_in_order, begin, end),
        cmocka_unit_test_setup_teardown(one_that_gets_no_turn_ends_in_time, begin, end),
        cmocka_unit_test_setup_teardown(what_may_pass_is_tried_again_until_the_deadline, begin, end),
        cmocka_unit_test_setup_teardown(what_was_left_of_the_time_is_not_told_as_the_limit, begin, end),
        cmocka_unit_test_setup_teardown(tries_are_spread, begin, end),
        cmocka_unit_test_setup_teardown(what_will_not_pass_is_not_tried_again, begin, end),
        cmocka_unit_test_setup_teardown(it_waits_as_long_as_it_is_asked_to, begin, end),
        cmocka_unit_test_setup_teardown(a_zero_byte_in_an_answer_spoils_nothing_else, begin, end),
        cmocka_unit_test_setup_teardown(once_means_once, begin, end),
        cmocka_unit_test_setup_teardown(a_call_that_cannot_begin_fails_in_a_turn_of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(a_cancelled_call_makes_room_and_says_nothing, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
