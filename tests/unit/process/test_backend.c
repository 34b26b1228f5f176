/* test_backend.c: the process plugin in a real host, with real agents. */
#include "world.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RUNNING = SBX_STATE_RUNNING,
    PAUSED = SBX_STATE_PAUSED,
    STOPPED = SBX_STATE_STOPPED,
    ENDED = SBX_STATE_ENDED
};

static struct world world;

static int setup(void **state)
{
    (void)state;
    world_open(&world, "\"stop_timeout\": \"2s\"");
    return world.backend ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    world_close(&world);
    world_remove(&world);
    return 0;
}

static void wait_for_answer(int port)
{
    uint64_t until = clock_ms() + 20000;
    while (!strstr(world_ask(port, "GET /alive"), " 200 ")) {
        assert_true(clock_ms() < until);
        usleep(1000);
    }
}

static pid_t agent_pid(int port)
{
    wait_for_answer(port);
    const char *at = strstr(world_ask(port, "GET /whoami"), "\"pid\": ");
    return at ? (pid_t)strtol(at + 7, NULL, 10) : 0;
}

/* A listener of another program, with SO_REUSEADDR; -1 when the port is taken. */
static int grab(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0)
        return fd;
    close(fd);
    return -1;
}

static void remove_and_check(const char *id)
{
    assert_true(world_act(&world, BACKEND_REMOVE, id));
    RUN_UNTIL(world.harness, world_clean(&world, id));
}

/* ---- starts ---------------------------------------------------------------------------------- */

static void a_start_runs_the_program_in_its_own_directory_and_environment(void **state)
{
    (void)state;
    assert_true(world_start(&world, "one", ""));
    assert_int_equal(world_state(&world, "one"), RUNNING);
    int port = world_port(&world, "one");
    pid_t pid = agent_pid(port);
    assert_true(pid > 0 && getsid(pid) == pid);
    assert_non_null(strstr(world_ask(port, "GET /whoami"), world_id(&world, "one")));
    assert_non_null(strstr(world_ask(port, "GET /env?name=SESSION_API_KEY"), "the-key-of-the-sandbox"));
    assert_non_null(strstr(world_ask(port, "GET /env?name=OH_SESSION_API_KEYS_0"), "the-key-of-the-sandbox"));
    assert_non_null(strstr(world_ask(port, "GET /env?name=COLOUR"), "blue"));
    assert_non_null(strstr(world_ask(port, "GET /env?name=PATH"), getenv("PATH")));
    assert_non_null(strstr(world_ask(port, "GET /env?name=USER_SECRET"), "null"));

    char link[64], directory[256], expected[256];
    struct stat info;
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    ssize_t len = readlink(link, directory, sizeof directory - 1);
    directory[len > 0 ? len : 0] = '\0';
    snprintf(expected, sizeof expected, "%s/%s", world.work, world_id(&world, "one"));
    assert_string_equal(directory, expected);
    assert_int_equal(stat(directory, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    remove_and_check("one");
}

static void the_session_key_is_in_no_argument_and_no_readable_file(void **state)
{
    (void)state;
    assert_true(world_start(&world, "secret", ""));
    char path[300], text[512];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s/record", world.state, world_id(&world, "secret"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    snprintf(path, sizeof path, "%s/%s", world.state, world_id(&world, "secret"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    static const char *const files[] = {"cmdline", "environ"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)world_supervisor(&world, "secret"), files[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, text, sizeof text);
        close(fd);
        assert_true(len >= 0 && !memmem(text, (size_t)len, "the-key", 7));
    }
    remove_and_check("secret");
}

static void a_program_that_does_not_exist_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_false(world_start_command(&world, "none", "[\"/nonexistent/program\"]", false));
    assert_string_equal(world_error(&world), "COMMAND_NOT_FOUND: /nonexistent/program does not exist, or the "
                                             "interpreter that its first line names doesn't (in a "
                                             "script with CRLF line ends its name ends in a CR)");
    RUN_UNTIL(world.harness, world_clean(&world, "none"));
    assert_false(world_start_command(&world, "none", "[\"no-such-program-in-path\"]", false));
    assert_non_null(strstr(world_error(&world), "COMMAND_NOT_FOUND: no-such-program-in-path"));
    assert_false(world_start_command(&world, "none", "[\"/etc/passwd\"]", false));
    assert_non_null(strstr(world_error(&world), "/etc/passwd may not be executed"));
    RUN_UNTIL(world.harness, world_clean(&world, "none"));
}

