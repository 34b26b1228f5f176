/* sandbox_limits.c: see sandbox_limits.h. What happens inside a group that is made is cgroup.h's. */
#include "sandbox_limits.h"

#include "cgroup.h"
#include "common/failure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The group of the daemon itself, where version 2 wants it out of the way: a group that has processes
 * can't have limits inside (the "no internal processes" rule). */
#define DAEMON_GROUP "sandboxd-daemon"
#define PARENT_GROUP "sandboxd"

enum { MEMORY, CPU, PIDS };
static const char *const names[LIMITS_CONTROLLERS] = {"memory", "cpu", "pids"};

static bool wanted(const struct options *options, int controller)
{
    switch (controller) {
    case MEMORY: return options->memory > 0;
    case CPU: return options->cpu_milli > 0;
    default: return options->pids > 0;
    }
}

static int read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t len = 0;
    for (ssize_t got; len < size - 1 && (got = read(fd, text + len, size - 1 - len)) > 0;)
        len += (size_t)got;
    close(fd);
    text[len] = '\0';
    return 0;
}

/* Is `word` in a list that is separated by commas or blanks? */
static bool has_word(const char *list, size_t list_len, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list, *end = list + list_len; at < end;) {
        size_t span = strcspn(at, ", \n");
        if (span > (size_t)(end - at))
            span = (size_t)(end - at);
        if (span == len && memcmp(at, word, len) == 0)
            return true;
        at += span + 1;
    }
    return false;
}

/* The path of this process in the hierarchy that has `controller` (version 2: ""), from "ID:NAMES:PATH". */
static bool own_path(const char *own, const char *controller, char *path, size_t size)
{
    for (const char *line = own; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *list = strchr(line, ':');
        const char *tail = list ? strchr(list + 1, ':') : NULL;
        if (!tail)
            return false;
        list++;
        bool match = *controller == '\0' ? tail == list : has_word(list, (size_t)(tail - list), controller);
        size_t len = strcspn(tail + 1, "\n");
        if (match && len < size) {
            memcpy(path, tail + 1, len);
            path[len] = '\0';
            return true;
        }
    }
    return false;
}

/* The directory of the daemon's own group in a hierarchy, from the mounts: see proc(5), mountinfo. */
static bool own_directory(const char *mounts, const char *own, const char *controller, char *dir, size_t size)
{
    char path[PATH_MAX];
    dir[0] = '\0';
    if (!own_path(own, controller, path, sizeof path))
        return false;
    for (const char *line = mounts; line && *line;) {
        char root[PATH_MAX], mount[PATH_MAX], kind[64], options[1024];
        size_t len = strcspn(line, "\n");
        char text[8192];
        snprintf(text, sizeof text, "%.*s", (int)(len < sizeof text ? len : sizeof text - 1), line);
        line = line[len] ? line + len + 1 : NULL;
        const char *dash = strstr(text, " - ");
        if (!dash || sscanf(text, "%*s %*s %*s %4095s %4095s", root, mount) != 2 ||
            sscanf(dash, " - %63s %*s %1023s", kind, options) != 2)
            continue;
        bool unified = *controller == '\0';
        if (unified ? strcmp(kind, "cgroup2") != 0
                    : strcmp(kind, "cgroup") != 0 || !has_word(options, strlen(options), controller))
            continue;
        size_t root_len = strcmp(root, "/") == 0 ? 0 : strlen(root);
        if (strncmp(path, root, root_len) != 0 || (path[root_len] != '/' && path[root_len] != '\0'))
            continue;
        const char *below = strcmp(path + root_len, "/") == 0 ? "" : path + root_len;
        int written = snprintf(dir, size, "%s%s", mount, below);
        if (written > 0 && (size_t)written < size)
            return true;
        dir[0] = '\0';
    }
    return false;
}

static int find_controller(struct limits *limits, const char *mounts, const char *own, int controller,
                           struct sbx_error *err)
{
    char *dir = limits->controller[controller];
    if (own_directory(mounts, own, names[controller], dir, PATH_MAX))
        return 0;
    char path[PATH_MAX + 32], list[1024] = "";
    snprintf(path, sizeof path, "%s/cgroup.controllers", limits->unified);
    if (*limits->unified && read_text(path, list, sizeof list) == 0 &&
        has_word(list, strlen(list), names[controller])) {
        limits->in_unified[controller] = true;
        return 0;
    }
    return failure_set(err, SBX_ERR_UNSUPPORTED, "LIMIT_UNSUPPORTED",
                       "limits.%s can't be enforced here: the control group of the daemon has no \"%s\" "
                       "controller%s",
                       names[controller], names[controller],
                       *limits->unified ? " (with systemd, Delegate=yes gives it one)" : "");
}

