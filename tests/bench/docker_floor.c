/* tests/bench/docker_floor.c: what sandboxes in containers cost at the least: the raw calls of the Engine API over the
 * engine's socket, on a kept connection a thread, with the create request that the docker backend sends.
 *
 * usage: bench-docker-floor SOCKET IMAGE PARALLEL PORT. Starts PARALLEL containers at once, asks each on its first
 * port (PORT and three more, the next one's four after them) every millisecond until it answers; then pauses, unpauses
 * and deletes them, as many at once. Prints seven times in microseconds: create, create and start, until it answers,
 * pause, unpause, delete (medians of the containers), and from the first call until all have answered. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
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

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* How long the body of the answer is; -1: it does not say. */
static long body_length(const char *head)
{
    if (strncmp(head + 9, "204", 3) == 0)
        return 0;
    const char *field = strcasestr(head, "\r\nContent-Length:");
    return field ? strtol(field + 17, NULL, 10) : -1;
}

/* One call on the kept connection. The whole answer is in `reply`; false when it is no 2xx. */
static bool call(int fd, const char *method, const char *path, const char *body, char *reply)
{
    char request[BODY_MAX + 512];
    int len = snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       method, path, strlen(body), body);
    if (len < 0 || (size_t)len >= sizeof request || !send_all(fd, request, (size_t)len))
        return false;
    size_t got = 0;
    const char *end = NULL;
    while (!end || got < (size_t)(end + 4 - reply) + (size_t)body_length(reply)) {
        ssize_t more = recv(fd, reply + got, REPLY_MAX - 1 - got, 0);
        if (more <= 0)
            return false;
        got += (size_t)more;
        reply[got] = '\0';
        end = strstr(reply, "\r\n\r\n");
        if (end && body_length(reply) < 0)
            return false;
    }
    if (reply[9] == '2')
        return true;
    fprintf(stderr, "%s %s: %s\n", method, path, end + 4);
    return false;
}

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
                       "\"SecurityOpt\":[\"no-new-privileges\"],\"PidsLimit\":4096,"
                       "\"ExtraHosts\":[\"host.docker.internal:host-gateway\"]}}",
                       image, image, exposed, bound);
    if (len < 0 || (size_t)len >= sizeof body ||
        !call(container->engine, "POST", "/v1.41/containers/create", body, reply))
        return false;
    const char *id = strstr(reply, "\"Id\":\"");
    return id && sscanf(id + 6, "%64[0-9a-f]", container->id) == 1;
}

static bool act(struct container *container, const char *method, const char *rest, char *reply)
{
    char path[160];
    snprintf(path, sizeof path, "/v1.41/containers/%s%s", container->id, rest);
    return call(container->engine, method, path, "", reply);
}

/* The engine's proxy accepts before the program listens, and closes then. */
static bool answers(uint16_t port)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char reply[64] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                send_all(fd, request, sizeof request - 1) && recv(fd, reply, sizeof reply - 1, 0) > 12 &&
                strncmp(reply + 9, "200", 3) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static bool start(struct container *container, char *reply)
{
    int64_t begun = now_us();
    if (!create(container, reply))
        return false;
    container->took[CREATE] = now_us() - begun;
    if (!act(container, "POST", "/start", reply))
        return false;
    container->took[START] = now_us() - begun;
    while (!answers(container->port)) {
        if (now_us() - begun > ANSWER_MAX_US)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    container->took[ANSWER] = now_us() - begun;
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
        int64_t begun = now_us();
        container->failed |= !act(container, acts[i].method, acts[i].rest, reply);
        container->took[PAUSE + i] = now_us() - begun;
    }
    free(reply);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
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
        qsort(sorted, parallel, sizeof *sorted, compare);
        printf("%lld ", (long long)sorted[parallel / 2]);
    }
    printf("%lld\n", (long long)longest);
    return failed || giving_up;
}
