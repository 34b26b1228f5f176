/* plugin/children.c: the child processes of plugins. Owns each until it is reaped, also when its backend was
 * closed before: children live on, nobody is told of their end then. Never kills one.
 *
 * posix_spawn(3) is vfork and exec: the loop is held up for as long as the kernel takes to exec, no page
 * tables are copied, and a failed exec is an answer and not an exit code. */
#include "base/error.h"
#include "plugin/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PASS_FDS = 64, STANDARD_FDS = 3 };

struct child {
    struct child *next, **prev; /* in the environment's list */
    struct instance_env *env;
    struct backend *backend; /* NULL: nobody is told */
    sbx_child id;
    pid_t pid;
    int pidfd;
    struct event event;
    sbx_child_callback ended;
    void *arg;
};

/* ---- spawning ---- */

/* Copies of the descriptors to pass, all above those that they become: so that no dup2() in the child
 * overwrites one that a later one needs. */
struct passed {
    int fds[STANDARD_FDS + MAX_PASS_FDS]; /* -1: /dev/null */
    unsigned count;
};

static void drop_passed(struct passed *passed)
{
    for (unsigned i = 0; i < passed->count; i++)
        if (passed->fds[i] >= 0)
            close(passed->fds[i]);
}

static int take_passed(struct passed *passed, const struct sbx_spawn *spawn, struct sbx_error *err)
{
    const int32_t standard[STANDARD_FDS] = {spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd};
    unsigned total = STANDARD_FDS + spawn->pass_fds_count;
    for (passed->count = 0; passed->count < total; passed->count++) {
        unsigned i = passed->count;
        int fd = i < STANDARD_FDS ? standard[i] : spawn->pass_fds[i - STANDARD_FDS];
        passed->fds[i] = -1;
        if (fd == -1 && i < STANDARD_FDS)
            continue;
        passed->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, (int)total);
        if (passed->fds[i] < 0) {
            int number = errno;
            drop_passed(passed);
            if (number == EBADF)
                return error_set(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL,
                                 "descriptor %d is to be passed to the child, but is not open", fd);
            return error_set(err, SBX_ERR_LIMIT, SBX_CODE_START_FAILED,
                             "the daemon has no descriptor left to start a program");
        }
    }
    return 0;
}

static void fill_actions(posix_spawn_file_actions_t *actions, const struct passed *passed, int working_dir)
{
    int failed = 0;
    for (unsigned i = 0; i < passed->count; i++)
        failed |= passed->fds[i] < 0
                      ? posix_spawn_file_actions_addopen(actions, (int)i, "/dev/null", O_RDWR, 0)
                      : posix_spawn_file_actions_adddup2(actions, passed->fds[i], (int)i);
    failed |= posix_spawn_file_actions_addfchdir_np(actions, working_dir);
    failed |= posix_spawn_file_actions_addclosefrom_np(actions, (int)passed->count);
    if (failed)
        abort(); /* out of memory is the only reason */
}

static int spawn_with(const struct sbx_spawn *spawn, const struct passed *passed, int working_dir, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    memset(&all, 0xff, sizeof all); /* sigfillset() leaves out two of glibc's own, which would stay ignored */
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0 || posix_spawnattr_init(&attributes) != 0)
        abort();
    fill_actions(&actions, passed, working_dir);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    char *const empty[] = {NULL};
    int number = posix_spawn(pid, spawn->path, &actions, &attributes, (char *const *)(uintptr_t)spawn->argv,
                             spawn->envp ? (char *const *)(uintptr_t)spawn->envp : empty);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return number;
}

static int fail_exec(const struct sbx_spawn *spawn, int number, struct sbx_error *err)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return error_set(err, SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND,
                         "%s does not exist, or the interpreter that its first line names doesn't",
                         spawn->path);
    case EACCES:
        return error_set(err, SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND, "%s may not be executed",
                         spawn->path);
    case ENOEXEC:
        return error_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED, "%s is not a program of this machine",
                         spawn->path);
    case E2BIG:
        return error_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                         "the arguments and environment for %s are too long", spawn->path);
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return error_set(err, SBX_ERR_LIMIT, SBX_CODE_START_FAILED, "%s can't be started: %s", spawn->path,
                         strerrordesc_np(number));
    default: return error_errno(err, number, "%s can't be started", spawn->path);
    }
}

static int check_spawn(const struct sbx_spawn *spawn, struct sbx_error *err)
{
    const char *why = NULL;
    if (!spawn || spawn->size < offsetof(struct sbx_spawn, pass_fds) + sizeof spawn->pass_fds)
        why = "no struct sbx_spawn of this version";
    else if (!spawn->path || spawn->path[0] != '/')
        why = "its path is not absolute";
    else if (!spawn->argv || !spawn->argv[0])
        why = "it has no argv[0]";
    else if (spawn->flags != 0)
        why = "it has flags that are not known";
    else if (spawn->pass_fds_count > MAX_PASS_FDS || (spawn->pass_fds_count > 0 && !spawn->pass_fds))
        why = "it passes more than 64 descriptors";
    return why ? error_set(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL,
                           "the plugin's child_spawn() is wrong: %s", why)
               : 0;
}

