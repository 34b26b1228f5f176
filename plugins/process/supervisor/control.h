/* control.h: the supervisor's connections to plugins (wire.h).
 *
 * Several at once: at a reload the old and the new instance both have one. A peer must be of this
 * process's own user or root. Nobody is waited for: a peer that does not read is cut off and may connect
 * again. The tree and the phases are main.c's affair.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include "wire.h"

#include <poll.h>
#include <stdbool.h>

enum { CONTROL_PEERS = 8, CONTROL_POLLS = CONTROL_PEERS + 1 };

struct control {
    int listener;
    struct control_peer {
        int fd;                 /* -1: none */
        uint32_t output_serial; /* of a WIRE_OUTPUT that waits; 0: none */
        uint64_t output_position;
    } peers[CONTROL_PEERS];
};

/* Listens under WIRE_SOCKET_NAME in the working directory, replacing what an earlier run left there, and
 * takes over the connection `link` (-1: none). -1 with errno. */
int control_init(struct control *control, int link);
/* Closes all connections: to a plugin that means that the supervisor has ended. */
void control_finish(struct control *control);

/* Fills what to poll, CONTROL_POLLS entries; a negative fd is none. */
void control_polls(const struct control *control, struct pollfd *polls);
/* Accepts who connects. */
void control_accept(struct control *control);
/* Reads one request of a peer. False: there is none; one whose peer has gone or is no plugin is dropped. */
bool control_receive(struct control *control, unsigned peer, struct wire_request *request);
/* Sends to one peer, or to all. */
void control_send(struct control *control, unsigned peer, const struct wire_status *status);
void control_push(struct control *control, const struct wire_status *status);
/* Answers the WIRE_OUTPUT requests that `status->output` is beyond. */
void control_output(struct control *control, const struct wire_status *status);

#endif
