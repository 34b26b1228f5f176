/* base/pool.c: see pool.h. Owns the threads and the queue. */
#include "base/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct job {
    struct job *next;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct pool {
    struct loop *loop;
    unsigned max_threads;
    pthread_t *threads; /* max_threads of them; the first `count` run. Loop thread only */
    unsigned count;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t more;
    struct job *first, **last;
    unsigned idle, waiting;
    bool closing;
};

static void *work(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->first && !pool->closing) {
            pool->idle++;
            pthread_cond_wait(&pool->more, &pool->lock);
            pool->idle--;
        }
        struct job *job = pool->first;
        if (!job)
            break;
        pool->first = job->next;
        if (!pool->first)
            pool->last = &pool->first;
        pool->waiting--;
        bool closing = pool->closing;
        pthread_mutex_unlock(&pool->lock);
        job->run(job->arg);
        if (job->done && !closing)
            loop_post(pool->loop, job->done, job->arg);
        free(job);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

struct pool *pool_create(struct loop *loop, unsigned max_threads)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort();
    pool->threads = calloc(max_threads, sizeof *pool->threads);
    if (!pool->threads)
        abort();
    pool->loop = loop;
    pool->max_threads = max_threads;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->more, NULL);
    return pool;
}

/* Signals are the loop's: a thread of the pool must never take one. */
static void start_thread(struct pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 512 * 1024);
    int failed = pthread_create(&pool->threads[pool->count], &attributes, work, pool);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        pool->count++;
    else if (pool->count == 0)
        abort(); /* nobody would ever do the work */
}

void pool_destroy(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->more);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}

void pool_submit(struct pool *pool, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct job *job = malloc(sizeof *job);
    if (!job)
        abort();
    *job = (struct job){.run = run, .done = done, .arg = arg};
    pthread_mutex_lock(&pool->lock);
    *pool->last = job;
    pool->last = &job->next;
    pool->waiting++;
    bool grow = pool->waiting > pool->idle && pool->count < pool->max_threads;
    pthread_cond_signal(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    if (grow)
        start_thread(pool);
}