static void a_wrong_spec_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_false(world_start_command(&world, "wrong", "[]", false));
    assert_non_null(strstr(world_error(&world), "command must be a list"));
    assert_false(world_start_command(&world, "wrong", "[1]", false));
    assert_non_null(strstr(world_error(&world), "command[0] must be a text"));
    RUN_UNTIL(world.harness, world_clean(&world, "wrong"));
    assert_false(world_start(&world, "../outside", ""));
}

static void a_program_that_ends_at_once_is_reported_with_code_and_output(void **state)
{
    (void)state;
    assert_true(
        world_start_command(&world, "brief", "[\"/bin/sh\", \"-c\", \"echo no luck; exit 7\"]", false));
    RUN_UNTIL(world.harness, world_state(&world, "brief") == ENDED);
    assert_non_null(strstr(world_report(&world, "brief"), "log_tail=no luck"));
    remove_and_check("brief");
}

static void twenty_starts_at_once_have_twenty_ports(void **state)
{
    (void)state;
    bool taken[65536] = {false};
    char id[16];
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "many-%d", i);
        assert_true(world_start(&world, id, "\"--bind-delay\", \"100\""));
        int port = world_port(&world, id);
        assert_false(taken[port]);
        taken[port] = true;
    }
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "many-%d", i);
        wait_for_answer(world_port(&world, id));
        assert_non_null(strstr(world_ask(world_port(&world, id), "GET /whoami"), world_id(&world, id)));
    }
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "many-%d", i);
        remove_and_check(id);
    }
}

/* ---- pause, resume, end ---------------------------------------------------------------------- */

static void pause_stops_the_whole_tree_and_resume_goes_on_with_it(void **state)
{
    (void)state;
    assert_true(world_start(&world, "tree", "\"--fork-away\""));
    int port = world_port(&world, "tree");
    pid_t pid = agent_pid(port), pids[16];
    size_t count;
    RUN_UNTIL(world.harness, (count = world_processes(&world, "tree", pids, 16)) == 2);
    assert_true(world_act(&world, BACKEND_PAUSE, "tree"));
    assert_int_equal(world_state(&world, "tree"), PAUSED);
    assert_true(world_act(&world, BACKEND_PAUSE, "tree"));
    for (size_t i = 0; i < count; i++)
        assert_non_null(strchr("TSD", world_letter(pids[i])));
    assert_true(world_act(&world, BACKEND_RESUME, "tree"));
    assert_true(world_act(&world, BACKEND_RESUME, "tree"));
    assert_int_equal(world_state(&world, "tree"), RUNNING);
    assert_int_equal(world_port(&world, "tree"), port);
    assert_int_equal(agent_pid(port), pid);
    remove_and_check("tree");
    for (size_t i = 0; i < count; i++)
        assert_true(kill(pids[i], 0) != 0);
}

static void a_paused_sandbox_can_be_removed(void **state)
{
    (void)state;
    assert_true(world_start(&world, "cold", "\"--ignore-term\", \"--fork-away\""));
    assert_true(world_act(&world, BACKEND_PAUSE, "cold"));
    remove_and_check("cold");
}

