/* list.c: the list operation: the store's records, and one question about all of them; see remote.h. What the API does
 * not know is left out, which the host takes for gone.
 */
#include "common/failure.h"
#include "remote.h"

enum { LIST_MS = 28000 }; /* the host gives it 30 s */

struct listing {
    struct operation base;
    struct sweep *sweep;
};

static void finish(struct operation *operation)
{
    sweep_cancel(((struct listing *)operation)->sweep);
}

static void swept(void *arg, const struct sbx_error *error)
{
    struct listing *listing = arg;
    struct remote *remote = listing->base.remote;
    struct sbx_error replaced;
    listing->sweep = NULL;
    poll_heard(remote, error);
    if (!error && remote->quiesced) { /* what was reported since was dropped, and would be taken as gone */
        failure_set(&replaced, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the backend is being replaced");
        error = &replaced;
    }
    operation_end(&listing->base, error);
}

static void loaded(void *arg, const struct sbx_error *error)
{
    struct listing *listing = arg;
    struct remote *remote = listing->base.remote;
    if (operation_stored(&listing->base))
        return;
    if (error) {
        operation_end(&listing->base, error);
        return;
    }
    uint64_t now = remote->host->now_ms(), end = now + sweep_time_ms(remote);
    uint64_t deadline_ms = end < listing->base.deadline_ms ? end : listing->base.deadline_ms;
    listing->sweep = sweep_begin(remote, SWEEP_ALL, deadline_ms, swept, listing);
    if (!listing->sweep)
        operation_end(&listing->base, NULL); /* there are none */
}

void list_begin(struct remote *remote, sbx_op op)
{
    struct listing *listing =
        operation_new(remote, sizeof *listing, op, NULL, remote->host->now_ms() + LIST_MS);
    listing->base.finish = finish;
    listing->base.storing = true;
    records_load(remote, loaded, listing);
}