int limits_find(struct limits *limits, const struct options *options, const char *mounts, const char *own,
                struct sbx_error *err)
{
    static const size_t max = 256 * 1024;
    *limits = (struct limits){0};
    char *texts = NULL;
    if (!mounts) {
        texts = malloc(2 * max);
        if (!texts)
            abort();
        texts[0] = texts[max] = '\0';
        (void)read_text("/proc/self/mountinfo", texts, max);
        (void)read_text("/proc/self/cgroup", texts + max, max);
        mounts = texts;
        own = texts + max;
    }
    if (own_directory(mounts, own, "", limits->unified, sizeof limits->unified)) {
        char *last = strrchr(limits->unified, '/');
        if (last && strcmp(last, "/" DAEMON_GROUP) == 0)
            *last = '\0';
    }
    (void)own_directory(mounts, own, "freezer", limits->freezer, sizeof limits->freezer);
    int result = 0;
    for (int i = 0; i < LIMITS_CONTROLLERS && result == 0; i++)
        if (wanted(options, i))
            result = find_controller(limits, mounts, own, i, err);
    free(texts);

    struct rlimit files;
    if (result == 0 && options->files > 0 && geteuid() != 0 && getrlimit(RLIMIT_NOFILE, &files) == 0 &&
        options->files > files.rlim_max)
        return failure_set(err, SBX_ERR_UNSUPPORTED, "LIMIT_UNSUPPORTED",
                           "limits.files can't be more than the daemon's own hard limit, %" PRIu64,
                           (uint64_t)files.rlim_max);
    return result;
}

