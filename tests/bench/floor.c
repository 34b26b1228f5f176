/* tests/bench/floor.c: what a start costs at the least: fork, execute, ask each millisecond until it answers.
 *
 * usage: bench-floor AGENT PORT COUNT. Prints the median in microseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COUNT = 1000 };

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* One whole request: 1 when it was answered with 200. */
static int answers(uint16_t port)
{
    static const char request[] = "GET /alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char reply[64] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int good = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
               write(fd, request, sizeof request - 1) == (ssize_t)sizeof request - 1 &&
               read(fd, reply, sizeof reply - 1) > 12 && strncmp(reply + 9, "200", 3) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static int64_t start_once(const char *agent, const char *port)
{
    int64_t begun = now_us();
    pid_t pid = fork();
    if (pid == 0) {
        execl(agent, agent, "--port", port, (char *)NULL);
        _exit(127);
    }
    uint16_t number = (uint16_t)strtoul(port, NULL, 10);
    while (pid > 0 && !answers(number) && now_us() - begun < 5000000)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    int64_t took = now_us() - begun;
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return took;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    unsigned long count = strtoul(argv[3], NULL, 10);
    if (count < 1 || count > MAX_COUNT)
        return 2;
    static int64_t took[MAX_COUNT];
    for (unsigned long i = 0; i < count; i++)
        took[i] = start_once(argv[1], argv[2]);
    qsort(took, count, sizeof *took, compare);
    printf("%lld\n", (long long)took[count / 2]);
    return 0;
}
