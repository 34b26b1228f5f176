/* sandbox-agent: the smallest agent server that sandboxd can run, and one that misbehaves on request.
 *
 * For the tests and the quickstart; options.c has its flags and routes. One thread, one poll(2) loop, no
 * library; it never prints the session key that it checks.
 */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 256, REQUEST_MAX = 8192, REPLY_MAX = 4096 };

struct client {
    int fd; /* -1: none */
    size_t len;
    char request[REQUEST_MAX];
};

struct agent {
    struct agent_options options;
    int listener;
    struct client clients[CLIENTS];
    int health; /* the status of /alive and /health */
    long started_ms, bound_ms, asked_ms;
    bool hang;
};

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- routes ---------------------------------------------------------------------------------- */

struct reply {
    int status;
    char body[REPLY_MAX];
};

static bool is(const char *method, const char *path, const char *wanted_method, const char *wanted_path)
{
    return strcmp(method, wanted_method) == 0 && strcmp(path, wanted_path) == 0;
}

/* The value of a parameter of the query "a=1&b=2", or "". */
static const char *parameter(const char *query, const char *name, char *value, size_t size)
{
    size_t len = strlen(name);
    value[0] = '\0';
    for (const char *at = query; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            snprintf(value, size, "%.*s", (int)strcspn(at + len + 1, "&"), at + len + 1);
    return value;
}

/* The value of a header in the head of a request, or "". */
static const char *header(const char *head, const char *name, char *value, size_t size)
{
    size_t len = strlen(name);
    value[0] = '\0';
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            line += strspn(line, " \t");
            snprintf(value, size, "%.*s", (int)strcspn(line, "\r"), line);
        }
    }
    return value;
}

static void print_json_text(char *out, size_t size, const char *text)
{
    size_t used = 0;
    for (; *text && used + 8 < size; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == '"' || byte == '\\')
            used += (size_t)snprintf(out + used, size - used, "\\u%04x", byte);
        else
            out[used++] = (char)byte;
    }
    out[used] = '\0';
}

static void allocate(const char *bytes, struct reply *reply)
{
    size_t len = strtoul(bytes, NULL, 10);
    char *memory = malloc(len);
    if (memory) {
        for (size_t at = 0; at < len; at += 4096)
            ((volatile char *)memory)[at] = 1;
        snprintf(reply->body, sizeof reply->body, "{\"allocated\": %zu}", len); /* kept on purpose */
    } else {
        reply->status = 507;
    }
}

static void say_who(const char *head, struct reply *reply)
{
    char given[256], id[256];
    const char *key = getenv("SESSION_API_KEY"), *sandbox = getenv("SANDBOX_ID");
    header(head, "X-Session-API-Key", given, sizeof given);
    print_json_text(id, sizeof id, sandbox ? sandbox : "");
    const char *match = *given == '\0' ? "null" : key && strcmp(key, given) == 0 ? "true" : "false";
    snprintf(reply->body, sizeof reply->body,
             "{\"sandbox_id\": \"%s\", \"pid\": %d, \"session_key_matches\": %s}", id, (int)getpid(), match);
}

