/* The reload transaction with parts that only write down what they are told, and fail where asked. */
#include "config/reload.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world;

struct fake_part {
    struct world *world;
    char name;
    bool fails, silent, later;
    const struct config *old;
    struct config *next;
    reload_prepared prepared;
    void *transaction;
    struct event timer;
};

struct world {
    struct loop *loop;
    struct pool *pool;
    struct reload *reload;
    struct fake_part parts[3];
    char journal[256]; /* "pa" prepare a, "ca" commit, "ra" rollback, "+" and "-" done */
    int runs_left;     /* done callbacks to come until the loop stops */
    char file[64];
    char stderr_file[64];
    int stderr_before;
    struct event guard;
};

static void note(struct world *world, char what, char who)
{
    size_t used = strlen(world->journal);
    snprintf(world->journal + used, sizeof world->journal - used, "%s%c%c", used ? " " : "", what, who);
}

static void end_prepare(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct fake_part *part = arg;
    part->prepared(part->transaction, !part->fails);
}

static void prepare(void *self, const struct config *old, struct config *next,
                    struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    struct fake_part *part = self;
    note(part->world, 'p', part->name);
    part->old = old;
    part->next = next;
    if (part->fails && !part->silent)
        config_problem_add(problems, false, 1, 1, "", "part %c fails", part->name);
    part->prepared = prepared;
    part->transaction = transaction;
    if (part->later) {
        evtimer_assign(&part->timer, loop_base(part->world->loop), end_prepare, part);
        loop_arm_ms(&part->timer, 1);
    } else
        prepared(transaction, !part->fails);
}

static void commit(void *self, struct config *next)
{
    struct fake_part *part = self;
    note(part->world, 'c', part->name);
    assert_ptr_equal(next, part->next);
    assert_ptr_equal(next, reload_current(part->world->reload));
}

static void rollback(void *self)
{
    struct fake_part *part = self;
    note(part->world, 'r', part->name);
}

static void done(void *arg, bool ok)
{
    struct world *world = arg;
    note(world, ok ? '+' : '-', ' ');
    if (--world->runs_left == 0)
        loop_stop(world->loop);
}

