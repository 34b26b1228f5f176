/* A start: what it asks the engine for, and what it leaves where that fails. */
#include "operation_world.h"

static void start_of(const char *spec, bool again)
{
    struct sbx_start start = {.size = sizeof start,
                              .again = again,
                              .sandbox_id = NAME,
                              .session_key = "secret",
                              .spec_id = "image:1",
                              .spec_json = spec,
                              .spec_len = strlen(spec),
                              .created_at_us = CREATED_AT_US,
                              .deadline_ms = world.now_ms + 120000};
    start_begin(&world.docker, &start, OP);
}

static void start(bool again)
{
    start_of("{\"id\":\"image:1\"}", again);
}

static void create_succeeds(void)
{
    expect("POST", "/containers/create?name=" NAME);
    answer(201, "{\"Id\":\"" ID "\"}");
    expect("POST", "/containers/" ID "/start");
}

static void image_is_missing(void)
{
    expect("POST", "/containers/create?name=" NAME);
    refuse(404, "No such image: image:1");
}

static void pull_ends(const struct sbx_error *err)
{
    assert_non_null(world.pull);
    struct image_waiter wait = *world.pull;
    free(world.pull);
    world.pull = NULL;
    wait.done(wait.arg, err);
}

static void use_overlays(void)
{
    static char base[] = "/overlays";
    world.docker.options.overlay_base = base;
}

/* What fails looks for its container first, by name. */
static void expect_cleaning(bool has_container)
{
    assert_int_equal(world.completions, 0);
    if (has_container) {
        inspected_as("created", "d");
        expect("DELETE", "/containers/" ID "?force=1&v=1");
        answer(204, NULL);
    } else {
        expect("GET", "/containers/" NAME "/json");
        refuse(404, NO_SUCH_CONTAINER);
    }
    if (world.docker.options.overlay_base)
        volumes_are("null");
    expect("DELETE", "/volumes/openhands-workspace-" NAME);
    refuse(404, "get openhands-workspace-" NAME ": no such volume");
}

/* ---- that goes well ---- */

