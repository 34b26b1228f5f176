/* Orders of events that are rare: what ends while something else is wanted already. */
#include "scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sbx_error failure(enum sbx_error_kind kind, const char *code)
{
    struct sbx_error err;
    error_set(&err, kind, code, "%s", code);
    return err;
}

static struct sandbox *inside(struct world *world, const char *id)
{
    return table_find(service_table(world->service), id);
}

static void stopped(void *arg)
{
    *(bool *)arg = true;
}

/* ---- the end of the daemon ---- */

static void a_start_in_flight_holds_up_the_end_no_longer_than_it_takes(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    bool done = false;
    start(world, &answer);
    store_flush(world, NULL);
    service_stop(world->service, 60000, stopped, &done);
    world_turn(world);
    assert_false(done);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_true(done);
    world_destroy(world);
}

static void a_record_on_its_way_holds_up_the_end_no_longer_than_it_takes(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    bool done = false;
    start(world, &answer);
    service_stop(world->service, 60000, stopped, &done);
    world_turn(world);
    assert_false(done);
    store_flush(world, NULL);
    assert_int_equal(flight_count("start"), 0); /* the next daemon's */
    assert_true(done);
    world_destroy(world);
}

static void on_shutdown_pause_is_carried_out_on_what_is_being_resumed(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.on_shutdown = SBX_SHUTDOWN_PAUSE;
    struct answer answer = {0};
    struct sbx_error err;
    char id[64];
    bool done = false;
    start_one(world, id);
    report(world, id, SBX_STATE_PAUSED);
    assert_non_null(service_resume(world->service, &anybody, id, answered, &answer, &err));
    service_stop(world->service, 60000, stopped, &done);
    flight_end(world, flight_find("resume", id), NULL);
    flight_end(world, flight_find("pause", id), NULL);
    assert_true(done);
    world_destroy(world);
}

/* ---- reloads ---- */

