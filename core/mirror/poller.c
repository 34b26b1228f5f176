/* mirror/poller.c: see poller.h. Owns the agents and the queue for places; what is asked of them is turn.c's. */
#include "mirror/poller.h"

#include "base/clock.h"
#include "base/log.h"
#include "mirror/turn.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_AFTER_MS = 250,
    FIRST_DELAY_MS = 1000, /* between the first turns */
    LONGEST_DELAY_MS = 5 * 60 * 1000
};

/* ---- when the next turn is ------------------------------------------------------------------- */

static uint64_t at_most(uint64_t value, uint64_t bound)
{
    return value < bound ? value : bound;
}

/* Conversations begin soon after their agent: the first turns follow each other at a quarter of the time that it runs.
 * Give or take a tenth, so that a thousand agents are not asked in one instant. */
static uint64_t next_delay_ms(const struct agent *agent)
{
    uint64_t interval = agent->interval_ms, delay = (clock_ms() - agent->since_ms) / 4;
    if (delay < FIRST_DELAY_MS)
        delay = FIRST_DELAY_MS;
    delay = at_most(delay, interval);
    if (agent->failures) {
        uint64_t longest = interval > LONGEST_DELAY_MS ? interval : LONGEST_DELAY_MS;
        delay = at_most(delay << at_most(agent->failures, 16), longest);
    }
    uint32_t random;
    random_fill(&random, sizeof random);
    return delay - delay / 10 + random % (delay / 5 + 1);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    turn_begin(arg);
}

void poller_complain(struct agent *agent, enum log_level level, const char *format, ...)
{
    if (agent->told)
        return;
    agent->told = true;
    va_list args;
    va_start(args, format);
    log_vline(level, &(struct log_context){.sandbox = agent->sandbox_id}, format, args);
    va_end(args);
}

void poller_turn_over(struct agent *agent, const struct sbx_error *err, bool more)
{
    turn_finish(agent);
    if (err) {
        agent->failures++;
        agent->poller->failures++;
        /* Programs that are no agent servers of OpenHands run in sandboxes, too. */
        poller_complain(agent, err->kind == SBX_ERR_NOT_FOUND ? LOG_DEBUG : LOG_WARN,
                        "its agent server was asked for its conversations and events in vain: %s",
                        err->message);
    } else {
        agent->failures = 0;
        agent->poller->polls++;
    }
    loop_arm_ms(&agent->timer, more ? 0 : next_delay_ms(agent));
}

/* ---- places ----------------------------------------------------------------------------------- */

static void stop_waiting(struct agent *agent)
{
    if (!agent->waiting)
        return;
    *agent->waiting = agent->next_waiting;
    if (agent->next_waiting)
        agent->next_waiting->waiting = agent->waiting;
    else
        agent->poller->last_waiting = agent->waiting;
    agent->waiting = NULL;
    agent->next_waiting = NULL;
}

static void admit(void *arg)
{
    struct poller *poller = arg;
    for (struct agent *agent; poller->under_way < POLLER_TRANSFERS && (agent = poller->first_waiting);) {
        stop_waiting(agent);
        poller->under_way++;
        turn_fetch(agent);
    }
}

void poller_wait_for_place(struct poller *poller, struct agent *agent)
{
    agent->next_waiting = NULL;
    agent->waiting = poller->last_waiting;
    *poller->last_waiting = agent;
    poller->last_waiting = &agent->next_waiting;
    if (poller->under_way < POLLER_TRANSFERS)
        loop_defer(poller->deps.loop, &poller->admit);
}

void poller_leave_place(struct poller *poller)
{
    poller->under_way--;
    if (poller->first_waiting)
        loop_defer(poller->deps.loop, &poller->admit);
}

/* ---- agents ----------------------------------------------------------------------------------- */

static struct agent *new_agent(struct poller *poller, const char *sandbox_id, uint32_t interval_ms)
{
    struct agent *agent = calloc(1, sizeof *agent);
    char *id = strdup(sandbox_id);
    if (!agent || !id)
        abort();
    agent->poller = poller;
    agent->sandbox_id = id;
    agent->since_ms = clock_ms();
    agent->interval_ms = interval_ms;
    evtimer_assign(&agent->timer, loop_base(poller->deps.loop), on_turn, agent);
    map_put(&poller->agents, agent->sandbox_id, agent);
    uint32_t random;
    random_fill(&random, sizeof random);
    loop_arm_ms(&agent->timer, random % at_most(LOOK_AFTER_MS, interval_ms));
    return agent;
}

