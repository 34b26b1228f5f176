/* test_pieces.c: what the process plugin is made of, piece by piece, without a host.
 */
#include "cgroup.h"
#include "command.h"
#include "common/bytes.h"
#include "common/tree.h"
#include "control_dir.h"
#include "directory.h"
#include "logfile.h"
#include "plugin/json.h"
#include "port.h"
#include "sandbox_limits.h"
#include "sweep.h"
#include "wire.h"
#include "working_dir.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A text that may be written to, where an interface asks for one. */
#define TEXT(text) ((char[]){text})

/* A folder for each test; the working directory while it runs. */
static char root[64];
static int root_dir;

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/sandboxd-pieces-XXXXXX");
    if (!mkdtemp(root) || chdir(root) != 0)
        return -1;
    root_dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root_dir >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = chdir("/") == 0 ? tree_remove(folder, root + strlen("/tmp/"), NULL) : -1;
    close(folder);
    close(root_dir);
    return result;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

/* ---- removing trees -------------------------------------------------------------------------- */

static void a_tree_is_removed_and_links_out_of_it_are_not_followed(void **state)
{
    (void)state;
    assert_int_equal(mkdir("outside", 0700), 0);
    write_file("outside/precious", "keep");
    assert_int_equal(mkdir("tree", 0700), 0);
    assert_int_equal(mkdir("tree/a", 0700), 0);
    assert_int_equal(mkdir("tree/a/b", 0700), 0);
    write_file("tree/a/b/file", "x");
    write_file("tree/.removing-0", "a name that removal uses itself");
    assert_int_equal(symlink("../outside", "tree/link"), 0);
    assert_int_equal(symlink("../../../outside", "tree/a/b/link"), 0);
    assert_int_equal(mkfifo("tree/fifo", 0600), 0);
    assert_int_equal(chmod("tree/a/b", 0), 0);
    assert_int_equal(chmod("tree/a", 0500), 0);
    assert_int_equal(tree_remove(root_dir, "tree", NULL), 0);
    assert_false(exists("tree"));
    assert_true(exists("outside/precious"));
    assert_int_equal(tree_remove(root_dir, "tree", NULL), 0); /* again is no error */
}

static void a_link_in_the_place_of_a_tree_is_removed_itself(void **state)
{
    (void)state;
    assert_int_equal(mkdir("outside", 0700), 0);
    write_file("outside/precious", "keep");
    assert_int_equal(symlink("outside", "tree"), 0);
    assert_int_equal(tree_remove(root_dir, "tree", NULL), 0);
    assert_false(exists("tree"));
    assert_true(exists("outside/precious"));
}

static void a_very_deep_tree_is_removed(void **state)
{
    (void)state;
    enum { DEPTH = 3000 }; /* its path is longer than PATH_MAX many times over */
    int dir = dup(root_dir);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(dir, "deeper", 0700), 0);
        int next = openat(dir, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(dir);
        dir = next;
    }
    close(dir);
    assert_int_equal(tree_remove(root_dir, "deeper", NULL), 0);
    assert_false(exists("deeper"));
}

/* Swaps a directory of the tree for a link to the outside and back, as fast as it can. */
static void *swap(void *arg)
{
    atomic_bool *stop = arg;
    while (!atomic_load(stop)) {
        (void)rename("tree/victim", "aside");
        if (symlink("../outside", "tree/victim") == 0)
            (void)unlink("tree/victim");
        (void)rename("aside", "tree/victim");
    }
    return NULL;
}

