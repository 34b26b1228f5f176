/* test_tree.c: how the supervisor's tree is stopped, with a clock that the test turns. The tree is
 * this process's. */
#include "supervisor/tree.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t clock_ms, each_look_ms; /* what a look at the clock, as at the tree, takes */

int __wrap_clock_gettime(clockid_t id, struct timespec *now);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    (void)id;
    clock_ms += each_look_ms;
    *now =
        (struct timespec){.tv_sec = (time_t)(clock_ms / 1000), .tv_nsec = (long)(clock_ms % 1000) * 1000000};
    return 0;
}

static pid_t children[3];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        children[i] = fork();
        if (children[i] == 0)
            for (;;)
                pause();
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tree_kill();
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    return 0;
}

static void a_tree_is_stopped_and_continued(void **state)
{
    (void)state;
    each_look_ms = 0;
    assert_int_equal(tree_stop(20000), 0);
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, WUNTRACED), children[i]);
        assert_true(WIFSTOPPED(status));
    }
    tree_continue();
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, WCONTINUED), children[i]);
        assert_true(WIFCONTINUED(status));
    }
}

/* As that of many that fork as fast as they can: next to none of the time is slept. */
static void a_tree_whose_looks_take_long_is_given_up_in_time(void **state)
{
    (void)state;
    each_look_ms = 6000; /* two of them are more than there is time for */
    assert_int_equal(tree_stop(2000), ETIMEDOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tree_is_stopped_and_continued, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tree_whose_looks_take_long_is_given_up_in_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
