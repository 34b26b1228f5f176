/* plugin/work.c: work that may block, on the pool, and calls from other threads. Owns each on its way. */
#include "plugin/instance.h"

#include <stdlib.h>

struct work {
    struct backend *backend;
    sbx_callback run, done;
    void *arg;
};

static void run_work(void *arg)
{
    struct work *work = arg;
    work->run(work->arg);
}

static void finish_work(void *arg)
{
    struct work *work = arg;
    struct backend *backend = work->backend;
    if (work->done)
        work->done(work->arg);
    backend->pending--; /* after the call: until then close() must wait */
    free(work);
    instance_settle(backend);
}

void work_run(struct sbx_backend *abi, sbx_callback run, sbx_callback done, void *arg)
{
    struct backend *backend = host_enter(abi, "work");
    if (!backend || !run)
        return;
    struct work *work = malloc(sizeof *work);
    if (!work)
        abort();
    *work = (struct work){.backend = backend, .run = run, .done = done, .arg = arg};
    backend->pending++;
    pool_submit(backend->env->pool, run_work, finish_work, work);
}

static void run_post(void *arg)
{
    struct work *post = arg;
    struct backend *backend = post->backend;
    if (backend->state != INSTANCE_CLOSED)
        post->run(post->arg);
    free(post);
    atomic_fetch_sub(&backend->posts, 1);
    instance_settle(backend);
    instance_free_if_over(backend);
}

void work_post(struct sbx_backend *abi, sbx_callback call, void *arg)
{
    struct backend *backend = instance_of(abi);
    if (!backend || !call)
        return;
    struct work *post = malloc(sizeof *post);
    if (!post)
        abort();
    *post = (struct work){.backend = backend, .run = call, .arg = arg};
    atomic_fetch_add(&backend->posts, 1);
    loop_post(backend->env->loop, run_post, post);
}
