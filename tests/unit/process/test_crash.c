/* test_crash.c: the host is killed at random moments of a sandbox's life; what is left can always be listed,
 * started again and removed, and nothing leaks. SEED=n repeats a run.
 */
#include "world.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 40, SPAN_US = 15000 };

static struct world world;
static unsigned seed;

static const char command[] = "[\"" AGENT "\", \"--port\", \"{port}\"]";

/* Starts, pauses, resumes and removes a sandbox over and over, until it is killed. */
static _Noreturn void be_the_host(const char *id)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    world_reopen(&world, "\"stop_timeout\": \"1s\"");
    if (write(STDOUT_FILENO, "", 1) != 1) /* ready; its stdout is a pipe */
        _exit(1);
    for (;;) {
        world_start_command(&world, id, command, true);
        world_act(&world, BACKEND_PAUSE, id);
        world_act(&world, BACKEND_RESUME, id);
        world_act(&world, BACKEND_STOP, id);
        world_act(&world, BACKEND_RESUME, id);
        world_act(&world, BACKEND_REMOVE, id);
    }
}

static void kill_a_host_after(unsigned delay_us, const char *id)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    fflush(stdout);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ready[1], STDOUT_FILENO);
        close(ready[0]);
        be_the_host(id);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    nanosleep(&(struct timespec){.tv_nsec = (long)delay_us * 1000}, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ready[0]);
}

static unsigned count_agents(const char *id)
{
    pid_t pids[16];
    return (unsigned)world_processes(&world, id, pids, 16);
}

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *stream = opendir(path);
    for (const struct dirent *entry; stream && (entry = readdir(stream));)
        count += entry->d_name[0] != '.';
    if (stream)
        closedir(stream);
    return count;
}

static void a_host_killed_at_any_moment_leaves_only_what_can_be_taken_over(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char id[32];
        snprintf(id, sizeof id, "crash-%u", round);
        unsigned delay_us = (unsigned)rand_r(&seed) % SPAN_US;
        kill_a_host_after(delay_us, id);

        world_reopen(&world, "\"stop_timeout\": \"1s\"");
        assert_non_null(world.backend);
        assert_true(world_list(&world));
        bool known = world_state(&world, id) != 0;
        if (round % 2 == 0) {
            assert_true(world_start_command(&world, id, command, true));
            RUN_UNTIL(world.harness, world_state(&world, id) == SBX_STATE_RUNNING ||
                                         world_state(&world, id) == SBX_STATE_PAUSED);
            RUN_UNTIL(world.harness, count_agents(id) == 1);
        } else if (known) {
            (void)world_act(&world, BACKEND_RESUME, id);
        }
        assert_true(world_act(&world, BACKEND_REMOVE, id));
        RUN_UNTIL(world.harness, world_clean(&world, id));
        world_close(&world);
        assert_int_equal(count_entries(world.work), 0);
        assert_int_equal(count_entries(world.state), 0);
    }
}

static int setup(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ (unsigned)getpid();
    print_message("SEED=%u\n", seed);
    world_open(&world, "");
    world_close(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_remove(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_host_killed_at_any_moment_leaves_only_what_can_be_taken_over, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
