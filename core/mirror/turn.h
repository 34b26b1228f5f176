/* mirror/turn.h: one turn of polling one agent server: its conversations, then of each the events that are not had.
 *
 * Events are read from the oldest to the newest, so that they are stored in their order, and page by page. The page that
 * was the last is where the next turn begins; after a restart of the daemon it is a day and some before the newest event
 * that is stored (timestamp__gte; the agent's clock may be one of any time zone), and where the agent server does not
 * know that parameter, the beginning. What comes twice by that is stored once. A conversation that is listed with the
 * same `updated_at`, and all else, as before is not read again: agent servers let go of conversations that nobody asks
 * for, and take each that is asked for back into memory.
 *
 * Bounded: pages of a turn, conversations, bytes of a page. A turn goes from one request, question or report to the
 * next, and waits for a place before each request (poller.h). Private.
 */
#ifndef MIRROR_TURN_H
#define MIRROR_TURN_H

#include "mirror/mirror.h"
#include "mirror/page.h"

struct poller;

enum {
    TURN_PAGES = 500,
    TURN_CONVERSATIONS = 1000, /* of one sandbox; others are not followed */
    SPELLED_SIZE = 40          /* of a conversation's id as the agent server writes it */
};

struct conversation {
    char id[MIRROR_CONVERSATION_ID_SIZE];
    char spelled[SPELLED_SIZE];
    bool listed;     /* in this turn */
    bool begun;      /* `from` is known */
    bool spoilt;     /* its events can't be read further */
    bool dated;      /* its JSON says when it changed last */
    unsigned reads;  /* of its events to the end, since its JSON changed */
    uint64_t text;   /* a hash of its JSON as it was reported last; 0: it was not */
    uint64_t newest; /* a hash of the newest event that is stored; 0: not known */
    char from[32];   /* the first turn's timestamp__gte; "": everything */
    char page_id[PAGE_ID_SIZE];
};

/* The agent server of one sandbox, since it runs. */
struct agent {
    struct poller *poller;
    char *sandbox_id;

    /* poller.c's */
    uint64_t since_ms;
    struct event timer;
    struct agent *next_waiting, **waiting; /* for a place; `waiting` NULL: it does not */
    struct agent *next_left;               /* left, with something under way that can't be cancelled */
    uint32_t interval_ms;                  /* its backend's, or events.polling_interval */
    unsigned failures;                     /* turns in a row */
    bool seen;
    bool told; /* the log has a line about it */
    bool left;

    /* turn.c's */
    struct client_transfer *transfer;
    struct mirror_report *report;
    bool under_way; /* on the pool, or in the store */
    bool of_events; /* what is being read; else conversations */
    struct conversation *conversations;
    size_t count, room;
    size_t at;    /* the conversation that is reported, or whose events are read */
    size_t item;  /* of the page of conversations: the one being reported */
    size_t limit; /* items on a page */
    size_t pages; /* so far in this turn */
    bool news;    /* something was stored */
    char page_id[PAGE_ID_SIZE];
    struct page page;
};

void turn_begin(struct agent *agent);
/* There is a place for its next request. */
void turn_fetch(struct agent *agent);
/* Takes back what can be. False: something is under way, and ends in poller_landed(). */
bool turn_cancel(struct agent *agent);
void turn_finish(struct agent *agent); /* frees what a turn has left */

#endif
