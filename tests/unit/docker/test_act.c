/* Pause, resume, stop and removal: what they ask the engine for, and what follows from its answers. */
#include "operation_world.h"

/* ---- pause, resume, stop ---- */

static void test_pause_freezes_and_reports(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    expect("POST", "/containers/" ID "/pause");
    answer(204, NULL);
    assert_int_equal(world.completions, 0);
    look_finds(CONTAINER_PAUSED);
    assert_succeeded();
}

static void test_pause_of_what_somebody_paused_succeeds(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    refuse(409, "Container " ID " is already paused");
    look_finds(CONTAINER_PAUSED);
    assert_succeeded();
}

static void test_pause_of_what_has_ended_is_a_conflict(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    refuse(409, "Container " ID " is not running");
    look_finds(CONTAINER_EXITED);
    assert_failed(SBX_ERR_CONFLICT, "NOT_RUNNING");
}

static void test_pause_by_stopping_is_an_end_that_was_asked_for(void **state)
{
    (void)state;
    world.docker.options.pause_mode = PAUSE_STOP;
    struct container *container = know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    expect("POST", "/containers/" ID "/stop?t=10");
    assert_true(container->killed);
    assert_true(world.calls[0]->timeout_ms > 10000);
    answer(204, NULL);
    look_finds(CONTAINER_EXITED);
    assert_succeeded();
}

static void test_refusal_in_the_state_that_was_known_is_told(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    refuse(500, "cgroup freezer is not there");
    look_finds(CONTAINER_RUNNING);
    assert_failed(SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED);
}

static void test_stop_that_is_refused_does_not_account_for_a_later_end(void **state)
{
    (void)state;
    struct container *container = know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_STOP, NAME, OP);
    assert_true(container->killed);
    refuse(500, "cannot stop container");
    look_finds(CONTAINER_RUNNING);
    assert_false(container->killed);
    assert_failed(SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED);
}

static void test_stale_table_is_corrected_once(void **state)
{
    (void)state;
    know(CONTAINER_PAUSED);
    act_begin(&world.docker, VERB_RESUME, NAME, OP);
    expect("POST", "/containers/" ID "/unpause");
    refuse(500, "Container " ID " is not paused");
    look_finds(CONTAINER_EXITED);
    expect("POST", "/containers/" ID "/start");
    refuse(409, "cannot start a paused container, try unpause instead");
    look_finds(CONTAINER_PAUSED);
    assert_failed(SBX_ERR_CONFLICT, "CONFLICT");
}

static void test_resume_does_not_take_the_tables_word_that_it_runs(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_RESUME, NAME, OP);
    look_finds(CONTAINER_PAUSED);
    expect("POST", "/containers/" ID "/unpause");
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_resume_whose_port_is_taken_names_it(void **state)
{
    (void)state;
    struct container *container = know(CONTAINER_EXITED);
    container->facts.ports[0] = (struct published_port){8000, 30123};
    container->facts.ports_len = 1;
    act_begin(&world.docker, VERB_RESUME, NAME, OP);
    refuse(500, PORT_TAKEN_WORDS);
    look_finds(CONTAINER_EXITED);
    assert_failed(SBX_ERR_CONFLICT, CODE_PORT_TAKEN);
    assert_true(world.error.retryable);
    assert_non_null(strstr(world.error.message, "30123"));
}

/* Of several ports only the engine's words tell the one, and it stands last in them. */
static void test_resume_whose_port_is_taken_keeps_the_end_of_the_engines_words(void **state)
{
    (void)state;
    struct container *container = know(CONTAINER_EXITED);
    container->facts.ports[0] = (struct published_port){8000, 33589};
    container->facts.ports[1] = (struct published_port){8001, 52575};
    container->facts.ports_len = 2;
    act_begin(&world.docker, VERB_RESUME, NAME, OP);
    refuse(
        500,
        "driver failed programming external connectivity on endpoint oh-agent-server-331uKxq9mmpXlgURebpeYu "
        "(c2076018e36af241b7bf09da2deb3267242e7b2215f2726e8bf244be7a612ee7): Error starting userland proxy: "
        "listen tcp4 127.0.0.1:33589: bind: address already in use");
    look_finds(CONTAINER_EXITED);
    assert_failed(SBX_ERR_CONFLICT, CODE_PORT_TAKEN);
    assert_non_null(strstr(world.error.message, "127.0.0.1:33589: bind: address already in use)"));
}

