/* The server: listeners over reloads, limits on connections, the end. */
#include "rig.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define H "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"

static struct reply reply;

/* ---- listeners ------------------------------------------------------------------------------- */

static const char *problem(struct rig *rig, size_t index)
{
    assert_in_range(index, 0, rig->problems.len - 1);
    return rig->problems.list[index].text;
}

static struct config_address tcp(const char *text, const char *host, uint16_t port)
{
    return (struct config_address){.kind = ADDRESS_TCP, .text = text, .host = host, .port = port};
}

/* A second generation with these addresses. */
static struct config next_config(const struct rig *rig, const struct config_address *listen, size_t len)
{
    struct config next = rig->config;
    next.refs = 1;
    next.listen = listen;
    next.listen_len = len;
    return next;
}

static void reload(struct rig *rig, struct config *next)
{
    if (http_server_prepare(rig->server, next, &rig->problems) < 0)
        fail_msg("%s", rig->problems.list[0].text);
    http_server_commit(rig->server, next);
}

/* The generation of a test goes before the rig does. */
static void go_back(struct rig *rig, struct config *next)
{
    reload(rig, &rig->config);
    assert_int_equal(next->refs, 1);
}

static void several_addresses_are_bound_and_told(void **state)
{
    struct rig *rig = *state;
    rig->listen[1] = tcp("[::1]:0", "::1", 0);
    rig->listen[2] = tcp("localhost:0", "localhost", 0);
    rig->config.listen_len = 3;
    rig_start(rig);
    unsigned ports[3];
    char end;
    assert_int_equal(sscanf(http_server_addresses(rig->server), "127.0.0.1:%u, [::1]:%u, 127.0.0.1:%u%c",
                            &ports[0], &ports[1], &ports[2], &end),
                     3);
    for (int i = 0; i < 3; i++)
        assert_in_range(ports[i], 1, 65535);
}

static void a_port_in_use_is_a_problem_that_names_it(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%u", rig->port);
    struct loop *loop = loop_create();
    struct http_server *other = http_server_create(loop, &(struct http_handler){0});
    struct config_address listen[] = {tcp("127.0.0.1:0", "127.0.0.1", 0), tcp(text, "127.0.0.1", rig->port),
                                      tcp("nowhere:1", "nowhere", 1)};
    struct config next = next_config(rig, listen, 3);
    assert_int_equal(http_server_prepare(other, &next, &rig->problems), -1);
    char expected[160];
    snprintf(expected, sizeof expected, "server.listen[1]: %s is in use by another program", text);
    assert_string_equal(problem(rig, 0), expected);
    assert_string_equal(
        problem(rig, 1),
        "server.listen[2]: nowhere:1: the host must be an IP address (names are not looked up)");
    assert_string_equal(http_server_addresses(other), "");
    http_server_destroy(other);
    loop_destroy(loop);
    assert_int_equal(next.refs, 1);
}

