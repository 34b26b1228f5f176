/* tree.c: see tree.h. Owns the list of the last look; decides nothing. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* `order` has each parent before its children; `list` is the same, sorted. */
static pid_t order[TREE_MAX], list[TREE_MAX];
static size_t list_len;

static void add(pid_t pid)
{
    if (list_len < TREE_MAX)
        order[list_len++] = pid;
}

/* The walks begin with this process, which is no part of the tree. */
static void drop_self(void)
{
    memmove(order, order + 1, --list_len * sizeof *order);
}

static int compare(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return (a > b) - (a < b);
}

/* What /proc/PID/stat, or that of a thread, says. */
struct stat_line {
    char state;
    pid_t parent;
    long threads;
};

/* False: it is gone. */
static bool read_line(const char *path, struct stat_line *line)
{
    char text[1024];
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
    line->state = after[2];
    line->parent = (pid_t)strtol(after + 4, NULL, 10);
    enum { THREADS_FIELD = 20, PARENT_FIELD = 4 };
    const char *field = after + 4;
    for (int i = PARENT_FIELD; field && i < THREADS_FIELD; i++) {
        field = strchr(field, ' ');
        field = field ? field + 1 : NULL;
    }
    line->threads = field ? strtol(field, NULL, 10) : 1;
    return true;
}

static bool read_stat(pid_t pid, struct stat_line *line)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    return read_line(path, line);
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
        snprintf(path, sizeof path, "/proc/%d/task", (int)order[i]);
        DIR *threads = opendir(path);
        if (!threads)
            continue;
        for (const struct dirent *entry; (entry = readdir(threads));)
            if (entry->d_name[0] != '.' && !add_children_of(order[i], entry->d_name)) {
                closedir(threads);
                return false;
            }
        closedir(threads);
    }
    drop_self();
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
            pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
            struct stat_line line;
            if (pid <= 0 || !read_stat(pid, &line))
                continue;
            bool known = false, child = false;
            for (size_t i = 0; i < list_len; i++) {
                known |= order[i] == pid;
                child |= order[i] == line.parent;
            }
            if (child && !known)
                add(pid);
        }
        closedir(processes);
    }
    drop_self();
}

size_t tree_list(const pid_t **pids)
{
    if (!list_by_children())
        list_by_parents();
    memcpy(list, order, list_len * sizeof *list);
    qsort(list, list_len, sizeof *list, compare);
    if (pids)
        *pids = list;
    return list_len;
}

static size_t index_of(pid_t pid)
{
    const pid_t *found = bsearch(&pid, list, list_len, sizeof *list, compare);
    return found ? (size_t)(found - list) : list_len;
}

/* Signals one process of the list if it still is who it was. False: it is gone. */
static bool signal_one(pid_t pid, int signal)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return false;
    struct stat_line line;
    bool ours = read_stat(pid, &line) && (line.parent == getpid() || index_of(line.parent) < list_len);
    if (ours)
        (void)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
    close(fd);
    return ours;
}

void tree_signal(int signal)
{
    tree_list(NULL);
    for (size_t i = 0; i < list_len; i++)
        (void)signal_one(list[i], signal);
}

void tree_continue(void)
{
    tree_list(NULL);
    for (size_t i = list_len; i > 0; i--)
        (void)signal_one(order[i - 1], SIGCONT);
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* A later one moves more. SLEEPS: in the kernel (on a dead network disk; in vfork(2), its child being stopped). A
 * signal waits for it, and it runs none of its own code before that. */
enum motion { STILL, SLEEPS, MOVES };

static enum motion motion_of(char state)
{
    return strchr("TtZXx", state) ? STILL : state == 'D' ? SLEEPS : MOVES;
}

/* Threads stop one after the other, and the first may have ended before the others. */
static enum motion look_at(pid_t pid)
{
    struct stat_line line;
    if (!read_stat(pid, &line))
        return STILL;
    enum motion most = motion_of(line.state);
    if (line.threads <= 1 || most == MOVES)
        return most;
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    for (const struct dirent *entry; threads && most != MOVES && (entry = readdir(threads));) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, entry->d_name);
        if (entry->d_name[0] != '.' && read_line(path, &line) && motion_of(line.state) > most)
            most = motion_of(line.state);
    }
    if (threads)
        closedir(threads);
    return most;
}

