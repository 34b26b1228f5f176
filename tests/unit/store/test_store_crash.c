/* A child writes and is killed at random moments: what it was told is stored must be there, every time. */
#include "fixture.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 40, KEYS = 64, AT_ONCE = 8 };

/* Seen by both. For each key the last round and number that was asked for, and that was acknowledged. */
struct shared {
    atomic_uint asked[KEYS], acknowledged[KEYS];
};
static struct shared *shared;

struct write {
    unsigned key, number;
    char value[32];
};

static void write_next(struct write *write);

static void on_written(void *arg, const struct sbx_error *err)
{
    struct write *write = arg;
    if (err)
        _exit(2);
    atomic_store(&shared->acknowledged[write->key], write->number);
    write_next(write);
}

/* Each writer has its own keys, so that the last one acknowledged of a key is the last one asked for or
 * the one before. */
static void write_next(struct write *write)
{
    write->key = (write->key + AT_ONCE) % KEYS;
    write->number = atomic_load(&shared->asked[write->key]) + 1;
    atomic_store(&shared->asked[write->key], write->number);
    char key[16];
    snprintf(key, sizeof key, "%u", write->key);
    snprintf(write->value, sizeof write->value, "%u", write->number);
    store_put(test_store, "crash", key, write->value, strlen(write->value), on_written, write);
}

static void child(void)
{
    struct sbx_error err;
    struct loop *loop = loop_create();
    test_store = store_open(loop, test_directory, &err);
    if (!test_store)
        _exit(3);
    struct write writes[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        writes[i].key = i;
        write_next(&writes[i]);
    }
    loop_run(loop);
}

static void check_all(void)
{
    fixture_open();
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        struct answer answer = get("crash", key);
        unsigned long stored = answer.value ? strtoul(answer.value, NULL, 10) : 0;
        unsigned asked = atomic_load(&shared->asked[i]), acknowledged = atomic_load(&shared->acknowledged[i]);
        if (answer.failed || stored < acknowledged || stored > asked)
            fail_msg("key %u: stored %lu, acknowledged %u, asked for %u", i, stored, acknowledged, asked);
        atomic_store(&shared->asked[i], (unsigned)stored);
        atomic_store(&shared->acknowledged[i], (unsigned)stored);
        free(answer.value);
    }
    fixture_close();
}

static unsigned count_survivors(void)
{
    unsigned total = 0;
    for (unsigned i = 0; i < KEYS; i++)
        total += atomic_load(&shared->acknowledged[i]);
    return total;
}

static void what_was_acknowledged_survives_being_killed(void **state)
{
    (void)state;
    const char *given = getenv("SANDBOXD_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_us();
    print_message("SANDBOXD_TEST_SEED=%u\n", seed);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* On a busy machine all of these may be killed before they have written anything. */
    for (int round = 0; round < ROUNDS || (count_survivors() == 0 && round < 20 * ROUNDS); round++) {
        pid_t pid = fork();
        if (pid == 0)
            child();
        seed = seed * 1103515245 + 12345;
        usleep(seed % 64000); /* the moment is the test's input, not a wait */
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        check_all();
    }
    print_message("%u writes survived\n", count_survivors());
    assert_true(count_survivors() > 0);
    munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_being_killed, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