static void test_what_is_gone_is_not_found(void **state)
{
    (void)state;
    know(CONTAINER_PAUSED);
    act_begin(&world.docker, VERB_RESUME, NAME, OP);
    refuse(404, NO_SUCH_CONTAINER);
    look_finds_none();
    assert_failed(SBX_ERR_NOT_FOUND, "NOT_FOUND");
}

static void test_container_that_is_not_known_is_looked_for(void **state)
{
    (void)state;
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    look_finds_none();
    assert_failed(SBX_ERR_NOT_FOUND, "NOT_FOUND");
}

static void test_pause_without_an_answer_fails(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    act_begin(&world.docker, VERB_PAUSE, NAME, OP);
    no_answer();
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE);
    assert_int_equal(world.doubts, 1);
}

static void test_stop_thaws_first(void **state)
{
    (void)state;
    know(CONTAINER_PAUSED);
    act_begin(&world.docker, VERB_STOP, NAME, OP);
    expect("POST", "/containers/" ID "/unpause");
    answer(204, NULL);
    expect("POST", "/containers/" ID "/stop?t=10");
    answer(204, NULL);
    look_finds(CONTAINER_EXITED);
    assert_succeeded();
}

/* ---- removal ---- */

static void test_removal_ends_the_program_then_takes_all(void **state)
{
    (void)state;
    static char own[] = "cache-{id}-{id}", shared[] = "shared", base[] = "/overlays";
    world.docker.options.mounts[0] = (struct mount){.kind = MOUNT_VOLUME, .source = shared};
    world.docker.options.mounts[1] = (struct mount){.kind = MOUNT_VOLUME, .source = own};
    world.docker.options.mounts_len = 2;
    world.docker.options.overlay_base = base;
    know(CONTAINER_RUNNING);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("running", "d");
    expect("POST", "/containers/" ID "/stop?t=10");
    answer(204, NULL);
    expect("DELETE", "/containers/" ID "?force=1&v=1");
    answer(204, NULL);
    volumes_are("[{\"Name\":\"beef\"},{\"Name\":\"cafe\"},{}]"); /* left by an engine that was killed */
    expect("DELETE", "/volumes/beef");
    answer(204, NULL);
    expect("DELETE", "/volumes/cafe");
    refuse(404, "no such volume");
    expect("DELETE", "/volumes/openhands-workspace-" NAME);
    answer(204, NULL);
    expect("DELETE", "/volumes/cache-" NAME "-" NAME);
    answer(204, NULL);
    assert_int_equal(world.completions, 0);
    pool_works();
    assert_succeeded();
    assert_int_equal(world.overlays_removed, 1);
    assert_int_equal(world.forgotten, 1);
    assert_int_equal(world.log_ends, 1);
    assert_null(table_find(&world.docker, NAME));
}

