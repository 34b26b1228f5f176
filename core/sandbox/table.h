/* sandbox/table.h: the sandbox table, the read model that every get, batch and search answers from.
 *
 * Owns all sandboxes and five indexes: by id, by the digest of the session key, by each owner's session ids, and in
 * the order of their creation, once for all and once for each owner (a sequence, not the clock, decides it). A search of 100 among 10,000 is a binary search and
 * 100 steps. Knows nothing of backends, rules or time. Loop thread only.
 */
#ifndef SANDBOX_TABLE_H
#define SANDBOX_TABLE_H

#include "base/map.h"
#include "sandbox/sandbox.h"

/* Sandboxes from the oldest to the newest, by `sequence`. Adopted sandboxes have the sequence of a recorded one, and
 * follow it by created_at_us; equal times by id. */
struct sandbox_order {
    struct sandbox **items;
    size_t len, capacity;
};

struct owner {
    char *name; /* NULL: nobody (everybody's, where there are no keys) */
    struct sandbox_order order;
    struct map sessions;
    size_t count; /* sandboxes that name it, also those not in the order yet */
};

struct table {
    struct map by_id;
    struct map by_key;
    struct map owners;
    struct owner *nobody;
    struct sandbox_order order;
};

void table_init(struct table *table);
void table_finish(struct table *table); /* frees every sandbox */

/* A new, empty sandbox under `id`, found by table_find() at once and by readers once table_show() was
 * called. The id must not be in the table. `owner` NULL: nobody. */
struct sandbox *table_add(struct table *table, const char *id, const char *owner);
void table_set_key(struct table *table, struct sandbox *sandbox, const char *session_key); /* NULL: none */
/* NULL: none. Another one of the owner that had it has none in the index any more. */
void table_set_session(struct sandbox *sandbox, const char *session_id);
void table_show(struct table *table, struct sandbox *sandbox);   /* sequence and created_at_us stay */
void table_hide(struct table *table, struct sandbox *sandbox);   /* from the order; found by id still */
void table_remove(struct table *table, struct sandbox *sandbox); /* out of all indexes, and freed */

/* The sequence of the newest shown sandbox that was created by then; 0: there is none. The place of an adopted one. */
int64_t table_sequence_of(const struct table *table, int64_t created_at_us);

/* All of them, hidden or not. */
struct sandbox *table_find(const struct table *table, const char *id);
struct sandbox *table_next(const struct table *table, size_t *position);
/* Of that owner alone. One that has no session, or was made by somebody else, is found by its id. */
struct sandbox *table_find_session(const struct table *table, const char *owner, const char *session_id);

/* ---- readers: nothing that is hidden ---- */

/* Who asks: a user sees their own, `everything` (an admin, or there are no keys) all. */
struct viewer {
    const char *user; /* NULL: there are no keys */
    bool everything;
};

const struct sandbox *table_get(const struct table *table, const struct viewer *viewer, const char *id);
const struct sandbox *table_get_by_key(const struct table *table, const char *session_key);
/* The same, also while it is being deleted: an agent server reports its last events when it is told to end. */
const struct sandbox *table_get_reporter(const struct table *table, const char *session_key);
/* The viewer's own comes first, where they may see several. */
const struct sandbox *table_get_session(const struct table *table, const struct viewer *viewer,
                                        const char *session_id);

/* Newest first: up to `limit` into `out`, beginning after the place that `page_id` names (NULL or one that is
 * not ours: from the beginning). Writes the next page's id, or "" after the last one, into `next`, which has
 * TABLE_PAGE_ID_SIZE bytes. A page id names a place in the order and not a count: what comes or goes between two
 * calls neither repeats nor hides another sandbox. */
enum { TABLE_PAGE_ID_SIZE = 192 };
size_t table_search(const struct table *table, const struct viewer *viewer, const char *page_id, size_t limit,
                    const struct sandbox **out, char *next);

/* How many sandboxes of each status there are in all, or of one backend (home NULL: all). */
void table_count(const struct table *table, const struct home *home, size_t counts[SANDBOX_STATUSES]);

#endif
