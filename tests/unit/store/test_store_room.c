/* A file system that is full, a real one: deletions go on, whatever else is new is refused with what to do, and all works
 * again once there is room. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DISK_MIB = 64, BALLAST = 4 << 20 };

static bool may_mount;

/* Mounts of its own: whatever becomes of the test, none stays. */
static int install(void **state)
{
    (void)state;
    may_mount = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
                mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return 0;
}

static int setup(void **state)
{
    if (fixture_setup(state))
        return -1;
    char options[64];
    snprintf(options, sizeof options, "size=%dm,mode=0700", DISK_MIB);
    if (!may_mount || mkdir(test_directory, 0700) ||
        mount("none", test_directory, "tmpfs", MS_NOSUID, options))
        return 0;
    fixture_open();
    return 0;
}

static int teardown(void **state)
{
    if (test_store)
        fixture_close();
    umount(test_directory);
    return fixture_teardown(state);
}

static void skip_where_nothing_can_be_mounted(void)
{
    if (!test_store)
        skip();
}

/* As others do who write to the same disk: until there is nothing left. */
static void fill(void)
{
    static char block[4096];
    memset(block, 'x', sizeof block);
    int fd = open(fixture_file("filler"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static void make_room(void)
{
    assert_return_code(unlink(fixture_file("filler")), 0);
}

static off_t ballast_size(void)
{
    struct stat info;
    return stat(fixture_file("sandboxd.ballast"), &info) ? 0 : info.st_size;
}

static struct answer put_sandbox(const char *id, bool deleting)
{
    struct store_sandbox sandbox = {
        .id = id, .backend = "local", .spec_id = "spec", .session_key = "key", .deleting = deleting};
    struct answer answer = {0};
    store_put_sandbox(test_store, &sandbox, answer_done, &answer);
    answer_wait(&answer);
    return answer;
}

static struct answer forget_sandbox(const char *id)
{
    struct answer answer = {0};
    store_delete_sandbox(test_store, id, answer_done, &answer);
    answer_wait(&answer);
    return answer;
}

static void count_one(void *arg, const struct store_sandbox *sandbox)
{
    (void)sandbox;
    (*(int *)arg)++;
}

static int count_sandboxes(void)
{
    int count = 0;
    assert_int_equal(store_load_sandboxes(test_store, count_one, &count, NULL), 0);
    return count;
}

static const char *name_of(int number)
{
    static char name[32];
    snprintf(name, sizeof name, "sandbox-%d", number);
    return name;
}

static void add_sandboxes(int count)
{
    struct answer last = {0};
    for (int i = 0; i < count; i++) {
        struct store_sandbox sandbox = {.id = name_of(i), .backend = "b", .spec_id = "s", .session_key = "k"};
        store_put_sandbox(test_store, &sandbox, i + 1 < count ? NULL : answer_done, &last);
    }
    answer_wait(&last);
    assert_false(last.failed);
}

static void delete_sandbox(int number)
{
    struct answer promised = put_sandbox(name_of(number), true);
    if (promised.failed)
        fail_msg("%d could not be promised: %s", number, promised.err.message);
    struct answer forgotten = forget_sandbox(name_of(number));
    if (forgotten.failed)
        fail_msg("%d could not be forgotten: %s", number, forgotten.err.message);
}

static void refused(const struct answer *answer)
{
    assert_true(answer->failed);
    assert_int_equal(answer->err.kind, SBX_ERR_UNAVAILABLE);
    assert_string_equal(answer->err.code, STORE_NO_SPACE);
    assert_non_null(strstr(answer->err.message, test_directory));
    assert_non_null(strstr(answer->err.message, "delete sandboxes"));
}

static void thousands_are_deleted_on_a_full_disk(void **state)
{
    (void)state;
    skip_where_nothing_can_be_mounted();
    enum { COUNT = 4000 };
    add_sandboxes(COUNT);
    assert_int_equal(ballast_size(), BALLAST);
    struct stat info;
    assert_return_code(stat(fixture_file("sandboxd.ballast"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_true(info.st_blocks * 512 >= BALLAST);
    fill();
    struct answer answer = put_sandbox("new", false);
    refused(&answer);
    assert_true(store_stats(test_store).full);
    for (int i = 0; i < COUNT; i++) {
        delete_sandbox(i);
        if (i % 50 == 0) {
            fill(); /* what is given back, others take */
            answer = put_sandbox("new", false);
            refused(&answer);
            answer = put("plugin", "key", "value");
            refused(&answer);
        }
    }
    assert_true(ballast_size() >= BALLAST / 2); /* for as many again, and more */
    assert_int_equal(count_sandboxes(), 0);
    make_room();
    while (put_sandbox("new", false).failed) /* the first finds that there is room */
        continue;
    assert_false(store_stats(test_store).full);
    assert_int_equal(ballast_size(), BALLAST);
}

static void a_start_on_a_full_disk_reads_and_deletes(void **state)
{
    (void)state;
    skip_where_nothing_can_be_mounted();
    add_sandboxes(200);
    for (int i = 0; i < 2; i++) { /* after a clean end; the second time it was full before the end, too */
        fixture_close();
        fill();
        fixture_open();
        assert_int_equal(count_sandboxes(), 200 - i);
        delete_sandbox(i);
        struct answer answer = put_sandbox("new", false);
        refused(&answer);
        assert_value("plugin", "key", NULL);
    }
    make_room();
    while (put_sandbox("new", false).failed)
        continue;
    assert_int_equal(ballast_size(), BALLAST);
}

/* A new version has more to write at its first start than an old one had. */
static void a_start_that_needs_room_takes_no_more_than_that(void **state)
{
    (void)state;
    skip_where_nothing_can_be_mounted();
    assert_false(put("s", "key", "value").failed);
    fixture_close();
    assert_return_code(truncate(fixture_file("sandboxd.db"), 0), 0);
    fill();
    fixture_open();
    assert_in_range(ballast_size(), BALLAST - BALLAST / 4, BALLAST - 1);
    assert_int_equal(count_sandboxes(), 0);
}

/* A disk may lack room for names alone; some file systems have none for them once they are full. */
static void a_start_without_room_for_a_file(void **state)
{
    (void)state;
    skip_where_nothing_can_be_mounted();
    add_sandboxes(1);
    fixture_close();
    struct statvfs disk;
    char options[80];
    assert_return_code(statvfs(test_directory, &disk), 0);
    snprintf(options, sizeof options, "size=%dm,mode=0700,nr_inodes=%lu", DISK_MIB,
             (unsigned long)(disk.f_files - disk.f_ffree));
    assert_return_code(mount("none", test_directory, "tmpfs", MS_REMOUNT | MS_NOSUID, options), 0);
    fixture_open();
    assert_int_equal(count_sandboxes(), 1);
    delete_sandbox(0);
    fixture_close();
    int fd = open(fixture_file("other"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0); /* the ballast's place is taken now */
    close(fd);
    fixture_refused("the disk is full", "free some space");
}

/* A write that is too large for what is left tells nothing of others. */
static void what_is_too_large_holds_up_nobody(void **state)
{
    (void)state;
    skip_where_nothing_can_be_mounted();
    assert_false(put("s", "small", "value").failed);
    assert_return_code(mount("none", test_directory, "tmpfs", MS_REMOUNT | MS_NOSUID, "size=7m,mode=0700"),
                       0);
    size_t len = 3 << 20;
    char *large = malloc(len);
    assert_non_null(large);
    memset(large, 'x', len);
    struct answer answers[3] = {0};
    store_put(test_store, "s", "1", "value", 5, answer_done, &answers[0]);
    store_put(test_store, "s", "2", large, len, answer_done, &answers[1]);
    store_put(test_store, "s", "3", "value", 5, answer_done, &answers[2]);
    answer_wait(&answers[2]);
    assert_false(answers[0].failed);
    assert_true(answers[1].failed);
    assert_string_equal(answers[1].err.code, STORE_NO_SPACE);
    assert_false(answers[2].failed);
    assert_false(store_stats(test_store).full);
    free(large);
}

/* What an operator would make of a copy of the state, or somebody who means harm. */
static void a_ballast_that_is_none_is_left_alone(void **state)
{
    (void)state;
    skip_where_nothing_can_be_mounted();
    fixture_close();
    assert_return_code(unlink(fixture_file("sandboxd.ballast")), 0);
    assert_return_code(symlink("elsewhere", fixture_file("sandboxd.ballast")), 0);
    fixture_open();
    assert_false(put("s", "key", "value").failed);
    struct stat info;
    assert_int_equal(stat(fixture_file("elsewhere"), &info), -1);
    fixture_close();
    assert_return_code(unlink(fixture_file("sandboxd.ballast")), 0);
    int fd = open(fixture_file("sandboxd.ballast"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_return_code(ftruncate(fd, BALLAST), 0); /* nothing but a hole */
    close(fd);
    fixture_open();
    assert_false(put("s", "key", "value").failed);
    assert_return_code(stat(fixture_file("sandboxd.ballast"), &info), 0);
    assert_true(info.st_blocks * 512 >= BALLAST);
    assert_int_equal(info.st_mode & 07777, 0600);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(thousands_are_deleted_on_a_full_disk),
        TEST(a_start_on_a_full_disk_reads_and_deletes),
        TEST(a_start_that_needs_room_takes_no_more_than_that),
        TEST(a_start_without_room_for_a_file),
        TEST(what_is_too_large_holds_up_nobody),
        TEST(a_ballast_that_is_none_is_left_alone),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
