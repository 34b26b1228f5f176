/* sandbox/wait.c: calls that wait for a sandbox to change, each with a deadline. An answer is always given
 * on a later turn of the loop: who asked has got the handle by then, and nothing of the service is in the
 * middle of a change. */
#include "sandbox/internal.h"

#include <stdlib.h>

enum { DISK_LOOK_MS = 100 };

struct sandbox_wait {
    struct loop *loop;
    struct sandbox *sandbox; /* NULL: it went away */
    struct sandbox_wait *next, **prev;
    enum wait_for what;
    service_done done;
    void *arg;
    struct event timer;
    struct loop_task answer; /* queued once the outcome is known */
    bool known, failed;
    struct sbx_error err;
};

static void unlink_wait(struct sandbox_wait *wait)
{
    if (!wait->prev)
        return;
    *wait->prev = wait->next;
    if (wait->next)
        wait->next->prev = wait->prev;
    wait->prev = NULL;
}

static void destroy(struct sandbox_wait *wait)
{
    unlink_wait(wait);
    event_del(&wait->timer);
    loop_undefer(wait->loop, &wait->answer);
    free(wait);
}

static void give_answer(void *arg)
{
    struct sandbox_wait *wait = arg;
    bool promised = wait->what == WAIT_PROMISED;
    if (!promised && !wait->failed && wait->sandbox->deleting) { /* since then: the disk decides */
        wait->known = false;
        loop_arm_ms(&wait->timer, DISK_LOOK_MS);
        return;
    }
    service_done done = wait->done;
    void *done_arg = wait->arg;
    struct sandbox *sandbox = wait->failed ? NULL : wait->sandbox;
    struct sbx_error err = wait->err;
    bool failed = wait->failed;
    destroy(wait);
    done(done_arg, promised ? NULL : sandbox, failed ? &err : NULL);
}

static void set_outcome(struct sandbox_wait *wait, const struct sbx_error *err)
{
    if (wait->known)
        return;
    wait->known = true;
    wait->failed = err != NULL;
    if (err)
        wait->err = *err;
    else if (wait->sandbox)
        wait->sandbox->answered = true;
    event_del(&wait->timer);
    loop_defer(wait->loop, &wait->answer);
}

static void time_is_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct sandbox_wait *wait = arg;
    if (wait->sandbox->phase == PHASE_RECORDING || wait->sandbox->deleting) /* the disk decides */
        loop_arm_ms(&wait->timer, DISK_LOOK_MS);
    else
        set_outcome(wait, NULL); /* what was begun goes on */
}

struct sandbox_wait *wait_add(struct sandbox *sandbox, enum wait_for what, uint32_t timeout_ms,
                              service_done done, void *arg)
{
    struct sandbox_wait *wait = calloc(1, sizeof *wait);
    if (!wait)
        abort();
    struct loop *loop = sandbox->service->deps.loop;
    *wait = (struct sandbox_wait){.loop = loop,
                                  .sandbox = sandbox,
                                  .what = what,
                                  .done = done,
                                  .arg = arg,
                                  .answer = {.run = give_answer, .arg = wait}};
    evtimer_assign(&wait->timer, loop_base(loop), time_is_over, wait);
    if (timeout_ms > 0)
        loop_arm_ms(&wait->timer, timeout_ms);
    wait->next = sandbox->waits;
    wait->prev = &sandbox->waits;
    if (wait->next)
        wait->next->prev = &wait->next;
    sandbox->waits = wait;
    wait_check(sandbox);
    return wait;
}

static bool is_reached(const struct sandbox *sandbox, enum wait_for what)
{
    if (sandbox->deleting) /* they are told when that is promised */
        return false;
    switch (what) {
    case WAIT_MADE:
        return sandbox->begun || sandbox->phase == PHASE_WAITING || sandbox->status == SANDBOX_ERROR;
    case WAIT_REACHABLE:
        return sandbox->phase != PHASE_RECORDING &&
               (sandbox->urls_len > 0 || sandbox->status != SANDBOX_STARTING);
    case WAIT_SETTLED:
        return sandbox->phase != PHASE_RECORDING && sandbox->phase != PHASE_STARTING &&
               sandbox->status != SANDBOX_STARTING;
    case WAIT_PAUSED: return sandbox->phase != PHASE_PAUSING && !(sandbox->wants & WANT_PAUSE);
    case WAIT_RESUMED:
        return sandbox->phase == PHASE_WAITING ||
               (sandbox->phase != PHASE_RESUMING && sandbox->phase != PHASE_STARTING &&
                !(sandbox->wants & (WANT_RESUME | WANT_START)));
    default: return false;
    }
}

void wait_check(struct sandbox *sandbox)
{
    for (struct sandbox_wait *wait = sandbox->waits; wait; wait = wait->next)
        if (is_reached(sandbox, wait->what))
            set_outcome(wait, NULL);
}

void wait_answer(struct sandbox *sandbox, enum wait_for what, const struct sbx_error *err)
{
    for (struct sandbox_wait *wait = sandbox->waits; wait; wait = wait->next)
        if (wait->what == what)
            set_outcome(wait, err);
}

void wait_hurry(struct sandbox *sandbox)
{
    for (struct sandbox_wait *wait = sandbox->waits; wait; wait = wait->next)
        if (wait->what == WAIT_SETTLED && is_reached(sandbox, WAIT_MADE))
            set_outcome(wait, NULL);
}

void wait_answer_all(struct sandbox *sandbox, const struct sbx_error *err)
{
    while (sandbox->waits) {
        struct sandbox_wait *wait = sandbox->waits;
        /* A success that was not delivered yet would speak of a sandbox that is no more. */
        if (wait->what == WAIT_PROMISED ? !wait->known : !wait->failed) {
            wait->known = false;
            set_outcome(wait, err);
        }
        unlink_wait(wait);
        wait->sandbox = NULL;
    }
}

void service_give_up(struct sandbox_wait *wait)
{
    if (wait)
        destroy(wait);
}