static void free_agent(struct agent *agent)
{
    event_del(&agent->timer);
    turn_finish(agent);
    free(agent->conversations);
    free(agent->sandbox_id);
    free(agent);
}

/* It is not in the map any more. */
static void leave(struct agent *agent)
{
    struct poller *poller = agent->poller;
    stop_waiting(agent);
    event_del(&agent->timer);
    if (turn_cancel(agent)) {
        free_agent(agent);
        return;
    }
    agent->left = true;
    agent->next_left = poller->left;
    poller->left = agent;
}

bool poller_landed(struct agent *agent)
{
    if (!agent->left)
        return true;
    struct agent **at = &agent->poller->left;
    while (*at != agent)
        at = &(*at)->next_left;
    *at = agent->next_left;
    free_agent(agent);
    return false;
}

/* Those that were not seen; with `all` every one. */
static void leave_agents(struct poller *poller, bool all)
{
    struct agent *agent, *leaving = NULL;
    for (size_t i = 0; (agent = map_next(&poller->agents, &i));)
        if (all || !agent->seen) {
            agent->next_left = leaving;
            leaving = agent;
        }
    for (; (agent = leaving);) {
        leaving = agent->next_left;
        map_remove(&poller->agents, agent->sandbox_id);
        leave(agent);
    }
}

static void set_interval(struct agent *agent, uint32_t interval_ms)
{
    if (agent->interval_ms == interval_ms)
        return;
    agent->interval_ms = interval_ms;
    if (event_pending(&agent->timer, EV_TIMEOUT, NULL))
        loop_arm_ms(&agent->timer, next_delay_ms(agent));
}

static void look(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct poller *poller = arg;
    struct agent *agent;
    struct mirror_agent running;
    for (size_t i = 0; (agent = map_next(&poller->agents, &i));)
        agent->seen = false;
    for (size_t i = 0; mirror_next_agent(poller->mirror, &i, &running);) {
        uint32_t own_ms = sandbox_polling_ms(running.sandbox);
        uint32_t interval_ms = own_ms ? own_ms : poller->interval_ms;
        agent = map_get(&poller->agents, running.sandbox->id);
        if (!agent)
            agent = new_agent(poller, running.sandbox->id, interval_ms);
        agent->seen = true;
        set_interval(agent, interval_ms);
    }
    leave_agents(poller, false);
}

/* Many begin and end together: they are looked at together, a little later. */
static void on_running_changed(void *arg)
{
    struct poller *poller = arg;
    if (poller->interval_ms && !event_pending(&poller->look, EV_TIMEOUT, NULL))
        loop_arm_ms(&poller->look, LOOK_AFTER_MS);
}

/* ---- the interface ---------------------------------------------------------------------------- */

struct poller *poller_create(const struct mirror_deps *deps, struct mirror *mirror)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        abort();
    poller->deps = *deps;
    poller->mirror = mirror;
    map_init(&poller->agents);
    poller->last_waiting = &poller->first_waiting;
    poller->admit = (struct loop_task){.run = admit, .arg = poller};
    evtimer_assign(&poller->look, loop_base(deps->loop), look, poller);
    service_listen(deps->service, on_running_changed, poller);
    return poller;
}

void poller_commit(struct poller *poller, const struct config *next)
{
    uint32_t interval = next->public_url ? 0 : next->events_polling_interval_ms;
    if (!interval && !poller->interval_ms)
        return;
    poller->interval_ms = interval;
    event_del(&poller->look);
    if (!interval) {
        leave_agents(poller, true);
        return;
    }
    loop_arm_ms(&poller->look, 0); /* which may be at other intervals now */
}

void poller_destroy(struct poller *poller)
{
    if (!poller)
        return;
    service_listen(poller->deps.service, NULL, NULL);
    event_del(&poller->look);
    leave_agents(poller, true);
    for (struct agent *agent; (agent = poller->left);) {
        poller->left = agent->next_left;
        free_agent(agent);
    }
    loop_undefer(poller->deps.loop, &poller->admit);
    map_finish(&poller->agents);
    free(poller);
}