static void what_ended_is_resumed_with_its_files_and_key(void **state)
{
    (void)state;
    assert_true(world_start_command(
        &world, "again", "[\"/bin/sh\", \"-c\", \"echo $SESSION_API_KEY >> keys; exit 3\"]", false));
    RUN_UNTIL(world.harness, world_state(&world, "again") == ENDED);
    assert_true(world_act(&world, BACKEND_RESUME, "again"));
    RUN_UNTIL(world.harness, world_state(&world, "again") == ENDED);
    char path[256], text[256];
    snprintf(path, sizeof path, "%s/%s/keys", world.work, world_id(&world, "again"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    assert_string_equal(text, "the-key-of-the-sandbox\nthe-key-of-the-sandbox\n");
    assert_false(world_act(&world, BACKEND_PAUSE, "again"));
    assert_non_null(strstr(world_error(&world), "NOT_RUNNING"));
    remove_and_check("again");
}

static void stop_keeps_the_files_and_is_no_failure(void **state)
{
    (void)state;
    assert_true(world_start(&world, "rest", ""));
    pid_t pid = agent_pid(world_port(&world, "rest"));
    assert_true(world_act(&world, BACKEND_STOP, "rest"));
    assert_int_equal(world_state(&world, "rest"), STOPPED);
    assert_true(kill(pid, 0) != 0);
    assert_true(world_act(&world, BACKEND_RESUME, "rest"));
    assert_int_equal(world_state(&world, "rest"), RUNNING);
    wait_for_answer(world_port(&world, "rest"));
    remove_and_check("rest");
}

static void an_exit_by_itself_ends_the_rest_of_the_tree(void **state)
{
    (void)state;
    assert_true(world_start(&world, "leaves", "\"--fork-away\", \"--ignore-term\""));
    int port = world_port(&world, "leaves");
    wait_for_answer(port);
    pid_t pids[4];
    RUN_UNTIL(world.harness, world_processes(&world, "leaves", pids, 4) == 2);
    world_ask(port, "POST /exit?code=9");
    RUN_UNTIL(world.harness, world_state(&world, "leaves") == ENDED);
    assert_int_equal(world_processes(&world, "leaves", pids, 4), 1); /* it has its stop_timeout */
    RUN_UNTIL(world.harness, world_processes(&world, "leaves", pids, 4) == 0);
    RUN_UNTIL(world.harness, world_supervisor(&world, "leaves") == 0);
    remove_and_check("leaves");
}

static void what_does_not_exist_is_not_found_and_removing_it_succeeds(void **state)
{
    (void)state;
    assert_false(world_act(&world, BACKEND_PAUSE, "nobody"));
    assert_non_null(strstr(world_error(&world), "NOT_FOUND"));
    assert_false(world_act(&world, BACKEND_RESUME, "nobody"));
    assert_false(world_act(&world, BACKEND_STOP, "nobody"));
    assert_true(world_act(&world, BACKEND_REMOVE, "nobody"));
}

/* ---- crashes and reloads --------------------------------------------------------------------- */

static void a_killed_supervisor_takes_its_tree_with_it(void **state)
{
    (void)state;
    assert_true(world_start(&world, "headless", "\"--fork-away\""));
    wait_for_answer(world_port(&world, "headless"));
    pid_t pids[4];
    RUN_UNTIL(world.harness, world_processes(&world, "headless", pids, 4) == 2);
    assert_int_equal(kill(world_supervisor(&world, "headless"), SIGKILL), 0);
    RUN_UNTIL(world.harness, world_state(&world, "headless") == ENDED);
    assert_int_equal(world_processes(&world, "headless", pids, 4), 0);
    assert_non_null(strstr(world_report(&world, "headless"), "its supervisor was killed"));
    assert_true(world_act(&world, BACKEND_RESUME, "headless"));
    wait_for_answer(world_port(&world, "headless"));
    remove_and_check("headless");
}

static void a_supervisor_that_is_killed_amid_the_end_takes_the_rest_with_it(void **state)
{
    (void)state;
    world_reload(&world, "\"stop_timeout\": \"100s\"");
    assert_true(world_start_command(
        &world, "rest", "[\"/bin/sh\", \"-c\", \"(trap '' TERM; echo up; sleep 1000) & sleep 0.1; exit 3\"]",
        false));
    RUN_UNTIL(world.harness, world_state(&world, "rest") == ENDED);
    pid_t pids[4];
    assert_true(world_processes(&world, "rest", pids, 4) > 0);
    assert_int_equal(kill(world_supervisor(&world, "rest"), SIGKILL), 0);
    RUN_UNTIL(world.harness, world_processes(&world, "rest", pids, 4) == 0);

    /* It is known how the program itself ended. */
    world_close(&world);
    world_reopen(&world, "");
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "rest"), ENDED);
    assert_null(strstr(world_report(&world, "rest"), "its supervisor was killed"));
    remove_and_check("rest");
}

