/* Starts that take long, that fail in a way that leaves something behind, or that a crash cut off. */
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

static bool is_watched(struct world *world, const char *id)
{
    return event_pending(&inside(world, id)->health.timer, EV_TIMEOUT, NULL);
}

/* A start in flight, of which its backend says that it is on its way. */
static void begin_one(struct world *world, struct answer *answer, char *id)
{
    start(world, answer);
    store_flush(world, NULL);
    strcpy(id, flight_find("start", NULL)->sandbox);
    report(world, id, SBX_STATE_STARTING);
}

/* The same, and its client was told that it is starting. */
static void begin_one_known(struct world *world, char *id)
{
    struct answer answer = {0};
    struct sbx_error err;
    assert_non_null(service_start(world->service, world->config, &anybody, NULL, 1, answered, &answer, &err));
    store_flush(world, NULL);
    strcpy(id, flight_find("start", NULL)->sandbox);
    report(world, id, SBX_STATE_STARTING);
    while (!answer.given)
        event_base_loop(loop_base(world->loop), EVLOOP_ONCE);
    assert_int_equal(answer.status, SANDBOX_STARTING);
}

/* ---- ids ---- */

static void ids_begin_with_the_prefix_of_their_backend(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char first[64], second[64], third[64];
    start_one(world, first);
    assert_int_equal(strlen(first), 22);
    strcpy(world->backend.id_prefix, "oh-agent-server-");
    start_one(world, second);
    assert_int_equal(strlen(second), 16 + 22);
    assert_memory_equal(second, "oh-agent-server-", 16);
    strcpy(world->backend.id_prefix, "other.");
    start_one(world, third);
    assert_memory_equal(third, "other.", 6);
    assert_non_null(get(world, first));
    assert_non_null(get(world, second));
    world_destroy(world);
}

/* ---- failures ---- */

static void a_start_of_which_nobody_knows_what_it_made_is_removed(void **state)
{
    (void)state;
    static const enum sbx_error_kind kinds[] = {SBX_ERR_TIMEOUT, SBX_ERR_UNAVAILABLE};
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    for (int i = 0; i < 2; i++) {
        struct answer answer;
        char id[64];
        bool deleting = false;
        begin_one(world, &answer, id);
        struct sbx_error err = failure(kinds[i], SBX_CODE_BACKEND_UNAVAILABLE);
        flight_end(world, flight_find("start", id), &err);
        assert_true(answer.given && answer.failed);
        assert_string_equal(answer.err.code, SBX_CODE_BACKEND_UNAVAILABLE);
        assert_null(get(world, id));
        store_flush(world, NULL);
        assert_true(store_has(id, &deleting) && deleting);
        flight_end(world, flight_find("remove", id), &err); /* it is not to be reached still */
        while (!flight_find("remove", id))
            event_base_loop(loop_base(world->loop), EVLOOP_ONCE);
        flight_end(world, flight_find("remove", id), NULL);
        store_flush(world, NULL);
        assert_false(store_has(id, NULL));
        assert_null(inside(world, id));
    }
    world_destroy(world);
}

static void a_start_that_its_backend_never_saw_leaves_nothing_to_remove(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    start(world, &answer);
    world->backend.down = true;
    world->backend.why = failure(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE);
    store_flush(world, NULL);
    assert_int_equal(flight_count("start"), 0);
    store_flush(world, NULL);
    assert_true(answer.given && answer.failed);
    assert_int_equal(answer.err.kind, SBX_ERR_UNAVAILABLE);
    assert_int_equal(flight_count("remove"), 0);
    assert_int_equal(service_table(world->service)->by_id.count, 0);
    world_destroy(world);
}

static void a_start_that_fails_on_its_way_is_an_error_with_its_reason(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    begin_one_known(world, id);
    struct sbx_error err = failure(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    flight_end(world, flight_find("start", id), &err);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_IMAGE_NOT_FOUND);
    assert_false(is_watched(world, id));
    report(world, id, SBX_STATE_STARTING); /* what it left behind was found */
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_IMAGE_NOT_FOUND);
    struct answer answer = {0};
    assert_non_null(service_resume(world->service, &anybody, id, answered, &answer, &err));
    assert_int_equal(flight_find("start", id)->again, 1);
    flight_end(world, flight_find("start", id), NULL);
    assert_true(answer.given && !answer.failed);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_start_that_fails_while_a_promise_to_delete_it_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err, full = failure(SBX_ERR_UNAVAILABLE, "STORE_FAILED");
    char id[64];
    begin_one_known(world, id);
    assert_non_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    err = failure(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    flight_end(world, flight_find("start", id), &err);
    store_flush(world, &full);
    assert_true(answer.given && answer.failed);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_IMAGE_NOT_FOUND);
    world_destroy(world);
}

/* ---- time ---- */

static struct world *begin_impatient(void)
{
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world->backend.has_logs = true; /* asked of what comes up too late */
    world->settings.startup_timeout_ms = 1;
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    return world;
}

