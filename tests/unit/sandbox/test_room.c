/* Who gives way to whom under max_sandboxes, what is said of it, and what is said of a pause that nobody here asked
 * for. */
#include "scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *detail(struct world *world, const char *id)
{
    const char *text = sandbox_status_detail(get(world, id));
    return text ? text : "";
}

static void a_refusal_prints_the_numbers_that_were_compared(void **state)
{
    (void)state;
    struct world *world = begin(2, OVER_LIMIT_REJECT);
    struct answer first, second, third;
    struct sbx_error err;
    start(world, &first); /* not one of them runs yet */
    start(world, &second);
    assert_null(service_start(world->service, world->config, &anybody, NULL, 0, answered, &third, &err));
    assert_non_null(strstr(err.message, "2 of 2 sandboxes run (0) or are on their way (2) on backend 'b'"));
    store_flush(world, NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_null(service_start(world->service, world->config, &anybody, NULL, 0, answered, &third, &err));
    assert_non_null(strstr(err.message, "2 of 2 sandboxes run on backend 'b'"));
    world_destroy(world);
}

static void the_oldest_is_the_first_in_sequence_whatever_the_clock_says(void **state)
{
    (void)state;
    store_seed_created("before", 7, INT64_C(4102444800000000), ""); /* made before the clock was set back */
    struct world *world = world_create(2, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    report(world, "before", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    char after[64];
    struct answer third;
    start_one(world, after);
    assert_int_equal(store_sequence(after), 8);
    start(world, &third);
    store_flush(world, NULL);
    assert_non_null(flight_find("pause", "before"));
    assert_null(flight_find("pause", after));
    world_destroy(world);
}

static void what_made_room_says_for_whom_until_it_runs_again(void **state)
{
    (void)state;
    struct world *world = begin(1, OVER_LIMIT_PAUSE_OLDEST);
    char first[64];
    struct answer second, resumed = {0};
    struct sbx_error err;
    start_one(world, first);
    start(world, &second);
    store_flush(world, NULL);
    assert_non_null(strstr(detail(world, first), second.id)); /* while it is being paused, too */
    report(world, first, SBX_STATE_RUNNING);                  /* it has not happened yet */
    flight_end(world, flight_find("pause", first), NULL);
    store_flush(world, NULL);
    assert_non_null(strstr(detail(world, first), "paused to make room for sandbox"));
    assert_non_null(strstr(detail(world, first), second.id));
    assert_string_equal(store_pause_reason(first), detail(world, first));
    assert_int_equal(service_stats(world->service).room_pauses, 1);
    assert_int_equal(service_stats(world->service).outside_pauses, 0);

    flight_end(world, flight_find("start", second.id), NULL);
    assert_non_null(service_resume(world->service, &anybody, first, answered, &resumed, &err));
    world_turn(world);
    flight_end(world, flight_find("pause", second.id), NULL);
    flight_end(world, flight_find("resume", first), NULL);
    store_flush(world, NULL);
    assert_string_equal(detail(world, first), "");
    assert_string_equal(store_pause_reason(first), "");
    world_destroy(world);
}

static void a_pause_that_a_client_asked_for_has_no_other_reason(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer paused = {0};
    struct sbx_error err;
    start_one(world, id);
    assert_non_null(service_pause(world->service, &anybody, id, answered, &paused, &err));
    world_turn(world);
    flight_end(world, flight_find("pause", id), NULL);
    assert_int_equal(get(world, id)->status, SANDBOX_PAUSED);
    assert_string_equal(detail(world, id), "");
    world_destroy(world);
}

static void a_failed_pause_leaves_no_reason(void **state)
{
    (void)state;
    struct world *world = begin(1, OVER_LIMIT_PAUSE_OLDEST);
    char first[64];
    struct answer second;
    struct sbx_error err;
    start_one(world, first);
    start(world, &second);
    store_flush(world, NULL);
    error_set(&err, SBX_ERR_REFUSED, "NO", "not now");
    flight_end(world, flight_find("pause", first), &err);
    report(world, first, SBX_STATE_PAUSED);
    assert_null(strstr(detail(world, first), second.id));
    world_destroy(world);
}

static void a_pause_from_outside_is_told_as_one(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    start_one(world, id);
    report(world, id, SBX_STATE_PAUSED);
    store_flush(world, NULL);
    assert_non_null(strstr(detail(world, id), "paused from outside: backend 'b'"));
    assert_string_equal(store_pause_reason(id), detail(world, id));
    assert_int_equal(service_stats(world->service).outside_pauses, 1);
    report(world, id, SBX_STATE_RUNNING);
    store_flush(world, NULL);
    assert_string_equal(detail(world, id), "");
    report(world, id, SBX_STATE_STOPPED);
    assert_non_null(strstr(detail(world, id), "stopped from outside"));
    world_destroy(world);
}

static void a_reason_outlives_the_daemon(void **state)
{
    (void)state;
    store_seed_created("paused", 1, 1000, "paused to make room for another one");
    store_seed_created("runs", 2, 1001, "paused to make room for another one");
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    world_begin(world);
    report(world, "paused", SBX_STATE_PAUSED);
    report(world, "runs", SBX_STATE_RUNNING); /* resumed by others meanwhile */
    flight_end(world, flight_find("list", NULL), NULL);
    store_flush(world, NULL);
    assert_string_equal(detail(world, "paused"), "paused to make room for another one");
    assert_string_equal(detail(world, "runs"), "");
    assert_string_equal(store_pause_reason("runs"), "");
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_prints_the_numbers_that_were_compared),
        cmocka_unit_test(the_oldest_is_the_first_in_sequence_whatever_the_clock_says),
        cmocka_unit_test(what_made_room_says_for_whom_until_it_runs_again),
        cmocka_unit_test(a_pause_that_a_client_asked_for_has_no_other_reason),
        cmocka_unit_test(a_failed_pause_leaves_no_reason),
        cmocka_unit_test(a_pause_from_outside_is_told_as_one),
        cmocka_unit_test(a_reason_outlives_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