static void health_goes_on_when_a_backend_comes_back(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char good[64], starting[64];
    start_one(world, good);
    start_one(world, starting);
    agent_answer(world, good, 200);
    flight_end(world, flight_find("confirm", good), NULL);
    agent_answer(world, starting, 0);
    world_remove_backend(world);
    for (int i = 0; i < 100; i++) { /* whatever was on a timer finds no backend */
        event_base_loop(loop_base(world->loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
        struct timespec nap = {.tv_nsec = 1000000};
        nanosleep(&nap, NULL);
    }
    assert_int_equal(get(world, good)->status, SANDBOX_RUNNING);
    assert_int_not_equal(get(world, starting)->status, SANDBOX_RUNNING); /* it never answered */
    world_replace_backend(world);
    agent_answer(world, starting, 200);
    flight_end(world, flight_find("confirm", starting), NULL);
    assert_int_equal(get(world, starting)->status, SANDBOX_RUNNING);
    agent_answer(world, good, 0);
    agent_answer(world, good, 0);
    assert_int_equal(get(world, good)->status, SANDBOX_ERROR);
    world_destroy(world);
}

static void a_health_path_that_a_reload_brings_is_asked(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    start_one(world, id);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world->settings.health_path_given = true;
    world->settings.health_check_path = "/alive";
    world->backend.health_path = "/alive";
    service_commit(world->service, (struct backend_set *)world, world->config);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    agent_answer(world, id, 200);
    flight_end(world, flight_find("confirm", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void what_ends_on_a_replaced_instance_is_looked_for_on_the_new_one(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer started = {0}, resumed = {0};
    struct sbx_error err;
    char id[64], paused[64];
    start_one(world, paused);
    report(world, paused, SBX_STATE_PAUSED);
    assert_non_null(
        service_start(world->service, world->config, &anybody, NULL, 60000, answered, &started, &err));
    store_flush(world, NULL);
    strcpy(id, flight_find("start", NULL)->sandbox);
    assert_non_null(service_resume(world->service, &anybody, paused, answered, &resumed, &err));
    world_replace_backend(world);
    flight_end(world, flight_find("list", NULL), NULL);
    flight_end_silently(world, flight_find("start", id));
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    assert_false(started.given);
    report(world, id, SBX_STATE_RUNNING);
    report(world, paused, SBX_STATE_PAUSED);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_true(started.given);
    assert_int_equal(started.status, SANDBOX_RUNNING);
    flight_end_silently(world, flight_find("resume", paused));
    assert_non_null(flight_find("list", NULL));
    report(world, paused, SBX_STATE_RUNNING);
    report(world, id, SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(get(world, paused)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_start_that_ends_unseen_during_a_listing_is_not_missing(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    start(world, &answer);
    store_flush(world, NULL);
    char id[64];
    strcpy(id, flight_find("start", NULL)->sandbox);
    world_replace_backend(world); /* its listing may have begun before the thing was there */
    flight_end_silently(world, flight_find("start", NULL));
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    report(world, id, SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

/* ---- room ---- */

static void over_limit_reject_pauses_nothing_for_a_start_that_a_crash_cut_off(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    store_seed("cut-off", NULL, false, false, NULL);
    struct world *world = world_create(1, OVER_LIMIT_REJECT);
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(flight_count("pause"), 0);
    assert_int_equal(get(world, "cut-off")->status, SANDBOX_STARTING);
    report(world, "runs", SBX_STATE_ENDED);
    assert_non_null(flight_find("start", "cut-off"));
    world_destroy(world);
}

/* ---- waits ---- */

static void a_resume_of_a_failed_start_that_fails_again_says_so(void **state)
{
    (void)state;
    store_seed("failed", NULL, false, false,
               "{\"kind\":4,\"code\":\"PORTS_EXHAUSTED\",\"message\":\"none\"}");
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    assert_non_null(service_resume(world->service, &anybody, "failed", answered, &answer, &err));
    err = failure(SBX_ERR_REFUSED, SBX_CODE_COMMAND_NOT_FOUND);
    flight_end(world, flight_find("start", "failed"), &err);
    assert_true(answer.given && answer.failed);
    assert_string_equal(answer.err.code, SBX_CODE_COMMAND_NOT_FOUND);
    assert_int_equal(get(world, "failed")->status, SANDBOX_ERROR);
    world_destroy(world);
}

static void a_resume_that_fails_leaves_the_reason_why_it_ended(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    char id[64];
    start_one(world, id);
    report(world, id, SBX_STATE_ENDED);
    assert_non_null(service_resume(world->service, &anybody, id, answered, &answer, &err));
    err = failure(SBX_ERR_REFUSED, SBX_CODE_PORTS_EXHAUSTED);
    flight_end(world, flight_find("resume", id), &err);
    assert_true(answer.given && answer.failed);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_EXITED);
    assert_int_equal(get(world, id)->failure->exit_code, 7);
    world_destroy(world);
}

static void who_waits_for_what_is_deleted_is_told_so(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer started = {0}, paused = {0}, deleted = {0};
    struct sbx_error err;
    assert_non_null(
        service_start(world->service, world->config, &anybody, NULL, 60000, answered, &started, &err));
    store_flush(world, NULL);
    char id[64];
    strcpy(id, flight_find("start", NULL)->sandbox);
    assert_non_null(service_pause(world->service, &anybody, id, answered, &paused, &err));
    assert_non_null(service_delete(world->service, &anybody, id, answered, &deleted, &err));
    world_turn(world);
    assert_false(started.given || paused.given); /* the promise may not be made */
    store_flush(world, NULL);
    assert_true(started.given && started.failed);
    assert_int_equal(started.err.kind, SBX_ERR_NOT_FOUND);
    assert_true(paused.given && paused.failed);
    assert_true(deleted.given && !deleted.failed);
    world_destroy(world);
}

static void what_was_reported_before_a_promise_failed_holds_after_it(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    struct answer answer = {0};
    struct sbx_error err;
    start_one(world, id);
    agent_answer(world, id, 200);
    flight_end(world, flight_find("confirm", id), NULL);
    store_flush(world, NULL);
    assert_non_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    report(world, id, SBX_STATE_RUNNING);
    err = failure(SBX_ERR_UNAVAILABLE, "STORE_FAILED");
    store_flush(world, &err);
    assert_true(answer.given && answer.failed);
    agent_answer(world, id, 200); /* it is watched still */
    flight_end(world, flight_find("confirm", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

/* ---- the disk ---- */

static void a_start_fails_for_its_client_when_its_record_is_gone(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    start(world, &answer);
    store_flush(world, NULL);
    char id[64];
    strcpy(id, flight_find("start", NULL)->sandbox);
    struct sbx_error err = failure(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    flight_end(world, flight_find("start", NULL), &err);
    assert_false(answer.given); /* killed now, the next daemon would start it again */
    report(world, id, SBX_STATE_ENDED);
    report(world, id, SBX_STATE_GONE);
    store_flush(world, NULL);
    assert_true(answer.given && answer.failed);
    assert_string_equal(answer.err.code, SBX_CODE_IMAGE_NOT_FOUND);
    world_destroy(world);
}

static void a_record_that_cannot_be_deleted_is_tried_again(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    start(world, &answer);
    store_flush(world, NULL);
    char id[64];
    strcpy(id, flight_find("start", NULL)->sandbox);
    struct sbx_error err = failure(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    struct sbx_error full = failure(SBX_ERR_UNAVAILABLE, "STORE_FAILED");
    flight_end(world, flight_find("start", NULL), &err);
    store_flush(world, &full);
    assert_true(answer.given && answer.failed);
    assert_string_equal(answer.err.code, SBX_CODE_IMAGE_NOT_FOUND);
    assert_null(get(world, id));
    assert_non_null(inside(world, id));
    while (!flight_find("remove", id))
        event_base_loop(loop_base(world->loop), EVLOOP_ONCE);
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_false(store_has(id, NULL));
    assert_null(inside(world, id));
    world_destroy(world);
}

static void nobody_hears_of_a_sandbox_before_its_record_is_on_disk(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    assert_non_null(service_start(world->service, world->config, &anybody, NULL, 1, answered, &answer, &err));
    event_base_loop(loop_base(world->loop), EVLOOP_ONCE); /* the time is over */
    world_turn(world);
    assert_false(answer.given);
    err = failure(SBX_ERR_UNAVAILABLE, "STORE_FAILED");
    store_flush(world, &err);
    assert_true(answer.given && answer.failed);
    world_destroy(world);
}

static void what_could_not_be_written_is_written_later(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    start_one(world, id);
    struct sbx_error full = failure(SBX_ERR_UNAVAILABLE, "STORE_FAILED");
    store_flush(world, &full); /* that it was begun: the next daemon would begin it again */
    report(world, id, SBX_STATE_RUNNING);
    assert_int_equal(store_waiting(), 1);
    store_flush(world, NULL);
    report(world, id, SBX_STATE_RUNNING);
    assert_int_equal(store_waiting(), 0);
    world_destroy(world);
}

/* ---- health checks ---- */

static void a_turn_to_be_checked_is_not_lost_with_who_had_it(void **state)
{
    (void)state;
    enum { ALL = 600, AT_ONCE = 256 };
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    for (int i = 0; i < ALL; i++) {
        char id[16];
        snprintf(id, sizeof id, "s%d", i);
        report(world, id, SBX_STATE_RUNNING);
    }
    struct health_queue *queue = &world->service->checks;
    size_t queued = 0;
    while (queued < ALL - AT_ONCE) {
        event_base_loop(loop_base(world->loop), EVLOOP_ONCE);
        queued = 0;
        for (struct sandbox *at = queue->first; at; at = at->health.next_due)
            queued++;
    }
    struct sandbox *going[2 * AT_ONCE], *sandbox;
    size_t count = 0;
    for (size_t i = 0; (sandbox = table_next(service_table(world->service), &i));)
        if (sandbox->health.transfer)
            going[count++] = sandbox;
    for (struct sandbox *at = queue->first; count < 2 * AT_ONCE; at = at->health.next_due)
        going[count++] = at;
    for (size_t i = 0; i < count; i++) { /* all in one turn, as a listing would have it */
        struct sbx_observation gone = {
            .size = sizeof gone, .state = SBX_STATE_GONE, .sandbox_id = going[i]->id, .exit_code = -1};
        service_observe(world->service, going[i]->home, &gone);
    }
    world_turn(world);
    assert_int_equal(queue->under_way, ALL - 2 * AT_ONCE);
    world_destroy(world);
}

static void who_waits_for_a_start_is_told_that_its_time_is_over_with_the_tail(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world->backend.has_logs = true;
    world->settings.startup_timeout_ms = 1;
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    start_one(world, id);
    while (!flight_find("logs", id))
        agent_answer(world, id, 0);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    flight_end(world, flight_find("logs", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_HEALTH_TIMEOUT);
    world_destroy(world);
}

/* What a start that comes too late is said to have met with last. */
static const char *last_time(struct world *world, char *id, const int *answers, size_t count)
{
    start_one(world, id);
    for (size_t i = 0; !flight_find("logs", id); i++)
        agent_answer(world, id, answers[i < count ? i : count - 1]);
    flight_end(world, flight_find("logs", id), NULL);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_HEALTH_TIMEOUT);
    return strstr(get(world, id)->failure->error.message, "; the last time: ");
}

static void a_check_that_is_cut_short_hides_no_better_reason(void **state)
{
    (void)state;
    static const int status[] = {0, 503, AGENT_HANGS}, refused[] = {503, AGENT_HANGS, 0, AGENT_HANGS},
                     hangs[] = {AGENT_HANGS};
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world->backend.has_logs = true;
    world->settings.startup_timeout_ms = 1500; /* so that a busy machine gives all answers in it */
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    assert_string_equal(last_time(world, id, status, 3), "; the last time: it answered with status 503");
    assert_string_equal(last_time(world, id, refused, 4), "; the last time: no connection");
    assert_string_equal(last_time(world, id, hangs, 1),
                        "; the last time: no answer in the time that was left");
    /* Once it is too late, each check has its full time, and what it meets with later is no reason. */
    agent_answer(world, id, 503);
    assert_non_null(strstr(get(world, id)->failure->error.message, "in the time that was left"));
    agent_answer(world, id, 200);
    flight_end(world, flight_find("confirm", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_reported_tail_has_no_lines_of_our_checks(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    start_one(world, id);
    struct sbx_observation ended = {
        .size = sizeof ended,
        .state = SBX_STATE_ENDED,
        .sandbox_id = id,
        .exit_code = 1,
        .log_tail = "x - \"GET /alive HTTP/1.1\" 200 OK\nlast words\nx - \"GET /alive HTTP/1.1\" 200 OK\n"};
    struct backend_events events = service_backend_events(world->service);
    events.report(events.arg, &world->backend, &ended);
    world_turn(world);
    assert_string_equal(get(world, id)->failure->log_tail, "last words\n");
    world_destroy(world);
}

/* ---- starts whose end nobody saw ---- */

static void a_cut_off_start_that_no_listing_allows_is_not_starting_for_ever(void **state)
{
    (void)state;
    store_seed("cut-off", NULL, false, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    struct sbx_error err = failure(SBX_ERR_INTERNAL, SBX_CODE_INTERNAL);
    flight_end(world, flight_find("list", NULL), &err);
    assert_int_equal(get(world, "cut-off")->status, SANDBOX_ERROR);
    world_destroy(world);
}

static void a_failed_start_that_runs_after_all_can_be_paused(void **state)
{
    (void)state;
    store_seed("late", NULL, false, false, "{\"kind\":8,\"code\":\"BACKEND_TIMEOUT\",\"message\":\"slow\"}");
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    report(world, "late", SBX_STATE_RUNNING);
    assert_int_equal(get(world, "late")->status, SANDBOX_RUNNING);
    assert_non_null(service_pause(world->service, &anybody, "late", answered, &answer, &err));
    flight_end(world, flight_find("pause", "late"), NULL);
    assert_int_equal(get(world, "late")->status, SANDBOX_PAUSED);
    world_destroy(world);
}

static void a_failing_removal_keeps_its_pace_whatever_is_reported(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    char id[64];
    start_one(world, id);
    assert_non_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    store_flush(world, NULL);
    err = failure(SBX_ERR_REFUSED, "BUSY");
    flight_end(world, flight_find("remove", id), &err);
    report(world, id, SBX_STATE_ENDED);
    assert_int_equal(flight_count("remove"), 0);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_in_flight_holds_up_the_end_no_longer_than_it_takes),
        cmocka_unit_test(a_record_on_its_way_holds_up_the_end_no_longer_than_it_takes),
        cmocka_unit_test(on_shutdown_pause_is_carried_out_on_what_is_being_resumed),
        cmocka_unit_test(health_goes_on_when_a_backend_comes_back),
        cmocka_unit_test(a_health_path_that_a_reload_brings_is_asked),
        cmocka_unit_test(what_ends_on_a_replaced_instance_is_looked_for_on_the_new_one),
        cmocka_unit_test(a_start_that_ends_unseen_during_a_listing_is_not_missing),
        cmocka_unit_test(over_limit_reject_pauses_nothing_for_a_start_that_a_crash_cut_off),
        cmocka_unit_test(a_resume_of_a_failed_start_that_fails_again_says_so),
        cmocka_unit_test(a_resume_that_fails_leaves_the_reason_why_it_ended),
        cmocka_unit_test(who_waits_for_what_is_deleted_is_told_so),
        cmocka_unit_test(what_was_reported_before_a_promise_failed_holds_after_it),
        cmocka_unit_test(a_start_fails_for_its_client_when_its_record_is_gone),
        cmocka_unit_test(a_record_that_cannot_be_deleted_is_tried_again),
        cmocka_unit_test(nobody_hears_of_a_sandbox_before_its_record_is_on_disk),
        cmocka_unit_test(what_could_not_be_written_is_written_later),
        cmocka_unit_test(a_turn_to_be_checked_is_not_lost_with_who_had_it),
        cmocka_unit_test(who_waits_for_a_start_is_told_that_its_time_is_over_with_the_tail),
        cmocka_unit_test(a_reported_tail_has_no_lines_of_our_checks),
        cmocka_unit_test(a_check_that_is_cut_short_hides_no_better_reason),
        cmocka_unit_test(a_cut_off_start_that_no_listing_allows_is_not_starting_for_ever),
        cmocka_unit_test(a_failed_start_that_runs_after_all_can_be_paused),
        cmocka_unit_test(a_failing_removal_keeps_its_pace_whatever_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
