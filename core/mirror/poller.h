/* mirror/poller.h: asks agent servers what is new, where they can't report it: without server.public_url.
 *
 * Each agent server that runs is asked soon after it began to, then more and more seldom, down to every
 * events.polling_interval, or its backend's own; one that does not answer well is asked still less often, and the log says so once. At most
 * POLLER_TRANSFERS requests are under way, each with its own timeout; whose turn it is waits for a place before each of
 * its requests, so that no agent server holds up another. Loop thread only. Private.
 */
#ifndef MIRROR_POLLER_H
#define MIRROR_POLLER_H

#include "base/log.h"
#include "base/map.h"
#include "mirror/mirror.h"

enum { POLLER_TRANSFERS = 32, POLLER_TIMEOUT_MS = 20000 };

struct agent;

struct poller {
    struct mirror_deps deps;
    struct mirror *mirror;
    uint32_t interval_ms; /* of those whose backend has none; 0: agent servers report by themselves */
    struct map agents;    /* by sandbox id */
    struct agent *left;   /* what is under way of them can't be cancelled */
    struct event look;    /* at which agents run, after that has changed */
    struct agent *first_waiting, **last_waiting;
    unsigned under_way; /* requests */
    struct loop_task admit;
    uint64_t polls, failures; /* turns that ended well, and not */
};

struct poller *poller_create(const struct mirror_deps *deps, struct mirror *mirror);
void poller_commit(struct poller *poller, const struct config *next);
void poller_destroy(struct poller *poller); /* after pool_destroy(), before the reports are finished */

/* ---- for a turn (turn.h) ---- */

/* It wants to send a request: turn_fetch() is called when there is a place. */
void poller_wait_for_place(struct poller *poller, struct agent *agent);
/* Its request has ended. */
void poller_leave_place(struct poller *poller);
/* What could not be cancelled has ended. False: nobody wants the agent any more, and it is freed. */
bool poller_landed(struct agent *agent);
/* The turn is over: well, with `more` to read, or (err not NULL) not. */
void poller_turn_over(struct agent *agent, const struct sbx_error *err, bool more);
/* Something is wrong with what the agent server says: the log has it once. */
void poller_complain(struct agent *agent, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
