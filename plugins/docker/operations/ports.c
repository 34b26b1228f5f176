/* ports.c: which ports of the host a sandbox gets; see docker.h. Publishes nothing: that a port is free can change
 * until the engine has it, so a start tries others where the engine finds one taken (make.c).
 */
#include "common/failure.h"
#include "docker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANY_FIRST = 32768, /* as Linux has it for what binds port 0: ip_local_port_range, ip(7) */
    ANY_LAST = 60999,
    KERNEL_TRIES = 64
};

struct choice {
    struct docker *docker;
    uint8_t
        taken[(UINT16_MAX + 1) / 8]; /* a bit for each: made once, since many containers have many ports */
    bool local;                      /* what can be bound here says what the engine can publish */
    struct sockaddr_storage address;
    socklen_t address_len;
};

static bool is_taken(const struct choice *choice, unsigned port)
{
    return choice->taken[port / 8] & (1u << (port % 8));
}

static void take(struct choice *choice, unsigned port)
{
    choice->taken[port / 8] |= (uint8_t)(1u << (port % 8));
}

/* Where the ports are going to be bound. With the host's network that is up to the programs: on all addresses. */
static void set_address(struct choice *choice, const struct options *options)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&choice->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&choice->address;
    const char *text = options->host_network ? "0.0.0.0" : options->bind_address;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        choice->address_len = sizeof *four;
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        choice->address_len = sizeof *six;
    } else {
        choice->local = false;
    }
}

static void begin(struct choice *choice, struct docker *docker)
{
    *choice = (struct choice){.docker = docker};
    choice->local = strncmp(docker->options.host, "unix:", 5) == 0 && !docker->inside_container;
    set_address(choice, &docker->options);
    size_t bucket = 0;
    const struct container *container = NULL;
    while ((container = table_next(docker, &bucket, container)))
        for (uint32_t i = 0; i < container->facts.ports_len; i++)
            take(choice, container->facts.ports[i].host_port);
    for (const struct reserved_port *reserved = docker->reserved; reserved; reserved = reserved->next)
        take(choice, reserved->port);
}

/* How a port is tried. */
enum trial {
    TRIAL_STRICT, /* one that is bound and not listened on counts as taken; so does one in TIME-WAIT, for a minute */
    TRIAL_AS_SERVER /* with SO_REUSEADDR (socket(7)), as the engine binds it, and most programs do */
};

/* Binds `port` (0: one of the kernel's choice) for a moment. The port; 0: somebody has it, or, for any port, it can't
 * be said. What else fails (no descriptor left, a port below 1024) is no reason against a port: the engine will say. */
static uint16_t bind_once(const struct choice *choice, uint16_t port, enum trial trial)
{
    struct sockaddr_storage address = choice->address;
    socklen_t len = choice->address_len;
    in_port_t *at = address.ss_family == AF_INET ? &((struct sockaddr_in *)&address)->sin_port
                                                 : &((struct sockaddr_in6 *)&address)->sin6_port;
    *at = htons(port);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return port;
    if (trial == TRIAL_AS_SERVER)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (const struct sockaddr *)&address, len) != 0)
        port = errno == EADDRINUSE ? 0 : port;
    else if (port == 0 && getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        port = ntohs(*at);
    close(fd);
    return port;
}

/* From a random one on through all of the range: the last free one is found too. 0: there is none. */
static uint16_t from_range(const struct choice *choice, unsigned first, unsigned last, enum trial trial)
{
    uint32_t start;
    choice->docker->host->random(&start, sizeof start);
    unsigned count = last - first + 1;
    for (unsigned i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(first + (start % count + i) % count);
        if (!is_taken(choice, port) && (!choice->local || bind_once(choice, port, trial) != 0))
            return port;
    }
    return 0;
}

/* One where a connection has just ended is as good as any, but only where there is no other: what is strictly free is
 * so for every program. */
static uint16_t best_of_range(const struct choice *choice, unsigned first, unsigned last)
{
    uint16_t port = from_range(choice, first, last, TRIAL_STRICT);
    return port != 0 ? port : from_range(choice, first, last, TRIAL_AS_SERVER);
}

