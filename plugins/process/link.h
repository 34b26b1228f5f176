/* link.h: the plugin's connection to a supervisor (wire.h).
 *
 * Never blocks. What comes in goes to sandbox_heard() and sandbox_lost(). Loop thread only.
 */
#ifndef PROCESS_LINK_H
#define PROCESS_LINK_H

#include "backend.h"

/* Takes over one end of a pair, or connects to the supervisor under `control_dir`. -1 with errno. */
int link_adopt(struct sandbox *sandbox, int fd);
int link_connect(struct sandbox *sandbox, int control_dir);
void link_close(struct sandbox *sandbox);

/* Sends a request and returns its serial; 0: it could not be sent. */
uint32_t link_send(struct sandbox *sandbox, enum wire_request_type type, uint64_t value, uint32_t flags);
/* SIGKILL to a supervisor that does not answer. */
void link_kill(struct sandbox *sandbox);

#endif