static void comes_up_too_late(struct world *world, const char *id)
{
    while (!flight_find("logs", id))
        event_base_loop(loop_base(world->loop), EVLOOP_ONCE);
    flight_end(world, flight_find("logs", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_HEALTH_TIMEOUT);
}

static void a_start_in_flight_is_judged_by_its_own_time_only(void **state)
{
    (void)state;
    struct world *world = begin_impatient();
    struct answer answer;
    char id[64];
    begin_one(world, &answer, id);
    report(world, id, SBX_STATE_STARTING);
    assert_false(is_watched(world, id));
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    assert_true(inside(world, id)->holds_room);
    flight_end_silently(world, flight_find("start", id)); /* from now on its health is looked at */
    assert_true(is_watched(world, id));
    comes_up_too_late(world, id);
    world_destroy(world);
}

static void what_runs_before_its_start_has_ended_is_watched_from_then_on(void **state)
{
    (void)state;
    struct world *world = begin_impatient();
    struct answer answer;
    char id[64];
    begin_one(world, &answer, id);
    report(world, id, SBX_STATE_RUNNING);
    assert_true(is_watched(world, id));
    while (!flight_find("logs", id))
        agent_answer(world, id, 0);
    flight_end(world, flight_find("logs", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    flight_end_silently(world, flight_find("start", id));
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    world_destroy(world);
}

static void a_resume_in_flight_is_judged_by_its_own_time_only(void **state)
{
    (void)state;
    struct world *world = begin_impatient();
    struct answer answer = {0};
    struct sbx_error err;
    char id[64];
    start_one(world, id);
    report(world, id, SBX_STATE_STOPPED);
    assert_non_null(service_resume(world->service, &anybody, id, answered, &answer, &err));
    report(world, id, SBX_STATE_STARTING);
    assert_false(is_watched(world, id));
    err = failure(SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED);
    flight_end(world, flight_find("resume", id), &err);
    assert_true(answer.given && answer.failed);
    comes_up_too_late(world, id); /* nothing says that it is not on its way any more */
    world_destroy(world);
}

static void what_is_on_its_way_without_an_operation_has_the_startup_timeout(void **state)
{
    (void)state;
    struct world *world = begin_impatient();
    report(world, "adopted", SBX_STATE_STARTING);
    comes_up_too_late(world, "adopted");
    world_destroy(world);
}

/* ---- starts that a crash cut off ---- */

static void a_cut_off_start_that_runs_or_is_paused_goes_on_from_there(void **state)
{
    (void)state;
    store_seed("runs", NULL, false, false, NULL);
    store_seed("paused", NULL, false, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    report(world, "paused", SBX_STATE_PAUSED);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(flight_count("start"), 0);
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    assert_int_equal(get(world, "paused")->status, SANDBOX_PAUSED);
    assert_true(get(world, "runs")->begun && get(world, "paused")->begun);
    world_destroy(world);
}

static void a_cut_off_start_that_made_something_is_called_again(void **state)
{
    (void)state;
    store_seed("created", NULL, false, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    report(world, "created", SBX_STATE_STARTING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(flight_find("start", "created")->again, 1);
    assert_false(get(world, "created")->begun);
    assert_int_equal(get(world, "created")->status, SANDBOX_STARTING);
    assert_false(is_watched(world, "created"));
    flight_end(world, flight_find("start", "created"), NULL);
    assert_true(get(world, "created")->begun);
    assert_int_equal(get(world, "created")->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_cut_off_start_takes_no_room_from_what_runs(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    store_seed("created", NULL, false, false, NULL);
    struct world *world = world_create(1, OVER_LIMIT_REJECT);
    world_begin(world);
    report(world, "created", SBX_STATE_STARTING); /* whatever is listed first */
    report(world, "runs", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(flight_count("start"), 0);
    assert_int_equal(get(world, "created")->status, SANDBOX_STARTING);
    assert_false(is_watched(world, "created")); /* it waits for room, however long that takes */
    report(world, "runs", SBX_STATE_ENDED);
    assert_int_equal(flight_find("start", "created")->again, 1);
    world_destroy(world);
}

/* ---- where its health is asked ---- */

static void health_is_asked_where_this_daemon_reaches_the_agent_server(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    report_agent(world, "one", SBX_STATE_RUNNING, "http://agent/inside");
    agent_answer(world, "inside", 200);
    flight_end(world, flight_find("confirm", "one"), NULL);
    assert_int_equal(get(world, "one")->status, SANDBOX_RUNNING);
    report_agent(world, "one", SBX_STATE_RUNNING, "http://agent/inside");
    assert_int_equal(get(world, "one")->status, SANDBOX_RUNNING);
    report_agent(world, "one", SBX_STATE_RUNNING, "http://agent/elsewhere");
    assert_int_equal(get(world, "one")->status, SANDBOX_RUNNING); /* it is the same program as before */
    agent_answer(world, "elsewhere", 200);
    flight_end(world, flight_find("confirm", "one"), NULL);
    assert_int_equal(get(world, "one")->status, SANDBOX_RUNNING);
    report_agent(world, "one", SBX_STATE_RUNNING, NULL);
    agent_answer(world, "one", 200); /* as clients reach it */
    flight_end(world, flight_find("confirm", "one"), NULL);
    assert_int_equal(get(world, "one")->status, SANDBOX_RUNNING);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_begin_with_the_prefix_of_their_backend),
        cmocka_unit_test(a_start_of_which_nobody_knows_what_it_made_is_removed),
        cmocka_unit_test(a_start_that_its_backend_never_saw_leaves_nothing_to_remove),
        cmocka_unit_test(a_start_that_fails_on_its_way_is_an_error_with_its_reason),
        cmocka_unit_test(a_start_that_fails_while_a_promise_to_delete_it_cannot_be_made_is_an_error),
        cmocka_unit_test(a_start_in_flight_is_judged_by_its_own_time_only),
        cmocka_unit_test(what_runs_before_its_start_has_ended_is_watched_from_then_on),
        cmocka_unit_test(a_resume_in_flight_is_judged_by_its_own_time_only),
        cmocka_unit_test(what_is_on_its_way_without_an_operation_has_the_startup_timeout),
        cmocka_unit_test(a_cut_off_start_that_runs_or_is_paused_goes_on_from_there),
        cmocka_unit_test(a_cut_off_start_that_made_something_is_called_again),
        cmocka_unit_test(a_cut_off_start_takes_no_room_from_what_runs),
        cmocka_unit_test(health_is_asked_where_this_daemon_reaches_the_agent_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
