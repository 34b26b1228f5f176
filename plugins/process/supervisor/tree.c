/* tree.c: see tree.h. Owns the list of the last look; decides nothing. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pid_t list[TREE_MAX];
static size_t list_len;

static void add(pid_t pid)
{
    if (list_len < TREE_MAX)
        list[list_len++] = pid;
}

static int compare(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return (a > b) - (a < b);
}

/* State letter and parent of a process, from /proc/PID/stat; false: it is gone. */
static bool read_stat(pid_t pid, char *state, pid_t *parent)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    /* The name in parentheses may hold anything, parentheses too. */
    const char *after = strrchr(text, ')');
    if (!after || after[1] != ' ' || after[2] == '\0' || after[3] != ' ')
        return false;
    *state = after[2];
    *parent = (pid_t)strtol(after + 4, NULL, 10);
    return true;
}

/* Adds the children of one thread; false where the kernel does not list them. */
static bool add_children_of(pid_t pid, const char *thread)
{
    char path[320], text[4096];
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno != ENOENT || access("/proc/thread-self/children", F_OK) == 0;
    pid_t number = 0;
    for (ssize_t len; (len = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < len; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                number = number * 10 + (text[i] - '0');
            } else if (number != 0) {
                add(number);
                number = 0;
            }
        }
    close(fd);
    return true;
}

static bool list_by_children(void)
{
    list_len = 0;
    add(getpid());
    for (size_t i = 0; i < list_len; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", (int)list[i]);
        DIR *threads = opendir(path);
        if (!threads)
            continue;
        for (const struct dirent *entry; (entry = readdir(threads));)
            if (entry->d_name[0] != '.' && !add_children_of(list[i], entry->d_name)) {
                closedir(threads);
                return false;
            }
        closedir(threads);
    }
    list[0] = list[--list_len]; /* this process itself */
    return true;
}

/* For kernels without CONFIG_PROC_CHILDREN: whoever has a parent in the list belongs to it. */
static void list_by_parents(void)
{
    list_len = 0;
    add(getpid());
    for (size_t before = 0; before != list_len;) {
        before = list_len;
        DIR *processes = opendir("/proc");
        if (!processes)
            break;
        for (const struct dirent *entry; (entry = readdir(processes));) {
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10), parent;
            char state;
            if (pid <= 0 || !read_stat(pid, &state, &parent))
                continue;
            bool known = false, child = false;
            for (size_t i = 0; i < list_len; i++) {
                known |= list[i] == pid;
                child |= list[i] == parent;
            }
            if (child && !known)
                add(pid);
        }
        closedir(processes);
    }
    list[0] = list[--list_len];
}

size_t tree_list(const pid_t **pids)
{
    if (!list_by_children())
        list_by_parents();
    qsort(list, list_len, sizeof *list, compare);
    if (pids)
        *pids = list;
    return list_len;
}

/* Signals one process of the list if it still is who it was. `state` receives its state, 'X' when gone. */
static void signal_one(pid_t pid, int signal, bool only_moving, char *state)
{
    *state = 'X';
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    pid_t parent;
    bool ours = read_stat(pid, state, &parent) &&
                (parent == getpid() || bsearch(&parent, list, list_len, sizeof *list, compare));
    bool moving = *state != 'T' && *state != 't' && *state != 'Z' && *state != 'X';
    if (!ours)
        *state = 'X';
    else if (moving || !only_moving)
        (void)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    close(fd);
}

void tree_signal(int signal)
{
    tree_list(NULL);
    for (size_t i = 0; i < list_len; i++) {
        char state;
        signal_one(list[i], signal, false, &state);
    }
}

int tree_stop(unsigned timeout_ms)
{
    /* One that sleeps in the kernel (on a dead network disk; in vfork(2), its child being stopped) has its
     * signal waiting for it and runs none of its own code before that. */
    enum { ROUND_US = 500, SLEEPERS_MS = 20 };
    unsigned waited_us = 0, quiet = 0;
    for (;;) {
        tree_list(NULL);
        size_t moving = 0, sleeping = 0;
        for (size_t i = 0; i < list_len; i++) {
            char state;
            signal_one(list[i], SIGSTOP, true, &state);
            if (state == 'D')
                sleeping++;
            else if (state != 'T' && state != 't' && state != 'Z' && state != 'X')
                moving++;
        }
        /* Twice: one that got a new parent while the first look was at the old one was not seen by it. */
        bool still = moving == 0 && (sleeping == 0 || waited_us >= SLEEPERS_MS * 1000);
        quiet = still ? quiet + 1 : 0;
        if (quiet == 2)
            return list_len < TREE_MAX ? 0 : ENOBUFS;
        if (still)
            continue;
        if (waited_us >= timeout_ms * 1000)
            return ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = ROUND_US * 1000}, NULL);
        waited_us += ROUND_US;
    }
}

void tree_kill(void)
{
    (void)tree_stop(20);
    tree_signal(SIGKILL);
}
