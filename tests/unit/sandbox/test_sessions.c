/* Starts as the runtime API has them: under the client's own name, with a spec that no configuration has. */
#include "scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OWN "{\"id\":\"image\",\"own\":true}"

static const struct service_session session = {
    .session_id = "s", .spec_id = "image", .backend = "b", .spec_json = OWN};

static struct sandbox_wait *start_session(struct world *world, struct answer *answer)
{
    struct sbx_error err;
    *answer = (struct answer){0};
    struct sandbox_wait *wait =
        service_start_session(world->service, world->config, &anybody, &session, answered, answer, &err);
    assert_non_null(wait);
    return wait;
}

static const struct sandbox *get_session(struct world *world, const char *session_id)
{
    return table_get_session(service_table(world->service), &anybody, session_id);
}

/* Until it is RUNNING; its id in `id`. */
static void run_session(struct world *world, char *id)
{
    struct answer answer;
    start_session(world, &answer);
    store_flush(world, NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    store_flush(world, NULL);
    assert_true(answer.given && !answer.failed);
    strcpy(id, answer.id);
}

static void a_start_is_answered_once_it_is_known_where_it_will_be(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer answer;
    start_session(world, &answer);
    assert_null(get_session(world, "s")); /* not before it is on disk */
    store_flush(world, NULL);
    const struct backend_operation *flight = flight_find("start", NULL);
    assert_string_equal(flight->spec, OWN);
    assert_false(answer.given);
    report(world, flight->sandbox, SBX_STATE_STARTING); /* brings a URL */
    assert_true(answer.given && !answer.failed);
    assert_int_equal(answer.status, SANDBOX_STARTING);
    assert_int_equal(flight_count("start"), 1);
    assert_string_equal(get_session(world, "s")->id, answer.id);
    assert_string_equal(store_session(answer.id), "s");
    assert_string_equal(store_spec(answer.id), OWN);
    world_destroy(world);
}

static void starts_of_one_session_at_once_make_one(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer first, second, third;
    start_session(world, &first);
    start_session(world, &second); /* before the first is on disk */
    store_flush(world, NULL);
    start_session(world, &third); /* while its backend makes it */
    assert_int_equal(flight_count("start"), 1);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_true(first.given && second.given && third.given);
    assert_string_equal(first.id, second.id);
    assert_string_equal(first.id, third.id);
    world_destroy(world);
}

static void starts_of_one_session_share_their_failure(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    struct answer first, second;
    struct sbx_error err;
    error_set(&err, SBX_ERR_REFUSED, SBX_CODE_IMAGE_NOT_FOUND, "no such image");
    start_session(world, &first);
    store_flush(world, NULL);
    start_session(world, &second);
    flight_end(world, flight_find("start", NULL), &err);
    store_flush(world, NULL);
    assert_true(first.failed && second.failed);
    assert_string_equal(second.err.code, SBX_CODE_IMAGE_NOT_FOUND);
    assert_null(get_session(world, "s"));
    start_session(world, &first); /* the name is free */
    store_flush(world, NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_true(first.given && !first.failed);
    world_destroy(world);
}

static void a_session_that_is_paused_is_resumed_by_a_start(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    run_session(world, id);
    report(world, id, SBX_STATE_PAUSED);
    struct answer answer;
    start_session(world, &answer);
    assert_int_equal(flight_count("start"), 0);
    flight_end(world, flight_find("resume", id), NULL);
    assert_true(answer.given && !answer.failed);
    assert_string_equal(answer.id, id);
    world_destroy(world);
}

static void what_is_gone_makes_way_for_another(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    bool deleting = false;
    run_session(world, id);
    report(world, id, SBX_STATE_GONE);
    assert_int_equal(get_session(world, "s")->status, SANDBOX_MISSING);
    struct answer answer;
    start_session(world, &answer);
    assert_null(get(world, id)); /* at once */
    store_flush(world, NULL);
    assert_true(store_has(id, &deleting) && deleting);
    assert_string_equal(store_session(id), "");
    flight_end(world, flight_find("start", NULL), NULL);
    assert_string_not_equal(answer.id, id);
    assert_string_equal(get_session(world, "s")->id, answer.id);
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_string_equal(get_session(world, "s")->id, answer.id); /* its own is left alone */
    assert_false(store_has(id, NULL));
    world_destroy(world);
}

static void what_ended_is_resumed_and_what_never_ran_makes_way(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer answer, another;
    run_session(world, id);
    report(world, id, SBX_STATE_ENDED);
    assert_int_equal(get_session(world, "s")->status, SANDBOX_ERROR);
    start_session(world, &answer);
    flight_end(world, flight_find("resume", id), NULL);
    assert_string_equal(answer.id, id);

    report_unused(world, id);
    assert_int_equal(get_session(world, "s")->status, SANDBOX_ERROR);
    start_session(world, &another);
    assert_null(get(world, id));
    assert_null(flight_find("resume", id));
    store_flush(world, NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_string_not_equal(another.id, id);
    assert_string_equal(get_session(world, "s")->id, another.id);
    flight_end(world, flight_find("remove", id), NULL);
    store_flush(world, NULL);
    assert_false(store_has(id, NULL));
    world_destroy(world);
}

static void a_deleted_session_is_free_at_once(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer deleted = {0}, answer;
    struct sbx_error err;
    run_session(world, id);
    assert_non_null(service_delete(world->service, &anybody, id, answered, &deleted, &err));
    assert_null(get_session(world, "s"));
    start_session(world, &answer);
    store_flush(world, NULL);
    flight_end(world, flight_find("start", NULL), NULL);
    assert_true(deleted.given && answer.given);
    assert_string_not_equal(answer.id, id);
    world_destroy(world);
}

static void a_start_is_not_answered_with_what_was_deleted_meanwhile(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    struct answer deleted = {0}, answer;
    struct sbx_error err;
    run_session(world, id);
    start_session(world, &answer); /* known at once, told on the next turn */
    assert_non_null(service_delete(world->service, &anybody, id, answered, &deleted, &err));
    world_turn(world);
    assert_false(answer.given); /* the promise may not be made */
    error_set(&err, SBX_ERR_UNAVAILABLE, "STORE_FAILED", "no");
    store_flush(world, &err);
    assert_true(deleted.failed);
    assert_true(answer.given && !answer.failed);
    assert_int_equal(answer.status, SANDBOX_RUNNING);
    start_session(world, &answer);
    assert_non_null(
        service_delete(world->service, &anybody, id, answered, memset(&deleted, 0, sizeof deleted), &err));
    store_flush(world, NULL);
    assert_true(deleted.given && !deleted.failed);
    assert_true(answer.given && answer.failed);
    assert_int_equal(answer.err.kind, SBX_ERR_NOT_FOUND);
    world_destroy(world);
}

static void a_start_that_a_crash_cut_off_goes_on_with_its_own_spec(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    store_seed_session("cut", false, "s", OWN);
    store_seed_session("old", true, "t", OWN);
    store_seed_session("new", true, "t", OWN); /* the newest has the name */
    world_begin(world);
    report(world, "old", SBX_STATE_RUNNING);
    report(world, "new", SBX_STATE_RUNNING);
    flight_end(world, flight_find("list", NULL), NULL);
    struct backend_operation *flight = flight_find("start", "cut");
    assert_non_null(flight);
    assert_true(flight->again);
    assert_string_equal(flight->spec, OWN);
    struct answer answer;
    start_session(world, &answer);
    flight_end(world, flight, NULL);
    assert_string_equal(answer.id, "cut");
    assert_string_equal(get_session(world, "t")->id, "new");
    world_destroy(world);
}

/* Its command may be a client's, which may not run just anywhere. */
static void what_was_asked_of_a_backend_that_isolates_is_started_on_no_other(void **state)
{
    (void)state;
    static const struct service_session inside = {.session_id = "s",
                                                  .spec_id = "image",
                                                  .backend = "b",
                                                  .spec_json = "{\"id\":\"image\",\"ports\":[]}"};
    for (int other = 0; other < 2; other++) {
        struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
        struct answer answer = {0};
        struct sbx_error err;
        world->backend.isolates = true;
        assert_non_null(
            service_start_session(world->service, world->config, &anybody, &inside, answered, &answer, &err));
        world->backend.isolates = !other; /* a reload gave its name to another while it was recorded */
        store_flush(world, NULL);
        assert_int_equal(flight_count("start"), !other);
        store_flush(world, NULL);
        assert_int_equal(answer.failed, other);
        assert_int_equal(get_session(world, "s") == NULL, other);
        world_destroy(world);
    }
}

/* Clients read where it is before they resume it, and never again. */
static void where_a_paused_one_will_be_is_known_after_a_restart(void **state)
{
    (void)state;
    static const enum sbx_state states[] = {SBX_STATE_PAUSED, SBX_STATE_STOPPED};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
        store_seed_session("kept", true, "s", OWN);
        world_begin(world);
        report(world, "kept", states[i]);
        flight_end(world, flight_find("list", NULL), NULL);
        assert_int_equal(get_session(world, "s")->status, SANDBOX_PAUSED);
        assert_int_equal(get_session(world, "s")->urls_len, 1);
        report(world, "kept", SBX_STATE_GONE);
        assert_int_equal(get_session(world, "s")->urls_len, 0);
        world_destroy(world);
    }
}

/* The daemon serves before a slow backend has told what is there: a start makes the session's sandbox run, and does
 * not only wait to hear of it. */
static void a_session_that_nothing_was_heard_of_yet_is_resumed_by_a_start(void **state)
{
    (void)state;
    struct world *world = world_create(0, OVER_LIMIT_PAUSE_OLDEST);
    store_seed_session("kept", true, "s", OWN);
    world_begin(world);
    struct answer answer;
    start_session(world, &answer);
    report(world, "kept", SBX_STATE_PAUSED);
    flight_end(world, flight_find("list", NULL), NULL);
    assert_false(answer.given);
    flight_end(world, flight_find("resume", "kept"), NULL);
    assert_true(answer.given && !answer.failed);
    assert_int_equal(answer.status, SANDBOX_RUNNING);
    world_destroy(world);
}

static void a_sandbox_without_a_session_is_one_of_its_id(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    start_one(world, id);
    assert_string_equal(get_session(world, id)->id, id);
    run_session(world, id);
    assert_null(get_session(world, id)); /* it has another name */
    world_destroy(world);
}

static void users_have_sessions_of_their_own(void **state)
{
    (void)state;
    struct table table;
    table_init(&table);
    const struct viewer ann = {.user = "ann"}, bob = {.user = "bob"}, eve = {.user = "eve"};
    const struct viewer ops = {.user = "ops", .everything = true};
    struct sandbox *one = table_add(&table, "one", "ann"), *two = table_add(&table, "two", "bob");
    struct sandbox *three = table_add(&table, "three", NULL);
    table_set_session(one, "s");
    table_set_session(two, "s");
    table_set_session(three, "nobodys");
    assert_null(table_get_session(&table, &ann, "s")); /* it is hidden */
    assert_ptr_equal(table_find_session(&table, "ann", "s"), one);
    table_show(&table, one);
    table_show(&table, two);
    table_show(&table, three);
    assert_ptr_equal(table_get_session(&table, &ann, "s"), one);
    assert_ptr_equal(table_get_session(&table, &bob, "s"), two);
    assert_null(table_get_session(&table, &eve, "s"));
    assert_null(table_get_session(&table, &ann, "two"));
    assert_null(table_get_session(&table, &ann, "nobodys"));
    assert_non_null(table_get_session(&table, &ops, "s"));
    assert_ptr_equal(table_get_session(&table, &ops, "nobodys"), three);
    table_set_session(two, NULL);
    assert_ptr_equal(table_get_session(&table, &bob, "two"), two);
    table_finish(&table);
}

static void a_key_that_the_technology_chose_is_kept(void **state)
{
    (void)state;
    struct world *world = begin(0, OVER_LIMIT_PAUSE_OLDEST);
    char id[64];
    run_session(world, id);
    report_key(world, id, SBX_STATE_RUNNING, "theirs-and-longer-than-one-of-ours-would-ever-be");
    store_flush(world, NULL);
    const struct sandbox *found =
        table_get_by_key(service_table(world->service), "theirs-and-longer-than-one-of-ours-would-ever-be");
    assert_non_null(found);
    assert_string_equal(found->id, id);
    assert_string_equal(store_key(id), found->session_key);
    report_key(world, id, SBX_STATE_RUNNING, found->session_key); /* the same: nothing to write */
    assert_int_equal(store_waiting(), 0);
    world_destroy(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_is_answered_once_it_is_known_where_it_will_be),
        cmocka_unit_test(starts_of_one_session_at_once_make_one),
        cmocka_unit_test(starts_of_one_session_share_their_failure),
        cmocka_unit_test(a_session_that_is_paused_is_resumed_by_a_start),
        cmocka_unit_test(what_is_gone_makes_way_for_another),
        cmocka_unit_test(what_ended_is_resumed_and_what_never_ran_makes_way),
        cmocka_unit_test(a_deleted_session_is_free_at_once),
        cmocka_unit_test(a_start_is_not_answered_with_what_was_deleted_meanwhile),
        cmocka_unit_test(a_start_that_a_crash_cut_off_goes_on_with_its_own_spec),
        cmocka_unit_test(what_was_asked_of_a_backend_that_isolates_is_started_on_no_other),
        cmocka_unit_test(where_a_paused_one_will_be_is_known_after_a_restart),
        cmocka_unit_test(a_session_that_nothing_was_heard_of_yet_is_resumed_by_a_start),
        cmocka_unit_test(a_sandbox_without_a_session_is_one_of_its_id),
        cmocka_unit_test(users_have_sessions_of_their_own),
        cmocka_unit_test(a_key_that_the_technology_chose_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
