/* process-supervisor: keeps one run of one sandbox's program, whatever becomes of the daemon.
 *
 * Started by the process plugin with the descriptors of wire.h; its arguments are only for people who
 * look at ps. It starts the program once, keeps its output and its exit, freezes, thaws and ends its whole
 * tree when asked, and ends when nothing of the tree is left. It holds the sandbox's lock and its port's
 * reservation, and never starts the program a second time: another run is another supervisor.
 *
 * This file owns the phases of that one run. Single-threaded; allocates only to read the launch.
 */
#include "agent.h"
#include "cgroup.h"
#include "control.h"
#include "output.h"
#include "port.h"
#include "tree.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    FREEZE_TIMEOUT_MS = 2000,
    KILL_INTERVAL_MS = 5,     /* between rounds of SIGKILL */
    OUTPUT_TURN = 256 * 1024, /* moved between two looks at the connections */
    GRAB_MS = 10 * 60 * 1000, /* an exit later than this has nothing to do with a grabbed port */
    CGROUP_REMOVE_MS = 1000,
    PIPE_MAX = 1024 * 1024, /* in the pipe at most (pipe(7)); more comes from somebody who still writes */
    END_MAX_MS = 24 * 60 * 60 * 1000
};

struct supervisor {
    struct launch launch;
    struct control control;
    struct output output;
    struct wire_status status;
    int signals;
    int exit; /* the file of the exit, not yet under its name */
    uint64_t started_ms;
    uint64_t kill_ms; /* when SIGKILL is due, again and again; 0: no end was asked for */
    bool stopped;     /* frozen by SIGSTOP, since there is no group or it did not do */
    bool halted;      /* the program itself stands still by a signal, whoever sent it */
    bool gone;        /* no child is left */
    bool unwanted;    /* its end was asked for by one who needs no record of it */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The version of the control group that freezes, the first; 0: there is none. */
static unsigned freezer(const struct supervisor *self)
{
    uint32_t flags = self->launch.head.flags;
    return flags & WIRE_LAUNCH_CGROUP2 ? 2 : flags & WIRE_LAUNCH_FREEZER1 ? 1 : 0;
}

static int freeze_group(const struct supervisor *self, bool freeze)
{
    return cgroup_freeze(self->launch.cgroups[0], freezer(self), freeze, FREEZE_TIMEOUT_MS);
}

static void push(struct supervisor *self)
{
    self->status.answers = 0;
    self->status.result = 0;
    self->status.output = self->output.position;
    control_push(&self->control, &self->status);
}

static void answer(struct supervisor *self, unsigned peer, uint32_t serial, int result)
{
    struct wire_status status = self->status;
    status.answers = serial;
    status.result = result;
    status.output = self->output.position;
    control_send(&self->control, peer, &status);
}

/* Takes the room of the exit on the disk before there is one: by then the disk may be full. */
static int reserve_exit(struct supervisor *self)
{
    self->exit = open(WIRE_EXIT_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (self->exit < 0)
        return -1;
    return write(self->exit, &self->status, sizeof self->status) == (ssize_t)sizeof self->status ? 0 : -1;
}

/* Whole or not at all, so that a reader never sees half of it. Until the rest of the tree has ended,
 * too, it says so: if this process does not live to see that, somebody else has to care for it. */
static void record_exit(const struct supervisor *self)
{
    if (pwrite(self->exit, &self->status, sizeof self->status, 0) == (ssize_t)sizeof self->status)
        (void)rename(WIRE_EXIT_NAME ".new", WIRE_EXIT_NAME);
}

/* Should that fail, somebody looks for a rest, and finds none. */
static void record_end(struct supervisor *self)
{
    uint32_t flags = self->status.flags & ~(uint32_t)WIRE_LEFT;
    if (pwrite(self->exit, &flags, sizeof flags, offsetof(struct wire_status, flags)) ==
        (ssize_t)sizeof flags)
        self->status.flags = flags;
}

static void sync_exit(void)
{
    int fd = open(WIRE_EXIT_NAME, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    (void)fsync(WIRE_FD_CONTROL_DIR);
}

static void kill_tree(struct supervisor *self)
{
    if (freezer(self) && cgroup_kill(self->launch.cgroups[0], freezer(self)) == 0)
        tree_signal(SIGKILL); /* for what left the group */
    else
        tree_kill();
}

static void end_tree(struct supervisor *self, uint64_t timeout_ms, uint32_t flags)
{
    self->status.flags |= WIRE_ENDING | flags;
    uint64_t kill_ms = now_ms() + (timeout_ms < END_MAX_MS ? timeout_ms : END_MAX_MS);
    bool first = self->kill_ms == 0;
    if (first || kill_ms < self->kill_ms)
        self->kill_ms = kill_ms;
    if (first && timeout_ms > 0) {
        tree_signal(SIGTERM);
        if (freezer(self))
            (void)freeze_group(self, false);
        tree_continue();
    }
    if (self->status.phase == WIRE_FROZEN)
        self->status.phase = WIRE_RUNNING;
    self->status.flags &= ~(uint32_t)WIRE_HALTED;
}

static int freeze_tree(struct supervisor *self)
{
    self->stopped = !freezer(self) || freeze_group(self, true) != 0;
    if (!self->stopped)
        return 0;
    if (freezer(self) && errno == ETIMEDOUT)
        return errno;
    int error = tree_stop(FREEZE_TIMEOUT_MS);
    if (error != 0)
        tree_continue();
    return error;
}

static int thaw_tree(struct supervisor *self)
{
    bool halted_only = self->status.flags & WIRE_HALTED;
    if (freezer(self) && !self->stopped && !halted_only && freeze_group(self, false) != 0)
        return errno;
    if (self->stopped || self->halted)
        tree_continue();
    self->stopped = self->halted = false;
    return 0;
}

static void set_phase(struct supervisor *self, uint32_t phase, bool halted)
{
    self->status.phase = phase;
    self->status.flags &= ~(uint32_t)WIRE_HALTED;
    if (halted)
        self->status.flags |= WIRE_HALTED;
    push(self);
}

/* SIGSTOP and SIGCONT from outside. Of the whole tree the program itself is what counts. What this process did itself
 * is told by then: then this changes nothing. */
static void agent_moved(struct supervisor *self, bool halted)
{
    self->halted = halted;
    if (self->kill_ms != 0)
        return;
    if (halted && self->status.phase == WIRE_RUNNING) {
        set_phase(self, WIRE_FROZEN, true);
    } else if (!halted && self->status.phase == WIRE_FROZEN &&
               (self->stopped || (self->status.flags & WIRE_HALTED))) {
        (void)thaw_tree(self); /* the others that were stopped with it */
        set_phase(self, WIRE_RUNNING, false);
    }
}

static void set_frozen(struct supervisor *self, unsigned peer, uint32_t serial, bool frozen)
{
    uint32_t wanted = frozen ? WIRE_FROZEN : WIRE_RUNNING;
    uint32_t phase = self->status.phase;
    if ((phase != WIRE_RUNNING && phase != WIRE_FROZEN) || self->kill_ms != 0) {
        answer(self, peer, serial, ESRCH);
        return;
    }
    int error = 0;
    /* Of what was stopped from outside the rest may move. */
    if (phase != wanted || (frozen && (self->status.flags & WIRE_HALTED))) {
        error = frozen ? freeze_tree(self) : thaw_tree(self);
        if (error == 0)
            set_phase(self, wanted, false);
    }
    answer(self, peer, serial, error);
}

static uint32_t sandbox_uid(const struct supervisor *self)
{
    return self->launch.head.flags & WIRE_LAUNCH_RUN_AS ? self->launch.head.uid : geteuid();
}

static void confirm(struct supervisor *self, unsigned peer, uint32_t serial)
{
    enum wire_port owner = port_owner((uint16_t)self->launch.head.port, true, sandbox_uid(self));
    if (owner == WIRE_PORT_OURS)
        self->status.flags |= WIRE_CONFIRMED;
    answer(self, peer, serial, owner);
}

static void serve(struct supervisor *self, unsigned peer)
{
    struct wire_request request;
    if (!control_receive(&self->control, peer, &request))
        return;
    switch (request.type) {
    case WIRE_END:
        self->unwanted |= request.flags == 0;
        end_tree(self, request.value, request.flags & (WIRE_STOPPED | WIRE_FOREIGN_PORT));
        break;
    case WIRE_FREEZE: set_frozen(self, peer, request.serial, true); break;
    case WIRE_THAW: set_frozen(self, peer, request.serial, false); break;
    case WIRE_CONFIRM: confirm(self, peer, request.serial); break;
    case WIRE_OUTPUT: break; /* control_output() answers */
    default: answer(self, peer, request.serial, ENOSYS); break;
    }
}

static bool killed_by_memory_limit(const struct supervisor *self)
{
    const struct wire_status *status = &self->status;
    if (status->exit_signal != SIGKILL && status->exit_code != 128 + SIGKILL)
        return false;
    for (uint32_t i = 0; i < self->launch.head.cgroups; i++)
        if (cgroup_memory_kills(self->launch.cgroups[i]) > 0)
            return true;
    return false;
}

/* The program itself has ended; what it left behind is ended too. */
static void agent_exited(struct supervisor *self, const siginfo_t *info)
{
    struct wire_status *status = &self->status;
    status->phase = WIRE_EXITED;
    status->flags &= ~(uint32_t)WIRE_HALTED;
    status->agent = 0;
    status->exit_code = info->si_code == CLD_EXITED ? info->si_status : -1;
    status->exit_signal = info->si_code == CLD_EXITED ? 0 : info->si_status;
    if (killed_by_memory_limit(self))
        status->flags |= WIRE_OUT_OF_MEMORY;
    if (self->kill_ms == 0 && status->exit_code != 0 && !(status->flags & WIRE_CONFIRMED) &&
        now_ms() - self->started_ms < GRAB_MS &&
        port_owner((uint16_t)self->launch.head.port, false, sandbox_uid(self)) == WIRE_PORT_FOREIGN)
        status->flags |= WIRE_FOREIGN_PORT;
    output_drain(&self->output, PIPE_MAX);
    status->output = self->output.position;
    status->flags |= WIRE_LEFT;
    record_exit(self);
    push(self);
}

static void reap(struct supervisor *self)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) != 0) {
            self->gone = errno == ECHILD;
            if (errno != EINTR)
                break;
        } else if (info.si_pid == 0) {
            break;
        } else if (info.si_pid != self->status.agent) {
            continue;
        } else if (info.si_code == CLD_STOPPED || info.si_code == CLD_CONTINUED) {
            agent_moved(self, info.si_code == CLD_STOPPED);
        } else {
            agent_exited(self, &info);
        }
    }
    if (self->status.phase == WIRE_EXITED && !self->gone && self->kill_ms == 0)
        end_tree(self, self->launch.head.stop_timeout_ms, 0);
}

