/* agent.c: see agent.h. From the fork on, the child only makes system calls. */
#include "agent.h"

#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct failure {
    int step, error;
};

/* Points `count` entries to the texts at *at, which must end before `end`. */
static bool take_texts(char **texts, uint32_t count, char **at, char *end)
{
    for (uint32_t i = 0; i < count; i++) {
        char *zero = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;
        if (!zero)
            return false;
        texts[i] = *at;
        *at = zero + 1;
    }
    texts[count] = NULL;
    return true;
}

int launch_read(struct launch *launch, int fd)
{
    *launch = (struct launch){0};
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -1;
    errno = EINVAL;
    size_t len = (size_t)status.st_size;
    if (status.st_size < (off_t)sizeof launch->head || len > WIRE_LAUNCH_MAX)
        return -1;
    char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return -1;
    launch->map = map;
    launch->map_len = len;

    struct wire_launch *head = &launch->head;
    memcpy(head, map, sizeof *head);
    errno = EINVAL;
    if (head->magic != WIRE_MAGIC || head->version != WIRE_VERSION || head->size < sizeof *head ||
        head->arguments == 0 || head->arguments > len || head->environment > len ||
        head->groups > WIRE_GROUPS_MAX || head->cgroups > WIRE_CGROUPS_MAX ||
        head->size + (size_t)head->groups * 4 > len)
        return -1;
    launch->groups = (const uint32_t *)(void *)(map + head->size);
    char *at = map + head->size + (size_t)head->groups * 4, *end = map + len;
    char *cgroups[WIRE_CGROUPS_MAX + 1];
    launch->arguments = calloc(head->arguments + 1u, sizeof(char *));
    launch->environment = calloc(head->environment + 1u, sizeof(char *));
    if (!launch->arguments || !launch->environment)
        return -1;
    errno = EINVAL;
    if (!take_texts(launch->arguments, head->arguments, &at, end) ||
        !take_texts(launch->environment, head->environment, &at, end) ||
        !take_texts(cgroups, head->cgroups, &at, end))
        return -1;
    for (uint32_t i = 0; i < head->cgroups; i++) {
        launch->cgroups[i] = strdup(cgroups[i]);
        if (!launch->cgroups[i])
            return -1;
    }
    return 0;
}

void launch_forget(struct launch *launch)
{
    free(launch->arguments);
    free(launch->environment);
    launch->arguments = launch->environment = NULL;
    if (launch->map) {
        explicit_bzero(launch->map, launch->map_len);
        munmap(launch->map, launch->map_len);
    }
    launch->map = NULL;
    launch->groups = NULL;
}

/* Into the group at birth (Linux 5.7): joining one later can wait for milliseconds in the kernel. */
static pid_t fork_into(const char *cgroup, bool *joined)
{
    *joined = false;
    int dir = cgroup ? open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir >= 0) {
        struct clone_args args = {
            .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)(unsigned)dir};
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
        if (pid != 0)
            close(dir);
        if (pid >= 0) {
            *joined = true;
            return pid;
        }
    }
    return fork();
}

static void reset_signals(void)
{
    for (int signal = 1; signal < NSIG; signal++)
        if (signal != SIGKILL && signal != SIGSTOP)
            (void)sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int become(const struct wire_launch *head, const uint32_t *groups)
{
    gid_t list[WIRE_GROUPS_MAX];
    for (uint32_t i = 0; i < head->groups; i++)
        list[i] = groups[i];
    if (setgroups(head->groups, list) != 0 || setresgid(head->gid, head->gid, head->gid) != 0 ||
        setresuid(head->uid, head->uid, head->uid) != 0)
        return -1;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Looks for the program in the PATH that it will have itself, as execvpe(3) does with our own. */
static int execute(char *const *arguments, char *const *environment)
{
    const char *name = arguments[0];
    if (*name == '\0') {
        errno = ENOENT;
        return -1;
    }
    if (strchr(name, '/'))
        return execve(name, arguments, environment);
    const char *path = "/usr/local/bin:/usr/bin:/bin";
    for (char *const *entry = environment; *entry; entry++)
        if (strncmp(*entry, "PATH=", 5) == 0)
            path = *entry + 5;
    int error = ENOENT;
    while (path) {
        const char *colon = strchrnul(path, ':');
        size_t len = (size_t)(colon - path), name_len = strlen(name);
        char file[4096];
        if (len + 1 + name_len < sizeof file) {
            memcpy(file, len > 0 ? path : ".", len > 0 ? len : 1);
            len = len > 0 ? len : 1;
            file[len] = '/';
            memcpy(file + len + 1, name, name_len + 1);
            (void)execve(file, arguments, environment);
            if (errno != ENOENT && errno != ENOTDIR)
                error = errno;
            if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
                break;
        }
        path = *colon ? colon + 1 : NULL;
    }
    errno = error;
    return -1;
}

/* The child's part: does not return. Tells what failed through `report`, which a success closes. */
static _Noreturn void run_child(const struct launch *launch, pid_t supervisor, bool joined, int directory,
                                int output, int report)
{
    struct failure failure = {.step = WIRE_STEP_CGROUP};
    for (uint32_t i = joined ? 1 : 0; i < launch->head.cgroups; i++)
        if (cgroup_write(launch->cgroups[i], "cgroup.procs", "0") != 0)
            goto failed;

    failure.step = WIRE_STEP_FILES;
    rlim_t files = launch->head.files;
    if (files > 0 && setrlimit(RLIMIT_NOFILE, &(struct rlimit){files, files}) != 0)
        goto failed;

    failure.step = WIRE_STEP_PREPARE;
    setsid();
    umask(022);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        goto failed;

    failure.step = WIRE_STEP_USER;
    if ((launch->head.flags & WIRE_LAUNCH_RUN_AS) && become(&launch->head, launch->groups) != 0)
        goto failed;

    failure.step = WIRE_STEP_DIRECTORY;
    if (fchdir(directory) != 0)
        goto failed;

    /* After the change of user, which clears it: who kills the supervisor ends the program too. */
    failure.step = WIRE_STEP_PREPARE;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        goto failed;
    if (getppid() != supervisor)
        _exit(127);
    reset_signals();

    failure.step = WIRE_STEP_EXEC;
    execute(launch->arguments, launch->environment);
failed:
    failure.error = errno;
    if (write(report, &failure, sizeof failure) != (ssize_t)sizeof failure)
        _exit(126);
    _exit(127);
}

pid_t agent_start(const struct launch *launch, int directory, int output, enum wire_step *step, int *error)
{
    *step = WIRE_STEP_PREPARE;
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        *error = errno;
        return -1;
    }
    bool joined;
    pid_t supervisor = getpid();
    pid_t pid = fork_into(launch->head.flags & WIRE_LAUNCH_CGROUP2 ? launch->cgroups[0] : NULL, &joined);
    if (pid == 0)
        run_child(launch, supervisor, joined, directory, output, report[1]);
    *error = errno;
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        return -1;
    }
    struct failure failure;
    ssize_t len;
    do
        len = read(report[0], &failure, sizeof failure);
    while (len < 0 && errno == EINTR);
    close(report[0]);
    if (len == 0)
        return pid;
    *step = len == (ssize_t)sizeof failure ? (enum wire_step)failure.step : WIRE_STEP_PREPARE;
    *error = len == (ssize_t)sizeof failure ? failure.error : EIO;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return -1;
}
