/* restarts.c: containers that the engine starts again by itself when their program ends (HostConfig.RestartPolicy); see
 * docker.h. Decides whether such a one counts as running, and has it looked at again when that may change; starts and
 * stops nothing.
 *
 * A program that never stays up is "running" for a moment after each restart. So it counts as running once it has stayed
 * up as long as the engine itself asks for, which then forgets how often it had to start it.
 */
#include "docker.h"

#include <stdlib.h>
#include <string.h>

enum {
    STAYS_UP_MS = 10000, /* as the engine's restart manager has it */
    LATER_MS = 1000,     /* its clock is known in whole seconds */
    TAIL_EVERY_MS = 1000 /* in a loop there are many ends */
};

/* What is followed of one container, at most one of each name. */
struct restarting {
    struct restarting *next; /* docker->restartings */
    struct docker *docker;
    char *name;
    sbx_timer timer; /* until it may have stayed up; 0: none */
    bool asking;     /* for the end of its output */
    uint64_t asked_ms;
};

/* How long it has run, by the engine's clock. */
static uint64_t run_ms(const struct docker *docker, const struct container *container)
{
    uint64_t now_ms = docker->engine.date_s > 0 ? (uint64_t)docker->engine.date_s * 1000
                                                : (uint64_t)(docker->host->now_us() / 1000);
    uint64_t started_ms = container->facts.started_at_ns / 1000000;
    return now_ms > started_ms ? now_ms - started_ms : 0;
}

bool restarts_unsettled(const struct docker *docker, const struct container *container)
{
    const struct facts *facts = &container->facts;
    return facts->state == CONTAINER_RESTARTING ||
           (facts->state == CONTAINER_RUNNING && facts->restart_count > 0 &&
            run_ms(docker, container) < STAYS_UP_MS);
}

static struct restarting *find(const struct docker *docker, const char *name)
{
    struct restarting *restarting = docker->restartings;
    while (restarting && strcmp(restarting->name, name) != 0)
        restarting = restarting->next;
    return restarting;
}

static void destroy(struct restarting *restarting)
{
    struct docker *docker = restarting->docker;
    struct restarting **at = &docker->restartings;
    while (*at != restarting)
        at = &(*at)->next;
    *at = restarting->next;
    docker->host->timer_cancel(docker->public, restarting->timer);
    free(restarting->name);
    free(restarting);
}

static void destroy_if_idle(struct restarting *restarting)
{
    if (restarting->timer == 0 && !restarting->asking)
        destroy(restarting);
}

static void on_time(void *arg)
{
    struct restarting *restarting = arg;
    struct docker *docker = restarting->docker;
    restarting->timer = 0;
    if (!docker->quiesced && table_find(docker, restarting->name))
        look_at(docker, restarting->name, NULL, NULL);
    destroy_if_idle(restarting);
}

static void on_tail(void *arg, const char *tail)
{
    struct restarting *restarting = arg;
    struct docker *docker = restarting->docker;
    struct container *container = table_find(docker, restarting->name);
    restarting->asking = false;
    if (!docker->quiesced && container && restarts_unsettled(docker, container)) {
        free(container->last_tail);
        if (!(container->last_tail = strdup(tail ? tail : "")))
            abort(); /* bounded by logs_tail() */
        report_container(docker, container);
    }
    destroy_if_idle(restarting);
}

static struct restarting *get(struct docker *docker, const char *name)
{
    struct restarting *restarting = find(docker, name);
    if (restarting)
        return restarting;
    restarting = calloc(1, sizeof *restarting);
    if (!restarting || !(restarting->name = strdup(name)))
        abort();
    restarting->docker = docker;
    restarting->next = docker->restartings;
    docker->restartings = restarting;
    return restarting;
}

void restarts_follow(struct docker *docker, struct container *container)
{
    if (docker->quiesced || !restarts_unsettled(docker, container))
        return;
    struct restarting *restarting = get(docker, container->name);
    uint64_t now = docker->host->now_ms();
    docker->host->timer_cancel(docker->public, restarting->timer);
    uint64_t delay_ms = STAYS_UP_MS + LATER_MS;
    if (container->facts.state == CONTAINER_RUNNING)
        delay_ms -= run_ms(docker, container);
    restarting->timer = docker->host->timer_start(docker->public, delay_ms * 1000, on_time, restarting);
    if (restarting->asking || (container->last_tail && now - restarting->asked_ms < TAIL_EVERY_MS))
        return;
    restarting->asking = true;
    restarting->asked_ms = now;
    logs_tail(docker, container, on_tail, restarting);
}

void restarts_finish(struct docker *docker)
{
    while (docker->restartings)
        destroy(docker->restartings);
}
