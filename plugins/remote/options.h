/* options.h: the backend's `options:`, checked and in the units that the rest works with.
 *
 * docs/remote-backend.md says the same to operators.
 */
#ifndef REMOTE_OPTIONS_H
#define REMOTE_OPTIONS_H

#include <sandboxd/backend.h>
#include <stdbool.h>
#include <stdint.h>

struct options {
    char *api_url; /* without a slash at its end */
    char *api_key; /* NULL: none is sent */
    uint64_t resource_factor;
    bool sysbox; /* runtime_class; gVisor is what a runtime API takes by itself */
    uint64_t start_timeout_ms;
    uint64_t polling_interval_ms; /* of agent servers; 0: as events.polling_interval says */
    uint64_t refresh_interval_ms; /* of what the API says of all sandboxes */
    uint64_t max_in_flight;
    uint64_t timeout_ms;               /* of one request */
    char *tls_ca, *tls_cert, *tls_key; /* NULL: the system's trust, no certificate of ours */
    uint64_t run_as_user, run_as_group, fs_group;
    char *webhook_base; /* "{public_url}/api/v1/webhooks"; NULL: sandboxes can't reach this daemon */
    enum sbx_on_shutdown on_shutdown;
};

/* Fills `options`. Each thing wrong is told through `check`, all of them; with a NULL `check` the first is
 * left in `err` (may be NULL otherwise). -1 when there was one; options_finish() is due either way. */
int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err);
void options_finish(struct options *options);

#endif
