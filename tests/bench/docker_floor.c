/* tests/bench/docker_floor.c: what sandboxes in containers cost at the least: the raw calls of the Engine API over the
 * engine's socket, on a kept connection a thread, with the create request that the docker backend sends.
 *
 * usage: bench-docker-floor SOCKET IMAGE PARALLEL PORT. Starts PARALLEL containers at once, asks each on its first
 * port (PORT and three more, the next one's four after them) every millisecond until it answers; then pauses, unpauses
 * and deletes them, as many at once. Prints seven times in microseconds: create, create and start, until it answers,
 * pause, unpause, delete (medians of the containers), and from the first call until all have answered. */
#include "raw_http.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PARALLEL = 64, REPLY_MAX = 65536, BODY_MAX = 4096, ANSWER_MAX_US = 30000000 };
enum step { CREATE, START, ANSWER, PAUSE, UNPAUSE, DELETE, STEPS };

struct container {
    pthread_t thread;
    int engine;
    uint16_t port;
    char id[65];
    int64_t took[STEPS];
    bool failed;
};

static const char *socket_path, *image;
static pthread_barrier_t all;
static atomic_bool giving_up;

static bool create(struct container *container, char *reply)
{
    static const int inside[] = {8000, 8001, 8011, 8012};
    char exposed[256] = "", bound[1024] = "", body[BODY_MAX];
    for (unsigned i = 0; i < 4; i++) {
        size_t at = strlen(exposed), to = strlen(bound);
        const char *comma = i > 0 ? "," : "";
        snprintf(exposed + at, sizeof exposed - at, "%s\"%d/tcp\":{}", comma, inside[i]);
        snprintf(bound + to, sizeof bound - to,
                 "%s\"%d/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"%u\"}]", comma, inside[i],
                 container->port + i);
    }
    int len = snprintf(body, sizeof body,
                       "{\"Image\":\"%s\",\"Cmd\":[\"/sandbox-agent\",\"--port\",\"8000\"],"
                       "\"Env\":[\"OH_SESSION_API_KEYS_0=0123456789abcdefghijklmnopqrstuvwxyzABCDEFG\"],"
                       "\"Labels\":{\"sandbox_spec_id\":\"%s\"},\"ExposedPorts\":{%s},"
                       "\"HostConfig\":{\"Init\":true,\"NetworkMode\":\"bridge\",\"PortBindings\":{%s},"
                       "\"PidsLimit\":4096,"
                       "\"ExtraHosts\":[\"host.docker.internal:host-gateway\"]}}",
                       image, image, exposed, bound);
    if (len < 0 || (size_t)len >= sizeof body ||
        !raw_call(container->engine, "POST", "/v1.41/containers/create", body, reply, REPLY_MAX))
        return false;
    const char *id = strstr(reply, "\"Id\":\"");
    return id && sscanf(id + 6, "%64[0-9a-f]", container->id) == 1;
}

static bool act(struct container *container, const char *method, const char *rest, char *reply)
{
    char path[160];
    snprintf(path, sizeof path, "/v1.41/containers/%s%s", container->id, rest);
    return raw_call(container->engine, method, path, "", reply, REPLY_MAX);
}

/* The engine's proxy accepts before the program listens, and closes then. */
static bool answers(uint16_t port)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char reply[64] = "";
    int fd = raw_connect(port);
    bool good = fd >= 0 && raw_send(fd, request, sizeof request - 1) &&
                recv(fd, reply, sizeof reply - 1, 0) > 12 && strncmp(reply + 9, "200", 3) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static bool start(struct container *container, char *reply)
{
    int64_t begun = raw_now_us();
    if (!create(container, reply))
        return false;
    container->took[CREATE] = raw_now_us() - begun;
    if (!act(container, "POST", "/start", reply))
        return false;
    container->took[START] = raw_now_us() - begun;
    while (!answers(container->port)) {
        if (raw_now_us() - begun > ANSWER_MAX_US)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    container->took[ANSWER] = raw_now_us() - begun;
    return true;
}

/* The steps of one container; each begins when all have done the one before. */
static void *run(void *arg)
{
    static const struct {
        const char *method, *rest;
    } acts[] = {{"POST", "/pause"}, {"POST", "/unpause"}, {"DELETE", "?force=1&v=1"}};
    struct container *container = arg;
    char *reply = malloc(REPLY_MAX);
    if (!reply)
        abort();
    pthread_barrier_wait(&all);
    if (!start(container, reply))
        giving_up = true;
    for (unsigned i = 0; i < 3; i++) {
        pthread_barrier_wait(&all);
        if (giving_up && (i < 2 || !container->id[0]))
            continue;
        int64_t begun = raw_now_us();
        container->failed |= !act(container, acts[i].method, acts[i].rest, reply);
        container->took[PAUSE + i] = raw_now_us() - begun;
    }
    free(reply);
    return NULL;
}

static int connect_engine(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    unsigned long parallel = argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    if (parallel < 1 || parallel > MAX_PARALLEL)
        return 2;
    socket_path = argv[1];
    image = argv[2];
    static struct container containers[MAX_PARALLEL];
    pthread_barrier_init(&all, NULL, (unsigned)parallel);
    for (unsigned long i = 0; i < parallel; i++) {
        containers[i].port = (uint16_t)(strtoul(argv[4], NULL, 10) + 4 * i);
        containers[i].engine = connect_engine();
        if (containers[i].engine < 0) {
            perror(socket_path);
            return 1;
        }
    }
    for (unsigned long i = 0; i < parallel; i++)
        if (pthread_create(&containers[i].thread, NULL, run, &containers[i]) != 0)
            return 1;
    bool failed = false;
    int64_t longest = 0, sorted[MAX_PARALLEL];
    for (unsigned long i = 0; i < parallel; i++) {
        pthread_join(containers[i].thread, NULL);
        close(containers[i].engine);
        failed |= containers[i].failed;
        if (containers[i].took[ANSWER] > longest)
            longest = containers[i].took[ANSWER];
    }
    for (int step = 0; step < STEPS; step++) {
        for (unsigned long i = 0; i < parallel; i++)
            sorted[i] = containers[i].took[step];
        printf("%lld ", (long long)raw_median(sorted, parallel));
    }
    printf("%lld\n", (long long)longest);
    return failed || giving_up;
}