static void test_start_creates_runs_and_looks(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    answer(204, NULL);
    assert_int_equal(world.reserved, 1);
    assert_int_equal(world.completions, 0);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_of_a_program_that_ends_at_once_succeeds(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    answer(204, NULL);
    look_finds(CONTAINER_EXITED);
    assert_succeeded();
}

static void test_event_that_comes_after_the_look_has_one_more_follow(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    answer(204, NULL);
    table_find(&world.docker, NAME)->missed = true; /* as watch.c does */
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
    look_finds(CONTAINER_EXITED);
}

/* ---- the image ---- */

static void test_missing_image_is_pulled_once(void **state)
{
    (void)state;
    start(false);
    image_is_missing();
    world.now_ms += 100000;
    world.pull->progress(world.pull->arg, "1 of 2 layers");
    assert_int_equal(world.progresses, 1);
    pull_ends(NULL);
    assert_int_equal(world.calls[0]->timeout_ms, 120000); /* its time began anew */
    image_is_missing();
    expect_cleaning(false);
    assert_failed(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    assert_int_equal(world.pulls, 1);
}

static void test_failed_pull_is_the_starts_failure(void **state)
{
    (void)state;
    start(false);
    image_is_missing();
    struct sbx_error error = {.kind = SBX_ERR_NOT_FOUND, .code = SBX_CODE_IMAGE_NOT_FOUND};
    pull_ends(&error);
    expect_cleaning(false);
    assert_failed(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
}

static void test_policy_always_pulls_first_and_gives_up_without_progress(void **state)
{
    (void)state;
    world.docker.options.pull_policy = PULL_ALWAYS;
    start(false);
    assert_int_equal(world.timer_delay_us, 120000000);
    world.now_ms += 60000;
    world.pull->progress(world.pull->arg, "1 of 2 layers");
    world.timer_delay_us = 60000000; /* what is left of it */
    time_comes();
    assert_non_null(world.pull);
    time_comes();
    assert_null(world.pull);
    expect_cleaning(false);
    assert_failed(SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_pull_that_only_trickles_is_given_up_in_the_end(void **state)
{
    (void)state;
    start(false);
    image_is_missing();
    for (int i = 0; i < 5 * 36; i++) { /* a little, each 100 s */
        world.now_ms += 100000;
        if (i < 4 * 36 + 1)
            world.pull->progress(world.pull->arg, "1 of 2 layers");
    }
    assert_true(world.progresses < 4 * 36);
    world.timer_delay_us = 0;
    time_comes();
    assert_null(world.pull);
    expect_cleaning(false);
    assert_failed(SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT);
    assert_non_null(strstr(world.error.message, "4 hours"));
}

static void test_policy_never_says_so(void **state)
{
    (void)state;
    world.docker.options.pull_policy = PULL_NEVER;
    start(false);
    image_is_missing();
    expect_cleaning(false);
    assert_failed(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    assert_non_null(strstr(world.error.message, "never"));
}

static void test_policy_of_the_spec_goes_before_the_option(void **state)
{
    (void)state;
    world.docker.options.pull_policy = PULL_ALWAYS;
    start_of("{\"id\":\"image:1\",\"image_pull_policy\":\"Never\"}", false);
    assert_null(world.pull);
    image_is_missing();
    expect_cleaning(false);
    assert_failed(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
}

static void test_pull_tells_of_the_ports_that_the_sandbox_will_have(void **state)
{
    (void)state;
    world.docker.options.pull_policy = PULL_ALWAYS;
    start(false);
    assert_int_equal(world.reserved, 1);
    uint16_t chosen = (uint16_t)(world.next_port - 1);
    world.pull->progress(world.pull->arg, "1 of 2 layers");
    assert_int_equal(world.told_port, chosen);
    pull_ends(NULL);
    create_succeeds();
    assert_int_equal(world.next_port, chosen + 1);
    refuse(500, "it is over");
    expect_cleaning(true);
    assert_int_equal(world.completions, 1);
}

/* ---- ports ---- */

static void test_slow_start_tells_of_the_ports_that_the_sandbox_will_have(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    assert_int_equal(world.told_port, 0);
    it_is_slow();
    uint16_t chosen = (uint16_t)(world.next_port - 1);
    assert_int_equal(world.told_port, chosen);
    refuse(500, PORT_TAKEN_WORDS);
    inspected_as("created", "d");
    answer(204, NULL);
    assert_int_equal(world.told_port, chosen + 1); /* at once: clients wait */
    create_succeeds();
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_slow_start_without_ports_tells_of_them_once_they_are_chosen(void **state)
{
    (void)state;
    use_overlays();
    start(false);
    it_is_slow();
    assert_int_equal(world.told_port, 0);
    pool_works();
    assert_int_equal(world.told_port, world.next_port - 1);
    create_succeeds();
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_slow_start_that_has_waited_for_a_pull_tells_of_its_ports_after_it(void **state)
{
    (void)state;
    world.docker.options.pull_policy = PULL_ALWAYS;
    start(false);
    it_is_slow();
    assert_int_equal(world.told_port, 0); /* the pull would say how far it is */
    pull_ends(NULL);
    assert_int_equal(world.told_port, world.next_port - 1);
    create_succeeds();
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_that_is_cleaned_up_tells_of_no_ports(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    refuse(500, "it is over");
    assert_null(world.slow);
    expect_cleaning(true);
    assert_int_equal(world.told_port, 0);
    assert_int_equal(world.completions, 1);
}

static void test_taken_port_is_retried_with_another_one(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    refuse(500, PORT_TAKEN_WORDS);
    inspected_as("created", "d");
    expect("DELETE", "/containers/" ID "?force=1&v=1");
    answer(204, NULL);
    create_succeeds();
    assert_int_equal(world.reserved, 1);
    assert_int_equal(world.reserved_most, 2); /* the taken one too, so that it was not chosen again */
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_ten_taken_ports_are_enough(void **state)
{
    (void)state;
    start(false);
    for (int i = 1; i <= 10; i++) {
        create_succeeds();
        refuse(500, PORT_TAKEN_WORDS);
        if (i < 10) {
            inspected_as("created", "d");
            answer(204, NULL);
        }
    }
    expect_cleaning(true);
    assert_failed(SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED);
    assert_true(world.error.retryable);
}

static void test_exhausted_range_leaves_nothing(void **state)
{
    (void)state;
    world.exhausted = true;
    start(false);
    expect_cleaning(false);
    assert_failed(SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED);
    assert_null(table_find(&world.docker, NAME));
}

/* ---- other failures ---- */

static void test_program_that_cannot_be_run_leaves_nothing(void **state)
{
    (void)state;
    use_overlays();
    start(false);
    pool_works();
    assert_int_equal(world.overlays_made, 1);
    create_succeeds();
    refuse(400, "OCI runtime create failed: unable to start container process: exec: \"/nope\": stat /nope: "
                "no such file or directory: unknown");
    expect_cleaning(true);
    pool_works();
    assert_int_equal(world.overlays_removed, 1);
    assert_failed(SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND);
    assert_null(table_find(&world.docker, NAME));
}

static void test_container_that_somebody_removes_meanwhile_fails_the_start(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    answer(204, NULL);
    look_finds_none();
    expect_cleaning(false);
    assert_failed(SBX_ERR_REFUSED, SBX_CODE_START_FAILED);
}

static void test_creation_without_an_answer_is_left_to_the_host(void **state)
{
    (void)state;
    start(false);
    no_answer();
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE);
    assert_int_equal(world.doubts, 1);
}

static void test_creation_without_an_id_is_left_to_the_host(void **state)
{
    (void)state;
    start(false);
    answer(201, "{\"Id\":\"../../volumes\"}");
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE);
}

static void test_failed_cleaning_is_left_to_the_host(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    refuse(500, "no space left on device");
    inspected_as("created", "d");
    refuse(500, "device or resource busy");
    assert_failed(SBX_ERR_UNAVAILABLE, CODE_NO_SPACE);
    assert_non_null(strstr(world.error.message, "no space left on device"));
    assert_non_null(strstr(world.error.message, "busy"));
}

static void name_is_taken(void)
{
    expect("POST", "/containers/create?name=" NAME);
    refuse(409, "Conflict. The container name is already in use by container \"" ID "\".");
}

static void test_name_of_a_stranger_is_left_to_it(void **state)
{
    (void)state;
    start(false);
    name_is_taken();
    time_comes();
    world.created_at_us = 7;
    inspected_as("created", "d");
    expect("DELETE", "/volumes/openhands-workspace-" NAME);
    refuse(404, "no such volume");
    assert_failed(SBX_ERR_CONFLICT, SBX_CODE_START_FAILED);
    assert_non_null(strstr(world.error.message, ID));
}

/* The host's client sends a request once more where a kept connection turns out to be closed. */
static void test_creation_that_was_sent_twice_goes_on_with_its_own_container(void **state)
{
    (void)state;
    start(false);
    name_is_taken();
    time_comes();
    inspected_as("created", "d");
    expect("POST", "/containers/" ID "/start");
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_slow_start_that_finds_its_container_tells_of_no_port_that_may_be_another(void **state)
{
    (void)state;
    start(false);
    name_is_taken();
    time_comes();
    inspected_as("created", "d");
    it_is_slow();
    assert_int_equal(world.told_port, 0);
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_name_that_is_taken_by_nothing_is_left_to_the_host(void **state)
{
    (void)state;
    start(false);
    for (int i = 1; i <= 10; i++) {
        name_is_taken();
        if (i == 10)
            break;
        time_comes();
        expect("GET", "/containers/" NAME "/json");
        refuse(404, NO_SUCH_CONTAINER);
    }
    assert_failed(SBX_ERR_UNAVAILABLE, "CONFLICT");
}

/* ---- cancelled ---- */

static void test_cancelled_pull_ends_at_once(void **state)
{
    (void)state;
    start(false);
    image_is_missing();
    start_cancel(&world.docker, OP);
    assert_null(world.pull);
    expect_cleaning(false);
    assert_failed(SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_cancelled_creation_is_waited_for_and_removed(void **state)
{
    (void)state;
    start(false);
    start_cancel(&world.docker, OP);
    start_cancel(&world.docker, OP); /* says nothing new */
    assert_int_equal(world.completions, 0);
    answer(201, "{\"Id\":\"" ID "\"}");
    expect_cleaning(true);
    assert_failed(SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_cancelled_creation_without_an_answer_is_left_to_the_host(void **state)
{
    (void)state;
    start(false);
    start_cancel(&world.docker, OP);
    time_comes();
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_cancel_reaches_a_start_whose_look_is_under_way(void **state)
{
    (void)state;
    start(false);
    create_succeeds();
    answer(204, NULL);
    start_cancel(&world.docker, OP);
    look_finds(CONTAINER_RUNNING);
    expect_cleaning(true);
    assert_failed(SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_cancel_reaches_a_start_on_the_pool(void **state)
{
    (void)state;
    use_overlays();
    start(false);
    start_cancel(&world.docker, OP);
    pool_works();
    expect_cleaning(false);
    pool_works();
    assert_failed(SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_cancel_reaches_a_start_that_waits_for_its_name(void **state)
{
    (void)state;
    start(false);
    name_is_taken();
    start_cancel(&world.docker, OP);
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_TIMEOUT); /* it may be its own container's */
}

/* ---- after a crash ---- */

static void test_start_again_finds_its_container_running(void **state)
{
    (void)state;
    start(true);
    inspected_as("running", "d");
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_again_runs_what_was_created(void **state)
{
    (void)state;
    start(true);
    inspected_as("created", "d");
    expect("POST", "/containers/" ID "/start");
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_again_replaces_what_was_created_with_taken_ports(void **state)
{
    (void)state;
    start(true);
    inspected_as("created", "d");
    refuse(500, PORT_TAKEN_WORDS);
    inspected_as("created", "d"); /* the removal looks for itself */
    answer(204, NULL);
    create_succeeds();
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_again_replaces_what_has_ended(void **state)
{
    (void)state;
    use_overlays();
    start(true);
    inspected_as("exited", "d");
    inspected_as("exited", "d");
    expect("DELETE", "/containers/" ID "?force=1&v=1");
    answer(204, NULL);
    pool_works();
    assert_int_equal(world.overlays_removed, 1); /* what it wrote does not come again */
    assert_int_equal(world.overlays_made, 1);
    create_succeeds();
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_again_leaves_another_backends_container(void **state)
{
    (void)state;
    start(true);
    inspected_as("running", "other");
    expect("DELETE", "/volumes/openhands-workspace-" NAME);
    answer(204, NULL);
    assert_failed(SBX_ERR_CONFLICT, SBX_CODE_START_FAILED);
}

static void test_start_again_waits_for_a_creation_that_is_late(void **state)
{
    (void)state;
    start(true);
    refuse(404, NO_SUCH_CONTAINER);
    expect("POST", "/containers/create?name=" NAME);
    refuse(409, "Conflict. The container name is already in use by container \"" ID "\".");
    time_comes();
    inspected_as("created", "d");
    expect("POST", "/containers/" ID "/start");
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
}

static void test_start_again_that_cannot_look_is_left_to_the_host(void **state)
{
    (void)state;
    start(true);
    refuse(500, "something else");
    assert_failed(SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_REFUSED);
}

/* ---- an image that is made ---- */

static void start_of_a_build(void)
{
    start_of("{\"id\":\"image:1\",\"build\":{\"base_image\":\"base:1\"}}", false);
}

static void test_image_of_a_build_comes_before_its_container(void **state)
{
    (void)state;
    world.docker.options.pull_policy = PULL_ALWAYS; /* of the base image */
    start_of_a_build();
    assert_int_equal(world.calls_len, 0);
    world.pull->progress(world.pull->arg, "building");
    assert_int_equal(world.progresses, 1);
    assert_int_equal(world.told_port, world.next_port - 1);
    pull_ends(NULL);
    create_succeeds();
    assert_string_equal(world.created_of, "built:1");
    answer(204, NULL);
    look_finds(CONTAINER_RUNNING);
    assert_succeeded();
    assert_int_equal(world.builds, 1);
    assert_int_equal(world.pulls, 0);
}

static void test_built_image_that_is_gone_is_made_once_more(void **state)
{
    (void)state;
    start_of_a_build();
    pull_ends(NULL);
    image_is_missing();
    pull_ends(NULL);
    image_is_missing();
    expect_cleaning(false);
    assert_failed(SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND);
    assert_int_equal(world.builds, 2);
    assert_int_equal(world.pulls, 0);
}

static void test_failed_build_is_the_starts_failure(void **state)
{
    (void)state;
    const struct sbx_error error = {.kind = SBX_ERR_REFUSED, .code = "BUILD_FAILED"};
    start_of_a_build();
    pull_ends(&error);
    expect_cleaning(false);
    assert_failed(SBX_ERR_REFUSED, "BUILD_FAILED");
}

static void test_cancelled_build_is_left(void **state)
{
    (void)state;
    start_of_a_build();
    start_cancel(&world.docker, OP);
    assert_int_equal(world.builds_left, 1);
    expect_cleaning(false);
    assert_failed(SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT);
}

static void test_build_without_progress_is_given_up(void **state)
{
    (void)state;
    start_of_a_build();
    world.now_ms += 120000;
    time_comes();
    assert_int_equal(world.builds_left, 1);
    expect_cleaning(false);
    assert_failed(SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT);
    assert_non_null(strstr(world.error.message, "nothing came of the image built from 'base:1' for 120 s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_start_creates_runs_and_looks),
        CASE(test_image_of_a_build_comes_before_its_container),
        CASE(test_built_image_that_is_gone_is_made_once_more),
        CASE(test_failed_build_is_the_starts_failure),
        CASE(test_cancelled_build_is_left),
        CASE(test_build_without_progress_is_given_up),
        CASE(test_start_of_a_program_that_ends_at_once_succeeds),
        CASE(test_event_that_comes_after_the_look_has_one_more_follow),
        CASE(test_missing_image_is_pulled_once),
        CASE(test_failed_pull_is_the_starts_failure),
        CASE(test_policy_always_pulls_first_and_gives_up_without_progress),
        CASE(test_pull_that_only_trickles_is_given_up_in_the_end),
        CASE(test_policy_never_says_so),
        CASE(test_policy_of_the_spec_goes_before_the_option),
        CASE(test_pull_tells_of_the_ports_that_the_sandbox_will_have),
        CASE(test_slow_start_tells_of_the_ports_that_the_sandbox_will_have),
        CASE(test_slow_start_without_ports_tells_of_them_once_they_are_chosen),
        CASE(test_slow_start_that_has_waited_for_a_pull_tells_of_its_ports_after_it),
        CASE(test_start_that_is_cleaned_up_tells_of_no_ports),
        CASE(test_taken_port_is_retried_with_another_one),
        CASE(test_ten_taken_ports_are_enough),
        CASE(test_exhausted_range_leaves_nothing),
        CASE(test_program_that_cannot_be_run_leaves_nothing),
        CASE(test_container_that_somebody_removes_meanwhile_fails_the_start),
        CASE(test_creation_without_an_answer_is_left_to_the_host),
        CASE(test_creation_without_an_id_is_left_to_the_host),
        CASE(test_failed_cleaning_is_left_to_the_host),
        CASE(test_name_of_a_stranger_is_left_to_it),
        CASE(test_creation_that_was_sent_twice_goes_on_with_its_own_container),
        CASE(test_slow_start_that_finds_its_container_tells_of_no_port_that_may_be_another),
        CASE(test_name_that_is_taken_by_nothing_is_left_to_the_host),
        CASE(test_cancelled_pull_ends_at_once),
        CASE(test_cancelled_creation_is_waited_for_and_removed),
        CASE(test_cancelled_creation_without_an_answer_is_left_to_the_host),
        CASE(test_cancel_reaches_a_start_whose_look_is_under_way),
        CASE(test_cancel_reaches_a_start_on_the_pool),
        CASE(test_cancel_reaches_a_start_that_waits_for_its_name),
        CASE(test_start_again_finds_its_container_running),
        CASE(test_start_again_runs_what_was_created),
        CASE(test_start_again_replaces_what_was_created_with_taken_ports),
        CASE(test_start_again_replaces_what_has_ended),
        CASE(test_start_again_leaves_another_backends_container),
        CASE(test_start_again_waits_for_a_creation_that_is_late),
        CASE(test_start_again_that_cannot_look_is_left_to_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