static void a_reload_keeps_what_stays_and_ends_what_goes(void **state)
{
    struct rig *rig = *state;
    rig->listen[1] = tcp("[::1]:0", "::1", 0);
    rig->config.listen_len = 2;
    rig_start(rig);
    int kept = client_connect(rig), busy = client_connect(rig);
    client_ask(rig, kept, GET("/a"), 200);
    client_send(rig, busy, GET("/pending"));
    rig_until(rig, rig->pending);

    uint16_t old_port = rig->port;
    struct config_address listen[] = {tcp("127.0.0.2:0", "127.0.0.2", 0), rig->listen[1]};
    struct config next = next_config(rig, listen, 2);
    int waiting = client_connect(rig); /* in the backlog until the reload */
    client_send(rig, waiting, GET("/a"));
    reload(rig, &next);
    assert_memory_equal(http_server_addresses(rig->server), "127.0.0.2:", 10);

    /* All of the old address are served, and told that this was the last time. */
    client_reply(rig, waiting, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    client_send(rig, kept, GET("/b"));
    client_reply(rig, kept, &reply, false);
    assert_string_equal(reply.body, "/b");
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_ptr_equal(http_config(rig->pending), &rig->config);
    http_reply(rig->pending, 200, NULL, NULL, 0);
    client_reply(rig, busy, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "close");

    int late = client_connect(rig);
    assert_int_equal(rig->port, old_port);
    rig_until(rig, send(late, "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOTCONN);
    go_back(rig, &next);
}

static void a_reload_of_limits_keeps_sockets_and_connections(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    int client = client_connect(rig);
    client_ask(rig, client, GET("/a"), 200);
    char addresses[64];
    snprintf(addresses, sizeof addresses, "%s", http_server_addresses(rig->server));
    struct config next = next_config(rig, rig->listen, 1);
    next.max_connections = 7;
    reload(rig, &next);
    assert_string_equal(http_server_addresses(rig->server), addresses);
    client_send(rig, client, GET("/pending"));
    rig_until(rig, rig->pending);
    assert_ptr_equal(http_config(rig->pending), &next);
    http_reply(rig->pending, 200, NULL, NULL, 0);
    client_reply(rig, client, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "");
    go_back(rig, &next);
}

static void the_same_port_may_move_to_another_host(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    char first[32], second[32];
    snprintf(first, sizeof first, "127.0.0.1:%u", rig->port);
    snprintf(second, sizeof second, "0.0.0.0:%u", rig->port);
    struct config_address narrow = tcp(first, "127.0.0.1", rig->port),
                          wide = tcp(second, "0.0.0.0", rig->port);
    struct config a = next_config(rig, &narrow, 1), b = next_config(rig, &wide, 1);
    /* Port 0 took it under another text; then both ways by name. */
    reload(rig, &b);
    assert_string_equal(http_server_addresses(rig->server), second);
    client_ask(rig, client_connect(rig), GET("/a"), 200);
    reload(rig, &a);
    assert_string_equal(http_server_addresses(rig->server), first);
    client_ask(rig, client_connect(rig), GET("/a"), 200);
    /* Both at once is another thing. */
    struct config_address both[] = {narrow, wide};
    struct config c = next_config(rig, both, 2);
    assert_int_equal(http_server_prepare(rig->server, &c, &rig->problems), -1);
    char expected[160];
    snprintf(expected, sizeof expected,
             "server.listen[1]: %s overlaps with %s, where this server listens already", second, first);
    assert_string_equal(problem(rig, 0), expected);
    go_back(rig, &a);
    assert_int_equal(b.refs, 1);
    assert_int_equal(c.refs, 1);
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    close(fd);
    return ntohs(address.sin_port);
}

static void addresses_of_one_file_that_overlap_are_a_problem(void **state)
{
    struct rig *rig = *state;
    uint16_t port = free_port();
    rig->listen[0] = tcp("127.0.0.1:P", "127.0.0.1", port);
    rig->listen[1] = tcp("0.0.0.0:P", "0.0.0.0", port);
    rig->config.listen_len = 2;
    assert_int_equal(http_server_prepare(rig->server, &rig->config, &rig->problems), -1);
    assert_string_equal(
        problem(rig, 0),
        "server.listen[1]: 0.0.0.0:P overlaps with 127.0.0.1:P, where this server listens already");
}

static void a_rollback_leaves_everything_as_it_was(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    int client = client_connect(rig);
    client_ask(rig, client, GET("/a"), 200);
    struct config_address listen[] = {tcp("127.0.0.2:0", "127.0.0.2", 0)};
    struct config next = next_config(rig, listen, 1);
    assert_int_equal(http_server_prepare(rig->server, &next, &rig->problems), 0);
    http_server_rollback(rig->server);
    assert_int_equal(next.refs, 1);
    client_ask(rig, client, GET("/a"), 200);
    client_ask(rig, client_connect(rig), GET("/a"), 200);
}

/* ---- unix sockets ---------------------------------------------------------------------------- */

static char unix_dir[] = "/tmp/sandboxd-http-XXXXXX";
static char unix_path[64], unix_text[80];

static int unix_setup(void **state)
{
    snprintf(unix_dir, sizeof unix_dir, "/tmp/sandboxd-http-XXXXXX");
    if (!mkdtemp(unix_dir))
        return -1;
    snprintf(unix_path, sizeof unix_path, "%s/socket", unix_dir);
    snprintf(unix_text, sizeof unix_text, "unix:%s", unix_path);
    rig_setup_only(state);
    struct rig *rig = *state;
    rig->listen[0] = (struct config_address){.kind = ADDRESS_UNIX, .text = unix_text, .path = unix_path};
    return 0;
}

static int unix_teardown(void **state)
{
    int result = rig_stop(state);
    bool removed = access(unix_path, F_OK) < 0;
    unlink(unix_path);
    rmdir(unix_dir);
    return removed ? result : -1;
}

static int unix_connect(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", unix_path);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    rig->clients[rig->clients_len++] = client;
    return client;
}

static void a_unix_socket_serves_its_owner_alone(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    assert_string_equal(http_server_addresses(rig->server), unix_text);
    struct stat file;
    assert_int_equal(lstat(unix_path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    int client = unix_connect(rig);
    client_send(rig, client, GET("/pending"));
    rig_until(rig, rig->pending);
    assert_true(http_is_loopback(rig->pending));
    client_close(rig, client);
    rig_until(rig, rig->gone == 1);
    client_ask(rig, unix_connect(rig), GET("/a"), 200);
}

static void what_a_dead_daemon_left_is_replaced(void **state)
{
    struct rig *rig = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", unix_path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(dead, 1), 0);
    /* It lives: hands off. */
    assert_int_equal(http_server_prepare(rig->server, &rig->config, &rig->problems), -1);
    assert_non_null(strstr(problem(rig, 0), "is in use by another program"));
    close(dead);
    rig_start(rig);
    client_ask(rig, unix_connect(rig), GET("/a"), 200);
}

static void a_path_that_is_no_socket_is_left_alone(void **state)
{
    struct rig *rig = *state;
    close(open(unix_path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(http_server_prepare(rig->server, &rig->config, &rig->problems), -1);
    assert_non_null(strstr(problem(rig, 0), "exists and is not a socket"));
    assert_int_equal(access(unix_path, F_OK), 0);
    unlink(unix_path);
}

static void a_path_that_another_took_over_is_not_removed(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    unlink(unix_path);
    close(open(unix_path, O_CREAT | O_WRONLY, 0600));
    struct config_address listen[] = {tcp("127.0.0.1:0", "127.0.0.1", 0)};
    struct config next = next_config(rig, listen, 1);
    reload(rig, &next);
    assert_int_equal(access(unix_path, F_OK), 0);
    unlink(unix_path);
    go_back(rig, &next);
}

static void a_path_that_is_too_long_is_a_problem(void **state)
{
    struct rig *rig = *state;
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    rig->listen[0].path = path;
    assert_int_equal(http_server_prepare(rig->server, &rig->config, &rig->problems), -1);
    assert_non_null(strstr(problem(rig, 0), "must be at most 107 bytes"));
}

/* ---- limits ---------------------------------------------------------------------------------- */

static int limits_setup(void **state)
{
    rig_setup_only(state);
    struct rig *rig = *state;
    rig->config.max_connections = 2;
    server_set_times(
        rig->server,
        &(struct http_times){
            .idle = 60000, .idle_grace = 50, .write_stall = 5000, .linger = 100, .accept_pause = 20});
    rig_start(rig);
    return 0;
}

static void who_comes_over_the_limit_waits_until_one_leaves(void **state)
{
    struct rig *rig = *state;
    int first = client_connect(rig), second = client_connect(rig), third = client_connect(rig);
    client_send(rig, first, GET("/pending"));
    client_send(rig, second, GET("/pending"));
    rig_until(rig, rig->heads == 2);
    client_send(rig, third, GET("/a"));
    uint64_t begin = clock_ms();
    rig_until(rig, clock_ms() - begin > 200);
    assert_true(client_quiet(rig, third));
    assert_int_equal(http_server_stats(rig->server).connections, 2);
    assert_int_equal(http_server_stats(rig->server).over_limit, 1);
    client_close(rig, first);
    client_reply(rig, third, &reply, false);
    assert_string_equal(reply.body, "/a");
}

static void a_slow_head_makes_room(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 5; i++)
        client_send(rig, client_connect(rig), "GET /a HT");
    int late = client_connect(rig);
    uint64_t begin = clock_ms();
    client_ask(rig, late, GET("/a"), 200);
    assert_true(clock_ms() - begin < rig->config.header_timeout_ms); /* which would have ended them */
}

/* A request that was answered before its body came leaves nothing to wait for. */
static void an_answered_request_whose_body_does_not_come_makes_room(void **state)
{
    struct rig *rig = *state;
    int first = client_connect(rig), second = client_connect(rig);
    client_send(rig, first, "POST /now HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n");
    client_send(rig, second, "POST /now HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nab");
    rig_until(rig, rig->heads == 2);
    int late = client_connect(rig);
    uint64_t begin = clock_ms();
    client_ask(rig, late, GET("/a"), 200);
    assert_true(clock_ms() - begin < 2000); /* write_stall would have ended them */
    assert_int_equal(http_server_stats(rig->server).connections, 2);
}

static void who_does_not_take_an_answer_makes_room_last(void **state)
{
    struct rig *rig = *state;
    int slow = client_connect(rig), idle = client_connect(rig);
    for (int i = 0; i < 10; i++)
        client_send(rig, slow, GET("/big"));
    client_ask(rig, idle, GET("/a"), 200);
    rig_until(rig, connection_unsent(rig->server->connections->next) > 0);
    uint64_t begin = clock_ms();
    int third = client_connect(rig);
    client_ask(rig, third, GET("/a"), 200);
    assert_int_equal(client_end(rig, idle), 0);
    client_send(rig, third, GET("/pending"));
    rig_until(rig, rig->pending);
    client_ask(rig, client_connect(rig), GET("/a"), 200);
    assert_true(clock_ms() - begin < 3000); /* write_stall would have ended it */
    assert_int_equal(rig->gone, 0);
}

/* Who connects to a loopback address of a server on all addresses queues behind nobody else. */
static void some_places_are_for_loopback_alone(void **state)
{
    struct rig *rig = *state;
    rig->config.max_connections = 16;
    rig->listen[0] = tcp("0.0.0.0:0", "0.0.0.0", 0);
    rig_start(rig);
    struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    inet_pton(AF_INET, "127.0.0.2", &other.sin_addr);
    for (unsigned i = 0; i < 15; i++) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&other, sizeof other), 0);
        rig->clients[rig->clients_len++] = client;
        fcntl(client, F_SETFL, O_NONBLOCK);
        client_send(rig, client, GET("/pending"));
    }
    rig_until(rig, rig->heads == 14);
    int first = client_connect(rig), second = client_connect(rig), third = client_connect(rig);
    client_ask(rig, first, GET("/a"), 200);
    client_send(rig, first, GET("/pending"));
    client_send(rig, second, GET("/pending"));
    rig_until(rig, rig->heads == 17);
    assert_int_equal(http_server_stats(rig->server).connections, 16);
    client_send(rig, third, GET("/a"));
    assert_true(client_quiet(rig, third));
    /* The port is not left open to another daemon. */
    struct sockaddr_in same = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    inet_pton(AF_INET, "127.0.0.1", &same.sin_addr);
    int thief = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    assert_int_equal(bind(thief, (struct sockaddr *)&same, sizeof same), -1);
    close(thief);
}

static void an_idle_connection_makes_room(void **state)
{
    struct rig *rig = *state;
    int first = client_connect(rig), second = client_connect(rig);
    client_ask(rig, first, GET("/a"), 200);
    client_ask(rig, second, GET("/a"), 200);
    int third = client_connect(rig);
    client_ask(rig, third, GET("/a"), 200);
    /* The one that was idle longest. */
    assert_int_equal(client_end(rig, first), 0);
    client_ask(rig, second, GET("/a"), 200);
    assert_int_equal(http_server_stats(rig->server).connections, 2);
}

/* It may wait for its answer, or be gone: the idle one goes first, though it came later. */
static void a_client_that_ended_its_side_makes_room_last(void **state)
{
    struct rig *rig = *state;
    int half = client_connect(rig), idle = client_connect(rig);
    client_send(rig, half, GET("/pending"));
    rig_until(rig, rig->pending);
    struct http_request *request = rig->pending;
    shutdown(half, SHUT_WR);
    rig_until(rig, request->connection->eof);
    client_ask(rig, idle, GET("/a"), 200);
    int third = client_connect(rig);
    client_ask(rig, third, GET("/a"), 200);
    assert_int_equal(client_end(rig, idle), 0);
    assert_int_equal(rig->gone, 0);
    client_send(rig, third, GET("/pending"));
    rig_until(rig, rig->heads == 4);
    int fourth = client_connect(rig);
    client_ask(rig, fourth, GET("/a"), 200);
    assert_int_equal(rig->gone, 1);
    assert_int_equal(client_end(rig, half), 0);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void without_descriptors_it_serves_on(void **state)
{
    struct rig *rig = *state;
    int kept = client_connect(rig), waiting = client_connect(rig);
    client_ask(rig, kept, GET("/a"), 200);
    rig_until(rig, http_server_stats(rig->server).connections == 2);
    client_close(rig, waiting);
    rig_until(rig, http_server_stats(rig->server).connections == 1);
    client_send(rig, kept, GET("/pending")); /* so that it is not what makes room */
    rig_until(rig, rig->pending);
    waiting = client_connect(rig);
    client_send(rig, waiting, GET("/b"));
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    rig_until(rig, rig->server->accept_warned);
    http_reply(rig->pending, 200, NULL, NULL, 0);
    client_reply(rig, kept, &reply, false);
    assert_int_equal(reply.status, 200);
    setrlimit(RLIMIT_NOFILE, &before);
    client_reply(rig, waiting, &reply, false);
    assert_string_equal(reply.body, "/b");
}

static void clients_leave_some_descriptors_for_the_rest(void **state)
{
    struct rig *rig = *state;
    rig->config.max_connections = 1000000;
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 100;
    setrlimit(RLIMIT_NOFILE, &few);
    rig_start(rig);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(rig->server->most, 75);
}

static void nothing_stays_behind_of_many_connections(void **state)
{
    struct rig *rig = *state;
    client_ask(rig, client_connect(rig), GET("/a"), 200);
    size_t before = open_descriptors();
    for (int i = 0; i < 300; i++) {
        int client = client_connect(rig);
        client_ask(rig, client, i % 3 == 0 ? "bad\r\n\r\n" : GET("/a"), i % 3 == 0 ? 400 : 200);
        if (i % 2 == 0)
            client_close(rig, client);
        else
            client_reset(rig, client);
        rig->clients_len--;
    }
    rig_until(rig, http_server_stats(rig->server).connections == 1 && open_descriptors() == before);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void on_drained(void *arg)
{
    struct rig *rig = arg;
    rig->drained = true;
}

static void a_drain_ends_idle_ones_and_waits_for_requests(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    int idle = client_connect(rig), busy = client_connect(rig);
    client_ask(rig, idle, GET("/a"), 200);
    client_send(rig, busy, GET("/pending"));
    rig_until(rig, rig->pending);
    http_server_drain(rig->server, 60000, on_drained, rig);
    assert_true(http_server_draining(rig->server));
    assert_int_equal(client_end(rig, idle), 0);
    assert_false(rig->drained);
    http_reply(rig->pending, 200, "text/plain", "x", 1);
    client_reply(rig, busy, &reply, false);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    client_close(rig, busy);
    rig_until(rig, rig->drained);
    assert_int_equal(rig->gone, 0);
}

static void a_drain_answers_what_is_on_its_way(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    int kept = client_connect(rig), silent = client_connect(rig);
    client_ask(rig, kept, GET("/a"), 200);
    rig_until(rig, http_server_stats(rig->server).connections == 2);
    int waiting = client_connect(rig); /* not accepted yet */
    client_send(rig, waiting, GET("/b"));
    http_server_drain(rig->server, 60000, on_drained, rig);
    client_send(rig, kept, GET("/c"));
    client_reply(rig, waiting, &reply, false);
    assert_string_equal(reply.body, "/b");
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    client_reply(rig, kept, &reply, false);
    assert_string_equal(reply.body, "/c");
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    assert_int_equal(client_end(rig, silent), 0);
    client_close(rig, kept);
    client_close(rig, waiting);
    rig_until(rig, rig->drained);
}

static void a_drain_cuts_off_at_its_timeout(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    int client = client_connect(rig);
    client_send(rig, client, GET("/pending"));
    rig_until(rig, rig->pending);
    int streamed = client_connect(rig);
    struct http_request *pending = rig->pending;
    client_send(rig, streamed, GET("/stream"));
    rig_until(rig, rig->pending != pending);
    http_server_drain(rig->server, 50, on_drained, rig);
    rig_until(rig, rig->drained);
    assert_int_equal(rig->gone, 2);
    client_reply(rig, client, &reply, false);
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply_header(&reply, "Retry-After"), "5");
    assert_int_equal(client_end(rig, client), 0);
    assert_int_equal(client_end(rig, streamed), -1);
}

static void a_drain_of_nothing_ends_on_the_next_turn(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    http_server_drain(rig->server, 60000, on_drained, rig);
    assert_false(rig->drained);
    rig_until(rig, rig->drained);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup_only, rig_stop)
#define UNIX_TEST(name) cmocka_unit_test_setup_teardown(name, unix_setup, unix_teardown)
#define LIMIT_TEST(name) cmocka_unit_test_setup_teardown(name, limits_setup, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(several_addresses_are_bound_and_told),
        TEST(a_port_in_use_is_a_problem_that_names_it),
        TEST(a_reload_keeps_what_stays_and_ends_what_goes),
        TEST(a_reload_of_limits_keeps_sockets_and_connections),
        TEST(the_same_port_may_move_to_another_host),
        TEST(addresses_of_one_file_that_overlap_are_a_problem),
        TEST(a_rollback_leaves_everything_as_it_was),
        UNIX_TEST(a_unix_socket_serves_its_owner_alone),
        UNIX_TEST(what_a_dead_daemon_left_is_replaced),
        UNIX_TEST(a_path_that_is_no_socket_is_left_alone),
        UNIX_TEST(a_path_that_another_took_over_is_not_removed),
        UNIX_TEST(a_path_that_is_too_long_is_a_problem),
        LIMIT_TEST(who_comes_over_the_limit_waits_until_one_leaves),
        LIMIT_TEST(an_idle_connection_makes_room),
        LIMIT_TEST(a_client_that_ended_its_side_makes_room_last),
        LIMIT_TEST(a_slow_head_makes_room),
        LIMIT_TEST(who_does_not_take_an_answer_makes_room_last),
        LIMIT_TEST(an_answered_request_whose_body_does_not_come_makes_room),
        TEST(some_places_are_for_loopback_alone),
        LIMIT_TEST(without_descriptors_it_serves_on),
        TEST(clients_leave_some_descriptors_for_the_rest),
        LIMIT_TEST(nothing_stays_behind_of_many_connections),
        TEST(a_drain_ends_idle_ones_and_waits_for_requests),
        TEST(a_drain_answers_what_is_on_its_way),
        TEST(a_drain_cuts_off_at_its_timeout),
        TEST(a_drain_of_nothing_ends_on_the_next_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
