/* sweep.c: see sweep.h. */
#include "sweep.h"

#include "common/failure.h"
#include "owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A whole entry of an environment. */
struct mark {
    char text[200];
    size_t len;
    size_t matched; /* of the text and its zero byte; SIZE_MAX: this entry is another one */
    bool found;
};

static void compare_byte(struct mark *mark, char byte)
{
    mark->found |= mark->matched == mark->len && byte == '\0';
    if (byte == '\0')
        mark->matched = 0;
    else if (mark->matched < mark->len && byte == mark->text[mark->matched])
        mark->matched++;
    else
        mark->matched = SIZE_MAX;
}

enum { MARKS = 2 };

/* In pieces: an environment may be of any size. */
static bool has_marks(int fd, const struct mark *wanted)
{
    char text[8192];
    struct mark marks[MARKS];
    memcpy(marks, wanted, sizeof marks);
    for (ssize_t len; (len = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < len; i++)
            for (size_t m = 0; m < MARKS; m++)
                compare_byte(&marks[m], text[i]);
    return marks[0].found && marks[1].found;
}

/* The pidfd comes first: if the pid is used anew meanwhile, it points to a process that is gone. */
static bool signal_if_marked(const char *name, const struct mark *marks, int signal)
{
    pid_t pid = (pid_t)strtol(name, NULL, 10);
    int process = pid > 0 && pid != getpid() ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (process < 0)
        return false;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int environment = open(path, O_RDONLY | O_CLOEXEC);
    bool signalled = environment >= 0 && has_marks(environment, marks) &&
                     syscall(SYS_pidfd_send_signal, process, signal, NULL, 0) == 0;
    if (environment >= 0)
        close(environment);
    close(process);
    return signalled;
}

/* 1: there were some; 0: none; -1 with errno. */
static int signal_all(const struct mark *marks, int signal)
{
    DIR *processes = opendir("/proc");
    if (!processes)
        return -1;
    bool any = false;
    for (const struct dirent *entry; (entry = readdir(processes));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            any |= signal_if_marked(entry->d_name, marks, signal);
    closedir(processes);
    return any;
}

static void set_mark(struct mark *mark, const char *name, const char *value)
{
    *mark = (struct mark){0};
    mark->len = (size_t)snprintf(mark->text, sizeof mark->text, "%s=%s", name, value);
}

int sweep_processes(const char *sandbox_id, const char *owner, struct sbx_error *err)
{
    struct mark marks[MARKS];
    set_mark(&marks[0], "SANDBOX_ID", sandbox_id);
    set_mark(&marks[1], OWNER_VARIABLE, owner);
    for (unsigned round = 0; round < 1000; round++) {
        /* Stopped first, twice: who is to stop forks no more, and who stands still leaves no room for
         * others under a limit. */
        int any = signal_all(marks, SIGSTOP);
        if (any > 0 && (any = signal_all(marks, SIGSTOP)) >= 0)
            any = signal_all(marks, SIGKILL);
        if (any < 0)
            return failure_errno(err, errno, "/proc can't be read");
        if (any == 0)
            return 0;
        /* Young ones may have been forked while we looked; old ones take a moment to be gone. */
        nanosleep(&(struct timespec){.tv_nsec = round < 20 ? 1000000 : 5000000}, NULL);
    }
    return failure_set(err, SBX_ERR_TIMEOUT, SBX_CODE_INTERNAL, "processes of the sandbox do not end");
}