static void read_signals(struct supervisor *self)
{
    struct signalfd_siginfo signal;
    while (read(self->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        if (signal.ssi_signo == SIGTERM) /* the machine goes down */
            end_tree(self, self->launch.head.stop_timeout_ms, WIRE_STOPPED);
    reap(self);
}

static void run(struct supervisor *self)
{
    while (!self->gone) {
        struct pollfd polls[2 + CONTROL_POLLS] = {
            {.fd = self->signals, .events = POLLIN},
            {.fd = self->output.pipe, .events = POLLIN},
        };
        control_polls(&self->control, polls + 2);
        int timeout = -1;
        if (self->kill_ms != 0) {
            uint64_t now = now_ms();
            timeout = self->kill_ms > now ? (int)(self->kill_ms - now) : 0;
        }
        int ready = poll(polls, sizeof polls / sizeof *polls, timeout);
        if (ready < 0 && errno != EINTR)
            break;
        if (polls[1].revents)
            output_drain(&self->output, OUTPUT_TURN);
        if (polls[0].revents)
            read_signals(self);
        for (unsigned i = 0; i < CONTROL_PEERS; i++)
            if (polls[3 + i].revents)
                serve(self, i);
        if (polls[2].revents) {
            control_accept(&self->control);
            push(self);
        }
        self->status.output = self->output.position;
        control_output(&self->control, &self->status);
        if (self->kill_ms != 0 && now_ms() >= self->kill_ms && !self->gone) {
            kill_tree(self);
            self->kill_ms = now_ms() + KILL_INTERVAL_MS;
        }
    }
}

static bool prepare(struct supervisor *self)
{
    int pipe_ends[2];
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGTERM);
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ, SIGTSTP};
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void)signal(ignored[i], SIG_IGN);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || sigprocmask(SIG_BLOCK, &handled, NULL) != 0 ||
        (self->signals = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK)) < 0 ||
        pipe2(pipe_ends, O_CLOEXEC) != 0)
        return false;
    (void)fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    enum wire_step step = WIRE_STEP_NONE;
    int error = 0;
    if (reserve_exit(self) != 0 ||
        output_init(&self->output, WIRE_FD_CONTROL_DIR, pipe_ends[0], self->launch.head.log_size) != 0) {
        step = WIRE_STEP_PREPARE;
        error = errno;
    } else {
        self->started_ms = now_ms();
        self->status.agent = agent_start(&self->launch, WIRE_FD_WORKING_DIR, pipe_ends[1], &step, &error);
    }
    close(pipe_ends[1]);
    close(WIRE_FD_WORKING_DIR);
    launch_forget(&self->launch);
    if (self->status.agent > 0) {
        self->status.phase = WIRE_RUNNING;
        return true;
    }
    self->status.agent = 0;
    self->status.phase = WIRE_FAILED;
    self->status.step = step;
    self->status.error = error;
    return true;
}

