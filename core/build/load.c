/* build/load.c: reads the builds that are in the store and clears the folder of contexts, once. See builds.h. */
#include "base/clock.h"
#include "base/log.h"
#include "build/record.h"
#include "build/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_context(const char *name)
{
    enum { ID = BASE62_SIZE_16 - 1 };
    return strlen(name) > ID && strcmp(name + ID, CONTEXT_SUFFIX) == 0;
}

/* On the pool: contexts that are there belong to a daemon that has ended. Where the folder is a
 * link of the operator's to a larger disk, there may be other things. */
static void make_folder(void *arg)
{
    struct builds *builds = arg;
    builds->number = mkdir(builds->folder, 0700) < 0 && errno != EEXIST ? errno : 0;
    DIR *folder = builds->number ? NULL : opendir(builds->folder);
    if (!folder) {
        builds->number = builds->number ? builds->number : errno;
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (is_context(entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

static void insert(struct builds *builds, struct build *build)
{
    struct build **at = &builds->first;
    while (*at && (*at)->began_us > build->began_us)
        at = &(*at)->next;
    build->next = *at;
    *at = build;
}

static void loaded_one(struct builds *builds)
{
    if (--builds->awaited > 0)
        return;
    reload_prepared prepared = builds->prepared;
    bool full = builds->number == ENOSPC || builds->number == EDQUOT;
    if (full) /* it is made when it is needed */
        log_warn("%s can't be made, so that no image can be built: %s", builds->folder,
                 strerrordesc_np(builds->number));
    else if (builds->number)
        config_problem_add(builds->problems, false, 0, 0, "state_dir",
                           "%s can't be used for build contexts: %s", builds->folder,
                           strerrordesc_np(builds->number));
    prepared(builds->transaction, builds->number == 0 || full);
}

struct loading {
    struct builds *builds;
    char id[BUILD_ID_SIZE];
};

static void got(void *arg, const struct sbx_error *err, const void *value, size_t len)
{
    struct loading *loading = arg;
    struct builds *builds = loading->builds;
    struct build *build = !err && value ? record_read(loading->id, value, len) : NULL;
    if (build) {
        build->builds = builds;
        insert(builds, build);
        if (build->status == BUILD_BUILDING)
            builds_end(build, BUILD_INTERNAL_ERROR,
                       "the daemon ended while the image was being built: build it again");
    }
    free(loading);
    loaded_one(builds);
}

static void listed(void *arg, const struct sbx_error *err, const char *const *keys, size_t count)
{
    struct builds *builds = arg;
    if (err)
        log_error("what is known of builds can't be read: %s", err->message);
    for (size_t i = 0; !err && i < count; i++) {
        struct loading *loading = calloc(1, sizeof *loading);
        if (!loading)
            abort();
        loading->builds = builds;
        snprintf(loading->id, sizeof loading->id, "%s", keys[i]);
        builds->awaited++;
        store_get(builds->deps.store, builds_space, keys[i], got, loading);
    }
    loaded_one(builds);
}

static void folder_made(void *arg)
{
    loaded_one(arg);
}

void builds_prepare(struct builds *builds, const struct config *old, struct config *next,
                    struct config_problems *problems, reload_prepared prepared, void *transaction)
{
    (void)old;
    if (builds->folder) {
        prepared(transaction, true);
        return;
    }
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/builds", next->state_dir);
    builds->folder = strdup(folder);
    builds->problems = problems;
    builds->prepared = prepared;
    builds->transaction = transaction;
    builds->awaited = 2;
    pool_submit(builds->deps.pool, make_folder, folder_made, builds);
    store_list(builds->deps.store, builds_space, "", listed, builds);
}