static int start_process(const struct sbx_spawn *spawn, pid_t *pid, struct sbx_error *err)
{
    const char *folder = spawn->working_dir ? spawn->working_dir : "/";
    int working_dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (working_dir < 0)
        return error_set(err, SBX_ERR_INVALID, SBX_CODE_START_FAILED, "the working directory %s: %s", folder,
                         strerrordesc_np(errno));
    struct passed passed;
    int result = take_passed(&passed, spawn, err);
    if (result == 0) {
        int number = spawn_with(spawn, &passed, working_dir, pid);
        drop_passed(&passed);
        if (number != 0)
            result = fail_exec(spawn, number, err);
    }
    close(working_dir);
    return result;
}

/* ---- the end ---- */

static void unlink_child(struct child *child)
{
    event_del(&child->event);
    close(child->pidfd);
    *child->prev = child->next;
    if (child->next)
        child->next->prev = child->prev;
}

static void forget(struct child *child)
{
    if (child->backend)
        handles_remove(&child->backend->handles, child->id);
    child->backend = NULL;
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct child *child = arg;
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
        return;
    int code = -1, signal = 0; /* both unknown where somebody else reaped it */
    if (info.si_code == CLD_EXITED)
        code = info.si_status;
    else
        signal = info.si_status;
    sbx_child_callback ended = child->backend ? child->ended : NULL;
    sbx_child id = child->id;
    void *its = child->arg;
    forget(child);
    unlink_child(child);
    free(child);
    if (ended)
        ended(id, code, signal, its);
}

/* ---- services ---- */

sbx_child children_spawn(struct sbx_backend *abi, const struct sbx_spawn *spawn, sbx_child_callback ended,
                         void *arg, struct sbx_error *err)
{
    struct backend *backend = host_enter(abi, "child_spawn");
    pid_t pid = -1;
    if (!backend) {
        error_set(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "child_spawn() may not be called here");
        return 0;
    }
    struct child *child = calloc(1, sizeof *child);
    if (!child)
        abort();
    child->id = handles_add(&backend->handles, HANDLE_CHILD, child);
    if (child->id == 0)
        error_set(err, SBX_ERR_LIMIT, SBX_CODE_START_FAILED, "the plugin has too many children");
    if (child->id == 0 || check_spawn(spawn, err) < 0 || start_process(spawn, &pid, err) < 0) {
        handles_remove(&backend->handles, child->id);
        free(child);
        return 0;
    }
    child->pidfd = pidfd_open(pid, 0);
    if (child->pidfd < 0) {
        /* No descriptor left, which can only be seen now: as if it had never begun. */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        handles_remove(&backend->handles, child->id);
        free(child);
        error_set(err, SBX_ERR_LIMIT, SBX_CODE_START_FAILED,
                  "the daemon has no descriptor left to watch a program");
        return 0;
    }
    *child = (struct child){.id = child->id,
                            .pidfd = child->pidfd,
                            .pid = pid,
                            .env = backend->env,
                            .backend = backend,
                            .ended = ended,
                            .arg = arg,
                            .next = backend->env->children,
                            .prev = &backend->env->children};
    if (child->next)
        child->next->prev = &child->next;
    backend->env->children = child;
    event_assign(&child->event, loop_base(backend->env->loop), child->pidfd, EV_READ | EV_PERSIST, on_ended,
                 child);
    event_add(&child->event, NULL);
    return child->id;
}

static struct child *find(struct sbx_backend *abi, sbx_child id, const char *service)
{
    struct backend *backend = host_enter(abi, service);
    return backend ? handles_get(&backend->handles, HANDLE_CHILD, id) : NULL;
}

pid_t children_pid(struct sbx_backend *abi, sbx_child id)
{
    struct child *child = find(abi, id, "child_pid");
    return child ? child->pid : 0;
}

void children_signal(struct sbx_backend *abi, sbx_child id, int signal)
{
    struct child *child = find(abi, id, "child_signal");
    if (child)
        pidfd_send_signal(child->pidfd, signal, NULL, 0); /* one that has just ended needs none */
}

void children_disown(struct sbx_backend *abi, sbx_child id)
{
    struct child *child = find(abi, id, "child_disown");
    if (child)
        forget(child);
}

void children_end(struct backend *backend)
{
    struct child *child;
    for (size_t i = 0; (child = handles_next(&backend->handles, HANDLE_CHILD, &i));)
        forget(child);
}

void children_forget(struct instance_env *env)
{
    struct child *child;
    while ((child = env->children)) {
        forget(child);
        unlink_child(child);
        free(child);
    }
}