static void a_stuck_supervisor_does_not_prevent_removal(void **state)
{
    (void)state;
    world_reload(&world, "\"stop_timeout\": \"100ms\"");
    assert_true(world_start(&world, "stuck", ""));
    assert_int_equal(kill(world_supervisor(&world, "stuck"), SIGSTOP), 0);
    remove_and_check("stuck");
}

static void a_new_instance_finds_all_sandboxes_as_they_are(void **state)
{
    (void)state;
    assert_true(world_start(&world, "runs", ""));
    assert_true(world_start(&world, "sleeps", ""));
    assert_true(world_start_command(&world, "over", "[\"/bin/sh\", \"-c\", \"echo bye; exit 4\"]", false));
    int port = world_port(&world, "runs");
    pid_t pid = agent_pid(port);
    assert_true(world_act(&world, BACKEND_PAUSE, "sleeps"));
    RUN_UNTIL(world.harness, world_state(&world, "over") == ENDED);

    world_reload(&world, "\"stop_timeout\": \"1s\"");
    buffer_clear(&world.harness->seen);
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "runs"), RUNNING);
    assert_int_equal(world_port(&world, "runs"), port);
    assert_int_equal(world_state(&world, "sleeps"), PAUSED);
    assert_int_equal(world_state(&world, "over"), ENDED);
    assert_non_null(strstr(world_report(&world, "over"), "log_tail=bye"));

    world_close(&world);
    world_reopen(&world, "");
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "runs"), RUNNING);
    assert_int_equal(agent_pid(port), pid);
    assert_int_equal(world_state(&world, "sleeps"), PAUSED);
    assert_int_equal(world_state(&world, "over"), ENDED);
    assert_true(world_act(&world, BACKEND_RESUME, "sleeps"));
    wait_for_answer(world_port(&world, "sleeps"));
    buffer_clear(&world.harness->seen);
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "over"), ENDED);
    assert_int_equal(world_state(&world, "sleeps"), RUNNING);
    remove_and_check("runs");
    remove_and_check("sleeps");
    remove_and_check("over");
}

static void an_exit_while_no_daemon_runs_is_known_afterwards(void **state)
{
    (void)state;
    assert_true(world_start(&world, "alone", ""));
    int port = world_port(&world, "alone");
    wait_for_answer(port);
    world_close(&world);
    world_ask(port, "POST /exit?code=5");
    uint64_t until = clock_ms() + 20000;
    while (world_supervisor(&world, "alone") != 0)
        assert_true(clock_ms() < until);
    world_reopen(&world, "");
    assert_true(world_list(&world));
    assert_int_equal(world_state(&world, "alone"), ENDED);
    remove_and_check("alone");
}