static void write_config(struct world *world, const char *text)
{
    FILE *file = fopen(world->file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void too_long(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    loop_stop(((struct world *)arg)->loop);
}

/* Runs the loop until `runs` transactions have ended. */
static void run(struct world *world, int runs)
{
    world->runs_left += runs;
    loop_arm_ms(&world->guard, 30000);
    loop_run(world->loop);
    evtimer_del(&world->guard);
    assert_int_equal(world->runs_left, 0);
}

static void reload_and_wait(struct world *world)
{
    world->journal[0] = '\0';
    reload_run(world->reload, done, world);
    run(world, 1);
}

/* What was logged since the last call. */
static const char *logged(struct world *world)
{
    static char text[4096];
    FILE *file = fopen(world->stderr_file, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(ftruncate(STDERR_FILENO, 0), 0);
    return text;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->file, sizeof world->file, "/tmp/sandboxd-test-%d.yaml", getpid());
    snprintf(world->stderr_file, sizeof world->stderr_file, "/tmp/sandboxd-test-%d.log", getpid());
    world->stderr_before = dup(STDERR_FILENO);
    assert_non_null(freopen(world->stderr_file, "a", stderr));
    world->loop = loop_create();
    world->pool = pool_create(world->loop, 2);
    world->reload = reload_create(world->loop, world->pool, world->file);
    evtimer_assign(&world->guard, loop_base(world->loop), too_long, world);
    for (int i = 0; i < 3; i++) {
        struct fake_part *part = &world->parts[i];
        *part = (struct fake_part){.world = world, .name = (char)('a' + i)};
        struct reload_part registered = {
            .name = "part", .self = part, .prepare = prepare, .commit = commit, .rollback = rollback};
        reload_add(world->reload, &registered);
    }
    write_config(world, "backends: {a: {plugin: p}}\n");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    pool_destroy(world->pool);
    reload_destroy(world->reload);
    loop_destroy(world->loop);
    fflush(stderr);
    dup2(world->stderr_before, STDERR_FILENO);
    close(world->stderr_before);
    unlink(world->file);
    unlink(world->stderr_file);
    free(world);
    return 0;
}

static void all_prepare_then_all_commit(void **state)
{
    struct world *world = *state;
    assert_null(reload_current(world->reload));
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pc ca cb cc + ");
    assert_null(world->parts[0].old);
    assert_int_equal(reload_current(world->reload)->number, 1);
    assert_non_null(strstr(logged(world), "generation 1 in force"));
}

static void a_second_generation_sees_the_first(void **state)
{
    struct world *world = *state;
    reload_and_wait(world);
    struct config *first = config_ref(reload_current(world->reload));
    reload_and_wait(world);
    assert_ptr_equal(world->parts[2].old, first);
    assert_int_equal(reload_current(world->reload)->number, 2);
    assert_int_equal(first->refs, 1); /* nobody's but this test's */
    config_unref(first);
}

static void a_part_that_fails_has_the_others_roll_back_in_reverse(void **state)
{
    struct world *world = *state;
    reload_and_wait(world);
    logged(world);
    struct config *first = reload_current(world->reload);
    static const char *const journals[] = {"pa - ", "pa pb ra - ", "pa pb pc rb ra - "};
    for (int i = 0; i < 3; i++)
        for (int later = 0; later < 2; later++) {
            world->parts[i].fails = true;
            world->parts[i].later = later;
            reload_and_wait(world);
            assert_string_equal(world->journal, journals[i]);
            assert_ptr_equal(reload_current(world->reload), first);
            char told[96];
            snprintf(told, sizeof told, "%s:1:1: part %c fails", world->file, 'a' + i);
            const char *log = logged(world);
            assert_non_null(strstr(log, told));
            assert_non_null(strstr(log, "configuration not changed: 1 error\n"));
            world->parts[i].fails = world->parts[i].later = false;
        }
    reload_and_wait(world);
    assert_int_equal(reload_current(world->reload)->number, 2);
}

static void a_part_that_tells_always_prepares_after_a_failure_and_is_rolled_back(void **state)
{
    struct world *world = *state;
    struct fake_part last = {.world = world, .name = 'z'};
    struct reload_part telling = {.name = "telling",
                                  .self = &last,
                                  .prepare = prepare,
                                  .commit = commit,
                                  .rollback = rollback,
                                  .tells_always = true};
    reload_add(world->reload, &telling);
    world->parts[1].fails = true;
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pz rz ra - ");
    assert_non_null(strstr(logged(world), "not started: 1 error\n"));
    last.fails = true;
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pz ra - ");
    const char *log = logged(world);
    assert_non_null(strstr(log, "part b fails"));
    assert_non_null(strstr(log, "part z fails"));
    last.fails = world->parts[1].fails = false;
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pc pz ca cb cc cz + ");
}

static void a_part_that_fails_without_a_word_is_named(void **state)
{
    struct world *world = *state;
    world->parts[1].fails = world->parts[1].silent = true;
    reload_and_wait(world);
    assert_null(reload_current(world->reload));
    assert_non_null(strstr(logged(world), "part could not prepare for it"));
}

static void parts_may_take_their_time(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 3; i++)
        world->parts[i].later = true;
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pc ca cb cc + ");
}

static void a_wrong_file_reaches_no_part_and_every_error_is_logged(void **state)
{
    struct world *world = *state;
    reload_and_wait(world);
    logged(world);
    write_config(world, "backends: {a: {plugin: p}}\nlog: {level: loud}\nserver: {max_body: 0}\n");
    reload_and_wait(world);
    assert_string_equal(world->journal, "- ");
    assert_int_equal(reload_current(world->reload)->number, 1);
    const char *log = logged(world);
    char told[128];
    snprintf(told, sizeof told, "%s:2:7: log.level: must be error, warn, info or debug, got loud",
             world->file);
    assert_non_null(strstr(log, told));
    assert_non_null(strstr(log, "3:10: server.max_body: must be at least 1KiB, got 0"));
    assert_non_null(strstr(log, "configuration not changed: 2 errors"));
}

static void warnings_are_logged_and_change_nothing(void **state)
{
    struct world *world = *state;
    char key[128], text[256];
    snprintf(key, sizeof key, "%s.key", world->file);
    FILE *file = fopen(key, "w");
    assert_non_null(file);
    fputs("hush", file);
    fclose(file);
    assert_return_code(chmod(key, 0644), 0);
    snprintf(text, sizeof text, "backends: {a: {plugin: p}}\nauth: {keys: [{user: a, key_file: %s}]}\n", key);
    write_config(world, text);
    reload_and_wait(world);
    unlink(key);
    const char *log = logged(world);
    assert_non_null(strstr(log, " warn: "));
    assert_non_null(strstr(log, "warning: auth.keys[0].key_file: every user of this machine"));
    assert_non_null(strstr(log, "generation 1 in force"));
}

static void a_state_dir_that_changes_is_refused(void **state)
{
    struct world *world = *state;
    write_config(world, "backends: {a: {plugin: p}}\nstate_dir: /one\n");
    reload_and_wait(world);
    logged(world);
    write_config(world, "backends: {a: {plugin: p}}\nlog: {level: info}\nstate_dir: /two\n");
    reload_and_wait(world);
    assert_string_equal(world->journal, "- ");
    assert_non_null(strstr(
        logged(world), "3:1: state_dir: can't change while the daemon runs: restart it to move from /one"));
    write_config(world, "backends: {a: {plugin: p}}\nstate_dir: /one\n");
    reload_and_wait(world);
    assert_int_equal(reload_current(world->reload)->number, 2);
}

static void calls_while_one_is_under_way_become_one_more(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 5; i++)
        reload_run(world->reload, done, world);
    reload_run(world->reload, NULL, NULL);
    run(world, 5);
    assert_string_equal(world->journal, "pa pb pc ca cb cc +  pa pb pc ca cb cc +  +  +  + ");
    assert_int_equal(reload_current(world->reload)->number, 2);
}