static int join(char *path, const char *dir, const char *name)
{
    int len = snprintf(path, PATH_MAX, "%s/%s", dir, name);
    if (len > 0 && len < PATH_MAX)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int make_group(char *path, const char *dir, const char *name)
{
    return join(path, dir, name) == 0 && (mkdir(path, 0755) == 0 || errno == EEXIST) ? 0 : -1;
}

/* Lets the groups inside `dir` have a controller. When the daemon itself is in the way, it moves. */
static int enable(const char *dir, const char *controller)
{
    char text[32], group[PATH_MAX];
    snprintf(text, sizeof text, "+%s", controller);
    if (cgroup_write(dir, "cgroup.subtree_control", text) == 0)
        return 0;
    if (errno != EBUSY || make_group(group, dir, DAEMON_GROUP) != 0 ||
        cgroup_write(group, "cgroup.procs", "0") != 0)
        return -1;
    return cgroup_write(dir, "cgroup.subtree_control", text);
}

static int prepare_unified(const struct limits *limits)
{
    char parent[PATH_MAX];
    if (make_group(parent, limits->unified, PARENT_GROUP) != 0)
        return -1;
    for (int i = 0; i < LIMITS_CONTROLLERS; i++)
        if (limits->in_unified[i] &&
            (enable(limits->unified, names[i]) != 0 || enable(parent, names[i]) != 0))
            return -1;
    return access(parent, W_OK);
}

int limits_prepare(struct limits *limits, const struct options *options, struct sbx_error *err)
{
    char parent[PATH_MAX];
    if (*limits->unified && prepare_unified(limits) != 0) {
        for (int i = 0; i < LIMITS_CONTROLLERS; i++)
            if (limits->in_unified[i])
                return failure_errno(err, errno,
                                     "limits.%s can't be enforced here: no control group can be made in %s",
                                     names[i], limits->unified);
        limits->unified[0] = '\0';
    }
    if (*limits->unified || (*limits->freezer && (make_group(parent, limits->freezer, PARENT_GROUP) != 0 ||
                                                  access(parent, W_OK) != 0)))
        limits->freezer[0] = '\0';
    for (int i = 0; i < LIMITS_CONTROLLERS; i++)
        if (wanted(options, i) && !limits->in_unified[i] &&
            (make_group(parent, limits->controller[i], PARENT_GROUP) != 0 || access(parent, W_OK) != 0))
            return failure_errno(err, errno,
                                 "limits.%s can't be enforced here: no control group can be made in %s",
                                 names[i], limits->controller[i]);
    return 0;
}

void limits_release(const struct limits *limits)
{
    char parent[PATH_MAX];
    if (*limits->unified && join(parent, limits->unified, PARENT_GROUP) == 0)
        (void)rmdir(parent);
    if (*limits->freezer && join(parent, limits->freezer, PARENT_GROUP) == 0)
        (void)rmdir(parent);
    for (int i = 0; i < LIMITS_CONTROLLERS; i++)
        if (*limits->controller[i] && join(parent, limits->controller[i], PARENT_GROUP) == 0)
            (void)rmdir(parent);
}

static int write_number(const char *dir, const char *file, uint64_t number)
{
    char text[64];
    snprintf(text, sizeof text, "%" PRIu64, number);
    return cgroup_write(dir, file, text);
}

/* Sets one limit. Swap is no way around the memory limit; where the kernel does not count it, it can't be. */
static int set_limit(const char *dir, int controller, bool unified, const struct options *options)
{
    enum { CPU_PERIOD_US = 100000 };
    uint64_t quota = options->cpu_milli * CPU_PERIOD_US / 1000;
    char text[64];
    switch (controller) {
    case MEMORY:
        if (write_number(dir, unified ? "memory.max" : "memory.limit_in_bytes", options->memory) != 0)
            return -1;
        if (write_number(dir, unified ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
                         unified ? 0 : options->memory) != 0 &&
            errno != ENOENT)
            return -1;
        return 0;
    case CPU:
        if (unified) {
            snprintf(text, sizeof text, "%" PRIu64 " %d", quota, CPU_PERIOD_US);
            return cgroup_write(dir, "cpu.max", text);
        }
        return write_number(dir, "cpu.cfs_period_us", CPU_PERIOD_US) == 0
                   ? write_number(dir, "cpu.cfs_quota_us", quota)
                   : -1;
    default: return write_number(dir, "pids.max", options->pids);
    }
}

static void name_group(struct limits_groups *groups, const char *dir, const char *name)
{
    int len = snprintf(groups->dirs[groups->count], PATH_MAX, "%s/%s/%s", dir, PARENT_GROUP, name);
    if (len > 0 && len < PATH_MAX)
        groups->count++;
    else
        groups->dirs[groups->count++][0] = '\0'; /* can't be made, which limits_make() finds */
}

void limits_name(struct limits_groups *groups, const struct limits *limits, const struct options *options,
                 const char *sandbox_id, uint64_t incarnation)
{
    char name[192];
    snprintf(name, sizeof name, "%s.%016" PRIx64, sandbox_id, incarnation);
    *groups = (struct limits_groups){.freezer = *limits->unified ? 2 : *limits->freezer ? 1 : 0};
    if (groups->freezer != 0)
        name_group(groups, groups->freezer == 2 ? limits->unified : limits->freezer, name);
    for (int i = 0; i < LIMITS_CONTROLLERS; i++)
        if (wanted(options, i) && !limits->in_unified[i])
            name_group(groups, limits->controller[i], name);
}

/* `failed`: the controller that it failed at; -1: none of them. */
static int make_all(const struct limits_groups *groups, const struct limits *limits,
                    const struct options *options, int *failed)
{
    uint32_t next = 0;
    *failed = -1;
    if (groups->freezer != 0 && mkdir(groups->dirs[next++], 0755) != 0)
        return -1;
    for (int i = 0; i < LIMITS_CONTROLLERS; i++) {
        if (!wanted(options, i))
            continue;
        *failed = i;
        const char *dir = groups->dirs[limits->in_unified[i] ? 0 : next];
        if (!limits->in_unified[i] && mkdir(groups->dirs[next++], 0755) != 0)
            return -1;
        if (set_limit(dir, i, limits->in_unified[i], options) != 0)
            return -1;
    }
    return 0;
}

int limits_make(struct limits_groups *groups, const struct limits *limits, const struct options *options,
                struct sbx_error *err)
{
    int failed = -1, error = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (make_all(groups, limits, options, &failed) == 0)
            return 0;
        error = errno;
        for (uint32_t i = 0; i < groups->count; i++)
            (void)rmdir(groups->dirs[i]);
        /* The group that holds them goes when another instance of this backend closes. */
        struct limits again = *limits;
        if (error != ENOENT || limits_prepare(&again, options, NULL) != 0)
            break;
    }
    bool limited = options->memory > 0 || options->cpu_milli > 0 || options->pids > 0;
    if (limited)
        return failure_errno(err, error, "limits.%s can't be set", names[failed < 0 ? MEMORY : failed]);
    *groups = (struct limits_groups){0}; /* it only freezes and kills: signals do that as well */
    return 0;
}
