/* raw_http.c: see raw_http.h. Knows nothing of what is called. */
#include "raw_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t raw_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

bool raw_send(int fd, const char *bytes, size_t len)
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

int raw_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* How long the body of the answer is; -1: it does not say. */
static long body_length(const char *head)
{
    if (strncmp(head + 9, "204", 3) == 0)
        return 0;
    const char *field = strcasestr(head, "\r\nContent-Length:");
    return field ? strtol(field + 17, NULL, 10) : -1;
}

static bool ask(int fd, const char *method, const char *path, const char *body)
{
    size_t size = strlen(method) + strlen(path) + strlen(body) + 256;
    char *request = malloc(size);
    if (!request)
        abort();
    int len = snprintf(request, size,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       method, path, strlen(body), body);
    bool sent = raw_send(fd, request, (size_t)len);
    free(request);
    return sent;
}

bool raw_call(int fd, const char *method, const char *path, const char *body, char *reply, size_t size)
{
    if (!ask(fd, method, path, body))
        return false;
    size_t got = 0, whole = size;
    const char *end = NULL;
    while (got < whole) {
        ssize_t more = recv(fd, reply + got, size - 1 - got, 0);
        if (more <= 0)
            return false; /* also when there is no room left */
        got += (size_t)more;
        reply[got] = '\0';
        if (!end && (end = strstr(reply, "\r\n\r\n"))) {
            long length = body_length(reply);
            if (length < 0)
                return false;
            whole = (size_t)(end + 4 - reply) + (size_t)length;
        }
    }
    if (reply[9] == '2')
        return true;
    fprintf(stderr, "%s %.200s: %s\n", method, path, end + 4);
    return false;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t raw_median(int64_t *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare);
    return numbers[count / 2];
}