static void test_removal_goes_on_by_force(void **state)
{
    (void)state;
    know(CONTAINER_PAUSED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("paused", "d");
    expect("POST", "/containers/" ID "/unpause");
    answer(204, NULL);
    expect("POST", "/containers/" ID "/stop?t=10");
    refuse(500, "cannot stop container");
    expect("DELETE", "/containers/" ID "?force=1&v=1");
    refuse(404, NO_SUCH_CONTAINER);
    refuse(404, "no such volume");
    assert_succeeded();
}

static void test_removal_waits_for_one_in_progress(void **state)
{
    (void)state;
    know(CONTAINER_EXITED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("removing", "d");
    for (int i = 0; i < 3; i++) {
        expect("DELETE", "/containers/" ID "?force=1&v=1");
        refuse(409, "removal of container " ID " is already in progress");
        time_comes();
    }
    refuse(404, NO_SUCH_CONTAINER);
    refuse(404, "no such volume");
    assert_succeeded();
}

static void test_removal_does_not_wait_for_ever(void **state)
{
    (void)state;
    know(CONTAINER_EXITED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("removing", "d");
    world.now_ms += 110000;
    refuse(409, "removal of container " ID " is already in progress");
    assert_failed(SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_removal_of_nothing_looks_twice(void **state)
{
    (void)state;
    remove_begin(&world.docker, NAME, OP);
    refuse(404, NO_SUCH_CONTAINER);
    time_comes();
    inspected_as("created", "d"); /* the create of a daemon that was killed */
    expect("DELETE", "/containers/" ID "?force=1&v=1");
    answer(204, NULL);
    refuse(404, "no such volume");
    assert_succeeded();
}

static void test_removal_of_what_was_known_looks_once(void **state)
{
    (void)state;
    know(CONTAINER_EXITED);
    remove_begin(&world.docker, NAME, OP);
    refuse(404, NO_SUCH_CONTAINER);
    refuse(404, "no such volume");
    assert_succeeded();
}

static void test_removal_leaves_another_backends_container(void **state)
{
    (void)state;
    know(CONTAINER_RUNNING);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("running", "other");
    expect("DELETE", "/volumes/openhands-workspace-" NAME);
    refuse(404, "no such volume");
    assert_succeeded();
    assert_int_equal(world.warnings, 1);
}

static int runs(const char *instance_id)
{
    assert_string_equal(instance_id, "theirs");
    return 1;
}

/* It was shown while its daemon did not run. */
static void test_removal_touches_nothing_of_what_another_daemon_has_back(void **state)
{
    (void)state;
    static char ours[] = "ours", base[] = "/nowhere";
    world.docker.instance_id = ours;
    world.docker.options.overlay_base = base;
    world.host.instance_alive = runs;
    world.instance = "theirs";
    know(CONTAINER_PAUSED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("paused", "d");
    assert_succeeded();
    assert_int_equal(world.warnings, 1);
    assert_int_equal(world.calls_len, 0);
    assert_int_equal(world.overlays_removed, 0);
    assert_null(table_find(&world.docker, NAME));
    world.docker.instance_id = world.docker.options.overlay_base = NULL;
}

static void test_removal_takes_a_container_from_before_the_prefix_was_changed(void **state)
{
    (void)state;
    static char prefix[] = "new-";
    world.docker.options.container_name_prefix = prefix;
    know(CONTAINER_EXITED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("exited", "d");
    expect("DELETE", "/containers/" ID "?force=1&v=1");
    answer(204, NULL);
    refuse(404, "no such volume");
    assert_succeeded();
}

static void test_volume_in_use_is_left_with_a_warning(void **state)
{
    (void)state;
    know(CONTAINER_EXITED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("exited", "d");
    answer(204, NULL);
    refuse(409, "remove openhands-workspace-" NAME ": volume is in use - [beef]");
    assert_succeeded();
    assert_int_equal(world.warnings, 1);
}

static void test_removal_without_an_answer_fails_and_forgets_nothing(void **state)
{
    (void)state;
    know(CONTAINER_EXITED);
    remove_begin(&world.docker, NAME, OP);
    inspected_as("exited", "d");
    no_answer();
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE);
    assert_non_null(table_find(&world.docker, NAME));
    assert_int_equal(world.forgotten, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_pause_freezes_and_reports),
        CASE(test_pause_of_what_somebody_paused_succeeds),
        CASE(test_pause_of_what_has_ended_is_a_conflict),
        CASE(test_pause_by_stopping_is_an_end_that_was_asked_for),
        CASE(test_refusal_in_the_state_that_was_known_is_told),
        CASE(test_stop_that_is_refused_does_not_account_for_a_later_end),
        CASE(test_stale_table_is_corrected_once),
        CASE(test_resume_does_not_take_the_tables_word_that_it_runs),
        CASE(test_resume_whose_port_is_taken_names_it),
        CASE(test_resume_whose_port_is_taken_keeps_the_end_of_the_engines_words),
        CASE(test_what_is_gone_is_not_found),
        CASE(test_container_that_is_not_known_is_looked_for),
        CASE(test_pause_without_an_answer_fails),
        CASE(test_stop_thaws_first),
        CASE(test_removal_ends_the_program_then_takes_all),
        CASE(test_removal_goes_on_by_force),
        CASE(test_removal_waits_for_one_in_progress),
        CASE(test_removal_does_not_wait_for_ever),
        CASE(test_removal_of_nothing_looks_twice),
        CASE(test_removal_of_what_was_known_looks_once),
        CASE(test_removal_leaves_another_backends_container),
        CASE(test_removal_touches_nothing_of_what_another_daemon_has_back),
        CASE(test_removal_takes_a_container_from_before_the_prefix_was_changed),
        CASE(test_volume_in_use_is_left_with_a_warning),
        CASE(test_removal_without_an_answer_fails_and_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
