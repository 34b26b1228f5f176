/* base/loop.c: see loop.h. Owns the event base, the queue of deferred tasks and the post box. */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct post {
    struct post *next;
    void (*run)(void *arg);
    void *arg;
};

struct loop {
    struct event_base *base;
    struct loop_task *first, **last; /* deferred */
    struct event turn;               /* active while something is deferred */
    bool running_deferred;

    pthread_mutex_t post_lock; /* guards the next two */
    struct post *posts, **posts_last;
    int post_fd;
    struct event post_event;
};

static void run_deferred(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *loop = arg;
    /* What these tasks defer comes on the turn after: no task can starve the descriptors. */
    struct loop_task *batch = loop->first;
    if (!batch)
        return;
    batch->prev = &batch;
    loop->first = NULL;
    loop->last = &loop->first;
    loop->running_deferred = true;
    struct loop_task *task;
    while ((task = batch)) {
        batch = task->next;
        if (batch)
            batch->prev = &batch;
        task->prev = NULL;
        task->run(task->arg);
    }
    loop->running_deferred = false;
}

static void run_posts(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct loop *loop = arg;
    uint64_t count;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&loop->post_lock);
    struct post *post = loop->posts;
    loop->posts = NULL;
    loop->posts_last = &loop->posts;
    pthread_mutex_unlock(&loop->post_lock);
    while (post) {
        struct post *next = post->next;
        post->run(post->arg);
        free(post);
        post = next;
    }
}

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    struct event_config *config = event_config_new();
    if (!loop || !config)
        abort();
    /* Health checks come a millisecond apart: the coarse clock would round them up to four. */
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    loop->post_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!loop->base || loop->post_fd < 0)
        abort();
    loop->last = &loop->first;
    loop->posts_last = &loop->posts;
    pthread_mutex_init(&loop->post_lock, NULL);
    event_assign(&loop->turn, loop->base, -1, 0, run_deferred, loop);
    event_assign(&loop->post_event, loop->base, loop->post_fd, EV_READ | EV_PERSIST, run_posts, loop);
    event_add(&loop->post_event, NULL);
    return loop;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    event_del(&loop->turn);
    event_del(&loop->post_event);
    close(loop->post_fd);
    for (struct post *post = loop->posts, *next; post; post = next) {
        next = post->next;
        free(post);
    }
    pthread_mutex_destroy(&loop->post_lock);
    event_base_free(loop->base);
    free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

void loop_run(struct loop *loop)
{
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(struct loop *loop)
{
    event_base_loopexit(loop->base, NULL);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (task->prev)
        return;
    task->next = NULL;
    task->prev = loop->last;
    *loop->last = task;
    loop->last = &task->next;
    /* event_active() inside its own callback would run again before any descriptor is looked at. */
    if (loop->running_deferred)
        loop_arm_us(&loop->turn, 0);
    else
        event_active(&loop->turn, EV_TIMEOUT, 1);
}

void loop_undefer(struct loop *loop, struct loop_task *task)
{
    if (!task->prev)
        return;
    if (task->next)
        task->next->prev = task->prev;
    else if (loop->last == &task->next)
        loop->last = task->prev;
    *task->prev = task->next;
    task->prev = NULL;
}

void loop_post(struct loop *loop, void (*run)(void *arg), void *arg)
{
    struct post *post = malloc(sizeof *post);
    if (!post)
        abort();
    *post = (struct post){.run = run, .arg = arg};
    pthread_mutex_lock(&loop->post_lock);
    *loop->posts_last = post;
    loop->posts_last = &post->next;
    pthread_mutex_unlock(&loop->post_lock);
    uint64_t one = 1;
    while (write(loop->post_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

void loop_arm_us(struct event *timer, uint64_t delay_us)
{
    struct timeval delay = {.tv_sec = (time_t)(delay_us / 1000000),
                            .tv_usec = (suseconds_t)(delay_us % 1000000)};
    event_add(timer, &delay);
}
