/* build/builds.c: see builds.h. Owns the list of builds and their records in the store. An upload becomes a build when
 * its context is on the disk and the record in the store; from then on the backend has it. */
#include "build/builds.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "build/context.h"
#include "build/record.h"
#include "build/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char builds_space[] = "/builds"; /* no backend has such a name */

enum { OUTPUT_MAX = 4 * BUILD_LOG_MAX };

struct build_upload {
    struct build_upload *next, **prev; /* builds->uploads */
    struct builds *builds;
    struct build_upload_events events;
    struct build *build; /* not in the list yet */
    struct context *context;
    bool left; /* its client is gone, and the store has not answered */
};

/* ---- the list ---- */

static bool same_owner(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool may_see(const struct viewer *viewer, const struct build *build)
{
    return viewer->everything || same_owner(viewer->user, build->owner);
}

static bool has_name(const struct build *build, const char *name)
{
    for (size_t i = 0; build->names[i]; i++)
        if (strcmp(build->names[i], name) == 0)
            return true;
    return false;
}

const struct build *builds_find(const struct builds *builds, const struct viewer *viewer, const char *id)
{
    for (const struct build *build = builds->first; build; build = build->next)
        if (strcmp(build->id, id) == 0)
            return may_see(viewer, build) ? build : NULL;
    return NULL;
}

const struct build *builds_of_image(const struct builds *builds, const struct viewer *viewer,
                                    const char *full_name)
{
    for (const struct build *build = builds->first; build; build = build->next)
        if (build->status == BUILD_SUCCESS && may_see(viewer, build) && has_name(build, full_name))
            return build;
    return NULL;
}

bool builds_taken(const struct builds *builds, const struct viewer *viewer, const char *full_name)
{
    for (const struct build *build = builds->first; build; build = build->next)
        if ((build->status == BUILD_SUCCESS || build->status == BUILD_BUILDING) && !may_see(viewer, build) &&
            has_name(build, full_name))
            return true;
    for (const struct build_upload *upload = builds->uploads; upload; upload = upload->next)
        if (!may_see(viewer, upload->build) && has_name(upload->build, full_name))
            return true;
    return false;
}

static unsigned count_at_work(const struct builds *builds, bool all, const char *owner)
{
    unsigned count = 0;
    for (const struct build *build = builds->first; build; build = build->next)
        count += build->status == BUILD_BUILDING && (all || same_owner(build->owner, owner));
    for (const struct build_upload *upload = builds->uploads; upload; upload = upload->next)
        count += all || same_owner(upload->build->owner, owner);
    return count;
}

unsigned builds_at_work(const struct builds *builds)
{
    return count_at_work(builds, true, NULL);
}

static void forget(struct builds *builds, struct build **at)
{
    struct build *build = *at;
    *at = build->next;
    store_delete(builds->deps.store, builds_space, build->id, NULL, NULL);
    record_free(build);
}

/* Of all, and of the owner of the one that has just ended, which stays: its client asks for it, however many began
 * after it. The list is from the newest to the oldest. */
static void forget_oldest(struct builds *builds, const struct build *ended)
{
    size_t all = 0, of_user = 0;
    for (struct build **at = &builds->first; *at;) {
        bool its = same_owner((*at)->owner, ended->owner);
        all++;
        of_user += its;
        bool over = all > BUILDS_KEPT_MAX || (its && of_user > BUILDS_OF_USER_MAX);
        if (over && *at != ended && (*at)->status != BUILD_BUILDING)
            forget(builds, at);
        else
            at = &(*at)->next;
    }
}

/* ---- the end of a build ---- */

static void context_path(const struct builds *builds, const char *id, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s" CONTEXT_SUFFIX, builds->folder, id);
}

static void put(struct build *build, store_done done, void *arg)
{
    size_t len;
    char *text = record_write(build, &len);
    store_put(build->builds->deps.store, builds_space, build->id, text, len, done, arg);
    free(text);
}

static void take_log(struct build *build)
{
    size_t len = build->output.len;
    const char *text = buffer_text(&build->output),
               *from = text + (len > BUILD_LOG_MAX ? len - BUILD_LOG_MAX : 0);
    const char *line = from > text ? strchr(from, '\n') : NULL; /* from the beginning of a line */
    free(build->log);
    build->log = len > 0 ? strdup(line ? line + 1 : from) : NULL;
    buffer_finish(&build->output);
}

void builds_end(struct build *build, enum build_status status, const char *why)
{
    struct builds *builds = build->builds;
    char path[PATH_BYTES];
    build->operation = NULL;
    build->status = status;
    build->ended_us = clock_wall_us();
    free(build->error);
    build->error = why ? strdup(why) : NULL;
    take_log(build);
    context_path(builds, build->id, path);
    context_remove(builds->deps.pool, path);
    put(build, NULL, NULL);
    log_line(status == BUILD_SUCCESS ? LOG_INFO : LOG_WARN, &(struct log_context){.backend = build->backend},
             "build %s of %s: %s after %lld ms%s%s", build->id, build->image, record_status(status),
             (long long)((build->ended_us - build->began_us) / 1000), why ? ": " : "", why ? why : "");
    forget_oldest(builds, build);
}

static enum build_status status_of(const struct sbx_error *err)
{
    switch (err->kind) {
    case SBX_ERR_TIMEOUT:
    case SBX_ERR_CANCELLED:
        return BUILD_TIMEOUT; /* nobody but the clock cancels one (builds_stop() asks no answer) */
    case SBX_ERR_INVALID:
    case SBX_ERR_NOT_FOUND:
    case SBX_ERR_REFUSED: return BUILD_FAILURE;
    default: return BUILD_INTERNAL_ERROR;
    }
}

static void on_done(void *arg, const struct sbx_error *err, const char *result, size_t len)
{
    (void)result;
    (void)len;
    struct build *build = arg;
    if (!err) {
        builds_end(build, BUILD_SUCCESS, NULL);
    } else if (status_of(err) == BUILD_TIMEOUT) {
        char why[128];
        snprintf(why, sizeof why,
                 "the build was given up: it took more than %lld s (runtime_api.build_timeout)",
                 (long long)build->timeout_ms / 1000);
        builds_end(build, BUILD_TIMEOUT, why);
    } else {
        char why[sizeof err->code + sizeof err->message + 2];
        snprintf(why, sizeof why, "%s: %s", err->code, err->message);
        builds_end(build, status_of(err), why);
    }
}

/* Its end is kept. */
static bool on_output(void *arg, const void *bytes, size_t len)
{
    struct build *build = arg;
    if (len > OUTPUT_MAX) {
        bytes = (const char *)bytes + (len - OUTPUT_MAX);
        len = OUTPUT_MAX;
    }
    if (build->output.len + len > OUTPUT_MAX) {
        size_t over = build->output.len + len - OUTPUT_MAX / 2;
        buffer_drop_front(&build->output, over < build->output.len ? over : build->output.len);
    }
    for (const char *from = bytes, *stop = from + len; from < stop;) { /* a NUL would end the text */
        const char *nul = memchr(from, '\0', (size_t)(stop - from));
        buffer_add(&build->output, from, (size_t)((nul ? nul : stop) - from));
        from = nul ? nul + 1 : stop;
    }
    return true;
}

/* ---- its beginning ---- */

static struct backend *find_backend(const struct builds *builds, const char *name)
{
    size_t count = service_backends_count(builds->deps.service);
    for (size_t i = 0; i < count; i++) {
        struct service_backend backend = service_backend_at(builds->deps.service, i);
        if (strcmp(backend.name, name) == 0)
            return backend.backend;
    }
    return NULL;
}

static void begin(struct build *build)
{
    char path[PATH_BYTES];
    struct backend *backend = find_backend(build->builds, build->backend);
    if (!backend) {
        builds_end(build, BUILD_INTERNAL_ERROR, "its backend is not in the configuration any more");
        return;
    }
    context_path(build->builds, build->id, path);
    const struct sbx_build asked = {
        .size = sizeof asked,
        .flags = build->push ? SBX_BUILD_PUSH : 0,
        .build_id = build->id,
        .image = build->names[0],
        .tags = (const char *const *)build->names + 1,
        .context_file = path,
        .owner = build->owner,
        .deadline_ms = clock_ms() + build->timeout_ms,
    };
    build->output = buffer_init(OUTPUT_MAX);
    build->operation = backend_build(backend, &asked, build->timeout_ms, on_output, on_done, build);
    log_line(LOG_INFO, &(struct log_context){.backend = build->backend}, "build %s of %s begins%s%s",
             build->id, build->image, build->owner ? ", for user " : "", build->owner ? build->owner : "");
}

static void unlink_upload(struct build_upload *upload)
{
    *upload->prev = upload->next;
    if (upload->next)
        upload->next->prev = upload->prev;
}

/* Nothing comes of it. */
static void give_up(struct build_upload *upload)
{
    unlink_upload(upload);
    context_drop(upload->context, false);
    record_free(upload->build);
    free(upload);
}

static void fail(struct build_upload *upload, const struct sbx_error *err)
{
    struct build_upload_events events = upload->events;
    bool left = upload->left;
    give_up(upload);
    if (!left)
        events.done(events.arg, err, NULL);
}

static void stored(void *arg, const struct sbx_error *err)
{
    struct build_upload *upload = arg;
    struct builds *builds = upload->builds;
    struct build *build = upload->build;
    if (err) {
        fail(upload, err);
        return;
    }
    unlink_upload(upload);
    context_drop(upload->context, true);
    build->next = builds->first;
    builds->first = build;
    if (!upload->left)
        upload->events.done(upload->events.arg, NULL, build->id);
    free(upload);
    if (builds->stopping)
        builds_end(build, BUILD_CANCELLED, "the daemon was stopped");
    else
        begin(build);
}

static void context_ready(void *arg)
{
    struct build_upload *upload = arg;
    upload->events.ready(upload->events.arg);
}

static void context_done(void *arg, const struct sbx_error *err)
{
    struct build_upload *upload = arg;
    if (err)
        fail(upload, err);
    else
        put(upload->build, stored, upload);
}

struct build_upload *builds_upload(struct builds *builds, const struct config *config,
                                   const struct viewer *viewer, const struct build_upload_events *events,
                                   struct sbx_error *err)
{
    const char *name = config->runtime_api_backend;
    const struct backend *backend = find_backend(builds, name);
    if (!backend || builds->stopping) {
        error_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                  builds->stopping ? "the daemon is shutting down"
                                   : "its backend is not in the configuration any more");
        return NULL;
    }
    if (!backend_builds(backend)) {
        error_set(
            err, SBX_ERR_UNSUPPORTED, "UNSUPPORTED",
            "backend '%.63s' builds no images: push one to a registry, and let runtime_api.images allow it",
            name);
        return NULL;
    }
    if (backend_unavailable(backend)) {
        *err = *backend_unavailable(backend);
        return NULL;
    }
    unsigned of_user = count_at_work(builds, false, viewer->user), all = builds_at_work(builds);
    if (of_user >= config->runtime_api_max_builds || all >= BUILDS_AT_WORK_MAX) {
        error_set(err, SBX_ERR_LIMIT, "TOO_MANY_BUILDS",
                  all >= BUILDS_AT_WORK_MAX
                      ? "%u images are being built, which is all that may be at once: ask again"
                      : "%u images of this user are being built, which is runtime_api.max_builds: ask again",
                  all >= BUILDS_AT_WORK_MAX ? all : of_user);
        return NULL;
    }
    struct build_upload *upload = calloc(1, sizeof *upload);
    struct build *build = calloc(1, sizeof *build);
    if (!upload || !build)
        abort();
    uint8_t random[16];
    random_fill(random, sizeof random);
    base62_encode(random, sizeof random, build->id);
    build->builds = builds;
    build->owner = viewer->user ? strdup(viewer->user) : NULL;
    build->backend = strdup(name);
    build->push = config->runtime_api_push;
    build->timeout_ms = config->runtime_api_build_timeout_ms;
    build->began_us = clock_wall_us();
    char path[PATH_BYTES];
    context_path(builds, build->id, path);
    const struct context_events context = {context_ready, context_done, upload};
    *upload = (struct build_upload){.next = builds->uploads,
                                    .prev = &builds->uploads,
                                    .builds = builds,
                                    .events = *events,
                                    .build = build,
                                    .context =
                                        context_create(&builds->contexts, builds->deps.pool, path, &context)};
    if (upload->next)
        upload->next->prev = &upload->next;
    builds->uploads = upload;
    return upload;
}