static void a_start_that_was_cut_off_is_taken_over_or_begun_anew(void **state)
{
    (void)state;
    char command[512];
    snprintf(command, sizeof command, "[\"%s\", \"--port\", \"{port}\"]", AGENT);
    assert_true(world_start(&world, "cut", ""));
    pid_t pid = agent_pid(world_port(&world, "cut"));
    world_close(&world);
    world_reopen(&world, "");
    assert_true(world_start_command(&world, "cut", command, true));
    assert_int_equal(agent_pid(world_port(&world, "cut")), pid);
    remove_and_check("cut");

    /* Left from before its record: a directory with a lock that nobody holds. */
    char path[256];
    snprintf(path, sizeof path, "%s/%s", world.state, world_id(&world, "cut"));
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/%s", world.work, world_id(&world, "cut"));
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(world_start_command(&world, "cut", command, true));
    assert_int_equal(world_state(&world, "cut"), RUNNING);
    remove_and_check("cut");
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void a_port_grabbed_before_the_agent_binds_it_leads_to_another_port(void **state)
{
    (void)state;
    assert_true(world_start(&world, "late", "\"--bind-delay\", \"500\""));
    int port = world_port(&world, "late");
    int grabbed = grab(port);
    assert_true(grabbed >= 0);
    RUN_UNTIL(world.harness, world_state(&world, "late") == RUNNING && world_port(&world, "late") != port);
    wait_for_answer(world_port(&world, "late"));
    assert_true(world_act(&world, BACKEND_CONFIRM, "late"));
    assert_non_null(
        strstr(world_ask(world_port(&world, "late"), "GET /env?name=SESSION_API_KEY"), "the-key"));
    close(grabbed);
    remove_and_check("late");
}

static void a_foreign_answer_is_not_confirmed_and_the_start_is_tried_on_another_port(void **state)
{
    (void)state;
    assert_true(world_start(&world, "dream", "\"--bind-delay\", \"1000000\""));
    int port = world_port(&world, "dream");
    assert_false(world_act(&world, BACKEND_CONFIRM, "dream"));
    assert_non_null(strstr(world_error(&world), "NOT_LISTENING"));
    int grabbed = grab(port);
    assert_false(world_act(&world, BACKEND_CONFIRM, "dream"));
    assert_non_null(strstr(world_error(&world), "PORT_TAKEN"));
    RUN_UNTIL(world.harness, world_state(&world, "dream") == RUNNING && world_port(&world, "dream") != port);
    close(grabbed);
    remove_and_check("dream");
}

static void a_port_that_is_grabbed_each_time_is_given_up(void **state)
{
    (void)state;
    assert_true(world_start(&world, "unlucky", "\"--bind-delay\", \"500\""));
    int grabbed[8], count = 0, port = 0;
    while (world_state(&world, "unlucky") != ENDED) {
        if (world_state(&world, "unlucky") == RUNNING && world_port(&world, "unlucky") != port) {
            port = world_port(&world, "unlucky");
            assert_true(count < 8);
            grabbed[count++] = grab(port);
        }
        harness_turn(world.harness, harness_deadline(), "given up");
    }
    assert_int_equal(count, 5);
    assert_non_null(strstr(world_report(&world, "unlucky"), "PORT_TAKEN"));
    while (count > 0)
        close(grabbed[--count]);
    remove_and_check("unlucky");
}

/* ---- logs ------------------------------------------------------------------------------------ */

struct log_reader {
    struct buffer text;
    int over; /* -1: well; else the kind of the error */
    struct backend_operation *operation;
};

static bool take_log(void *arg, const void *bytes, size_t len)
{
    buffer_add(&((struct log_reader *)arg)->text, bytes, len);
    return true;
}

static void log_over(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    ((struct log_reader *)arg)->over = err ? err->kind : -1;
}

static void read_log(struct log_reader *reader, const char *id, uint32_t tail, bool follow)
{
    struct sbx_logs logs = {
        .size = sizeof logs, .tail = tail, .follow = follow, .sandbox_id = world_id(&world, id)};
    *reader = (struct log_reader){.text = buffer_init(1 << 20)};
    reader->operation = backend_logs(world.backend, &logs, 30000, take_log, log_over, reader);
}

static void logs_give_the_newest_lines(void **state)
{
    (void)state;
    assert_true(world_start_command(
        &world, "talks", "[\"/bin/sh\", \"-c\", \"for i in 1 2 3 4 5; do echo line $i; done\"]", false));
    RUN_UNTIL(world.harness, world_state(&world, "talks") == ENDED);
    static const struct {
        uint32_t tail;
        const char *text;
    } cases[] = {{0, ""}, {2, "line 4\nline 5\n"}, {100, "line 1\nline 2\nline 3\nline 4\nline 5\n"}};
    struct log_reader reader;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_log(&reader, "talks", cases[i].tail, false);
        RUN_UNTIL(world.harness, reader.over != 0);
        assert_int_equal(reader.over, -1);
        assert_string_equal(buffer_text(&reader.text), cases[i].text);
        buffer_finish(&reader.text);
    }
    read_log(&reader, "nobody", 2, true);
    RUN_UNTIL(world.harness, reader.over != 0);
    assert_int_equal(reader.over, SBX_ERR_NOT_FOUND);
    buffer_finish(&reader.text);
    remove_and_check("talks");
}

