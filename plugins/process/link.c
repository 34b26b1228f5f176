/* link.c: see link.h. Owns the descriptor and its watch. */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void readable(int fd, uint32_t events, void *arg)
{
    (void)events;
    struct sandbox *sandbox = arg;
    struct wire_status status = {0};
    ssize_t len = recv(fd, &status, sizeof status, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len < (ssize_t)WIRE_STATUS_LEAST || status.size < WIRE_STATUS_LEAST) {
        link_close(sandbox);
        sandbox_lost(sandbox);
    } else {
        sandbox_heard(sandbox, &status);
    }
}

int link_adopt(struct sandbox *sandbox, int fd)
{
    const struct sbx_host *host = sandbox->backend->host;
    sandbox->watch = host->watch_start(sandbox->backend->public, fd, SBX_IO_READ, readable, sandbox);
    if (sandbox->watch == 0) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    sandbox->link = fd;
    return 0;
}

int link_connect(struct sandbox *sandbox, int control_dir)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* By the directory's descriptor: its path may be longer than the 108 bytes of an address. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" WIRE_SOCKET_NAME, control_dir);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return link_adopt(sandbox, fd);
}

void link_close(struct sandbox *sandbox)
{
    if (sandbox->link < 0)
        return;
    sandbox->backend->host->watch_cancel(sandbox->backend->public, sandbox->watch);
    close(sandbox->link);
    sandbox->link = -1;
    sandbox->watch = 0;
}

uint32_t link_send(struct sandbox *sandbox, enum wire_request_type type, uint64_t value, uint32_t flags)
{
    if (++sandbox->serial == 0)
        sandbox->serial = 1;
    struct wire_request request = {
        .size = sizeof request, .type = type, .serial = sandbox->serial, .flags = flags, .value = value};
    if (sandbox->link < 0 ||
        send(sandbox->link, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof request)
        return 0;
    return sandbox->serial;
}

void link_kill(struct sandbox *sandbox)
{
    struct process_backend *backend = sandbox->backend;
    if (sandbox->life == LIFE_LAUNCHING) { /* it has not said its pid yet */
        backend->host->child_signal(backend->public, sandbox->child, SIGKILL);
        return;
    }
    /* Whoever listens at the other end; for a pair it is ourselves, and the pid came with a status. */
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    pid_t pid = sandbox->status.supervisor;
    if (pid == 0 && getsockopt(sandbox->link, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
        pid = peer.pid;
    int process = pid > 1 && pid != getpid() ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    char byte;
    /* The connection still stands after the pidfd was opened: so the pid is still that process's. */
    if (process >= 0 && sandbox->link >= 0 && recv(sandbox->link, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        (void)syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
    if (process >= 0)
        close(process);
}
