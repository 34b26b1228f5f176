/* Resumes: of what runs, of what runs and does not answer, and of what waits for room. */
#include "scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world *begin_watched(uint32_t max)
{
    struct world *world = world_create(max, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    return world;
}

static void resume(struct world *world, const char *id, struct answer *answer)
{
    struct sbx_error err;
    *answer = (struct answer){0};
    assert_non_null(service_resume(world->service, &anybody, id, answered, answer, &err));
    world_turn(world);
}

static void answers(struct world *world, const char *id)
{
    agent_answer(world, id, 200);
    flight_end(world, flight_find("confirm", id), NULL);
}

static void falls_silent(struct world *world, const char *id)
{
    agent_answer(world, id, 0);
    agent_answer(world, id, 0);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_UNHEALTHY);
}

static void start_one_that_falls_silent(struct world *world, char *id)
{
    start_one(world, id);
    answers(world, id);
    falls_silent(world, id);
}

static void resuming_what_runs_pauses_nothing(void **state)
{
    (void)state;
    struct world *world = begin(1, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer answer;
    start_one(world, id);
    resume(world, id, &answer);
    assert_true(answer.given && !answer.failed);
    assert_int_equal(flight_count("pause") + flight_count("resume"), 0);
    world_destroy(world);
}

static void what_runs_again_by_itself_does_not_wait_for_room_any_more(void **state)
{
    (void)state;
    struct world *world = begin(1, OVER_LIMIT_PAUSE_OLDEST);
    char first[64], second[64];
    struct answer answer;
    start_one(world, first);
    report(world, first, SBX_STATE_PAUSED);
    start_one(world, second);
    resume(world, first, &answer);
    assert_string_equal(flight_find("pause", NULL)->sandbox, second);
    report(world, first, SBX_STATE_RUNNING);
    assert_int_equal(get(world, first)->status, SANDBOX_RUNNING);
    assert_null(get(world, first)->detail);
    flight_end(world, flight_find("pause", NULL), NULL);
    assert_int_equal(flight_count("resume"), 0);
    world_destroy(world);
}

/* ---- of what runs and does not answer ---- */

/* Its container may have ended while nobody could tell. */
static void whether_what_does_not_answer_needs_a_resume_is_for_its_backend_to_say(void **state)
{
    (void)state;
    struct world *world = begin_watched(0);
    struct answer answer;
    char id[64];
    start_one_that_falls_silent(world, id);
    resume(world, id, &answer);
    assert_false(answer.given);
    report(world, id, SBX_STATE_STOPPED);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    report(world, id, SBX_STATE_RUNNING);
    flight_end(world, flight_find("resume", id), NULL);
    assert_true(answer.given && !answer.failed);
    answers(world, id);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void what_is_resumed_has_the_time_of_a_start_to_answer(void **state)
{
    (void)state;
    struct world *world = begin_watched(1);
    struct answer answer;
    const char *id = "runs";
    report_agent(world, id, SBX_STATE_RUNNING, NULL);
    answers(world, id);
    falls_silent(world, id);
    resume(world, id, &answer);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    assert_true(get(world, id)->holds_room);
    report_agent(world, id, SBX_STATE_RUNNING, NULL); /* as before */
    flight_end_silently(world, flight_find("resume", id));
    assert_true(answer.given && !answer.failed);
    agent_answer(world, id, 0);
    agent_answer(world, id, 0);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    assert_true(get(world, id)->holds_room);
    answers(world, id);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_resume_that_its_backend_refuses_changes_no_verdict(void **state)
{
    (void)state;
    struct world *world = begin_watched(0);
    struct answer answer;
    struct sbx_error err;
    char id[64];
    start_one_that_falls_silent(world, id);
    resume(world, id, &answer);
    error_set(&err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED, "no");
    flight_end(world, flight_find("resume", id), &err);
    assert_true(answer.given && answer.failed);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_UNHEALTHY);
    agent_answer(world, id, 200); /* and it is asked on */
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void resumes_of_what_does_not_answer_never_overshoot(void **state)
{
    (void)state;
    struct world *world = begin_watched(1);
    struct answer answers[2];
    char first[64], second[64];
    start_one_that_falls_silent(world, first);
    start_one_that_falls_silent(world, second);
    resume(world, first, &answers[0]);
    resume(world, second, &answers[1]);
    assert_int_equal(flight_count("resume"), 1);
    assert_true(answers[1].given && !answers[1].failed);
    assert_int_equal(get(world, second)->status, SANDBOX_STARTING);
    assert_non_null(strstr(get(world, second)->detail, "waiting for room: 1 of 1"));
    agent_answer(world, second, 200); /* by itself */
    assert_int_equal(get(world, second)->status, SANDBOX_RUNNING);
    assert_null(get(world, second)->detail);
    flight_end(world, flight_find("resume", first), NULL);
    assert_int_equal(flight_count("resume"), 0);
    world_destroy(world);
}

/* ---- of what waits for room ---- */

static void stopped(void *arg)
{
    *(bool *)arg = true;
}

static void on_shutdown_pause_is_carried_out_on_what_runs_and_waits_for_room(void **state)
{
    (void)state;
    struct world *world = begin_watched(1);
    world->backend.on_shutdown = SBX_SHUTDOWN_PAUSE;
    struct answer answer;
    char first[64], second[64];
    bool done = false;
    start_one_that_falls_silent(world, first);
    start_one(world, second);
    resume(world, first, &answer);
    assert_int_equal(flight_count("resume"), 0);
    service_stop(world->service, 60000, stopped, &done);
    flight_end(world, flight_find("pause", second), NULL);
    assert_non_null(flight_find("pause", first));
    flight_end(world, flight_find("pause", first), NULL);
    assert_true(done);
    world_destroy(world);
}

static void a_start_that_waits_for_room_and_runs_after_all_is_not_started_again(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    store_seed("late", NULL, false, false, NULL);
    struct world *world = world_create(1, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(flight_count("start"), 0); /* it waits */
    report(world, "late", SBX_STATE_RUNNING);
    assert_int_equal(get(world, "late")->status, SANDBOX_RUNNING);
    assert_true(get(world, "late")->begun);
    flight_end(world, flight_find("pause", "runs"), NULL);
    assert_int_equal(flight_count("start") + flight_count("resume"), 0);
    world_destroy(world);
}

static void a_start_that_waits_for_room_and_runs_after_all_is_judged_by_its_answers(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    store_seed("late", NULL, false, false, NULL);
    struct world *world = world_create(1, OVER_LIMIT_REJECT);
    world->backend.health_path = "/alive";
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    answers(world, "runs");
    flight_end(world, flight_find("list", NULL), NULL);
    report(world, "late", SBX_STATE_RUNNING);
    assert_int_equal(get(world, "late")->status, SANDBOX_STARTING);
    assert_null(get(world, "late")->detail); /* it waits for nothing */
    answers(world, "late");
    falls_silent(world, "late");
    assert_int_equal(get(world, "late")->status, SANDBOX_ERROR);
    world_destroy(world);
}

static void a_pause_of_a_start_that_waits_for_room_is_carried_out_when_it_runs_after_all(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    store_seed("late", NULL, false, false, NULL);
    struct world *world = world_create(1, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    world->backend.health_path = "/alive";
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_non_null(service_pause(world->service, &anybody, "late", answered, &answer, &err));
    report(world, "late", SBX_STATE_RUNNING);
    flight_end(world, flight_find("pause", "late"), NULL);
    assert_true(answer.given && !answer.failed);
    assert_int_equal(get(world, "late")->status, SANDBOX_PAUSED);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resuming_what_runs_pauses_nothing),
        cmocka_unit_test(what_runs_again_by_itself_does_not_wait_for_room_any_more),
        cmocka_unit_test(whether_what_does_not_answer_needs_a_resume_is_for_its_backend_to_say),
        cmocka_unit_test(what_is_resumed_has_the_time_of_a_start_to_answer),
        cmocka_unit_test(a_resume_that_its_backend_refuses_changes_no_verdict),
        cmocka_unit_test(resumes_of_what_does_not_answer_never_overshoot),
        cmocka_unit_test(on_shutdown_pause_is_carried_out_on_what_runs_and_waits_for_room),
        cmocka_unit_test(a_start_that_waits_for_room_and_runs_after_all_is_not_started_again),
        cmocka_unit_test(a_start_that_waits_for_room_and_runs_after_all_is_judged_by_its_answers),
        cmocka_unit_test(a_pause_of_a_start_that_waits_for_room_is_carried_out_when_it_runs_after_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