static void following_gives_what_comes(void **state)
{
    (void)state;
    assert_true(world_start_command(
        &world, "ticks", "[\"/bin/sh\", \"-c\", \"while :; do echo tick; sleep 0.01; done\"]", false));
    struct log_reader readers[2];
    read_log(&readers[0], "ticks", 0, true);
    read_log(&readers[1], "ticks", 100, true);
    RUN_UNTIL(world.harness, readers[0].text.len > 50 && readers[1].text.len > 50);
    for (size_t i = 0; i < 2; i++) {
        backend_cancel(readers[i].operation, false);
        RUN_UNTIL(world.harness, readers[i].over != 0);
        assert_memory_equal(buffer_text(&readers[i].text), "tick\ntick\n", 10);
        buffer_finish(&readers[i].text);
    }
    remove_and_check("ticks");
}

static void following_ends_when_the_sandbox_has_ended(void **state)
{
    (void)state;
    assert_true(world_start(&world, "follow", "\"--print\", \"3\""));
    int port = world_port(&world, "follow");
    wait_for_answer(port);
    struct log_reader reader, cancelled;
    read_log(&cancelled, "follow", 100, true);
    RUN_UNTIL(world.harness, strstr(buffer_text(&cancelled.text), "line 3 "));
    read_log(&reader, "follow", 0, true); /* once its supervisor has taken the lines in */
    assert_int_equal(cancelled.over, 0);
    backend_cancel(cancelled.operation, false);
    RUN_UNTIL(world.harness, cancelled.over != 0);
    assert_true(world_act(&world, BACKEND_STOP, "follow"));
    RUN_UNTIL(world.harness, reader.over != 0);
    assert_int_equal(reader.over, -1);
    assert_string_equal(buffer_text(&reader.text), "");
    buffer_finish(&reader.text);
    buffer_finish(&cancelled.text);
    remove_and_check("follow");
}

/* ---- users and limits ------------------------------------------------------------------------ */

/* The agent where every user can run it: the build may lie below a folder that is closed to others, as /root is. */
static void copy_agent(const char *path)
{
    int from = open(AGENT, O_RDONLY | O_CLOEXEC),
        to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    assert_true(from >= 0 && to >= 0);
    ssize_t copied;
    while ((copied = sendfile(to, from, NULL, 1 << 20)) > 0)
        continue;
    assert_int_equal(copied, 0);
    assert_int_equal(fchmod(to, 0755), 0);
    close(from);
    close(to);
}

static void a_sandbox_runs_as_the_user_of_run_as(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    world_reload(&world, "\"run_as\": \"nobody\"");
    char agent[128], command[256];
    snprintf(agent, sizeof agent, "%s/agent", world.root);
    copy_agent(agent);
    snprintf(command, sizeof command, "[\"%s\", \"--port\", \"{port}\"]", agent);
    assert_true(world_start_command(&world, "humble", command, false));
    pid_t pid = agent_pid(world_port(&world, "humble"));
    char path[256];
    struct stat info;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_uid, 65534);
    snprintf(path, sizeof path, "%s/%s", world.work, world_id(&world, "humble"));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_uid, 65534);
    assert_true(world_act(&world, BACKEND_CONFIRM, "humble"));
    remove_and_check("humble");
}

