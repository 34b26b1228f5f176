/* test_supervisor.c: the supervisor itself, driven through the protocol of wire.h without a plugin.
 */
#include "common/bytes.h"
#include "common/tree.h"
#include "control_dir.h"
#include "directory.h"
#include "logfile.h"
#include "port.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, INCARNATION = 7 };

struct run {
    char root[64];
    int state_dir, dir;
    int link;
    pid_t pid;
    uint16_t port;
    struct wire_status last;
};

static struct run run;

static int setup(void **state)
{
    (void)state;
    run = (struct run){.root = "/tmp/sandboxd-supervisor-XXXXXX", .dir = -1, .link = -1};
    assert_non_null(mkdtemp(run.root));
    run.state_dir = open(run.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 ? 0 : -1;
}

static void wait_for_end(void)
{
    if (run.pid > 0)
        assert_int_equal(waitpid(run.pid, NULL, 0), run.pid);
    run.pid = 0;
}

static int teardown(void **state)
{
    (void)state;
    if (run.pid > 0) {
        kill(run.pid, SIGTERM);
        wait_for_end();
    }
    close(run.link);
    close(run.dir);
    close(run.state_dir);
    int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = tree_remove(folder, run.root + strlen("/tmp/"), NULL);
    close(folder);
    return result;
}

/* ---- launching ------------------------------------------------------------------------------- */

struct launch_options {
    uint64_t log_size, files;
    uint32_t stop_timeout_ms;
    const char *freezer1; /* a control group; NULL: none */
};

static int launch_file(const char *const *arguments, const struct launch_options *options)
{
    struct wire_launch head = {.magic = WIRE_MAGIC,
                               .version = WIRE_VERSION,
                               .size = sizeof head,
                               .environment = 2,
                               .flags = options->freezer1 ? WIRE_LAUNCH_FREEZER1 : 0u,
                               .cgroups = options->freezer1 ? 1 : 0,
                               .port = run.port,
                               .stop_timeout_ms = options->stop_timeout_ms,
                               .files = options->files,
                               .log_size = options->log_size,
                               .incarnation = INCARNATION};
    struct bytes launch = {.max = 65536};
    while (arguments[head.arguments])
        head.arguments++;
    bytes_add(&launch, &head, sizeof head);
    for (uint32_t i = 0; i < head.arguments; i++)
        bytes_add(&launch, arguments[i], strlen(arguments[i]) + 1);
    bytes_add(&launch, "PATH=/usr/bin:/bin", 19);
    bytes_add(&launch, "COLOUR=blue", 12);
    if (options->freezer1)
        bytes_add(&launch, options->freezer1, strlen(options->freezer1) + 1);
    int fd = memfd_create("launch", MFD_CLOEXEC);
    assert_int_equal(write(fd, launch.data, launch.len), (ssize_t)launch.len);
    bytes_finish(&launch);
    return fd;
}

/* Starts a supervisor as the plugin does. */
static void launch_with(const char *const *arguments, struct launch_options options)
{
    int lock, pair[2];
    _Atomic unsigned cursor = 0;
    if (run.dir < 0) {
        run.dir = control_dir_make(run.state_dir, "box", &lock);
    } else {
        lock = control_dir_lock(run.dir);
    }
    assert_true(run.dir >= 0 && lock >= 0);
    int reservation = port_reserve(22000, 1000, 0, &cursor, &run.port);
    assert_true(reservation >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    int fds[] = {launch_file(arguments, &options), dup(run.dir), dup(run.dir), pair[1], lock, reservation};
    fflush(stdout);
    run.pid = fork();
    if (run.pid == 0) {
        setsid();
        for (int i = 0; i < 6; i++)
            fds[i] = fcntl(fds[i], F_DUPFD, 50);
        for (int i = 0; i < 6; i++)
            dup2(fds[i], WIRE_FD_LAUNCH + i);
        close_range(WIRE_FD_PORT + 1, ~0u, 0);
        execl(PROCESS_SUPERVISOR, "process-supervisor", "box", (char *)NULL);
        _exit(126);
    }
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    run.link = pair[0];
}

static void launch_shell(const char *script, struct launch_options options)
{
    const char *const arguments[] = {"/bin/sh", "-c", script, NULL};
    launch_with(arguments, options);
}

static const struct launch_options usual = {.log_size = 65536, .stop_timeout_ms = 2000};

/* ---- talking --------------------------------------------------------------------------------- */

/* The next status; false at the end of the connection. */
static bool receive_on(int link)
{
    struct pollfd poll_for = {.fd = link, .events = POLLIN};
    assert_int_equal(poll(&poll_for, 1, PATIENCE_MS), 1);
    ssize_t len = recv(link, &run.last, sizeof run.last, 0);
    assert_true(len <= 0 || len == (ssize_t)sizeof run.last);
    return len > 0;
}

static void wait_phase(uint32_t phase)
{
    do
        assert_true(receive_on(run.link));
    while (run.last.phase != phase);
}

static void ask(enum wire_request_type type, uint64_t value, uint32_t flags)
{
    struct wire_request request = {
        .size = sizeof request, .type = type, .serial = 99, .flags = flags, .value = value};
    assert_int_equal(send(run.link, &request, sizeof request, MSG_NOSIGNAL), (ssize_t)sizeof request);
}

static int32_t answer(enum wire_request_type type, uint64_t value)
{
    ask(type, value, 0);
    do
        assert_true(receive_on(run.link));
    while (run.last.answers != 99);
    return run.last.result;
}

static void end_and_wait(uint64_t timeout_ms)
{
    ask(WIRE_END, timeout_ms, 0);
    while (receive_on(run.link))
        continue;
    wait_for_end();
}

static const char *log_text(void)
{
    static char text[131072];
    uint64_t position = logfile_tail(run.dir, 1000000, UINT64_MAX);
    size_t len = 0;
    for (size_t got; (got = logfile_read(run.dir, &position, text + len, sizeof text - 1 - len)) > 0;)
        len += got;
    text[len] = '\0';
    return text;
}

/* Waits until the log has this text, as the supervisor tells of more output than was looked at. */
static void wait_log(const char *text)
{
    for (const char *log; !strstr(log = log_text(), text);)
        assert_int_equal(answer(WIRE_OUTPUT, strlen(log)), 0);
}

/* Its state, as in /proc/PID/stat; 0: it is gone. */
static char letter_of(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    const char *after = len > 0 ? strrchr(text, ')') : NULL;
    return after ? after[2] : '\0';
}

/* Stopped, or in vfork(2) waiting for a child that is. */
static bool stands_still(pid_t pid)
{
    char letter = letter_of(pid);
    return letter == 'T' || letter == 'D';
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void the_program_gets_exactly_its_arguments_and_environment(void **state)
{
    (void)state;
    launch_shell("tr '\\0' '\\n' < /proc/$$/environ; pwd; ulimit -n; "
                 "for fd in 3 4 5 6 7 8 9 10 11 12; do test -e /proc/$$/fd/$fd && echo open $fd; done; "
                 "ps -o sid= -p $$ | tr -d ' '; echo $$",
                 (struct launch_options){.log_size = 65536, .files = 77, .stop_timeout_ms = 1000});
    pid_t pid = 0;
    do {
        assert_true(receive_on(run.link));
        pid = run.last.agent ? run.last.agent : pid;
    } while (run.last.phase != WIRE_EXITED);
    char expected[256];
    snprintf(expected, sizeof expected, "PATH=/usr/bin:/bin\nCOLOUR=blue\n%s/box\n77\n%d\n%d\n", run.root,
             (int)pid, (int)pid);
    assert_string_equal(log_text(), expected);
}

static void an_exit_is_recorded_and_told(void **state)
{
    (void)state;
    launch_shell("exit 42", usual);
    wait_phase(WIRE_EXITED);
    assert_int_equal(run.last.exit_code, 42);
    while (receive_on(run.link))
        continue;
    wait_for_end();
    struct wire_status exit;
    assert_true(control_dir_read_exit(run.dir, INCARNATION, &exit));
    assert_int_equal(exit.exit_code, 42);
    assert_false(control_dir_read_exit(run.dir, INCARNATION + 1, &exit));
    assert_false(control_dir_locked(run.dir));
}

static void a_signal_is_recorded_and_told(void **state)
{
    (void)state;
    launch_shell("kill -SEGV $$", usual);
    wait_phase(WIRE_EXITED);
    assert_int_equal(run.last.exit_code, -1);
    assert_int_equal(run.last.exit_signal, SIGSEGV);
}

static void a_launch_that_fails_says_where(void **state)
{
    (void)state;
    const char *const arguments[] = {"no-such-program", NULL};
    launch_with(arguments, usual);
    wait_phase(WIRE_FAILED);
    assert_int_equal(run.last.step, WIRE_STEP_EXEC);
    assert_int_equal(run.last.error, ENOENT);
    wait_for_end();
    struct wire_status exit;
    assert_true(control_dir_read_exit(run.dir, INCARNATION, &exit));
    assert_int_equal(exit.phase, WIRE_FAILED);
}

static void ending_reaches_what_forked_away(void **state)
{
    (void)state;
    launch_shell(
        "(setsid sh -c 'trap \"\" TERM; (setsid env -i sh -c \"trap : TERM; echo far; while :; do sleep 100; "
        "done\" &) ; while :; do sleep 100; done' &); echo near; sleep 100",
        usual);
    wait_log("far");
    wait_log("near");
    end_and_wait(100);
    /* This process is a subreaper too: nothing may have been left to it. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void ending_is_gentle_first(void **state)
{
    (void)state;
    launch_shell("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done", usual);
    wait_log("up");
    end_and_wait(20000);
    assert_non_null(strstr(log_text(), "bye"));
    assert_int_equal(run.last.exit_code, 5);
}

/* A shell that saw the stop of its command would go on behind it, and print FAILED. The many processes
 * between the two give the shell time to see it. The command ends when it is told to, the program
 * only when it is ended. */
#define CROWD "mkfifo go; for i in $(seq 150); do sleep 1000 & done; "
#define COMMAND                                                                                              \
    "sh -c \"echo be\\\"\\\"gun; exec cat go\" && echo O\"\"K || echo F\"\"AILED rc=$?; sleep 1000"

static void pause_amid_a_command(const char *const *arguments)
{
    launch_with(arguments, usual);
    wait_phase(WIRE_RUNNING);
    wait_log("begun");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(answer(WIRE_FREEZE, 0), 0);
        assert_int_equal(answer(WIRE_THAW, 0), 0);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/box/go", run.root);
    int go = open(path, O_WRONLY | O_CLOEXEC); /* whoever reads it is there, and ends with this */
    assert_true(go >= 0);
    close(go);
    while (!strstr(log_text(), "OK") && !strstr(log_text(), "FAILED"))
        assert_int_equal(answer(WIRE_OUTPUT, run.last.output), 0);
    if (!strstr(log_text(), "OK") || strstr(log_text(), "Stopped"))
        fail_msg("the shell saw the stop: %s", log_text());
    end_and_wait(0);
}

static void a_pause_amid_a_command_is_not_seen_by_a_shell_with_job_control(void **state)
{
    (void)state;
    const char *const arguments[] = {"/bin/bash", "-mc", CROWD COMMAND, NULL};
    pause_amid_a_command(arguments);
}

static void a_pause_amid_a_command_is_not_seen_by_a_plain_shell(void **state)
{
    (void)state;
    const char *const arguments[] = {"/bin/sh", "-c", CROWD COMMAND, NULL};
    pause_amid_a_command(arguments);
}

/* Interactive, on a terminal of its own: its command has a process group to itself. */
static void a_pause_amid_a_command_is_not_seen_by_an_interactive_shell(void **state)
{
    (void)state;
    const char *const arguments[] = {
        "/bin/sh", "-c",
        "(echo '" CROWD COMMAND
        "'; sleep 1000) | python3 -c 'import pty; pty.spawn([\"bash\", \"--norc\", \"-i\"])'",
        NULL};
    pause_amid_a_command(arguments);
}

static void freezing_stops_the_whole_tree_and_thawing_goes_on(void **state)
{
    (void)state;
    launch_shell("(setsid sh -c 'echo away $$; while :; do echo tick; sleep 0.01; done' &); sleep 1000",
                 usual);
    wait_log("tick");
    pid_t away = (pid_t)strtol(strstr(log_text(), "away ") + 5, NULL, 10);
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    assert_int_equal(run.last.phase, WIRE_FROZEN);
    assert_true(stands_still(away));
    assert_true(stands_still(run.last.agent));
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    assert_int_equal(answer(WIRE_THAW, 0), 0);
    assert_int_equal(answer(WIRE_OUTPUT, run.last.output + 10), 0); /* it ticks again */
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    end_and_wait(5000); /* what stands still can be ended */
    assert_int_equal(run.last.exit_signal, SIGTERM);
}

static void wait_halted(bool halted)
{
    do
        assert_true(receive_on(run.link));
    while (run.last.phase != (halted ? WIRE_FROZEN : WIRE_RUNNING) ||
           (run.last.flags & WIRE_HALTED) != (halted ? WIRE_HALTED : 0u));
}

/* The program forks no more once it is up: in vfork(2) it would wait for its child, and no signal
 * would be seen to stop it, nor to set it free. */
static void a_stop_from_outside_is_told_and_so_is_its_end(void **state)
{
    (void)state;
    launch_shell("sleep 1000 & echo up; wait", usual);
    wait_phase(WIRE_RUNNING); /* it has the pid, too */
    wait_log("up");
    assert_int_equal(answer(WIRE_OUTPUT, 0),
                     0); /* the newest state: the log may be ahead of what was told before */
    pid_t agent = run.last.agent;
    assert_true(agent > 0); /* 0 would stop this program and all of its group */
    assert_int_equal(kill(agent, SIGSTOP), 0);
    wait_halted(true);
    assert_int_equal(kill(agent, SIGCONT), 0);
    wait_halted(false);
    assert_int_equal(kill(agent, SIGSTOP), 0);
    wait_halted(true);
    assert_int_equal(answer(WIRE_THAW, 0), 0);
    assert_int_equal(run.last.phase, WIRE_RUNNING);
    assert_int_not_equal(letter_of(agent), 'T');

    /* A pause makes it a frozen one like any other. */
    assert_int_equal(kill(agent, SIGSTOP), 0);
    wait_halted(true);
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    assert_int_equal(run.last.phase, WIRE_FROZEN);
    assert_int_equal(run.last.flags & WIRE_HALTED, 0);
    assert_int_equal(answer(WIRE_THAW, 0), 0);
    assert_int_not_equal(letter_of(agent), 'T');

    /* Who sets the program free sets all of its tree free. */
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    assert_int_equal(kill(agent, SIGCONT), 0);
    wait_halted(false);
    assert_int_equal(kill(agent, SIGSTOP), 0);
    wait_halted(true);
    end_and_wait(5000);
    assert_int_equal(run.last.exit_signal, SIGTERM);
    assert_int_equal(run.last.flags & WIRE_HALTED, 0);
}

#define FREEZER1 "/sys/fs/cgroup/freezer"

static void the_freezer_of_version_1_serves_where_it_is_what_there_is(void **state)
{
    (void)state;
    char group[128], text[32] = "";
    snprintf(group, sizeof group, FREEZER1 "/sandboxd-test-%d", (int)getpid());
    if (mkdir(group, 0755) != 0)
        skip(); /* not root, or no such hierarchy */
    struct launch_options options = usual;
    options.freezer1 = group;
    launch_shell("echo up; while :; do echo tick; sleep 0.01; done", options);
    wait_phase(WIRE_RUNNING); /* it has the pid, too */
    wait_log("tick");
    pid_t agent = run.last.agent;
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    char path[160];
    snprintf(path, sizeof path, "%s/freezer.state", group);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_string_equal(text, "FROZEN\n");
    assert_int_equal(answer(WIRE_THAW, 0), 0);
    assert_int_equal(answer(WIRE_OUTPUT, run.last.output + 10), 0);
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    end_and_wait(0); /* what is frozen can be killed */
    assert_int_equal(run.last.exit_signal, SIGKILL);
    assert_int_equal(kill(agent, 0), -1);
    assert_int_equal(access(group, F_OK), -1);
}

static void a_talkative_program_is_never_blocked_and_the_log_stays_within_its_bound(void **state)
{
    (void)state;
    launch_shell("yes 0123456789 | head -c 5000000; echo; echo the end",
                 (struct launch_options){.log_size = 65536, .stop_timeout_ms = 1000});
    wait_phase(WIRE_EXITED);
    size_t len = strlen(log_text());
    assert_true(len <= 65536 && len >= 32768);
    assert_non_null(strstr(log_text(), "the end\n"));
    assert_true(run.last.output > 5000000);

    /* The next run goes on in the same log. */
    close(run.link);
    wait_for_end();
    launch_shell("echo once more", (struct launch_options){.log_size = 65536, .stop_timeout_ms = 1000});
    wait_phase(WIRE_EXITED);
    assert_non_null(strstr(log_text(), "the end\nonce more\n"));
    assert_true(strlen(log_text()) <= 65536);
}

static void it_outlives_who_started_it_and_others_can_connect(void **state)
{
    (void)state;
    launch_shell("echo up; sleep 1000", usual);
    wait_log("up");
    close(run.link);
    assert_int_equal(kill(run.pid, SIGHUP), 0);
    assert_int_equal(kill(run.pid, SIGINT), 0);
    int links[2];
    for (int i = 0; i < 2; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s/box/control", run.root);
        links[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(links[i], (const struct sockaddr *)&address, sizeof address), 0);
        run.link = links[i];
        wait_phase(WIRE_RUNNING);
        assert_int_equal(run.last.supervisor, run.pid);
    }
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    run.link = links[0]; /* it hears of what the other one asked for */
    wait_phase(WIRE_FROZEN);
    close(links[1]);
    end_and_wait(0);
}

static void a_second_one_can_not_be_started(void **state)
{
    (void)state;
    launch_shell("echo up; sleep 1000", usual);
    wait_log("up");
    assert_true(control_dir_locked(run.dir));
    assert_int_equal(control_dir_lock(run.dir), -1);
    assert_int_equal(errno, EAGAIN);
    _Atomic unsigned cursor = 0;
    uint16_t port;
    assert_int_equal(port_reserve(run.port, 1, 0, &cursor, &port), -1);
    end_and_wait(0);
    assert_false(control_dir_locked(run.dir));
}

static void a_killed_supervisor_ends_its_program(void **state)
{
    (void)state;
    launch_shell("echo up; exec sleep 1000", usual);
    wait_phase(WIRE_RUNNING); /* it has the pid, too */
    wait_log("up");
    pid_t agent = run.last.agent;
    kill(run.pid, SIGKILL);
    wait_for_end();
    assert_int_equal(waitpid(agent, NULL, 0), agent); /* comes to this process, being a subreaper */
    struct wire_status exit;
    assert_false(control_dir_read_exit(run.dir, INCARNATION, &exit));
    assert_false(control_dir_locked(run.dir));
}

static void nonsense_on_its_socket_is_cut_off_and_hurts_nobody(void **state)
{
    (void)state;
    launch_shell("echo up; sleep 1000", usual);
    wait_log("up");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/box/control", run.root);
    int link = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(link, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(link, "nonsense", 8, MSG_NOSIGNAL), 8);
    while (receive_on(link))
        continue;
    close(link);
    assert_int_equal(answer(12345, 0), ENOSYS);
    assert_int_equal(answer(WIRE_FREEZE, 0), 0);
    end_and_wait(0);
}

static void without_its_descriptors_it_refuses_to_run(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        close_range(3, ~0u, 0);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        close(null);
        execl(PROCESS_SUPERVISOR, "process-supervisor", (char *)NULL);
        _exit(126);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_program_gets_exactly_its_arguments_and_environment),
        TEST(an_exit_is_recorded_and_told),
        TEST(a_signal_is_recorded_and_told),
        TEST(a_launch_that_fails_says_where),
        TEST(ending_reaches_what_forked_away),
        TEST(ending_is_gentle_first),
        TEST(a_pause_amid_a_command_is_not_seen_by_a_shell_with_job_control),
        TEST(a_pause_amid_a_command_is_not_seen_by_a_plain_shell),
        TEST(a_pause_amid_a_command_is_not_seen_by_an_interactive_shell),
        TEST(freezing_stops_the_whole_tree_and_thawing_goes_on),
        TEST(a_stop_from_outside_is_told_and_so_is_its_end),
        TEST(the_freezer_of_version_1_serves_where_it_is_what_there_is),
        TEST(a_talkative_program_is_never_blocked_and_the_log_stays_within_its_bound),
        TEST(it_outlives_who_started_it_and_others_can_connect),
        TEST(a_second_one_can_not_be_started),
        TEST(a_killed_supervisor_ends_its_program),
        TEST(nonsense_on_its_socket_is_cut_off_and_hurts_nobody),
        TEST(without_its_descriptors_it_refuses_to_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
