/* world.c: see world.h. */
#include "world.h"

#include "base/buffer.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char last_error[600];
static char options_text[2][1024]; /* as long as the configuration that they are of */

/* ---- life ---- */

static void apply(struct world *world, const char *options)
{
    static unsigned turn;
    char *text = options_text[++turn % 2];
    if (strstr(options, "base_working_dir"))
        snprintf(text, sizeof options_text[0], "{%s}", options);
    else
        snprintf(text, sizeof options_text[0], "{\"base_working_dir\": \"%s\", \"base_port\": 21000%s%s}",
                 world->work, *options ? ", " : "", options);
    struct config *config = harness_config(world->harness);
    harness_add(config, "b", PROCESS_PLUGIN, text);
    if (!harness_apply(world->harness, config)) {
        snprintf(last_error, sizeof last_error, "%s",
                 world->harness->problems.len > 0 ? world->harness->problems.list[0].text : "");
        world->backend = NULL;
        return;
    }
    world->backend = backend_set_find(world->harness->set, "b");
}

void world_reopen(struct world *world, const char *options)
{
    void *state;
    assert_int_equal(harness_setup(&state), 0);
    world->harness = state;
    assert_int_equal(rmdir(world->harness->state_dir), 0);
    free(world->harness->state_dir);
    world->harness->state_dir = malloc(sizeof world->root + 16);
    snprintf(world->harness->state_dir, sizeof world->root + 16, "%s/state", world->root);
    (void)mkdir(world->harness->state_dir, 0700);
    apply(world, options);
}

void world_open(struct world *world, const char *options)
{
    *world = (struct world){.root = "/tmp/sandboxd-process-XXXXXX"};
    assert_non_null(mkdtemp(world->root));
    assert_int_equal(chmod(world->root, 0755), 0);
    snprintf(world->work, sizeof world->work, "%s/work", world->root);
    snprintf(world->state, sizeof world->state, "%s/state/backends/b", world->root);
    world_reopen(world, options);
}

void world_reload(struct world *world, const char *options)
{
    apply(world, options);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void world_close(struct world *world)
{
    harness_close(world->harness, 5000);
    /* Its teardown removes its state directory, which belongs to the world. */
    char nothing[] = "/tmp/sandboxd-process-XXXXXX";
    assert_non_null(mkdtemp(nothing));
    free(world->harness->state_dir);
    world->harness->state_dir = strdup(nothing);
    void *state = world->harness;
    harness_teardown(&state);
    world->harness = NULL;
}

/* What a test that failed left running. */
static void end_leftovers(const struct world *world)
{
    DIR *records = opendir(world->state);
    for (struct dirent *entry; records && (entry = readdir(records));) {
        char *suffix = strrchr(entry->d_name, '-');
        if (!suffix)
            continue;
        *suffix = '\0';
        pid_t pids[64], supervisor = world_supervisor(world, entry->d_name);
        size_t count = world_processes(world, entry->d_name, pids, 64);
        if (supervisor != 0)
            kill(supervisor, SIGKILL);
        while (count > 0)
            kill(pids[--count], SIGKILL);
    }
    if (records)
        closedir(records);
}

void world_remove(struct world *world)
{
    end_leftovers(world);
    nftw(world->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *world_id(const struct world *world, const char *name)
{
    static char names[4][300];
    static unsigned turn;
    char *text = names[++turn % 4];
    snprintf(text, sizeof names[0], "%s-%s", name, world->root + strlen(world->root) - 6);
    return text;
}

/* ---- operations ---- */

struct waiting {
    bool over, ok;
};

static void on_done(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct waiting *waiting = arg;
    waiting->over = true;
    waiting->ok = !err;
    if (err)
        snprintf(last_error, sizeof last_error, "%s: %s", err->code, err->message);
}

static bool wait_for(struct world *world, struct waiting *waiting)
{
    RUN_UNTIL(world->harness, waiting->over);
    return waiting->ok;
}

bool world_start_command(struct world *world, const char *id, const char *command, bool again)
{
    char spec[4096];
    int len = snprintf(spec, sizeof spec,
                       "{\"id\": \"s\", \"command\": %s, \"initial_env\": {\"COLOUR\": \"blue\"}}", command);
    struct sbx_start start = {.size = sizeof start,
                              .again = again,
                              .sandbox_id = world_id(world, id),
                              .session_key = "the-key-of-the-sandbox",
                              .spec_id = "s",
                              .spec_json = spec,
                              .spec_len = (size_t)len,
                              .owner = "alice",
                              .created_at_us = 1700000000000000,
                              .deadline_ms = clock_ms() + 30000};
    struct waiting waiting = {0};
    assert_non_null(backend_start(world->backend, &start, 30000, on_done, &waiting));
    return wait_for(world, &waiting);
}

bool world_start(struct world *world, const char *id, const char *arguments)
{
    char command[1024];
    snprintf(command, sizeof command, "[\"%s\", \"--port\", \"{port}\"%s%s]", AGENT, *arguments ? ", " : "",
             arguments);
    return world_start_command(world, id, command, false);
}

bool world_act(struct world *world, enum backend_verb verb, const char *id)
{
    struct waiting waiting = {0};
    assert_non_null(backend_act(world->backend, verb, world_id(world, id), 30000, on_done, &waiting));
    return wait_for(world, &waiting);
}

bool world_list(struct world *world)
{
    struct waiting waiting = {0};
    assert_non_null(backend_list(world->backend, 30000, on_done, &waiting));
    return wait_for(world, &waiting);
}

const char *world_error(const struct world *world)
{
    (void)world;
    return last_error;
}

/* ---- what came out ---- */

const char *world_report(const struct world *world, const char *id)
{
    static char text[8192];
    char start[200];
    snprintf(start, sizeof start, "b: report %s ", world_id(world, id));
    const char *last = NULL, *seen = buffer_text(&world->harness->seen);
    for (const char *at = seen; (at = strstr(at, start)); at++)
        if (at == seen || at[-1] == '\n')
            last = at + strlen(start);
    const char *end = last ? strstr(last, "\nb: report ") : NULL;
    snprintf(text, sizeof text, "%.*s", end ? (int)(end - last) : 8000, last ? last : "");
    return text;
}

unsigned world_state(const struct world *world, const char *id)
{
    return (unsigned)strtoul(world_report(world, id), NULL, 10);
}

int world_port(const struct world *world, const char *id)
{
    const char *url = strstr(world_report(world, id), "AGENT_SERVER=http://localhost:");
    return url ? (int)strtol(url + strlen("AGENT_SERVER=http://localhost:"), NULL, 10) : 0;
}

/* ---- the world outside ---- */

const char *world_ask(int port, const char *request)
{
    static char answer[8192];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    answer[0] = '\0';
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 2};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char text[512];
    int len = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", request);
    size_t used = 0;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, text, (size_t)len, MSG_NOSIGNAL) == len)
        for (ssize_t got;
             used < sizeof answer - 1 && (got = recv(fd, answer + used, sizeof answer - 1 - used, 0)) > 0;)
            used += (size_t)got;
    answer[used] = '\0';
    close(fd);
    return answer;
}

