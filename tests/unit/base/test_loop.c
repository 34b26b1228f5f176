/* The loop: deferred tasks and what other threads post. */
#include "base/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct note {
    struct loop *loop;
    struct loop_task task;
    char name;
    char *journal;
    struct note *defers, *undefers;
    int again;
    bool stops;
};

static void run_note(void *arg)
{
    struct note *note = arg;
    size_t used = strlen(note->journal);
    note->journal[used] = note->name;
    note->journal[used + 1] = '\0';
    if (note->undefers)
        loop_undefer(note->loop, &note->undefers->task);
    if (note->defers)
        loop_defer(note->loop, &note->defers->task);
    if (note->again-- > 0)
        loop_defer(note->loop, &note->task);
    if (note->stops)
        loop_stop(note->loop);
}

static void make_notes(struct note *notes, size_t count, struct loop *loop, char *journal)
{
    *journal = '\0';
    for (size_t i = 0; i < count; i++)
        notes[i] = (struct note){.loop = loop,
                                 .task = {.run = run_note, .arg = &notes[i]},
                                 .name = (char)('a' + i),
                                 .journal = journal};
}

static void tasks_run_once_in_order_on_the_next_turn(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    struct note notes[3];
    char journal[32];
    make_notes(notes, 3, loop, journal);
    loop_defer(loop, &notes[0].task);
    loop_defer(loop, &notes[1].task);
    loop_defer(loop, &notes[0].task); /* stays where it is */
    loop_defer(loop, &notes[2].task);
    notes[2].stops = true;
    assert_string_equal(journal, "");
    loop_run(loop);
    assert_string_equal(journal, "abc");
    loop_destroy(loop);
}

static void a_task_may_be_taken_back_also_by_one_that_runs(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    struct note notes[4];
    char journal[32];
    make_notes(notes, 4, loop, journal);
    for (int i = 0; i < 4; i++)
        loop_defer(loop, &notes[i].task);
    loop_undefer(loop, &notes[0].task);
    loop_undefer(loop, &notes[0].task); /* not queued: nothing happens */
    notes[1].undefers = &notes[2];
    notes[1].defers = &notes[0];
    notes[0].stops = true;
    loop_run(loop);
    assert_string_equal(journal, "bda");
    loop_destroy(loop);
}

static void the_last_one_taken_back_leaves_a_queue_that_works(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    struct note notes[3];
    char journal[32];
    make_notes(notes, 3, loop, journal);
    loop_defer(loop, &notes[0].task);
    loop_defer(loop, &notes[1].task);
    loop_undefer(loop, &notes[1].task);
    loop_defer(loop, &notes[2].task);
    notes[2].stops = true;
    loop_run(loop);
    assert_string_equal(journal, "ac");
    loop_destroy(loop);
}

static void stop_loop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    loop_stop(arg);
}

static void a_task_that_defers_itself_lets_others_run(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    struct note note;
    char journal[4096];
    make_notes(&note, 1, loop, journal);
    note.again = 4000;
    loop_defer(loop, &note.task);
    struct event timer;
    evtimer_assign(&timer, loop_base(loop), stop_loop, loop);
    loop_arm_us(&timer, 0);
    loop_run(loop);
    assert_true(note.again > 0);
    loop_undefer(loop, &note.task);
    loop_destroy(loop);
}

enum { POSTS = 2000, THREADS = 2 };

struct poster {
    struct loop *loop;
    struct letter {
        struct poster *poster;
        int number;
    } letters[POSTS];
    int next;
    int *left;
};

static void take_letter(void *arg)
{
    struct letter *letter = arg;
    assert_int_equal(letter->number, letter->poster->next++);
    if (--*letter->poster->left == 0)
        loop_stop(letter->poster->loop);
}

static void *post_letters(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < POSTS; i++) {
        poster->letters[i] = (struct letter){.poster = poster, .number = i};
        loop_post(poster->loop, take_letter, &poster->letters[i]);
    }
    return NULL;
}

static void posts_arrive_in_the_order_of_each_thread(void **state)
{
    (void)state;
    static struct poster posters[THREADS];
    struct loop *loop = loop_create();
    pthread_t threads[THREADS];
    int left = POSTS * THREADS;
    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = loop;
        posters[i].left = &left;
        assert_int_equal(pthread_create(&threads[i], NULL, post_letters, &posters[i]), 0);
    }
    loop_run(loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(left, 0);
    loop_destroy(loop);
}

static void never(void *arg)
{
    (void)arg;
    fail();
}

static void posts_that_have_not_run_are_dropped(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    loop_post(loop, never, NULL);
    loop_destroy(loop);
    loop_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_run_once_in_order_on_the_next_turn),
        cmocka_unit_test(a_task_may_be_taken_back_also_by_one_that_runs),
        cmocka_unit_test(the_last_one_taken_back_leaves_a_queue_that_works),
        cmocka_unit_test(a_task_that_defers_itself_lets_others_run),
        cmocka_unit_test(posts_arrive_in_the_order_of_each_thread),
        cmocka_unit_test(posts_that_have_not_run_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
