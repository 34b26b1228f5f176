/* sweep.c: see sweep.h. */
#include "sweep.h"

#include "common/failure.h"

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

/* Looks for a whole entry of the environment, in pieces: it may be of any size. */
static bool has_mark(int fd, const char *mark, size_t mark_len)
{
    char text[8192];
    size_t matched = 0; /* of the mark and its zero byte; SIZE_MAX: this entry is another one */
    for (ssize_t len; (len = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < len; i++) {
            if (matched == mark_len && text[i] == '\0')
                return true;
            if (text[i] == '\0')
                matched = 0;
            else if (matched < mark_len && text[i] == mark[matched])
                matched++;
            else
                matched = SIZE_MAX;
        }
    return false;
}

/* The pidfd comes first: if the pid is used anew meanwhile, it points to a process that is gone. */
static bool kill_if_marked(const char *name, const char *mark, size_t mark_len)
{
    pid_t pid = (pid_t)strtol(name, NULL, 10);
    int process = pid > 0 && pid != getpid() ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (process < 0)
        return false;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int environment = open(path, O_RDONLY | O_CLOEXEC);
    bool killed = environment >= 0 && has_mark(environment, mark, mark_len) &&
                  syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) == 0;
    if (environment >= 0)
        close(environment);
    close(process);
    return killed;
}

int sweep_processes(const char *sandbox_id, struct sbx_error *err)
{
    char mark[160];
    int mark_len = snprintf(mark, sizeof mark, "SANDBOX_ID=%s", sandbox_id);
    for (unsigned round = 0; round < 1000; round++) {
        DIR *processes = opendir("/proc");
        if (!processes)
            return failure_errno(err, errno, "/proc can't be read");
        bool any = false;
        for (const struct dirent *entry; (entry = readdir(processes));)
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
                any |= kill_if_marked(entry->d_name, mark, (size_t)mark_len);
        closedir(processes);
        if (!any)
            return 0;
        /* Young ones may have been forked while we looked; old ones take a moment to be gone. */
        nanosleep(&(struct timespec){.tv_nsec = round < 20 ? 1000000 : 5000000}, NULL);
    }
    return failure_set(err, SBX_ERR_TIMEOUT, SBX_CODE_INTERNAL, "processes of the sandbox do not end");
}
