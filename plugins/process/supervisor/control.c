/* control.c: see control.h. Owns the sockets; gives requests no meaning but WIRE_OUTPUT's wait. */
#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int control_init(struct control *control, int link)
{
    for (unsigned i = 0; i < CONTROL_PEERS; i++)
        control->peers[i] = (struct control_peer){.fd = -1};
    control->peers[0].fd = link;

    control->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->listener < 0)
        return -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = WIRE_SOCKET_NAME};
    (void)unlink(WIRE_SOCKET_NAME);
    mode_t mask = umask(0177);
    int bound = bind(control->listener, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    return bound == 0 ? listen(control->listener, CONTROL_PEERS) : -1;
}

void control_finish(struct control *control)
{
    close(control->listener);
    for (unsigned i = 0; i < CONTROL_PEERS; i++)
        if (control->peers[i].fd >= 0)
            close(control->peers[i].fd);
}

void control_polls(const struct control *control, struct pollfd *polls)
{
    polls[0] = (struct pollfd){.fd = control->listener, .events = POLLIN};
    for (unsigned i = 0; i < CONTROL_PEERS; i++)
        polls[1 + i] = (struct pollfd){.fd = control->peers[i].fd, .events = POLLIN};
}

static void drop(struct control_peer *peer)
{
    close(peer->fd);
    *peer = (struct control_peer){.fd = -1};
}

void control_accept(struct control *control)
{
    int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct ucred peer;
    socklen_t len = sizeof peer;
    bool trusted =
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
    for (unsigned i = 0; trusted && i < CONTROL_PEERS; i++)
        if (control->peers[i].fd < 0) {
            control->peers[i] = (struct control_peer){.fd = fd};
            return;
        }
    close(fd);
}

bool control_receive(struct control *control, unsigned peer, struct wire_request *request)
{
    struct control_peer *from = &control->peers[peer];
    memset(request, 0, sizeof *request);
    ssize_t len = recv(from->fd, request, sizeof *request, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (len < (ssize_t)sizeof *request || request->size < sizeof *request) {
        drop(from);
        return false;
    }
    if (request->type == WIRE_OUTPUT) {
        from->output_serial = request->serial;
        from->output_position = request->value;
    }
    return true;
}

void control_send(struct control *control, unsigned peer, const struct wire_status *status)
{
    struct control_peer *to = &control->peers[peer];
    if (to->fd >= 0 && send(to->fd, status, sizeof *status, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        drop(to);
}

void control_push(struct control *control, const struct wire_status *status)
{
    for (unsigned i = 0; i < CONTROL_PEERS; i++)
        control_send(control, i, status);
}

void control_output(struct control *control, const struct wire_status *status)
{
    for (unsigned i = 0; i < CONTROL_PEERS; i++) {
        struct control_peer *peer = &control->peers[i];
        if (peer->fd < 0 || peer->output_serial == 0 || status->output <= peer->output_position)
            continue;
        struct wire_status answer = *status;
        answer.answers = peer->output_serial;
        peer->output_serial = 0;
        control_send(control, i, &answer);
    }
}