int main(int argc, char **argv)
{
    static struct supervisor self;
    self.status = (struct wire_status){
        .size = sizeof self.status, .version = WIRE_VERSION, .supervisor = getpid(), .exit_code = -1};
    for (int fd = WIRE_FD_LAUNCH; fd <= WIRE_FD_PORT; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            fprintf(stderr, "%s is started by the process backend of sandboxd, not by hand\n",
                    argc > 0 ? argv[0] : "process-supervisor");
            return 2;
        }
    if (fchdir(WIRE_FD_CONTROL_DIR) != 0 || launch_read(&self.launch, WIRE_FD_LAUNCH) != 0 ||
        control_init(&self.control, WIRE_FD_LINK) != 0)
        return 1;
    close(WIRE_FD_LAUNCH);
    self.status.incarnation = self.launch.head.incarnation;
    struct stat control_dir;
    if (fstat(WIRE_FD_CONTROL_DIR, &control_dir) != 0)
        return 1;
    self.status.control_device = control_dir.st_dev;
    self.status.control_inode = control_dir.st_ino;
    if (!prepare(&self))
        return 1;

    if (self.status.phase == WIRE_FAILED) {
        self.unwanted = true; /* told to who asked for the start; a loss of power has worse news */
        record_exit(&self);
    }
    push(&self);
    if (self.status.phase == WIRE_RUNNING)
        run(&self);

    output_drain(&self.output, PIPE_MAX);
    for (uint32_t i = 0; i < self.launch.head.cgroups; i++)
        (void)cgroup_remove(self.launch.cgroups[i], CGROUP_REMOVE_MS);
    if (self.gone && self.status.phase == WIRE_EXITED)
        record_end(&self);
    /* Whoever waits for the end need not wait for the disk too. */
    close(WIRE_FD_LOCK);
    close(WIRE_FD_PORT);
    control_finish(&self.control);
    if (!self.unwanted)
        sync_exit();
    return 0;
}
