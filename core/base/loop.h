/* base/loop.h: the one event loop, what runs on its next turn, and what other threads hand to it.
 *
 * Timers and watched descriptors are libevent's own (event_assign() and the like on loop_base()); this
 * adds the three things that libevent leaves to us. Never enable EPOLL_USE_CHANGELIST.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

struct loop;

/* Work for the next turn of the loop; embedded in its owner, which stays valid until it has run or was
 * taken back. Initialise with { .run = …, .arg = … }. */
struct loop_task {
    void (*run)(void *arg);
    void *arg;
    struct loop_task *next, **prev; /* the loop's; prev is null when it is not queued */
};

/* Aborts when the kernel has no descriptor left: nothing works without a loop. */
struct loop *loop_create(void);
void loop_destroy(struct loop *loop); /* posts that have not run are dropped; NULL is allowed */
struct event_base *loop_base(struct loop *loop);

void loop_run(struct loop *loop);  /* until loop_stop() */
void loop_stop(struct loop *loop); /* returns from loop_run() after this turn */

/* Queues a task, once: a queued one stays where it is. Loop thread only. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_undefer(struct loop *loop, struct loop_task *task);

/* Calls run(arg) on the loop thread. From any thread; in the order of the calls of each thread. */
void loop_post(struct loop *loop, void (*run)(void *arg), void *arg);

/* Arms a one-shot timer that event_assign()/evtimer_assign() prepared. */
void loop_arm_us(struct event *timer, uint64_t delay_us);
static inline void loop_arm_ms(struct event *timer, uint64_t delay_ms)
{
    loop_arm_us(timer, delay_ms * 1000);
}

#endif
