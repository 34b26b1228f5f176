/* plugin/deliveries.c: the queue from a plugin to the service. Owns what is in it.
 *
 * All that a plugin says goes through it, so that nothing reaches the service from inside a call into the
 * plugin, and a report made before a completion is seen before it. */
#include "plugin/instance.h"

#include <stdlib.h>

enum {
    MAX_QUEUED = 64 * 1024,
    MAX_QUEUED_BYTES = 64 * 1024 * 1024,
    A_TURN = 256 /* so that a listing of thousands holds nobody up */
};

enum delivery_kind { DELIVER_REPORT, DELIVER_AVAILABLE, DELIVER_RELIST, DELIVER_ANSWER };

struct delivery {
    struct delivery *next;
    enum delivery_kind kind;
    size_t bytes;
    struct sbx_observation *observation;
    struct backend_operation *operation;
};

static void put(struct backend *backend, struct delivery what)
{
    struct delivery *delivery = malloc(sizeof *delivery);
    if (!delivery)
        abort();
    *delivery = what;
    delivery->next = NULL;
    *backend->last = delivery;
    backend->last = &delivery->next;
    backend->queued++;
    backend->queued_bytes += what.bytes;
    if (backend->state >= INSTANCE_CURRENT)
        loop_defer(backend->env->loop, &backend->deliver);
}

static void release(struct backend *backend, struct delivery *delivery)
{
    backend->queued--;
    backend->queued_bytes -= delivery->bytes;
    free(delivery->observation);
    free(delivery);
}

static void hand_over(struct backend *backend, const struct delivery *delivery)
{
    const struct backend_events *events = &backend->env->events;
    bool current = backend->state == INSTANCE_CURRENT;
    switch (delivery->kind) {
    case DELIVER_REPORT:
        if (current)
            events->report(events->arg, backend, delivery->observation);
        break;
    case DELIVER_AVAILABLE:
        if (current)
            events->available(events->arg, backend);
        break;
    case DELIVER_RELIST:
        if (current)
            events->relist(events->arg, backend);
        break;
    case DELIVER_ANSWER: operation_deliver(delivery->operation); break;
    }
}

static void deliver(void *arg)
{
    struct backend *backend = backend_ref(arg);
    for (unsigned i = 0; i < A_TURN && backend->first; i++) {
        struct delivery *delivery = backend->first;
        backend->first = delivery->next;
        if (!backend->first)
            backend->last = &backend->first;
        hand_over(backend, delivery);
        release(backend, delivery);
    }
    if (backend->first)
        loop_defer(backend->env->loop, &backend->deliver);
    backend_unref(backend);
}

void deliveries_init(struct backend *backend)
{
    backend->last = &backend->first;
    backend->deliver = (struct loop_task){.run = deliver, .arg = backend};
}

void deliveries_start(struct backend *backend)
{
    if (backend->first)
        loop_defer(backend->env->loop, &backend->deliver);
}

void deliveries_drop_events(struct backend *backend)
{
    struct delivery **at = &backend->first;
    while (*at) {
        struct delivery *delivery = *at;
        if (delivery->kind == DELIVER_ANSWER) {
            at = &delivery->next;
            continue;
        }
        *at = delivery->next;
        release(backend, delivery);
    }
    backend->last = at;
}

void deliveries_withdraw(struct backend *backend, const struct backend_operation *operation)
{
    struct delivery **at = &backend->first;
    while (*at && (*at)->operation != operation)
        at = &(*at)->next;
    struct delivery *delivery = *at;
    if (!delivery)
        return;
    *at = delivery->next;
    if (!*at)
        backend->last = at;
    release(backend, delivery);
}

void deliveries_finish(struct backend *backend)
{
    deliveries_drop_events(backend);
    loop_undefer(backend->env->loop, &backend->deliver);
}

int deliveries_report(struct backend *backend, struct sbx_observation *observation, size_t bytes)
{
    if (backend->queued >= MAX_QUEUED || backend->queued_bytes > MAX_QUEUED_BYTES - bytes)
        return -1;
    put(backend, (struct delivery){.kind = DELIVER_REPORT, .observation = observation, .bytes = bytes});
    return 0;
}

void deliveries_available(struct backend *backend)
{
    put(backend, (struct delivery){.kind = DELIVER_AVAILABLE});
}

void deliveries_relist(struct backend *backend)
{
    put(backend, (struct delivery){.kind = DELIVER_RELIST});
}

void deliveries_answer(struct backend *backend, struct backend_operation *operation)
{
    put(backend, (struct delivery){.kind = DELIVER_ANSWER, .operation = operation});
}