static void run_again(void *arg, bool ok)
{
    struct world *world = arg;
    assert_true(ok);
    reload_run(world->reload, done, world);
}

static void the_end_of_one_may_begin_another(void **state)
{
    struct world *world = *state;
    reload_run(world->reload, run_again, world);
    run(world, 1);
    assert_int_equal(reload_current(world->reload)->number, 2);
}

static void parts_without_steps_are_passed_over(void **state)
{
    struct world *world = *state;
    struct reload_part nothing = {.name = "nothing", .rollback = rollback, .self = &world->parts[0]};
    reload_add(world->reload, &nothing);
    struct fake_part last = {.world = world, .name = 'z', .fails = true};
    struct reload_part failing = {.name = "last", .self = &last, .prepare = prepare};
    reload_add(world->reload, &failing);
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pc pz rc rb ra - ");
    last.fails = false;
    reload_and_wait(world);
    assert_string_equal(world->journal, "pa pb pc pz ca cb cc + ");
}

static void one_that_is_dropped_half_way_leaks_nothing(void **state)
{
    struct world *world = *state;
    reload_run(world->reload, done, world);
    reload_run(world->reload, done, world);
    /* tear_down() with the file being read, or read and not told */
}

static void stop_in_prepare(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    loop_stop(((struct fake_part *)arg)->world->loop);
}

static void prepare_and_stop(void *self, const struct config *old, struct config *next,
                             struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    struct fake_part *part = self;
    (void)old;
    (void)next;
    (void)prepared;
    (void)transaction;
    config_problem_add(problems, true, 0, 0, "", "a warning of a part that never ends");
    evtimer_assign(&part->timer, loop_base(part->world->loop), stop_in_prepare, part);
    loop_arm_us(&part->timer, 0);
}

static void one_that_is_dropped_while_a_part_prepares_leaks_nothing(void **state)
{
    struct world *world = *state;
    struct fake_part last = {.world = world};
    struct reload_part endless = {.name = "endless", .self = &last, .prepare = prepare_and_stop};
    reload_add(world->reload, &endless);
    reload_run(world->reload, done, world);
    run(world, 0);
    assert_string_equal(world->journal, "pa pb pc");
}

static void stop_under_way(evutil_socket_t fd, short what, void *arg)
{
    struct fake_part *last = arg;
    reload_stop(last->world->reload);
    end_prepare(fd, what, last);
    reload_run(last->world->reload, done, last->world);
    evtimer_assign(&last->timer, loop_base(last->world->loop), stop_in_prepare, last);
    loop_arm_ms(&last->timer, 10); /* what is to come comes on the next turns */
}

static void prepare_and_stop_all(void *self, const struct config *old, struct config *next,
                                 struct config_problems *problems, reload_prepared prepared,
                                 void *transaction)
{
    struct fake_part *part = self;
    (void)old;
    (void)next;
    (void)problems;
    part->prepared = prepared;
    part->transaction = transaction;
    evtimer_assign(&part->timer, loop_base(part->world->loop), stop_under_way, part);
    loop_arm_us(&part->timer, 0);
}

static void nothing_takes_over_once_the_daemon_ends(void **state)
{
    struct world *world = *state;
    struct fake_part last = {.world = world};
    struct reload_part slow = {.name = "slow", .self = &last, .prepare = prepare_and_stop_all};
    reload_add(world->reload, &slow);
    logged(world);
    reload_run(world->reload, done, world);
    run(world, 0);
    assert_string_equal(world->journal, "pa pb pc rc rb ra");
    assert_null(reload_current(world->reload));
    assert_string_equal(logged(world), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_prepare_then_all_commit),
        TEST(a_second_generation_sees_the_first),
        TEST(a_part_that_fails_has_the_others_roll_back_in_reverse),
        TEST(a_part_that_tells_always_prepares_after_a_failure_and_is_rolled_back),
        TEST(a_part_that_fails_without_a_word_is_named),
        TEST(parts_may_take_their_time),
        TEST(a_wrong_file_reaches_no_part_and_every_error_is_logged),
        TEST(warnings_are_logged_and_change_nothing),
        TEST(a_state_dir_that_changes_is_refused),
        TEST(calls_while_one_is_under_way_become_one_more),
        TEST(the_end_of_one_may_begin_another),
        TEST(parts_without_steps_are_passed_over),
        TEST(one_that_is_dropped_half_way_leaks_nothing),
        TEST(one_that_is_dropped_while_a_part_prepares_leaks_nothing),
        TEST(nothing_takes_over_once_the_daemon_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
