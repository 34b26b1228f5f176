/* The worker pool. */
#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

struct work {
    struct loop *loop;
    pthread_t ran_on;
    atomic_int runs;
    int done; /* on the loop thread */
    int *left;
    pthread_barrier_t *meet;
};

static void run(void *arg)
{
    struct work *work = arg;
    work->ran_on = pthread_self();
    if (work->meet)
        pthread_barrier_wait(work->meet);
    atomic_fetch_add(&work->runs, 1);
}

static void done(void *arg)
{
    struct work *work = arg;
    work->done++;
    if (--*work->left == 0)
        loop_stop(work->loop);
}

static void work_runs_on_a_thread_and_ends_on_the_loop(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct work works[COUNT];
    struct loop *loop = loop_create();
    struct pool *pool = pool_create(loop, 4);
    int left = COUNT;
    for (int i = 0; i < COUNT; i++) {
        works[i].loop = loop;
        works[i].left = &left;
        pool_submit(pool, run, done, &works[i]);
    }
    loop_run(loop);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(atomic_load(&works[i].runs), 1);
        assert_int_equal(works[i].done, 1);
        assert_false(pthread_equal(works[i].ran_on, pthread_self()));
    }
    pool_destroy(pool);
    loop_destroy(loop);
}

static void as_many_run_at_once_as_it_may_have_threads(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    struct pool *pool = pool_create(loop, 3);
    struct work works[3] = {0};
    pthread_barrier_t meet; /* opens when all three are in run() */
    int left = 3;
    pthread_barrier_init(&meet, NULL, 3);
    for (int i = 0; i < 3; i++) {
        works[i].loop = loop;
        works[i].left = &left;
        works[i].meet = &meet;
        pool_submit(pool, run, done, &works[i]);
    }
    loop_run(loop);
    assert_int_equal(left, 0);
    pool_destroy(pool);
    pthread_barrier_destroy(&meet);
    loop_destroy(loop);
}

static void what_was_submitted_runs_also_when_the_pool_ends(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    static struct work works[COUNT];
    struct loop *loop = loop_create();
    struct pool *pool = pool_create(loop, 1);
    for (int i = 0; i < COUNT; i++)
        pool_submit(pool, run, NULL, &works[i]);
    pool_destroy(pool);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(atomic_load(&works[i].runs), 1);
    loop_destroy(loop);
    pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_on_a_thread_and_ends_on_the_loop),
        cmocka_unit_test(as_many_run_at_once_as_it_may_have_threads),
        cmocka_unit_test(what_was_submitted_runs_also_when_the_pool_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