/* By index in `list`: what the last look of this round found. */
static unsigned char motions[TREE_MAX];

/* Waiting counts by what was slept, so that a busy machine gives a tree its time; and by the clock,
 * since looking at many that fork as fast as they can takes longer than any sleep. */
struct patience {
    unsigned waited_us, max_us;
    uint64_t end_ms;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_over(const struct patience *patience)
{
    return patience->waited_us >= patience->max_us || now_ms() >= patience->end_ms;
}

static void pause_us(struct patience *patience, unsigned us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000L}, NULL);
    patience->waited_us += us;
}

/* Waits for a moment until a process that was told to stop stands still. */
static enum motion settle(size_t index, struct patience *patience)
{
    enum { STEP_US = 50, STEPS = 40 };
    for (unsigned step = 0; motions[index] == MOVES && step < STEPS; step++) {
        motions[index] = (unsigned char)look_at(list[index]);
        if (motions[index] != MOVES || is_over(patience))
            break;
        pause_us(patience, STEP_US);
    }
    return (enum motion)motions[index];
}

/* A child is told only when its parent stands still: a shell that runs for another moment would take the stop of
 * its child for the end of its command. False: that parent still moves. */
static bool stop_one(pid_t pid, struct patience *patience)
{
    struct stat_line line;
    size_t index = index_of(pid);
    motions[index] = STILL;
    if (!read_stat(pid, &line))
        return true;
    size_t parent = line.parent == getpid() ? list_len : index_of(line.parent);
    motions[index] = MOVES;
    if (parent < list_len && settle(parent, patience) == MOVES)
        return false;
    motions[index] = (unsigned char)look_at(pid);
    if (motions[index] != STILL && !signal_one(pid, SIGSTOP))
        motions[index] = STILL;
    return true;
}

int tree_stop(unsigned timeout_ms)
{
    enum { ROUND_US = 500, SLEEPERS_MS = 20 };
    struct patience patience = {.max_us = timeout_ms * 1000, .end_ms = now_ms() + 5 * (uint64_t)timeout_ms};
    unsigned quiet = 0;
    for (;;) {
        tree_list(NULL);
        bool sleeping = false, moving = false;
        for (size_t i = 0; i < list_len; i++) {
            moving |= !stop_one(order[i], &patience);
            if (now_ms() >= patience.end_ms)
                return ETIMEDOUT;
        }
        for (size_t i = 0; i < list_len; i++) {
            enum motion motion = motions[i] == STILL ? STILL : look_at(list[i]);
            sleeping |= motion == SLEEPS;
            moving |= motion == MOVES;
        }
        /* Twice: one that got a new parent while the first look was at the old one was not seen by it. */
        bool still = !moving && (!sleeping || patience.waited_us >= SLEEPERS_MS * 1000);
        quiet = still ? quiet + 1 : 0;
        if (quiet == 2)
            return list_len < TREE_MAX ? 0 : ENOBUFS;
        if (still)
            continue;
        if (is_over(&patience))
            return ETIMEDOUT;
        pause_us(&patience, ROUND_US);
    }
}

/* A signal that waits for a process keeps it from forking, whether it has seen it yet or not. So two
 * rounds of SIGSTOP, in no order that anybody could mind, leave little that could fork away from the
 * SIGKILL. */
void tree_kill(void)
{
    tree_signal(SIGSTOP);
    tree_signal(SIGSTOP);
    tree_signal(SIGKILL);
}