static uint16_t any(const struct choice *choice)
{
    for (unsigned i = 0; choice->local && i < KERNEL_TRIES; i++) {
        uint16_t port = bind_once(choice, 0, TRIAL_STRICT);
        if (port == 0)
            break;
        if (!is_taken(choice, port))
            return port;
    }
    return best_of_range(choice, ANY_FIRST, ANY_LAST);
}

static int choose(struct choice *choice, const struct exposed_port *port, uint16_t *chosen,
                  struct sbx_error *err)
{
    unsigned first = port->first > 0 ? port->first : ANY_FIRST,
             last = port->first > 0 ? port->last : ANY_LAST;
    *chosen = port->first > 0 ? best_of_range(choice, first, last) : any(choice);
    if (*chosen == 0) {
        failure_set(err, SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED, "no port from %u to %u is free for %s",
                    first, last, port->name);
        err->retryable = 1;
        return -1;
    }
    take(choice, *chosen);
    return 0;
}

/* With the host's network, a program that is not told where to listen has the same ports in each sandbox. */
static int check_fixed(const struct choice *choice, const struct exposed_port *port, struct sbx_error *err)
{
    if (!is_taken(choice, port->container_port) &&
        (!choice->local || bind_once(choice, port->container_port, TRIAL_AS_SERVER) != 0))
        return 0;
    failure_set(
        err, SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED,
        "port %u of %s is taken: on the host's network sandboxes listen on the same ports, one at a time, "
        "unless the spec's command has {port} in it, which stands for a free one",
        (unsigned)port->container_port, port->name);
    err->retryable = 1;
    return -1;
}

/* Where the service of that name listens inside: as the spec has it, else as the options have it. */
static uint16_t port_inside(const struct docker *docker, const struct sbx_json *spec,
                            const struct exposed_port *port, bool *asked_for)
{
    *asked_for = false;
    const struct sbx_json_api *json = docker->host->json;
    const sbx_json *asked = json->get(spec, "ports");
    for (size_t i = 0; i < json->length(asked); i++) {
        const sbx_json *one = json->at(asked, i);
        int64_t number = json->integer(json->get(one, "container_port"), 0);
        if (number > 0 && number <= UINT16_MAX &&
            strcmp(json->string(json->get(one, "name"), ""), port->name) == 0) {
            *asked_for = true;
            return (uint16_t)number;
        }
    }
    return port->container_port;
}

static void reserve(struct docker *docker, uint16_t port)
{
    struct reserved_port *reserved = malloc(sizeof *reserved);
    if (!reserved)
        abort();
    *reserved = (struct reserved_port){.next = docker->reserved, .port = port};
    docker->reserved = reserved;
}

int ports_choose(struct docker *docker, const struct sbx_json *spec, uint16_t *container_ports,
                 uint16_t *host_ports, struct sbx_error *err)
{
    const struct options *options = &docker->options;
    bool runtime = options->profile == PROFILE_RUNTIME;
    bool fixed = options->host_network && !runtime && !create_command_takes_port(docker->host->json, spec);
    struct choice choice;
    begin(&choice, docker);
    for (uint32_t i = 0; i < options->ports_len; i++) {
        struct exposed_port port = options->ports[i];
        bool asked_for;
        port.container_port = port_inside(docker, spec, &port, &asked_for);
        host_ports[i] = port.container_port;
        if (fixed ? check_fixed(&choice, &port, err) != 0 : choose(&choice, &port, &host_ports[i], err) != 0)
            return -1;
        /* Who asks for a port inside has it in the command. */
        container_ports[i] =
            (runtime && !asked_for) || options->host_network ? host_ports[i] : port.container_port;
    }
    for (uint32_t i = 0; i < options->ports_len; i++)
        reserve(docker, host_ports[i]);
    return 0;
}

void ports_release(struct docker *docker, const uint16_t *host_ports)
{
    for (uint32_t i = 0; i < docker->options.ports_len; i++) {
        struct reserved_port **at = &docker->reserved;
        while (*at && (*at)->port != host_ports[i])
            at = &(*at)->next;
        struct reserved_port *reserved = *at;
        if (reserved) {
            *at = reserved->next;
            free(reserved);
        }
    }
}
