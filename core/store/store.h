/* store/store.h: what must survive: SQLite in WAL mode on a thread of its own, answers on the loop.
 *
 * Every write that is waiting when the thread is free goes into one transaction (group commit); its
 * callback comes once the transaction is on disk (synced). A write that fails is undone alone, and a
 * transaction that fails as a whole is carried out again write by write. Writes are carried out, and all
 * is answered, in the order of the calls. Loop thread only.
 *
 * One record has at most 4 MiB (else SBX_ERR_LIMIT), and 64 MiB may wait for the disk. What agents report is
 * kept here too: reports.h.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/loop.h"

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum { STORE_SCHEMA_VERSION = 4 };

#define STORE_FAILED "STORE_FAILED" /* the code of all its failures */
#define STORE_NO_SPACE "NO_SPACE"   /* but of those that a full disk is the reason of */

/* One sandbox as it is kept. Texts may be NULL where the comment says so. */
struct store_sandbox {
    const char *id;
    const char *backend;
    const char *owner; /* NULL: nobody's */
    const char *spec_id;
    const char *session_key;
    int64_t sequence; /* its place in the order of creation, from 1 */
    int64_t created_at_us;
    bool begun;               /* the backend has said that the thing was made */
    bool deleting;            /* a deletion was promised */
    const char *error_json;   /* NULL, or the `error` of the sandbox as clients see it */
    const char *session_id;   /* the client's name for it; NULL: none */
    const char *spec_json;    /* a spec that no configuration has, as the ABI's spec_json; NULL: spec_id's */
    const char *pause_reason; /* why it was paused, where no client asked for it; NULL: none */
};

typedef void (*store_done)(void *arg, const struct sbx_error *err);
typedef void (*store_value)(void *arg, const struct sbx_error *err, const void *value, size_t len);
typedef void (*store_keys)(void *arg, const struct sbx_error *err, const char *const *keys, size_t count);

/* Opens or makes `directory`/sandboxd.db (0600; the directory, 0700, but not those above it), locks it
 * against a second daemon, checks it and brings it to STORE_SCHEMA_VERSION. Blocks: it is called before
 * serving. NULL, with a sentence that says what is wrong and what to do: not a directory, not ours or open
 * to others, no room, read-only, corrupt, of a newer version, in use by another sandboxd, a copy of a state that is
 * still in use (identity.h). */
struct store *store_open(struct loop *loop, const char *directory, struct sbx_error *err);
/* Finishes all writes that were asked for (their callbacks are not called any more), then closes. Not
 * inside a callback. NULL is allowed. */
void store_close(struct store *store);

/* The random id of this state, which goes with it wherever it is moved: 22 letters and digits. */
const char *store_instance_id(const struct store *store);

/* Calls `each` for every sandbox kept, in the order of their sequence. Blocks: only before serving. */
int store_load_sandboxes(struct store *store, void (*each)(void *arg, const struct store_sandbox *sandbox),
                         void *arg, struct sbx_error *err);

/* On a full disk deletions go on: of records, and the writing of a sandbox that is `deleting`. They get the room of a
 * ballast file, which is made again when there is room. Whatever else would be written is refused until then, with the code
 * STORE_NO_SPACE. */

/* Inserts or replaces by id. Everything is copied. `done` may be NULL. A failure (disk full, I/O error,
 * read-only) is SBX_ERR_UNAVAILABLE with code STORE_FAILED and SQLite's reason, is logged, and leaves
 * what was there before. */
void store_put_sandbox(struct store *store, const struct store_sandbox *sandbox, store_done done, void *arg);
void store_delete_sandbox(struct store *store, const char *id, store_done done, void *arg);

/* A durable map for each namespace (a backend's name). get: `value` is NULL when there is no such key.
 * list: all keys that begin with `prefix`, in the order of their bytes. */
void store_put(struct store *store, const char *space, const char *key, const void *value, size_t len,
               store_done done, void *arg);
void store_get(struct store *store, const char *space, const char *key, store_value done, void *arg);
void store_delete(struct store *store, const char *space, const char *key, store_done done, void *arg);
void store_list(struct store *store, const char *space, const char *prefix, store_keys done, void *arg);

/* For /metrics: writes committed, transactions, failures since start. */
struct store_stats {
    uint64_t writes, commits, failures;
    bool full;        /* the disk is, and only deletions are written */
    uint64_t ballast; /* bytes that are kept for them */
};
struct store_stats store_stats(struct store *store);
/* The folder, without a slash at its end. */
const char *store_directory(const struct store *store);

#endif
