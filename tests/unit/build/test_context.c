/* A context on its way to the disk: whole, held back while the disk is busy, and gone where nothing comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "build/context.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct scene {
    struct loop *loop;
    struct pool *pool;
    struct context *contexts;
    char folder[64], path[128];
    unsigned ready, done;
    bool failed;
    struct sbx_error error;
};

static void on_ready(void *arg)
{
    struct scene *scene = arg;
    scene->ready++;
}

static void on_done(void *arg, const struct sbx_error *err)
{
    struct scene *scene = arg;
    scene->done++;
    scene->failed = err != NULL;
    if (err)
        scene->error = *err;
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    scene->loop = loop_create();
    scene->pool = pool_create(scene->loop, 2);
    strcpy(scene->folder, "/tmp/test-context-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->path, sizeof scene->path, "%s/c.tar.gz", scene->folder);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    pool_destroy(scene->pool);
    context_free_all(&scene->contexts);
    loop_destroy(scene->loop);
    unlink(scene->path);
    int result = rmdir(scene->folder);
    free(scene);
    return result;
}

static void turn(const struct scene *scene)
{
    event_base_loop(loop_base(scene->loop), EVLOOP_NONBLOCK);
    poll(NULL, 0, 1);
}

static struct context *create(struct scene *scene)
{
    const struct context_events events = {on_ready, on_done, scene};
    return context_create(&scene->contexts, scene->pool, scene->path, &events);
}

static void a_context_is_written_whole(void **state)
{
    struct scene *scene = *state;
    enum { PIECE = 60000, PIECES = 100 };
    static char piece[PIECE];
    struct context *context = create(scene);
    unsigned held = 0;
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        unsigned before = scene->ready;
        if (!context_write(context, piece, sizeof piece)) {
            held++;
            while (scene->ready == before)
                turn(scene);
        }
    }
    assert_true(held > 0);
    context_finish(context);
    while (!scene->done)
        turn(scene);
    assert_false(scene->failed);
    struct stat info;
    assert_int_equal(stat(scene->path, &info), 0);
    assert_int_equal(info.st_size, PIECE * PIECES);
    assert_int_equal(info.st_mode & 0777, 0600);
    FILE *file = fopen(scene->path, "r");
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(fread(piece, 1, sizeof piece, file), sizeof piece);
        assert_int_equal(piece[0], 'a' + i % 26);
        assert_int_equal(piece[PIECE - 1], 'a' + i % 26);
    }
    fclose(file);
    context_drop(context, true);
    for (int i = 0; i < 50; i++)
        turn(scene);
    assert_int_equal(access(scene->path, F_OK), 0);
}

static void one_that_is_dropped_leaves_nothing(void **state)
{
    struct scene *scene = *state;
    static char much[300000];
    struct context *context = create(scene);
    context_write(context, much, sizeof much); /* it is being written */
    context_drop(context, false);
    while (access(scene->path, F_OK) == 0)
        turn(scene);
    context_drop(create(scene), false); /* one that was never begun */
    assert_int_equal(scene->done, 0);
}

static void a_disk_that_refuses_is_told_once(void **state)
{
    struct scene *scene = *state;
    static char much[300000];
    rmdir(scene->folder);
    assert_int_equal(symlink("nowhere/at all", scene->folder), 0);
    struct context *context = create(scene);
    context_write(context, much, sizeof much);
    while (!scene->done)
        turn(scene);
    assert_true(scene->failed);
    assert_non_null(strstr(scene->error.message, scene->path));
    assert_true(context_write(context, much, sizeof much));
    context_finish(context);
    context_drop(context, false);
    for (int i = 0; i < 50; i++)
        turn(scene);
    assert_int_equal(scene->done, 1);
    unlink(scene->folder);
    mkdir(scene->folder, 0700);
}

static void its_folder_is_made_where_there_is_none(void **state)
{
    struct scene *scene = *state;
    struct stat info;
    rmdir(scene->folder);
    struct context *context = create(scene);
    context_write(context, "text", 4);
    context_finish(context);
    while (!scene->done)
        turn(scene);
    assert_false(scene->failed);
    assert_int_equal(stat(scene->path, &info), 0);
    assert_int_equal(info.st_size, 4);
    assert_int_equal(stat(scene->folder, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    context_drop(context, true);
    for (int i = 0; i < 50; i++)
        turn(scene);
}

/* Its disk is the one of what is kept of sandboxes. */
static void it_leaves_room_on_the_disk(void **state)
{
    struct scene *scene = *state;
    static char much[1 << 20];
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", scene->folder, "tmpfs", MS_NOSUID, "size=36m,mode=0700") != 0)
        skip();
    struct context *context = create(scene);
    for (int i = 0; i < 16 && !scene->done; i++) {
        unsigned before = scene->ready;
        if (!context_write(context, much, sizeof much))
            while (scene->ready == before && !scene->done)
                turn(scene);
        struct statvfs disk;
        assert_int_equal(statvfs(scene->folder, &disk), 0);
        assert_true(disk.f_bavail * disk.f_frsize >= 32 << 20);
    }
    assert_true(scene->failed);
    assert_string_equal(scene->error.code, "NO_SPACE");
    assert_non_null(strstr(scene->error.message, scene->folder));
    context_drop(context, false);
    for (int i = 0; i < 50; i++)
        turn(scene);
    assert_int_equal(access(scene->path, F_OK), -1);
    umount(scene->folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_context_is_written_whole),       TEST(one_that_is_dropped_leaves_nothing),
        TEST(a_disk_that_refuses_is_told_once), TEST(its_folder_is_made_where_there_is_none),
        TEST(it_leaves_room_on_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
