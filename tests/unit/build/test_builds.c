/* build/builds.c: which builds are remembered. The store, the backend and the disk are played here. */
#include "build/builds.h"
#include "build/context.h"
#include "build/state.h"
#include "plugin/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is played ---- */

struct backend {
    char unused;
};
struct context {
    struct context_events events;
};
struct backend_operation {
    backend_done done;
    void *arg;
};

static struct backend the_backend;
static struct backend_operation operations[4];
static size_t operations_len;
static unsigned deleted;

void store_put(struct store *store, const char *space, const char *key, const void *value, size_t len,
               store_done done, void *arg)
{
    (void)store, (void)space, (void)key, (void)value, (void)len;
    if (done)
        done(arg, NULL);
}

void store_delete(struct store *store, const char *space, const char *key, store_done done, void *arg)
{
    (void)store, (void)space, (void)key, (void)done, (void)arg;
    deleted++;
}

size_t service_backends_count(const struct service *service)
{
    (void)service;
    return 1;
}

struct service_backend service_backend_at(const struct service *service, size_t index)
{
    (void)service, (void)index;
    return (struct service_backend){.name = "docker", .backend = &the_backend};
}

bool backend_builds(const struct backend *backend)
{
    return backend == &the_backend;
}

const struct sbx_error *backend_unavailable(const struct backend *backend)
{
    (void)backend;
    return NULL;
}

struct backend_operation *backend_build(struct backend *backend, const struct sbx_build *build,
                                        uint32_t timeout_ms, backend_data data, backend_done done, void *arg)
{
    (void)backend, (void)build, (void)timeout_ms, (void)data;
    struct backend_operation *operation = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0] && !operation; i++)
        if (!operations[i].done)
            operation = &operations[i];
    assert_non_null(operation);
    *operation = (struct backend_operation){done, arg};
    operations_len++;
    return operation;
}

void backend_cancel(struct backend_operation *operation, bool forget)
{
    (void)forget;
    operation->done = NULL;
}

struct context *context_create(struct context **all, struct pool *pool, const char *path,
                               const struct context_events *events)
{
    (void)all, (void)pool, (void)path;
    struct context *context = malloc(sizeof *context);
    assert_non_null(context);
    context->events = *events;
    return context;
}

bool context_write(struct context *context, const void *bytes, size_t len)
{
    (void)context, (void)bytes, (void)len;
    return true;
}

void context_finish(struct context *context)
{
    context->events.done(context->events.arg, NULL);
}

void context_drop(struct context *context, bool keep)
{
    (void)keep;
    free(context);
}

void context_free_all(struct context **all)
{
    (void)all;
}

void context_remove(struct pool *pool, const char *path)
{
    (void)pool, (void)path;
}

/* ---- tests ---- */

static void began(void *arg, const struct sbx_error *err, const char *build_id)
{
    assert_null(err);
    snprintf(arg, BUILD_ID_SIZE, "%s", build_id);
}

/* The number of its operation. */
static size_t begin(struct builds *builds, const char *user, char id[BUILD_ID_SIZE])
{
    static const struct config config = {.runtime_api_backend = "docker", .runtime_api_max_builds = 4};
    const struct viewer viewer = {.user = user};
    const struct build_upload_events events = {.done = began, .arg = id};
    const char *const names[] = {"reg.example/x:1"};
    struct sbx_error err;
    struct build_upload *upload = builds_upload(builds, &config, &viewer, &events, &err);
    assert_non_null(upload);
    build_upload_finish(upload, "x", names, 1);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (operations[i].done && strcmp(((struct build *)operations[i].arg)->id, id) == 0)
            return i;
    fail();
    return 0;
}

static void end(size_t at)
{
    struct backend_operation operation = operations[at];
    operations[at].done = NULL;
    operation.done(operation.arg, NULL, NULL, 0);
}

static void a_slow_build_is_found_when_it_ends(void **state)
{
    (void)state;
    struct builds *builds = builds_create(&(struct builds_deps){0});
    const struct viewer alice = {.user = "alice"}, bob = {.user = "bob"};
    char old[BUILD_ID_SIZE], bobs[BUILD_ID_SIZE], slow[BUILD_ID_SIZE], quick[BUILD_ID_SIZE];
    builds->folder = strdup("/nowhere");
    end(begin(builds, "alice", old));
    end(begin(builds, "bob", bobs));
    size_t at = begin(builds, "alice", slow);
    for (unsigned i = 0; i < BUILDS_OF_USER_MAX; i++)
        end(begin(builds, "alice", quick));
    assert_null(builds_find(builds, &alice, old)); /* there are enough that are newer */
    assert_non_null(builds_find(builds, &alice, slow));
    end(at);
    const struct build *build = builds_find(builds, &alice, slow);
    assert_non_null(build);
    assert_int_equal(build->status, BUILD_SUCCESS);
    assert_non_null(builds_find(builds, &bob, bobs));
    end(begin(builds, "alice", quick));
    assert_null(builds_find(builds, &alice, slow)); /* in its turn */
    assert_non_null(builds_find(builds, &bob, bobs));
    builds_destroy(builds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_slow_build_is_found_when_it_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