static bool has_text(const char *path, const char *text, size_t text_len)
{
    static char bytes[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, bytes, sizeof bytes) : 0;
    if (fd >= 0)
        close(fd);
    return len > 0 && memmem(bytes, (size_t)len, text, text_len);
}

static size_t find_processes(const char *file, const char *text, size_t text_len, pid_t *pids, size_t max)
{
    size_t count = 0;
    DIR *processes = opendir("/proc");
    for (const struct dirent *entry; (entry = readdir(processes)) && count < max;) {
        char path[320];
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        snprintf(path, sizeof path, "/proc/%s/%s", entry->d_name, file);
        if (pid > 0 && pid != getpid() && has_text(path, text, text_len))
            pids[count++] = pid;
    }
    closedir(processes);
    return count;
}

size_t world_processes(const struct world *world, const char *id, pid_t *pids, size_t max)
{
    char mark[200];
    int len = snprintf(mark, sizeof mark, "SANDBOX_ID=%s", world_id(world, id));
    return find_processes("environ", mark, (size_t)len + 1, pids, max);
}

pid_t world_supervisor(const struct world *world, const char *id)
{
    char title[200];
    int len = snprintf(title, sizeof title, "process-supervisor%c%s", 0, world_id(world, id));
    pid_t pid = 0;
    return find_processes("cmdline", title, (size_t)len + 1, &pid, 1) > 0 ? pid : 0;
}

bool world_clean(const struct world *world, const char *id)
{
    char path[400];
    pid_t pid;
    snprintf(path, sizeof path, "%s/%s", world->work, world_id(world, id));
    if (access(path, F_OK) == 0 || world_processes(world, id, &pid, 1) > 0 ||
        world_supervisor(world, id) != 0)
        return false;
    snprintf(path, sizeof path, "%s/%s", world->state, world_id(world, id));
    return access(path, F_OK) != 0;
}

char world_letter(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    const char *after = len > 0 ? strrchr(text, ')') : NULL;
    return after ? after[2] : 'X';
}
