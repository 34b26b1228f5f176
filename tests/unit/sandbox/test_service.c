/* The service's rules, against a world in which the test decides what ends when. */
#include "scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct viewer alice = {.user = "alice"};

static void nothing_is_made_before_its_record_is_on_disk(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    start(world, &answer);
    world_turn(world);
    assert_int_equal(flight_count("start"), 0);
    store_flush(world, NULL);
    assert_int_equal(flight_count("start"), 1);
    assert_false(answer.given);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_true(answer.given);
    assert_int_equal(answer.status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_record_that_cannot_be_written_is_the_starts_error_and_leaves_nothing(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    struct sbx_error full;
    error_set(&full, SBX_ERR_UNAVAILABLE, "STORE_FAILED", "disk full");
    start(world, &answer);
    store_flush(world, &full);
    assert_true(answer.given && answer.failed);
    assert_string_equal(answer.err.code, "STORE_FAILED");
    assert_int_equal(flight_count("start"), 0);
    assert_int_equal(service_table(world->service)->by_id.count, 0);
    world_destroy(world);
}

static void a_start_that_makes_nothing_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    struct sbx_error err;
    start(world, &answer);
    store_flush(world, NULL);
    char id[64];
    strcpy(id, flight_find("start", NULL)->sandbox);
    error_set(&err, SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND, "no such image");
    flight_end(world, flight_find("start", NULL), &err);
    assert_null(get(world, id));
    store_flush(world, NULL);
    assert_true(answer.given && answer.failed);
    assert_string_equal(answer.err.code, SBX_CODE_IMAGE_NOT_FOUND);
    assert_false(store_has(id, NULL));
    assert_int_equal(service_table(world->service)->by_id.count, 0);
    world_destroy(world);
}

static void twenty_starts_at_once_never_overshoot_and_wait_in_order(void **state)
{
    (void)state;
    struct world *world = begin(3, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answers[20];
    for (int i = 0; i < 20; i++)
        start(world, &answers[i]);
    store_flush(world, NULL);
    assert_int_equal(flight_count("start"), 3);
    for (int i = 0; i < 3; i++)
        assert_false(answers[i].given);
    for (int i = 3; i < 20; i++) {
        assert_true(answers[i].given && !answers[i].failed);
        assert_int_equal(answers[i].status, SANDBOX_STARTING);
        assert_non_null(strstr(get(world, answers[i].id)->detail, "waiting for room: 3 of 3"));
    }
    /* From now on each that runs may be paused for the next in turn. */
    for (int turn = 0; turn < 17; turn++) {
        while (flight_find("start", NULL))
            flight_end(world, flight_find("start", NULL), NULL);
        assert_true(how_many(world, SANDBOX_RUNNING) <= 3);
        assert_int_not_equal(flight_count("pause"), 0);
        flight_end(world, flight_find("pause", NULL), NULL);
        assert_int_equal(flight_count("start"), 1);
        assert_string_equal(flight_find("start", NULL)->sandbox, answers[3 + turn].id);
    }
    flight_end(world, flight_find("start", NULL), NULL);
    assert_int_equal(how_many(world, SANDBOX_RUNNING), 3);
    assert_int_equal(how_many(world, SANDBOX_PAUSED), 17);
    world_destroy(world);
}

static void a_backend_that_will_not_pause_one_pauses_the_next(void **state)
{
    (void)state;
    struct world *world = begin(2, OVER_LIMIT_PAUSE_OLDEST);
    char first[64], second[64];
    struct answer third;
    struct sbx_error err;
    start_one(world, first);
    start_one(world, second);
    start(world, &third);
    store_flush(world, NULL);
    assert_string_equal(flight_find("pause", NULL)->sandbox, first);
    error_set(&err, SBX_ERR_REFUSED, "NO", "not now");
    flight_end(world, flight_find("pause", NULL), &err);
    assert_int_equal(flight_count("pause"), 1);
    assert_string_equal(flight_find("pause", NULL)->sandbox, second);
    flight_end(world, flight_find("pause", NULL), NULL);
    flight_end(world, flight_find("start", third.id), NULL);
    assert_int_equal(get(world, third.id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void over_limit_reject_answers_at_once(void **state)
{
    (void)state;
    struct world *world = begin(1, OVER_LIMIT_REJECT);
    struct answer answer;
    struct sbx_error err;
    start(world, &answer); /* its record is not even written yet, and it counts */
    assert_null(service_start(world->service, world->config, &anybody, NULL, 0, answered, &answer, &err));
    assert_int_equal(err.kind, SBX_ERR_LIMIT);
    world_destroy(world);
}

static void a_pause_during_a_start_follows_it(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer started, paused = {0};
    struct sbx_error err;
    start(world, &started);
    store_flush(world, NULL);
    char id[64];
    strcpy(id, flight_find("start", NULL)->sandbox);
    assert_non_null(service_pause(world->service, &anybody, id, answered, &paused, &err));
    world_turn(world);
    assert_false(paused.given);
    flight_end(world, flight_find("start", NULL), NULL);
    flight_end(world, flight_find("pause", NULL), NULL);
    assert_true(paused.given && !paused.failed);
    assert_int_equal(get(world, id)->status, SANDBOX_PAUSED);
    world_destroy(world);
}

static void a_deletion_is_hidden_at_once_and_answered_when_it_is_promised(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer answer = {0};
    struct sbx_error err;
    bool deleting = false;
    start_one(world, id);
    store_flush(world, NULL);
    assert_non_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    world_turn(world);
    assert_null(get(world, id));
    assert_false(answer.given);
    assert_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    assert_int_equal(err.kind, SBX_ERR_NOT_FOUND);
    store_flush(world, NULL);
    assert_true(answer.given && !answer.failed);
    assert_true(store_has(id, &deleting) && deleting);
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_false(store_has(id, NULL));
    report(world, id, SBX_STATE_ENDED); /* a late report brings nothing back */
    assert_int_equal(service_table(world->service)->by_id.count, 0);
    world_destroy(world);
}

static void what_its_backend_makes_after_its_removal_is_removed_too(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    const struct table *table = service_table(world->service);
    char id[64];
    struct answer answer = {0};
    struct sbx_error err;
    bool deleting = false;
    start_one(world, id);
    struct home *home = get(world, id)->home;
    struct sbx_observation late = {.size = sizeof late,
                                   .state = SBX_STATE_STARTING,
                                   .sandbox_id = id,
                                   .exit_code = -1,
                                   .created_at_us = get(world, id)->created_at_us};
    assert_non_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    store_flush(world, NULL);
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_int_equal(table->by_id.count, 0);
    service_observe(world->service, home, &late);
    assert_null(get(world, id));
    store_flush(world, NULL);
    assert_true(store_has(id, &deleting) && deleting); /* whatever becomes of this daemon */
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_false(store_has(id, NULL));
    late.created_at_us++; /* not what was started here */
    service_observe(world->service, home, &late);
    assert_null(flight_find("remove", id));
    assert_int_equal(table->by_id.count, 0);
    world_destroy(world);
}

static void a_name_that_others_use_again_is_another_sandbox(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    const struct table *table = service_table(world->service);
    report(world, "others", SBX_STATE_RUNNING);
    const struct sandbox *sandbox = table_find(table, "others");
    assert_non_null(sandbox);
    struct home *home = sandbox->home;
    struct sbx_observation late = {.size = sizeof late,
                                   .state = SBX_STATE_RUNNING,
                                   .sandbox_id = "others",
                                   .exit_code = -1,
                                   .created_at_us = sandbox->created_at_us};
    report(world, "others", SBX_STATE_GONE);
    service_observe(world->service, home, &late);
    assert_int_equal(table->by_id.count, 0);
    late.created_at_us++;
    service_observe(world->service, home, &late);
    assert_int_equal(table->by_id.count, 1);
    world_destroy(world);
}

static void a_promise_that_cannot_be_kept_on_disk_is_not_made(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer answer = {0};
    struct sbx_error err, full;
    start_one(world, id);
    store_flush(world, NULL);
    error_set(&full, SBX_ERR_UNAVAILABLE, "STORE_FAILED", "disk full");
    assert_non_null(service_delete(world->service, &anybody, id, answered, &answer, &err));
    store_flush(world, &full);
    assert_true(answer.given && answer.failed);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    assert_int_equal(flight_count("remove"), 0);
    world_destroy(world);
}

static void a_delete_during_a_start_cancels_it_and_removes_what_came_of_it(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer started, deleted = {0};
    struct sbx_error err;
    start(world, &started);
    store_flush(world, NULL);
    struct backend_operation *operation = flight_find("start", NULL);
    char id[64];
    strcpy(id, operation->sandbox);
    assert_non_null(service_delete(world->service, &anybody, id, answered, &deleted, &err));
    store_flush(world, NULL);
    assert_true(operation->cancelled);
    assert_int_equal(flight_count("remove"), 0); /* one operation at a time */
    error_set(&err, SBX_ERR_CANCELLED, "CANCELLED", "cancelled");
    flight_end(world, operation, &err);
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_true(started.given && started.failed);
    assert_true(deleted.given && !deleted.failed);
    assert_int_equal(service_table(world->service)->by_id.count, 0);
    world_destroy(world);
}

static void a_restart_finds_everything_again(void **state)
{
    (void)state;
    store_seed("runs", "alice", true, false, NULL);
    store_seed("lost", NULL, true, false, NULL);
    store_seed("promised", NULL, true, true, NULL);
    store_seed("cut-off", NULL, false, false, NULL);
    store_seed("half-made", NULL, false, false, NULL);
    store_seed("failed", NULL, false, false,
               "{\"kind\":4,\"code\":\"PORTS_EXHAUSTED\",\"message\":\"none\"}");
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    report(world, "half-made", SBX_STATE_ENDED);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    assert_string_equal(get(world, "runs")->owner->name, "alice");
    assert_null(table_get(service_table(world->service), &alice, "lost"));
    assert_int_equal(get(world, "lost")->status, SANDBOX_MISSING);
    assert_null(get(world, "promised"));
    flight_end(world, flight_find("remove", "promised"), NULL);
    assert_int_equal(flight_find("start", "cut-off")->again, 1);
    assert_int_equal(flight_find("start", "half-made")->again, 1);
    flight_end(world, flight_find("start", "cut-off"), NULL);
    flight_end(world, flight_find("start", "half-made"), NULL);
    assert_int_equal(get(world, "cut-off")->status, SANDBOX_RUNNING);
    assert_int_equal(get(world, "half-made")->status, SANDBOX_RUNNING);
    assert_int_equal(get(world, "failed")->status, SANDBOX_ERROR);
    assert_string_equal(get(world, "failed")->failure->error.code, "PORTS_EXHAUSTED");
    assert_int_equal(how_many(world, SANDBOX_STARTING), 0);
    world_destroy(world);
}

static void an_unreachable_backend_refuses_and_its_sandboxes_say_why(void **state)
{
    (void)state;
    store_seed("one", NULL, true, false, NULL);
    store_seed("cut-off", NULL, false, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.down = true;
    error_set(&world->backend.why, SBX_ERR_UNAVAILABLE, "X", "no engine");
    world_begin(world);
    struct sbx_error err;
    struct answer answer = {0};
    assert_int_equal(get(world, "one")->status, SANDBOX_ERROR);
    assert_int_equal(get(world, "cut-off")->status, SANDBOX_ERROR);
    assert_non_null(strstr(get(world, "one")->failure->error.message, "no engine"));
    assert_null(service_delete(world->service, &anybody, "one", answered, &answer, &err));
    assert_int_equal(err.kind, SBX_ERR_UNAVAILABLE);
    assert_non_null(get(world, "one"));
    world->backend.down = false;
    struct backend_events events = service_backend_events(world->service);
    events.available(events.arg, &world->backend);
    report(world, "one", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_int_equal(get(world, "one")->status, SANDBOX_RUNNING);
    assert_null(get(world, "one")->failure);
    assert_int_equal(flight_find("start", "cut-off")->again, 1);
    world_destroy(world);
}

static void health_makes_it_running_failing_twice_an_error_and_back(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    start_one(world, id);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    agent_answer(world, id, 0);
    agent_answer(world, id, 503);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    agent_answer(world, id, 200);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING); /* until its backend confirms */
    flight_end(world, flight_find("confirm", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    for (int i = 0; i < 3; i++)
        agent_answer(world, id, AGENT_NOT_ASKED);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    agent_answer(world, id, 0);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    agent_answer(world, id, 500);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.code, SBX_CODE_UNHEALTHY);
    agent_answer(world, id, 204);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    assert_null(get(world, id)->failure);
    report(world, id, SBX_STATE_ENDED);
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_int_equal(get(world, id)->failure->exit_code, 7);
    world_destroy(world);
}

static void an_answer_with_another_body_is_not_ready(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world->backend.health_body = "{\"status\":\"ok\"}";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    start_one(world, id);
    agent_answer_body(world, id, "{\"status\":\"not initialized\"}");
    assert_null(flight_find("confirm", id));
    agent_answer_body(world, id, "{\"status\":\"ok\",\"more\":1}");
    flight_end(world, flight_find("confirm", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    agent_answer_body(world, id, "");
    agent_answer_body(world, id, "OK");
    assert_int_equal(get(world, id)->status, SANDBOX_ERROR);
    assert_string_equal(get(world, id)->failure->error.message,
                        "it stopped answering its health check: its answer is no JSON object, as "
                        "health_check_body wants one, but 'OK'");
    agent_answer_body(world, id, "{\"status\":\"ok\"}");
    assert_int_equal(get(world, id)->status, SANDBOX_RUNNING);
    world_destroy(world);
}

/* The plugin's body is that of its own path, and the operator's is that of every path. */
static void the_operator_has_the_last_word_on_the_body(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body, *answer; /* "-": not given */
    } rows[] = {
        {"-", "-", "{\"own\":1}"}, {"/alive", "-", "{\"own\":1}"},  {"/ready", "-", NULL},
        {"-", NULL, NULL},         {"-", "{\"a\":2}", "{\"a\":2}"}, {"/ready", "{\"a\":2}", "{\"a\":2}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
        bool path = strcmp(rows[i].path, "-") != 0, body = !rows[i].body || strcmp(rows[i].body, "-") != 0;
        world->backend.health_path = "/alive";
        world->backend.health_body = "{\"own\":1}";
        world->settings.health_path_given = path;
        world->settings.health_check_path = path ? rows[i].path : NULL;
        world->settings.health_body_given = body;
        world->settings.health_check_body = body ? rows[i].body : NULL;
        world_begin(world);
        flight_end(world, flight_find("list", NULL), NULL);
        char id[64];
        start_one(world, id);
        world->asked_path = path ? rows[i].path : NULL;
        agent_answer_body(world, id, rows[i].answer);
        assert_non_null(flight_find("confirm", id));
        world_destroy(world);
    }
}

static void one_that_nobody_reaches_runs_without_a_check(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    report_unreached(world, "runs");
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    report_agent(world, "runs", SBX_STATE_RUNNING, NULL); /* it is reached now, and is asked */
    assert_int_equal(get(world, "runs")->status, SANDBOX_STARTING);
    agent_answer(world, "runs", 200);
    flight_end(world, flight_find("confirm", "runs"), NULL);
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    report_unreached(world, "runs");
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_sandbox_that_is_reached_elsewhere_since_is_asked_there_and_goes_on_running(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    report_agent(world, "runs", SBX_STATE_RUNNING, NULL);
    agent_answer(world, "runs", 200);
    flight_end(world, flight_find("confirm", "runs"), NULL);
    report_agent(world, "runs", SBX_STATE_RUNNING, "http://agent/elsewhere");
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    agent_answer(world, "elsewhere", 0);
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    agent_answer(world, "elsewhere", 0);
    assert_int_equal(get(world, "runs")->status, SANDBOX_ERROR);
    report_agent(world, "runs", SBX_STATE_RUNNING, NULL);
    assert_int_equal(get(world, "runs")->status, SANDBOX_ERROR);
    agent_answer(world, "runs", 200);
    flight_end(world, flight_find("confirm", "runs"), NULL);
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void the_first_generation_waits_for_first_checks_so_that_first_reads_are_true(void **state)
{
    (void)state;
    store_seed("runs", NULL, true, false, NULL);
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    report(world, "runs", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_false(world->prepared);
    agent_answer(world, "runs", 200);
    flight_end(world, flight_find("confirm", "runs"), NULL);
    assert_int_equal(get(world, "runs")->status, SANDBOX_RUNNING);
    assert_true(world->prepared);
    world_destroy(world);
}

static void another_program_on_its_port_does_not_make_it_running(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    char id[64];
    start_one(world, id);
    struct sbx_error err;
    error_set(&err, SBX_ERR_CONFLICT, "PORT_TAKEN", "another program listens there");
    agent_answer(world, id, 200);
    flight_end(world, flight_find("confirm", id), &err);
    assert_int_equal(get(world, id)->status, SANDBOX_STARTING);
    world_destroy(world);
}

static void a_client_that_gives_up_is_not_answered(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer = {0};
    struct sbx_error err;
    struct sandbox_wait *wait =
        service_start(world->service, world->config, &anybody, "spec", 1000, answered, &answer, &err);
    store_flush(world, NULL);
    service_give_up(wait);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_false(answer.given);
    assert_int_equal(how_many(world, SANDBOX_RUNNING), 1);
    world_destroy(world);
}

static void a_daemon_that_drains_tells_waiting_clients_what_was_made(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.health_path = "/alive";
    world_begin(world);
    flight_end(world, flight_find("list", NULL), NULL);
    struct answer answer = {0};
    struct sbx_error err;
    assert_non_null(
        service_start(world->service, world->config, &anybody, NULL, 60000, answered, &answer, &err));
    store_flush(world, NULL);
    service_drain(world->service);
    world_turn(world);
    assert_false(answer.given); /* it may still come to nothing */
    flight_end(world, flight_find("start", NULL), NULL);
    service_drain(world->service);
    world_turn(world);
    assert_true(answer.given && !answer.failed);
    assert_int_equal(answer.status, SANDBOX_STARTING);
    world_destroy(world);
}

static void stopped(void *arg)
{
    *(bool *)arg = true;
}

static void on_shutdown_pause_is_carried_out_before_the_end(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    world->backend.on_shutdown = SBX_SHUTDOWN_PAUSE;
    char id[64];
    bool done = false;
    start_one(world, id);
    service_stop(world->service, 60000, stopped, &done);
    world_turn(world);
    assert_false(done);
    flight_end(world, flight_find("pause", id), NULL);
    assert_true(done);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_made_before_its_record_is_on_disk),
        cmocka_unit_test(a_record_that_cannot_be_written_is_the_starts_error_and_leaves_nothing),
        cmocka_unit_test(a_start_that_makes_nothing_is_an_error_and_leaves_nothing),
        cmocka_unit_test(twenty_starts_at_once_never_overshoot_and_wait_in_order),
        cmocka_unit_test(a_backend_that_will_not_pause_one_pauses_the_next),
        cmocka_unit_test(over_limit_reject_answers_at_once),
        cmocka_unit_test(a_pause_during_a_start_follows_it),
        cmocka_unit_test(a_deletion_is_hidden_at_once_and_answered_when_it_is_promised),
        cmocka_unit_test(what_its_backend_makes_after_its_removal_is_removed_too),
        cmocka_unit_test(a_name_that_others_use_again_is_another_sandbox),
        cmocka_unit_test(a_promise_that_cannot_be_kept_on_disk_is_not_made),
        cmocka_unit_test(a_delete_during_a_start_cancels_it_and_removes_what_came_of_it),
        cmocka_unit_test(a_restart_finds_everything_again),
        cmocka_unit_test(an_unreachable_backend_refuses_and_its_sandboxes_say_why),
        cmocka_unit_test(health_makes_it_running_failing_twice_an_error_and_back),
        cmocka_unit_test(an_answer_with_another_body_is_not_ready),
        cmocka_unit_test(the_operator_has_the_last_word_on_the_body),
        cmocka_unit_test(one_that_nobody_reaches_runs_without_a_check),
        cmocka_unit_test(a_sandbox_that_is_reached_elsewhere_since_is_asked_there_and_goes_on_running),
        cmocka_unit_test(the_first_generation_waits_for_first_checks_so_that_first_reads_are_true),
        cmocka_unit_test(another_program_on_its_port_does_not_make_it_running),
        cmocka_unit_test(a_client_that_gives_up_is_not_answered),
        cmocka_unit_test(a_daemon_that_drains_tells_waiting_clients_what_was_made),
        cmocka_unit_test(on_shutdown_pause_is_carried_out_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