static void a_memory_limit_is_enforced_and_named(void **state)
{
    (void)state;
    world_reload(&world, "\"limits\": {\"memory\": \"32MiB\", \"pids\": 20, \"cpu\": 1.5, \"files\": 64}");
    if (!world.backend) {
        assert_non_null(strstr(world_error(&world), "can't be enforced here"));
        world_reload(&world, "");
        skip();
    }
    assert_true(world_start(&world, "hungry", ""));
    int port = world_port(&world, "hungry");
    wait_for_answer(port);
    world_ask(port, "POST /alloc?bytes=100000000");
    RUN_UNTIL(world.harness, world_state(&world, "hungry") == ENDED);
    assert_non_null(strstr(world_report(&world, "hungry"), "OUT_OF_MEMORY"));
    remove_and_check("hungry");
}

static void a_backend_whose_folder_is_not_its_own_does_not_open(void **state)
{
    (void)state;
    char path[256], options[512];
    snprintf(path, sizeof path, "%s/link", world.root);
    assert_int_equal(symlink("/tmp", path), 0);
    snprintf(options, sizeof options, "\"base_working_dir\": \"%s\"", path);
    world_reload(&world, options);
    assert_null(world.backend);
    assert_non_null(strstr(world_error(&world), "is a symbolic link"));
    snprintf(path, sizeof path, "%s/open", world.root);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(chmod(path, 0777), 0);
    snprintf(options, sizeof options, "\"base_working_dir\": \"%s\"", path);
    world_reload(&world, options);
    assert_non_null(strstr(world_error(&world), "written to by others"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_start_runs_the_program_in_its_own_directory_and_environment),
        TEST(the_session_key_is_in_no_argument_and_no_readable_file),
        TEST(a_program_that_does_not_exist_leaves_nothing_behind),
        TEST(a_wrong_spec_leaves_nothing_behind),
        TEST(a_program_that_ends_at_once_is_reported_with_code_and_output),
        TEST(twenty_starts_at_once_have_twenty_ports),
        TEST(pause_stops_the_whole_tree_and_resume_goes_on_with_it),
        TEST(a_paused_sandbox_can_be_removed),
        TEST(what_ended_is_resumed_with_its_files_and_key),
        TEST(stop_keeps_the_files_and_is_no_failure),
        TEST(an_exit_by_itself_ends_the_rest_of_the_tree),
        TEST(what_does_not_exist_is_not_found_and_removing_it_succeeds),
        TEST(a_killed_supervisor_takes_its_tree_with_it),
        TEST(a_supervisor_that_is_killed_amid_the_end_takes_the_rest_with_it),
        TEST(a_stuck_supervisor_does_not_prevent_removal),
        TEST(a_new_instance_finds_all_sandboxes_as_they_are),
        TEST(an_exit_while_no_daemon_runs_is_known_afterwards),
        TEST(a_start_that_was_cut_off_is_taken_over_or_begun_anew),
        TEST(a_port_grabbed_before_the_agent_binds_it_leads_to_another_port),
        TEST(a_foreign_answer_is_not_confirmed_and_the_start_is_tried_on_another_port),
        TEST(a_port_that_is_grabbed_each_time_is_given_up),
        TEST(logs_give_the_newest_lines),
        TEST(following_gives_what_comes),
        TEST(following_ends_when_the_sandbox_has_ended),
        TEST(a_sandbox_runs_as_the_user_of_run_as),
        TEST(a_memory_limit_is_enforced_and_named),
        TEST(a_backend_whose_folder_is_not_its_own_does_not_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
