/* port.c: see port.h. Holds no state. */
#include "port.h"

#include "tree.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SOCKETS_MAX = 256 };

struct sockets {
    unsigned count;
    struct {
        uint64_t inode;
        uint32_t uid;
        bool ours;
    } at[SOCKETS_MAX];
};

/* A socket without an inode belongs to no process: it is closing, or waits to be accepted. */
static void add(struct sockets *sockets, uint64_t inode, uint32_t uid)
{
    if (inode != 0 && sockets->count < SOCKETS_MAX) {
        sockets->at[sockets->count].inode = inode;
        sockets->at[sockets->count].uid = uid;
        sockets->at[sockets->count++].ours = false;
    }
}

/* One dump of a family; false where the kernel has no sock_diag. */
static bool ask_kernel(int netlink, uint8_t family, uint16_t port, uint32_t states, struct sockets *sockets)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 ask;
    } request = {.head = {.nlmsg_len = sizeof request,
                          .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                 .ask = {.sdiag_family = family,
                         .sdiag_protocol = IPPROTO_TCP,
                         .idiag_states = states,
                         .id = {.idiag_sport = htons(port)}}};
    if (send(netlink, &request, sizeof request, 0) != (ssize_t)sizeof request)
        return false;
    for (;;) {
        static _Alignas(struct nlmsghdr) char bytes[32768];
        ssize_t len = recv(netlink, bytes, sizeof bytes, 0);
        if (len < (ssize_t)sizeof(struct nlmsghdr))
            return false;
        size_t left = (size_t)len;
        for (const struct nlmsghdr *head = (const void *)bytes;
             left >= sizeof *head && head->nlmsg_len >= sizeof *head && head->nlmsg_len <= left;) {
            if (head->nlmsg_type == NLMSG_DONE)
                return true;
            if (head->nlmsg_type == NLMSG_ERROR)
                return false;
            const struct inet_diag_msg *found = (const void *)((const char *)head + NLMSG_HDRLEN);
            if (head->nlmsg_len >= NLMSG_LENGTH(sizeof *found) && found->id.idiag_sport == htons(port))
                add(sockets, found->idiag_inode, found->idiag_uid);
            size_t step = NLMSG_ALIGN(head->nlmsg_len);
            if (step >= left)
                break;
            left -= step;
            head = (const void *)((const char *)head + step);
        }
    }
}

static bool find_by_netlink(uint16_t port, uint32_t states, struct sockets *sockets)
{
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return false;
    (void)setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 1},
                     sizeof(struct timeval));
    bool found = ask_kernel(netlink, AF_INET, port, states, sockets);
    if (found)
        (void)ask_kernel(netlink, AF_INET6, port, states, sockets); /* a kernel without IPv6 says no */
    close(netlink);
    return found;
}

static void find_in_proc(const char *path, uint16_t port, uint32_t states, struct sockets *sockets)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof line, file)) {
        unsigned local, state, uid;
        uint64_t inode;
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %u %*s %" SCNu64, &local, &state, &uid,
                   &inode) == 4 &&
            local == port && state < 32 && (states & (1u << state)))
            add(sockets, inode, uid);
    }
    fclose(file);
}

/* Marks the sockets that a process has open; false when it may not be looked at. */
static bool mark_ours(pid_t pid, struct sockets *sockets)
{
    char path[320], target[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *descriptors = opendir(path);
    if (!descriptors)
        return errno != EACCES && errno != EPERM;
    for (const struct dirent *entry; (entry = readdir(descriptors));) {
        ssize_t len = readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target - 1);
        if (len <= 8 || strncmp(target, "socket:[", 8) != 0)
            continue;
        target[len] = '\0';
        uint64_t inode = strtoull(target + 8, NULL, 10);
        for (unsigned i = 0; i < sockets->count; i++)
            if (sockets->at[i].inode == inode)
                sockets->at[i].ours = true;
    }
    closedir(descriptors);
    return true;
}

enum wire_port port_owner(uint16_t port, bool listening, uint32_t uid)
{
    uint32_t states = listening ? 1u << TCP_LISTEN : ~(1u << TCP_TIME_WAIT) & 0xffff;
    static struct sockets sockets;
    sockets.count = 0;
    if (!find_by_netlink(port, states, &sockets)) {
        sockets.count = 0;
        find_in_proc("/proc/net/tcp", port, states, &sockets);
        find_in_proc("/proc/net/tcp6", port, states, &sockets);
    }
    if (sockets.count == 0)
        return WIRE_PORT_NOBODY;

    bool all_seen = true;
    const pid_t *pids;
    size_t count = tree_list(&pids);
    for (size_t i = 0; i < count; i++)
        all_seen &= mark_ours(pids[i], &sockets);
    /* Two listeners may share a port on different addresses, and which of them a client reaches is then
     * a matter of chance: one foreign socket is enough. */
    for (unsigned i = 0; i < sockets.count; i++)
        if (!sockets.at[i].ours && (all_seen || sockets.at[i].uid != uid))
            return WIRE_PORT_FOREIGN;
    return WIRE_PORT_OURS;
}