bool build_upload_write(struct build_upload *upload, const void *bytes, size_t len)
{
    return context_write(upload->context, bytes, len);
}

void build_upload_finish(struct build_upload *upload, const char *image, const char *const *names,
                         size_t count)
{
    upload->build->image = strdup(image);
    for (size_t i = 0; i < count && i <= BUILD_TAGS_MAX; i++)
        upload->build->names[i] = strdup(names[i]);
    context_finish(upload->context);
}

void build_upload_drop(struct build_upload *upload)
{
    if (upload->build->image)
        upload->left =
            true; /* all of it is here: it is built, and a client that asks again would build another */
    else
        give_up(upload);
}

/* ---- its list, from beginning to end ---- */

struct builds *builds_create(const struct builds_deps *deps)
{
    struct builds *builds = calloc(1, sizeof *builds);
    if (!builds)
        abort();
    builds->deps = *deps;
    return builds;
}

void builds_stop(struct builds *builds)
{
    builds->stopping = true;
    for (struct build *build = builds->first, *next; build; build = next) {
        next = build->next;
        if (!build->operation)
            continue;
        backend_cancel(build->operation, true);
        builds_end(build, BUILD_CANCELLED, "the daemon was stopped");
        next = builds->first; /* the end of one may have forgotten others */
    }
}

void builds_destroy(struct builds *builds)
{
    if (!builds)
        return;
    for (struct build_upload *upload; (upload = builds->uploads);) {
        unlink_upload(upload);
        record_free(upload->build);
        free(upload);
    }
    context_free_all(&builds->contexts);
    for (struct build *build; (build = builds->first);) {
        builds->first = build->next;
        record_free(build);
    }
    free(builds->folder);
    free(builds);
}
