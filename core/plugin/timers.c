/* plugin/timers.c: the timers of plugins. Owns them until they fire, are cancelled, or their backend closes. */
#include "plugin/instance.h"

#include <stdlib.h>

#define LONGEST_US (UINT64_C(10) * 365 * 24 * 3600 * 1000000) /* ten years: beyond that nobody means it */

struct timer {
    struct event event;
    struct backend *backend;
    sbx_timer id;
    sbx_callback fired;
    void *arg;
};

static void end(struct timer *timer)
{
    event_del(&timer->event);
    handles_remove(&timer->backend->handles, timer->id);
    free(timer);
}

static void on_fired(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct timer *timer = arg;
    sbx_callback fired = timer->fired;
    void *its = timer->arg;
    end(timer); /* before the call: what it starts may take the slot, and it may close the backend */
    fired(its);
}

sbx_timer timers_start(struct sbx_backend *abi, uint64_t delay_us, sbx_callback fired, void *arg)
{
    struct backend *backend = host_enter(abi, "timer_start");
    if (!backend || !fired)
        return 0;
    struct timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        abort();
    *timer = (struct timer){.backend = backend, .fired = fired, .arg = arg};
    timer->id = handles_add(&backend->handles, HANDLE_TIMER, timer);
    if (timer->id == 0) {
        instance_complain(backend, NULL, "the plugin has too many timers; a new one is refused");
        free(timer);
        return 0;
    }
    evtimer_assign(&timer->event, loop_base(backend->env->loop), on_fired, timer);
    loop_arm_us(&timer->event, delay_us < LONGEST_US ? delay_us : LONGEST_US);
    return timer->id;
}

void timers_cancel(struct sbx_backend *abi, sbx_timer id)
{
    struct backend *backend = host_enter(abi, "timer_cancel");
    struct timer *timer = backend ? handles_get(&backend->handles, HANDLE_TIMER, id) : NULL;
    if (timer)
        end(timer);
}

void timers_end(struct backend *backend)
{
    unsigned count = backend->handles.counts[HANDLE_TIMER];
    if (count > 0)
        instance_complain(backend, NULL, "the plugin left %u timers running at close(); they are ended",
                          count);
    struct timer *timer;
    for (size_t i = 0; (timer = handles_next(&backend->handles, HANDLE_TIMER, &i));)
        end(timer);
}