/* What a sandbox sees of its mounts. */
static void read_file(const char *path, struct reply *reply)
{
    char text[1024], printable[2048];
    FILE *file = fopen(path, "re");
    if (!file) {
        reply->status = 404;
        snprintf(reply->body, sizeof reply->body, "{\"detail\": \"%s\"}", strerror(errno));
        return;
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    print_json_text(printable, sizeof printable, text);
    snprintf(reply->body, sizeof reply->body, "{\"text\": \"%s\"}", printable);
}

static void write_file(const char *query, struct reply *reply)
{
    char path[256], text[1024];
    parameter(query, "path", path, sizeof path);
    parameter(query, "text", text, sizeof text);
    FILE *file = fopen(path, "we");
    if (!file || fputs(text, file) < 0 || fflush(file) != 0) {
        reply->status = 500;
        snprintf(reply->body, sizeof reply->body, "{\"detail\": \"%s\"}", strerror(errno));
    }
    if (file)
        fclose(file);
}

static void answer_get(struct agent *agent, const char *path, const char *query, const char *head,
                       struct reply *reply)
{
    long now = now_ms();
    bool ready = now - agent->bound_ms >= agent->options.ready_after_ms;
    char name[256], value[2048];
    if (strcmp(path, "/alive") == 0 || strcmp(path, "/health") == 0 || strcmp(path, "/ready") == 0) {
        reply->status = ready ? agent->health : 503;
        snprintf(reply->body, sizeof reply->body, "{\"status\": \"%s\"}",
                 reply->status == 200 ? "ok" : "not ok");
        return;
    }
    if (strcmp(path, "/server_info") == 0) {
        snprintf(reply->body, sizeof reply->body, "{\"uptime\": %.3f, \"idle_time\": %.3f}",
                 (double)(now - agent->started_ms) / 1000, (double)(now - agent->asked_ms) / 1000);
        return;
    }
    agent->asked_ms = now;
    if (strcmp(path, "/vscode/connection_token") == 0) {
        snprintf(reply->body, sizeof reply->body, "{\"token\": \"token of %ld\"}", (long)getpid());
        for (char *at = strchr(reply->body, ':') + 3; *at; at++)
            *at = *at == ' ' ? '-' : *at;
    } else if (strcmp(path, "/whoami") == 0) {
        say_who(head, reply);
    } else if (strcmp(path, "/env") == 0) {
        const char *text = getenv(parameter(query, "name", name, sizeof name));
        print_json_text(value, sizeof value, text ? text : "");
        snprintf(reply->body, sizeof reply->body, text ? "{\"value\": \"%s\"}" : "{\"value\": null}", value);
    } else if (strcmp(path, "/file") == 0) {
        read_file(parameter(query, "path", name, sizeof name), reply);
    } else {
        reply->status = 404;
        snprintf(reply->body, sizeof reply->body, "{\"detail\": \"Not Found\"}");
    }
}

static void answer_post(struct agent *agent, const char *path, const char *query, struct reply *reply)
{
    char value[64];
    snprintf(reply->body, sizeof reply->body, "{\"success\": true}");
    if (strcmp(path, "/exit") == 0)
        _exit((int)strtol(parameter(query, "code", value, sizeof value), NULL, 10));
    else if (strcmp(path, "/health") == 0)
        agent->health = (int)strtol(parameter(query, "status", value, sizeof value), NULL, 10);
    else if (strcmp(path, "/alloc") == 0)
        allocate(parameter(query, "bytes", value, sizeof value), reply);
    else if (strcmp(path, "/hang") == 0)
        agent->hang = true;
    else if (strcmp(path, "/file") == 0)
        write_file(query, reply);
    else
        reply->status = 404;
}

static void answer(struct agent *agent, char *head, struct reply *reply)
{
    char method[16], target[1024];
    *reply = (struct reply){.status = 200};
    if (sscanf(head, "%15s %1023s", method, target) != 2) {
        reply->status = 400;
        return;
    }
    char *query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    if (is(method, target, "POST", "/unhang")) {
        agent->hang = false;
        snprintf(reply->body, sizeof reply->body, "{\"success\": true}");
    } else if (strcmp(method, "GET") == 0) {
        answer_get(agent, target, query, head, reply);
    } else if (strcmp(method, "POST") == 0) {
        answer_post(agent, target, query, reply);
    } else {
        reply->status = 405;
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

static void drop(struct client *client)
{
    close(client->fd);
    client->fd = -1;
    client->len = 0;
}

static bool send_reply(struct client *client, const struct reply *reply, bool close_after)
{
    char text[REPLY_MAX + 256];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
                       reply->status, reply->status == 200 ? "OK" : "Status", strlen(reply->body),
                       close_after ? "Connection: close\r\n" : "", reply->body);
    return send(client->fd, text, (size_t)len, MSG_NOSIGNAL) == len && !close_after;
}

static void log_access(const struct agent *agent, const char *line, const char *user_agent, int status)
{
    if (agent->options.access_log == 1)
        dprintf(STDOUT_FILENO, "INFO:     127.0.0.1:1 - \"%s\" %d OK\n", line, status);
    else if (agent->options.access_log == 2)
        dprintf(STDOUT_FILENO, "127.0.0.1 - - [x] \"%s\" %d 15 \"-\" \"%s\"\n", line, status, user_agent);
}

/* Answers the requests that are there whole. False: the connection is over. */
static bool serve(struct agent *agent, struct client *client)
{
    for (;;) {
        client->request[client->len] = '\0';
        char *end = strstr(client->request, "\r\n\r\n");
        if (!end)
            return client->len < REQUEST_MAX - 1;
        char length[32], connection[32], saved = end[2];
        end[2] = '\0';
        size_t total = (size_t)(end + 4 - client->request) +
                       strtoul(header(client->request, "Content-Length", length, sizeof length), NULL, 10);
        if (total >= REQUEST_MAX)
            return false;
        if (client->len < total) {
            end[2] = saved;
            return true;
        }
        bool unhang = strncmp(client->request, "POST /unhang", 12) == 0;
        if (agent->hang && !unhang) {
            end[2] = saved; /* kept: it is answered once this is over */
            return true;
        }
        struct reply reply;
        bool old = strstr(client->request, " HTTP/1.0\r\n") != NULL;
        bool last = old || strcasecmp(header(client->request, "Connection", connection, sizeof connection),
                                      "close") == 0;
        char line[128], user_agent[128];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(client->request, "\r"), client->request);
        header(client->request, "User-Agent", user_agent, sizeof user_agent);
        answer(agent, client->request, &reply);
        log_access(agent, line, user_agent, reply.status);
        client->len -= total;
        memmove(client->request, client->request + total, client->len);
        if (!send_reply(client, &reply, last))
            return false;
    }
}

static void receive(struct agent *agent, struct client *client)
{
    ssize_t len =
        recv(client->fd, client->request + client->len, REQUEST_MAX - 1 - client->len, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        drop(client);
        return;
    }
    bool hung = agent->hang;
    client->len += (size_t)len;
    if (!serve(agent, client))
        drop(client);
    if (hung && !agent->hang)
        for (size_t i = 0; i < CLIENTS; i++)
            if (agent->clients[i].fd >= 0 && !serve(agent, &agent->clients[i]))
                drop(&agent->clients[i]);
}

static void accept_client(struct agent *agent)
{
    int fd = accept4(agent->listener, NULL, NULL, SOCK_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < CLIENTS; i++)
        if (agent->clients[i].fd < 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            agent->clients[i].fd = fd;
            return;
        }
    if (fd >= 0)
        close(fd);
}

/* ---- the start ------------------------------------------------------------------------------- */

static void listen_or_exit(struct agent *agent)
{
    const struct agent_options *options = &agent->options;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options->port),
                                  .sin_addr.s_addr = htonl(options->loopback ? INADDR_LOOPBACK : INADDR_ANY)};
    agent->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (agent->listener >= 0 && !options->no_reuseaddr)
        (void)setsockopt(agent->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (agent->listener < 0 ||
        bind(agent->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(agent->listener, 128) != 0) {
        fprintf(stderr, "sandbox-agent: port %d: %s\n", options->port, strerror(errno));
        exit(1);
    }
    agent->bound_ms = agent->asked_ms = now_ms();
}

/* A grandchild in a session of its own, which lives until somebody ends it. */
static void fork_away(void)
{
    pid_t child = fork();
    if (child != 0) {
        (void)waitpid(child, NULL, 0);
        return;
    }
    setsid();
    if (fork() != 0)
        _exit(0);
    for (;;)
        pause();
}

static void print_lines(long count)
{
    for (long i = 0; count < 0 || i < count; i++)
        printf("line %ld of the agent's output\n", i + 1);
    fflush(stdout);
}

static void wait_until(const struct agent *agent, long time_ms)
{
    for (long left; (left = time_ms - now_ms()) > 0;) {
        if (agent->options.exit_after_ms > 0 && now_ms() - agent->started_ms >= agent->options.exit_after_ms)
            exit(agent->options.exit_code);
        (void)poll(NULL, 0, left < 10 ? (int)left : 10);
    }
}

static void run(struct agent *agent)
{
    const struct agent_options *options = &agent->options;
    for (;;) {
        struct pollfd polls[CLIENTS + 1] = {{.fd = agent->listener, .events = POLLIN}};
        struct client *polled[CLIENTS + 1] = {NULL};
        nfds_t count = 1; /* only those that are open: poll(2) refuses more entries than RLIMIT_NOFILE */
        for (size_t i = 0; i < CLIENTS; i++)
            if (agent->clients[i].fd >= 0) {
                polled[count] = &agent->clients[i];
                polls[count++] = (struct pollfd){.fd = agent->clients[i].fd, .events = POLLIN};
            }
        long left = options->exit_after_ms - (now_ms() - agent->started_ms);
        if (options->exit_after_ms > 0 && left <= 0)
            exit(options->exit_code);
        if (poll(polls, count, options->exit_after_ms > 0 ? (int)left : -1) < 0 && errno != EINTR) {
            perror("sandbox-agent: poll");
            exit(1);
        }
        if (polls[0].revents)
            accept_client(agent);
        for (nfds_t i = 1; i < count; i++)
            if (polls[i].revents && polled[i]->fd == polls[i].fd)
                receive(agent, polled[i]);
    }
}

int main(int argc, char **argv)
{
    static struct agent agent;
    agent_options_read(&agent.options, argc, argv);
    agent.started_ms = now_ms();
    agent.health = 200;
    agent.hang = agent.options.hang;
    for (size_t i = 0; i < CLIENTS; i++)
        agent.clients[i].fd = -1;
    if (agent.options.ignore_term)
        (void)signal(SIGTERM, SIG_IGN);
    if (agent.options.fork_away)
        fork_away();
    if (agent.options.print_lines > 0)
        print_lines(agent.options.print_lines);
    wait_until(&agent, agent.started_ms + agent.options.bind_delay_ms);
    listen_or_exit(&agent);
    if (agent.options.print_lines < 0 && fork() == 0)
        print_lines(-1);
    run(&agent);
}