static void a_tree_that_is_changed_meanwhile_never_leads_outside(void **state)
{
    (void)state;
    assert_int_equal(mkdir("outside", 0700), 0);
    write_file("outside/precious", "keep");
    atomic_bool stop = false;
    pthread_t thread;
    assert_int_equal(mkdir("tree", 0700), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap, &stop), 0);
    for (int round = 0; round < 50; round++) {
        (void)mkdir("tree", 0700);
        (void)mkdir("aside", 0700);
        int dir = open("aside", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        for (char name[] = "a"; dir >= 0 && *name < 'j'; name[0]++)
            close(openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        close(dir);
        (void)tree_remove(root_dir, "tree", NULL);
        assert_true(exists("outside/precious"));
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(exists("outside/precious"));
}

static void the_base_folder_is_made_and_checked(void **state)
{
    (void)state;
    char path[128];
    struct sbx_error error;
    struct stat info;
    snprintf(path, sizeof path, "%s/new/base/", root);
    assert_int_equal(chmod(root, 0755), 0);
    int fd = directory_open_base(path, geteuid(), getegid(), &error);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0711);
    close(fd);
    assert_int_equal(symlink("new/base", "link"), 0);
    snprintf(path, sizeof path, "%s/link/", root);
    assert_int_equal(directory_open_base(path, 0, 0, &error), -1);
    assert_non_null(strstr(error.message, "is a symbolic link"));
    write_file("file", "");
    snprintf(path, sizeof path, "%s/file", root);
    assert_int_equal(directory_open_base(path, 0, 0, &error), -1);
    assert_int_equal(mkdir("open", 0700), 0);
    assert_int_equal(chmod("open", 0770), 0);
    snprintf(path, sizeof path, "%s/open", root);
    assert_int_equal(directory_open_base(path, 0, 0, &error), -1);
    assert_non_null(strstr(error.message, "written to by others"));
    assert_int_equal(chmod("open", 0700), 0);
    assert_int_equal(directory_open_base(path, 4242, 4242, &error), -1);
    assert_non_null(strstr(error.message, "can't be passed by the user of run_as"));
    assert_int_equal(directory_open_base("/sys/sandboxd-test", 0, 0, &error),
                     -1); /* nothing can be made there */
    assert_null(strstr(error.message, "No such file"));
}

static void a_working_dir_stays_within_the_sandbox(void **state)
{
    (void)state;
    struct sbx_error error;
    int fd = directory_make(root_dir, "box", "/workspace/./project/", geteuid(), getegid(), &error);
    assert_true(fd >= 0);
    close(fd);
    assert_true(exists("box/workspace/project"));
    fd = directory_open(root_dir, "box", "workspace/project", &error);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(directory_open(root_dir, "box", "../outside", &error), -1);
    assert_non_null(strstr(error.message, "does not stay within"));
    assert_int_equal(symlink("/", "box/root"), 0);
    assert_int_equal(directory_open(root_dir, "box", "root/etc", &error), -1);
}

static void an_absolute_working_dir_is_refused_unless_it_is_shared(void **state)
{
    (void)state;
    struct options options = {.shared_dirs = {TEXT("/workspace/"), TEXT("/srv/all")}, .shared_dirs_len = 2};
    static const struct {
        const char *text, *shared, *inner;
    } good[] = {
        {NULL, NULL, ""},
        {"", NULL, ""},
        {"/", NULL, ""},
        {"//", NULL, ""},
        {"project", NULL, "project"},
        {"a/./b", NULL, "a/./b"},
        {"/workspace", "/workspace/", ""},
        {"/workspace//project", "/workspace/", "project"},
        {"/srv/all/x/y", "/srv/all", "x/y"},
    };
    struct working_dir dir;
    struct sbx_error error;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(working_dir_find(&dir, &options, good[i].text, &error), 0);
        assert_string_equal(dir.inner, good[i].inner);
        assert_string_equal(dir.shared ? dir.shared : "", good[i].shared ? good[i].shared : "");
    }
    static const char *const bad[][2] = {
        {"/workspaces", "which all sandboxes would share"},
        {"/srv", "make it relative (\"srv\")"},
        {"/workspace/../etc", "does not stay within"},
        {"..", "does not stay within"},
        {"a/../../b", "does not stay within"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(working_dir_find(&dir, &options, bad[i][0], &error), -1);
        assert_non_null(strstr(error.message, bad[i][1]));
    }
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void a_reserved_port_is_chosen_by_no_other_process(void **state)
{
    (void)state;
    enum { CHILDREN = 4, EACH = 25, COUNT = 120, BASE = 24000 };
    int chosen[2], hold[2];
    assert_int_equal(pipe(chosen), 0);
    assert_int_equal(pipe(hold), 0);
    fflush(stdout);
    for (int child = 0; child < CHILDREN; child++)
        if (fork() == 0) {
            _Atomic unsigned cursor = 0;
            uint16_t port;
            char byte;
            close(hold[1]);
            for (int i = 0; i < EACH; i++)
                if (port_reserve(BASE, COUNT, 0, &cursor, &port) < 0 ||
                    write(chosen[1], &port, sizeof port) != (ssize_t)sizeof port)
                    _exit(1);
            _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
        }
    bool taken[65536] = {false};
    for (int i = 0; i < CHILDREN * EACH; i++) {
        uint16_t port;
        assert_int_equal(read(chosen[0], &port, sizeof port), (ssize_t)sizeof port);
        assert_false(taken[port]);
        taken[port] = true;
    }
    close(hold[1]);
    for (int child = 0; child < CHILDREN; child++) {
        int status;
        assert_true(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    _Atomic unsigned cursor = 0;
    uint16_t port;
    int fd = port_reserve(BASE, 1, 0, &cursor, &port);
    assert_true(fd >= 0); /* those who held it have ended */
    close(fd);
    close(hold[0]);
    close(chosen[0]);
    close(chosen[1]);
}

static void a_port_that_a_program_has_bound_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        int family;
        bool listens;
    } cases[] = {{AF_INET, true}, {AF_INET, false}, {AF_INET6, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        struct sockaddr_in address4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        uint16_t other = (uint16_t)(25000 + i), port;
        address.sin6_port = address4.sin_port = htons(other);
        int fd = socket(cases[i].family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue; /* no IPv6 here */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        int bound = cases[i].family == AF_INET ? bind(fd, (struct sockaddr *)&address4, sizeof address4)
                                               : bind(fd, (struct sockaddr *)&address, sizeof address);
        if (bound == 0 && cases[i].listens)
            assert_int_equal(listen(fd, 1), 0);
        _Atomic unsigned cursor = 0;
        if (bound == 0) {
            assert_int_equal(port_reserve(other, 1, 0, &cursor, &port), -1);
            int next = port_reserve(other, 50, other, &cursor, &port);
            assert_true(next >= 0 && port != other);
            close(next);
        }
        close(fd);
    }
}

/* ---- commands -------------------------------------------------------------------------------- */

/* The launch as text: arguments, then the environment, one a line. */
static const char *build(const char *spec_text, char *const *environment, struct sbx_error *error)
{
    static char text[4096];
    const struct sbx_json_api *json = json_table();
    struct options options = {.python_executable = TEXT("python3"),
                              .agent_server_module = TEXT("openhands.agent_server")};
    struct limits_groups groups = {0};
    sbx_json *spec = json->parse(spec_text, strlen(spec_text), NULL);
    struct command command = {.options = &options,
                              .json = json,
                              .spec = spec,
                              .environment = environment,
                              .sandbox_id = "box",
                              .session_key = "key",
                              .owner_mark = "7:9",
                              .port = 8123,
                              .groups = &groups};
    struct bytes launch = {0};
    struct wire_launch head;
    text[0] = '\0';
    if (command_build(&command, &launch, error) == 0) {
        memcpy(&head, launch.data, sizeof head);
        size_t used = 0;
        const char *at = launch.data + sizeof head;
        for (uint32_t i = 0; i < head.arguments + head.environment; i++, at += strlen(at) + 1)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s\n", at);
        assert_ptr_equal(at, launch.data + launch.len);
    }
    bytes_finish(&launch);
    json->free(spec);
    return text;
}

#define OURS "SESSION_API_KEY=key\nOH_SESSION_API_KEYS_0=key\nSANDBOX_ID=box\nSANDBOX_CONTROL=7:9\n"

static void the_port_goes_where_the_command_wants_it(void **state)
{
    (void)state;
    char *const none[] = {NULL};
    struct sbx_error error;
    assert_string_equal(build("{}", none, &error),
                        "python3\n-m\nopenhands.agent_server\n--port\n8123\n" OURS);
    assert_string_equal(build("{\"command\": null}", none, &error),
                        "python3\n-m\nopenhands.agent_server\n--port\n8123\n" OURS);
    assert_string_equal(build("{\"command\": [\"serve\", \"-v\"]}", none, &error),
                        "serve\n-v\n--port\n8123\n" OURS);
    assert_string_equal(
        build("{\"command\": [\"serve\", \"--at=:{port}/{port}\", \"{ports}\"]}", none, &error),
        "serve\n--at=:8123/8123\n{ports}\n" OURS);
}

static void later_variables_win_over_earlier_ones(void **state)
{
    (void)state;
    char *const daemon[] = {TEXT("PATH=/bin"), TEXT("HOME=/root"), NULL};
    struct sbx_error error;
    assert_string_equal(
        build("{\"command\": [\"{port}\"], \"initial_env\": {\"HOME\": \"/home\", \"EMPTY\": \"\", "
              "\"SANDBOX_ID\": \"other\"}}",
              daemon, &error),
        "8123\nPATH=/bin\nHOME=/home\nEMPTY=\nSANDBOX_ID=box\nSESSION_API_KEY=key\n"
        "OH_SESSION_API_KEYS_0=key\nSANDBOX_CONTROL=7:9\n");
}

static void a_wrong_spec_is_told_what_is_wrong(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"command\": []}", "the spec's command must be a list of 1 to 4096 texts"},
        {"{\"command\": \"serve\"}", "the spec's command must be a list of 1 to 4096 texts"},
        {"{\"command\": [\"serve\", 3]}", "the spec's command[1] must be a text"},
        {"{\"initial_env\": []}", "the spec's initial_env must be a mapping"},
        {"{\"initial_env\": {\"A=B\": \"\"}}",
         "the spec's initial_env: \"A=B\" must be a name without '=' and have a text"},
        {"{\"initial_env\": {\"A\": 3}}",
         "the spec's initial_env: \"A\" must be a name without '=' and have a text"},
    };
    char *const none[] = {NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sbx_error error = {0};
        assert_string_equal(build(cases[i][0], none, &error), "");
        assert_string_equal(error.message, cases[i][1]);
        assert_int_equal(error.kind, SBX_ERR_INVALID);
    }
}

static void only_allow_listed_variables_of_the_daemon_are_passed(void **state)
{
    (void)state;
    assert_int_equal(setenv("A_SECRET", "hush", 1), 0);
    assert_int_equal(setenv("A_CHOICE", "this", 1), 0);
    assert_int_equal(setenv("LANG", "C.UTF-8", 1), 0);
    struct options options = {.pass_env = {TEXT("A_CHOICE"), TEXT("NOT_SET")}, .pass_env_len = 2};
    char **list = command_environment(&options, "http://here:1");
    bool lang = false, choice = false, webhooks = false;
    for (char **entry = list; *entry; entry++) {
        assert_null(strstr(*entry, "hush"));
        assert_int_not_equal(strncmp(*entry, "NOT_SET", 7), 0);
        lang |= strcmp(*entry, "LANG=C.UTF-8") == 0;
        choice |= strcmp(*entry, "A_CHOICE=this") == 0;
        webhooks |= strcmp(*entry, "OH_WEBHOOKS_0_BASE_URL=http://here:1/api/v1/webhooks") == 0;
    }
    assert_true(lang && choice && webhooks);
    command_environment_free(list);
}

static void home_and_name_are_those_of_the_user_who_runs(void **state)
{
    (void)state;
    assert_int_equal(setenv("HOME", "/home/of-the-daemon", 1), 0);
    struct options options = {.run_as = true, .user_name = TEXT("alice"), .user_home = TEXT("/home/alice")};
    char **list = command_environment(&options, NULL), *all = TEXT("");
    struct bytes text = {.max = 65536};
    for (char **entry = list; *entry; entry++) {
        bytes_add_text(&text, *entry);
        bytes_add_text(&text, "\n");
    }
    bytes_add(&text, "", 1);
    all = text.data;
    assert_non_null(strstr(all, "HOME=/home/alice\nUSER=alice\nLOGNAME=alice\n"));
    assert_true(strstr(all, "HOME=/home/alice") > strstr(all, "HOME=/home/of-the-daemon"));
    bytes_finish(&text);
    command_environment_free(list);
}

/* ---- logs, leftovers, processes, groups ------------------------------------------------------ */

static void a_log_is_read_by_position_across_its_files(void **state)
{
    (void)state;
    write_file("log.0000000000000064", "one\ntwo\nthr");
    write_file("log.000000000000006f", "ee\nfour\nfi");
    char text[64];
    static const struct {
        uint32_t lines;
        uint64_t position;
    } cases[] = {{0, 121}, {1, 119}, {2, 114}, {3, 108}, {4, 104}, {5, 100}, {9, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(logfile_tail(root_dir, cases[i].lines, UINT64_MAX), cases[i].position);
    assert_int_equal(logfile_tail(root_dir, 9, 5), 116);
    uint64_t position = 0; /* before what is kept */
    assert_int_equal(logfile_read(root_dir, &position, text, 4), 4);
    assert_int_equal(position, 104);
    assert_memory_equal(text, "one\n", 4);
    position = 108;
    assert_int_equal(logfile_read(root_dir, &position, text, sizeof text), 3);
    assert_int_equal(logfile_read(root_dir, &position, text, sizeof text), 10);
    assert_int_equal(logfile_read(root_dir, &position, text, sizeof text), 0);
    assert_int_equal(position, 121);
    logfile_last(root_dir, NULL, text, sizeof text);
    assert_string_equal(text, "one\ntwo\nthree\nfour\nfi");
    assert_int_equal(logfile_tail(root_dir, 0, UINT64_MAX), 121);
}

static void what_a_crash_left_half_made_is_cleaned_up_and_nothing_else(void **state)
{
    (void)state;
    int lock;
    assert_int_equal(mkdir("half", 0700), 0);
    write_file("half/lock", "");
    assert_int_equal(mkdir("whole", 0700), 0);
    write_file("whole/record", "{}");
    int dir = control_dir_make(root_dir, "being-made", &lock);
    assert_true(dir >= 0 && lock >= 0);
    control_dir_clean(root_dir);
    assert_false(exists("half"));
    assert_true(exists("whole/record"));
    assert_true(exists("being-made"));
    close(lock);
    close(dir);
    control_dir_clean(root_dir);
    assert_false(exists("being-made"));
}

static void a_sweep_ends_what_has_the_mark_and_nothing_else(void **state)
{
    (void)state;
    char *const marked[] = {TEXT("A=1"), TEXT("SANDBOX_ID=sweep-me"), TEXT("B=2"),
                            TEXT("SANDBOX_CONTROL=7:9"), NULL};
    char *const other[] = {TEXT("SANDBOX_ID=sweep-me-not"), TEXT("XSANDBOX_ID=sweep-me"),
                           TEXT("SANDBOX_CONTROL=7:9"), NULL};
    char *const copied[] = {TEXT("SANDBOX_ID=sweep-me"), TEXT("SANDBOX_CONTROL=7:10"), NULL};
    char *const bare[] = {TEXT("SANDBOX_ID=sweep-me"), NULL};
    char *const *const environments[] = {marked, other, copied, bare};
    char *const arguments[] = {TEXT("sleep"), TEXT("1000"), NULL};
    enum { COUNT = sizeof environments / sizeof *environments };
    pid_t pids[COUNT];
    int ready[COUNT][2];
    fflush(stdout);
    for (int i = 0; i < COUNT; i++) {
        char byte;
        assert_int_equal(pipe2(ready[i], O_CLOEXEC), 0);
        pids[i] = fork();
        if (pids[i] == 0) {
            execve("/bin/sleep", arguments, environments[i]);
            _exit(1);
        }
        close(ready[i][1]);
        assert_int_equal(read(ready[i][0], &byte, 1), 0); /* it has been executed */
        close(ready[i][0]);
    }
    struct sbx_error error;
    assert_int_equal(sweep_processes("sweep-me", "7:9", &error), 0);
    int status;
    assert_int_equal(waitpid(pids[0], &status, 0), pids[0]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    for (int i = 1; i < COUNT; i++) {
        assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0);
        assert_int_equal(kill(pids[i], SIGKILL), 0);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    }
}

/* As many as its limit allows, each of which makes up for those that end. Not for long, whatever
 * happens. */
static _Noreturn void be_many(void)
{
    time_t end = time(NULL) + 30;
    while (time(NULL) < end)
        if (fork() < 0)
            usleep(100);
    _exit(0);
}

static void a_sweep_ends_what_forks_as_fast_as_it_can(void **state)
{
    (void)state;
    enum { MANY = 40, NOBODY = 54321 };
    if (geteuid() != 0)
        skip();
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char *const arguments[] = {TEXT("many"), TEXT("many"), NULL};
        char *const environment[] = {TEXT("SANDBOX_ID=sweep-many"), TEXT("SANDBOX_CONTROL=7:9"), NULL};
        if (setrlimit(RLIMIT_NPROC, &(struct rlimit){MANY, MANY}) != 0 || setgid(NOBODY) != 0 ||
            setuid(NOBODY) != 0)
            _exit(1);
        fexecve(self, arguments, environment);
        _exit(1);
    }
    close(self);
    usleep(300000);
    struct sbx_error error;
    int result = sweep_processes("sweep-many", "7:9", &error);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(result, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_freeze_that_can_not_be_watched_is_undone(void **state)
{
    (void)state;
    char path[300], text[8] = "";
    snprintf(path, sizeof path, "%s/cgroup.freeze", root);
    write_file(path, "");
    assert_int_equal(cgroup_freeze(root, 2, true, 10), -1); /* there is no cgroup.events */
    assert_int_equal(errno, ENOENT);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof text - 1), 1);
    close(fd);
    assert_string_equal(text, "0");
}

static void an_exit_of_an_older_build_is_read(void **state)
{
    (void)state;
    struct wire_status status = {
        .size = WIRE_STATUS_LEAST, .phase = WIRE_EXITED, .exit_code = 4, .incarnation = 7};
    char path[300];
    snprintf(path, sizeof path, "%s/" WIRE_EXIT_NAME, root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, &status, WIRE_STATUS_LEAST), (ssize_t)WIRE_STATUS_LEAST);
    close(fd);
    assert_true(control_dir_read_exit(root_dir, 7, &status));
    assert_int_equal(status.exit_code, 4);
    assert_int_equal(status.control_inode, 0);
}

static void control_groups_are_found_from_the_mounts(void **state)
{
    (void)state;
    static const char mounts[] =
        "25 24 0:23 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n"
        "26 24 0:24 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "27 24 0:25 /part /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "28 24 0:26 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
    static const char own[] =
        "5:freezer:/\n4:memory:/daemons\n3:cpuacct,cpu:/\n0::/part/of/sandboxd-daemon\n";
    struct limits *limits = calloc(1, sizeof *limits);
    struct sbx_error error;
    struct options options = {.memory = 1, .cpu_milli = 1};
    assert_int_equal(limits_find(limits, &options, mounts, own, &error), 0);
    assert_string_equal(limits->unified, "/sys/fs/cgroup/unified/of");
    assert_string_equal(limits->freezer, "/sys/fs/cgroup/freezer");
    assert_string_equal(limits->controller[0], "/sys/fs/cgroup/memory/daemons");
    assert_string_equal(limits->controller[1], "/sys/fs/cgroup/cpu,cpuacct");
    options.pids = 5;
    assert_int_equal(limits_find(limits, &options, mounts, own, &error), -1);
    assert_non_null(strstr(error.message, "limits.pids can't be enforced here"));
    assert_int_equal(limits_find(limits, &options, "", "", &error), -1);
    options = (struct options){0};
    assert_int_equal(limits_find(limits, &options, "nonsense\n\n - \n", "::::\n:\n", &error), 0);
    assert_string_equal(limits->unified, "");
    free(limits);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "many") == 0)
        be_many();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tree_is_removed_and_links_out_of_it_are_not_followed),
        TEST(a_link_in_the_place_of_a_tree_is_removed_itself),
        TEST(a_very_deep_tree_is_removed),
        TEST(a_tree_that_is_changed_meanwhile_never_leads_outside),
        TEST(the_base_folder_is_made_and_checked),
        TEST(a_working_dir_stays_within_the_sandbox),
        TEST(an_absolute_working_dir_is_refused_unless_it_is_shared),
        TEST(a_reserved_port_is_chosen_by_no_other_process),
        TEST(a_port_that_a_program_has_bound_is_passed_over),
        TEST(the_port_goes_where_the_command_wants_it),
        TEST(later_variables_win_over_earlier_ones),
        TEST(a_wrong_spec_is_told_what_is_wrong),
        TEST(only_allow_listed_variables_of_the_daemon_are_passed),
        TEST(home_and_name_are_those_of_the_user_who_runs),
        TEST(a_log_is_read_by_position_across_its_files),
        TEST(what_a_crash_left_half_made_is_cleaned_up_and_nothing_else),
        TEST(a_sweep_ends_what_has_the_mark_and_nothing_else),
        TEST(a_sweep_ends_what_forks_as_fast_as_it_can),
        TEST(a_freeze_that_can_not_be_watched_is_undone),
        TEST(an_exit_of_an_older_build_is_read),
        TEST(control_groups_are_found_from_the_mounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
