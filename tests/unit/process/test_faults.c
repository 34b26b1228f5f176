/* test_faults.c: the process plugin where the machine or its own helpers fail it: a supervisor that never speaks, a
 * disk that is full, a mount in the way. */
#include "wire.h"
#include "world.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNNING = SBX_STATE_RUNNING, ENDED = SBX_STATE_ENDED };

static struct world world;
static char mounted[300];           /* "": nothing */
static struct sbx_error last_error; /* of note_end() */

static int setup(void **state)
{
    (void)state;
    world_open(&world, "\"stop_timeout\": \"1s\"");
    return world.backend ? 0 : -1;
}

static void unmount(void)
{
    if (*mounted)
        assert_int_equal(umount2(mounted, MNT_DETACH), 0);
    mounted[0] = '\0';
}

static int teardown(void **state)
{
    (void)state;
    if (world.harness)
        world_close(&world);
    unmount();
    world_remove(&world);
    return 0;
}

/* False where this may not be done. */
static bool mount_on(const char *path, const char *source, const char *type, unsigned long flags,
                     const char *data)
{
    if (mount(source, path, type, flags, data) != 0)
        return false;
    snprintf(mounted, sizeof mounted, "%s", path);
    return true;
}

static void wait_for_answer(const char *id)
{
    uint64_t until = clock_ms() + 20000;
    while (!strstr(world_ask(world_port(&world, id), "GET /alive"), " 200 "))
        assert_true(clock_ms() < until);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void copy_file(const char *from, const char *to)
{
    static char bytes[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    for (ssize_t len; (len = read(in, bytes, sizeof bytes)) > 0;)
        assert_int_equal(write(out, bytes, (size_t)len), len);
    close(in);
    close(out);
}

static void note_end(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    last_error = err ? *err : (struct sbx_error){0};
    *(bool *)arg = true;
}

/* ---- the supervisor -------------------------------------------------------------------------- */

static void a_start_whose_supervisor_never_speaks_can_be_cancelled(void **state)
{
    (void)state;
    char folder[128], path[200], options[300];
    snprintf(folder, sizeof folder, "%s/plugins", world.root);
    assert_int_equal(mkdir(folder, 0755), 0);
    snprintf(path, sizeof path, "%s/process-supervisor", folder);
    write_file(path, "#!/bin/sh\nexec sleep 1000\n", 0755);
    snprintf(path, sizeof path, "%s/process.so", folder);
    copy_file(PROCESS_PLUGIN, path);
    snprintf(options, sizeof options, "{\"base_working_dir\": \"%s\", \"base_port\": 21000}", world.work);
    struct config *config = harness_config(world.harness);
    harness_add(config, "b", path, options);
    assert_true(harness_apply(world.harness, config));
    world.backend = backend_set_find(world.harness->set, "b");
    static const char spec[] = "{\"command\": [\"/bin/true\"]}";
    struct sbx_start start = {.size = sizeof start,
                              .sandbox_id = world_id(&world, "mute"),
                              .session_key = "key",
                              .spec_json = spec,
                              .spec_len = sizeof spec - 1,
                              .deadline_ms = clock_ms() + 2000};
    bool over = false;
    assert_non_null(backend_start(world.backend, &start, 2000, note_end, &over));
    RUN_UNTIL(world.harness, over && backend_in_flight(world.backend) == 0);
    RUN_UNTIL(world.harness, world_clean(&world, "mute"));
}

static void a_pause_that_comes_when_the_program_has_ended_says_so(void **state)
{
    (void)state;
    assert_true(world_start(&world, "late", ""));
    wait_for_answer("late");
    pid_t agent, supervisor = world_supervisor(&world, "late");
    assert_int_equal(world_processes(&world, "late", &agent, 1), 1);
    assert_int_equal(kill(supervisor, SIGSTOP), 0);
    assert_int_equal(kill(agent, SIGKILL), 0);
    /* Its mark is gone from /proc before its parent can wait for it. */
    RUN_UNTIL(world.harness, world_letter(agent) == 'Z');
    bool over = false;
    assert_non_null(
        backend_act(world.backend, BACKEND_PAUSE, world_id(&world, "late"), 30000, note_end, &over));
    assert_int_equal(kill(supervisor, SIGCONT), 0);
    RUN_UNTIL(world.harness, over);
    assert_string_equal(last_error.code, "NOT_RUNNING");
    assert_true(world_act(&world, BACKEND_REMOVE, "late"));
}

/* In the place of a supervisor whose statuses end where those of older builds do. */
static _Noreturn void be_older(const char *control_dir, uint64_t incarnation)
{
    struct wire_status status = {.size = WIRE_STATUS_LEAST,
                                 .version = WIRE_VERSION,
                                 .phase = WIRE_RUNNING,
                                 .supervisor = getpid(),
                                 .exit_code = -1,
                                 .incarnation = incarnation};
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = WIRE_SOCKET_NAME};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (chdir(control_dir) != 0 || fcntl(open(WIRE_LOCK_NAME, O_RDWR), F_OFD_SETLK, &whole) != 0 ||
        unlink(WIRE_SOCKET_NAME) != 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
        _exit(1);
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (send(peer, &status, WIRE_STATUS_LEAST, MSG_NOSIGNAL) < 0)
            _exit(1);
    }
}

static void a_supervisor_of_an_older_build_is_understood(void **state)
{
    (void)state;
    assert_true(world_start(&world, "old", ""));
    char path[300], text[4096] = "";
    snprintf(path, sizeof path, "%s/%s/record", world.state, world_id(&world, "old"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    const char *at = strstr(text, "\"incarnation\":");
    assert_non_null(at);
    uint64_t incarnation = strtoull(at + strlen("\"incarnation\":"), NULL, 10), until = clock_ms() + 20000;
    pid_t supervisor = world_supervisor(&world, "old");
    world_close(&world);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    while (world_supervisor(&world, "old") != 0)
        assert_true(clock_ms() < until);
    *strrchr(path, '/') = '\0';
    fflush(stdout);
    pid_t older = fork();
    if (older == 0)
        be_older(path, incarnation);

    world_reopen(&world, "\"stop_timeout\": \"1s\"");
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "old"), RUNNING);
    assert_int_equal(kill(older, SIGKILL), 0);
    assert_int_equal(waitpid(older, NULL, 0), older);
    assert_true(world_act(&world, BACKEND_REMOVE, "old"));
    RUN_UNTIL(world.harness, world_clean(&world, "old"));
}

/* ---- listings -------------------------------------------------------------------------------- */

static void a_listing_names_also_what_ends_while_it_lasts(void **state)
{
    (void)state;
    assert_true(world_start(&world, "hangs", ""));
    assert_true(world_start(&world, "ends", "\"--fork-away\", \"--ignore-term\""));
    wait_for_answer("ends");
    pid_t pids[4], hangs = world_supervisor(&world, "hangs");
    RUN_UNTIL(world.harness, world_processes(&world, "ends", pids, 4) == 2);
    assert_int_equal(kill(hangs, SIGSTOP), 0); /* so that listings take their time */
    world_reload(&world, "\"stop_timeout\": \"1500ms\"");
    assert_true(world_list(&world));
    world_ask(world_port(&world, "ends"), "POST /exit?code=3");
    RUN_UNTIL(world.harness, world_state(&world, "ends") == ENDED);
    size_t before = world.harness->seen.len;
    bool over = false;
    assert_non_null(backend_list(world.backend, 30000, note_end, &over));
    RUN_UNTIL(world.harness, over);
    assert_int_equal(world_supervisor(&world, "ends"), 0);
    assert_non_null(strstr(buffer_text(&world.harness->seen) + before, world_id(&world, "ends")));
    assert_int_equal(kill(hangs, SIGCONT), 0);
    assert_true(world_act(&world, BACKEND_REMOVE, "hangs"));
    assert_true(world_act(&world, BACKEND_REMOVE, "ends"));
}

static void a_listing_that_a_reload_cuts_off_fails_as_unavailable(void **state)
{
    (void)state;
    assert_true(world_start(&world, "hangs", ""));
    pid_t hangs = world_supervisor(&world, "hangs");
    assert_int_equal(kill(hangs, SIGSTOP), 0);
    world_reload(&world, "\"stop_timeout\": \"1500ms\"");
    bool over = false;
    assert_non_null(backend_list(world.backend, 30000, note_end, &over));
    world_reload(&world, "\"stop_timeout\": \"2s\"");
    RUN_UNTIL(world.harness, over);
    assert_int_equal(last_error.kind, SBX_ERR_UNAVAILABLE);
    assert_int_equal(kill(hangs, SIGCONT), 0);
    assert_true(world_act(&world, BACKEND_REMOVE, "hangs"));
}

static void a_record_that_is_older_than_its_run_is_read_again(void **state)
{
    (void)state;
    assert_true(world_start(&world, "moves", ""));
    int port = world_port(&world, "moves");
    char path[300], text[4096] = "", stale[4200], number[32];
    snprintf(path, sizeof path, "%s/%s/record", world.state, world_id(&world, "moves"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    /* As a new instance finds it while the old one starts the program anew. */
    int len = snprintf(number, sizeof number, "\"incarnation\":");
    char *at = strstr(text, number);
    assert_non_null(at);
    snprintf(stale, sizeof stale, "%.*s 5%s", (int)(at + len - text), text, strchr(at, ','));
    char *of_port = strstr(stale, "\"port\":");
    assert_non_null(of_port);
    of_port[strcspn(of_port, "2")] = '3';
    write_file(path, stale, 0600);
    world_reload(&world, "\"stop_timeout\": \"1500ms\"");
    bool over = false;
    assert_non_null(backend_list(world.backend, 30000, note_end, &over));
    uint64_t until = clock_ms() + 100;
    RUN_UNTIL(world.harness, over || clock_ms() > until);
    write_file(path, text, 0600);
    RUN_UNTIL(world.harness, over);
    assert_int_equal(world_state(&world, "moves"), RUNNING);
    assert_int_equal(world_port(&world, "moves"), port);
    assert_true(world_act(&world, BACKEND_REMOVE, "moves"));
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void an_exit_is_recorded_also_on_a_full_disk(void **state)
{
    (void)state;
    char path[200];
    world_close(&world);
    snprintf(path, sizeof path, "%s/state", world.root);
    if (!mount_on(path, "none", "tmpfs", 0, "size=256k,mode=0700"))
        skip();
    world_reopen(&world, "");
    assert_true(world_start(&world, "full", ""));
    wait_for_answer("full");
    snprintf(path, sizeof path, "%s/state/filler", world.root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static const char page[4096];
    while (write(fd, page, sizeof page) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    close(fd);
    int port = world_port(&world, "full");
    world_close(&world);
    world_ask(port, "POST /exit?code=5");
    uint64_t until = clock_ms() + 20000;
    while (world_supervisor(&world, "full") != 0)
        assert_true(clock_ms() < until);
    world_reopen(&world, "");
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "full"), ENDED);
    assert_null(strstr(world_report(&world, "full"), "error="));
    assert_true(world_act(&world, BACKEND_REMOVE, "full"));
    world_close(&world);
}

static void removal_stops_at_a_mount(void **state)
{
    (void)state;
    assert_true(world_start(&world, "mount", ""));
    char path[200], precious[300];
    snprintf(path, sizeof path, "%s/precious", world.root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(precious, sizeof precious, "%s/file", path);
    write_file(precious, "x", 0600);
    char target[300];
    snprintf(target, sizeof target, "%s/%s", world.work, world_id(&world, "mount"));
    if (!mount_on(target, path, NULL, MS_BIND, NULL))
        skip();
    assert_false(world_act(&world, BACKEND_REMOVE, "mount"));
    assert_int_equal(access(precious, F_OK), 0);
    unmount();
    assert_true(world_act(&world, BACKEND_REMOVE, "mount"));
    RUN_UNTIL(world.harness, world_clean(&world, "mount"));
    assert_int_equal(access(precious, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_start_whose_supervisor_never_speaks_can_be_cancelled),
        TEST(a_supervisor_of_an_older_build_is_understood),
        TEST(a_pause_that_comes_when_the_program_has_ended_says_so),
        TEST(a_listing_that_a_reload_cuts_off_fails_as_unavailable),
        TEST(a_listing_names_also_what_ends_while_it_lasts),
        TEST(a_record_that_is_older_than_its_run_is_read_again),
        TEST(an_exit_is_recorded_also_on_a_full_disk),
        TEST(removal_stops_at_a_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
