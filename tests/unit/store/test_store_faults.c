/* A disk that is full or fails: each write says so, what was there stays, and later writes work again. */
#include "faulty_disk.h"
#include "fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
    faulty_disk_fail_writes(SQLITE_OK);
    faulty_disk_fail_syncs(SQLITE_OK);
    return fixture_setup_open(state);
}

static int install(void **state)
{
    (void)state;
    faulty_disk_install();
    return 0;
}

static void check_failure(const struct answer *answer, const char *says)
{
    assert_true(answer->failed);
    assert_int_equal(answer->err.kind, SBX_ERR_UNAVAILABLE);
    assert_string_equal(answer->err.code, strcmp(says, "full") == 0 ? STORE_NO_SPACE : STORE_FAILED);
    if (!strstr(answer->err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", answer->err.message, says);
}

static void a_failed_write_leaves_what_was_there_and_the_next_works(void **state)
{
    (void)state;
    static const struct {
        void (*disk)(int);
        int result;
        const char *says;
    } rows[] = {
        {faulty_disk_fail_writes, SQLITE_FULL, "full"},
        {faulty_disk_fail_writes, SQLITE_IOERR_WRITE, "disk I/O error"},
        {faulty_disk_fail_syncs, SQLITE_IOERR_FSYNC, "disk I/O error"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(put("s", "key", "before").failed);
        uint64_t failures = store_stats(test_store).failures;
        rows[i].disk(rows[i].result);
        struct answer failed = put("s", "key", "after");
        check_failure(&failed, rows[i].says);
        assert_int_equal(store_stats(test_store).failures, failures + 1);
        assert_value("s", "key", "before");
        rows[i].disk(SQLITE_OK);
        assert_false(put("s", "other", "works").failed);
        assert_value("s", "key", "before");
        fixture_close();
        fixture_open();
        assert_value("s", "key", "before");
        assert_value("s", "other", "works");
    }
}

static void many_at_once_fail_each_with_its_own_answer(void **state)
{
    (void)state;
    put("s", "0", "before");
    faulty_disk_fail_writes(SQLITE_FULL);
    struct answer all[50] = {0}, read = {0};
    for (int i = 0; i < 50; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        store_put(test_store, "s", key, "after", 5, answer_done, &all[i]);
    }
    store_get(test_store, "s", "0", answer_value, &read);
    answer_wait(&read);
    for (int i = 0; i < 50; i++)
        check_failure(&all[i], "full");
    assert_false(read.failed);
    assert_string_equal(read.value, "before"); /* not what was undone */
    free(read.value);
    faulty_disk_fail_writes(SQLITE_OK);
    assert_false(put("s", "later", "").failed);
}

static void what_would_overfill_memory_while_the_disk_hangs_is_refused(void **state)
{
    (void)state;
    enum { CALLS = 100 };
    size_t len = 1 << 20, refused = 0;
    char *large = calloc(1, len);
    struct answer *all = calloc(CALLS, sizeof *all);
    faulty_disk_hold(true);
    struct answer first = {0};
    store_put(test_store, "s", "first", "", 0, answer_done, &first);
    faulty_disk_await_held();
    for (int i = 0; i < CALLS; i++)
        store_put(test_store, "s", "same", large, len, answer_done, &all[i]);
    faulty_disk_hold(false);
    answer_wait(&all[CALLS - 1]);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(all[i].order, i + 2);
        if (!all[i].failed)
            continue;
        refused++;
        check_failure(&all[i], "does not keep up");
    }
    assert_int_equal(refused, CALLS - 63); /* as many as 64 MiB have room for, with what is around them */
    assert_false(put("s", "later", "").failed);
    free(large);
    free(all);
}

static void every_answer_comes_after_a_sync(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int before = faulty_disk_log_syncs();
        assert_false(put("s", "key", "value").failed);
        assert_true(faulty_disk_log_syncs() > before);
    }
}

static void the_log_does_not_grow_without_bound(void **state)
{
    (void)state;
    char value[3000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    struct stat info;
    off_t most = 0;
    for (int i = 0; i < 3000; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i % 100);
        put("s", key, value);
        stat(fixture_file("sandboxd.db-wal"), &info);
        if (info.st_size > most)
            most = info.st_size;
    }
    assert_true(most < 6 * 1024 * 1024);
    stat(fixture_file("sandboxd.db"), &info);
    assert_true(info.st_size < 2 * 1024 * 1024);
}

static void a_full_disk_at_the_start_is_said(void **state)
{
    (void)state;
    fixture_close();
    unlink(fixture_file("sandboxd.db"));
    faulty_disk_fail_writes(SQLITE_FULL);
    fixture_refused("the disk is full", "free some space");
    faulty_disk_fail_writes(SQLITE_OK);
    fixture_open();
}

/* A real full disk, where one may be made: a small one goes through what a large one does not fit. */
static void on_a_small_disk_what_fits_is_stored_and_what_does_not_is_not(void **state)
{
    (void)state;
    fixture_close();
    if (geteuid() != 0 || mount("none", test_directory, "tmpfs", MS_NOSUID, "size=1m,mode=0700") != 0)
        skip();
    fixture_open();
    size_t len = 2 << 20;
    char *large = malloc(len);
    memset(large, 'x', len);
    struct answer all[5] = {0};
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        store_put(test_store, "s", key, large, i == 2 ? len : 100, answer_done, &all[i]);
    }
    answer_wait(&all[4]);
    for (int i = 0; i < 5; i++)
        assert_int_equal(all[i].failed, i == 2);
    check_failure(&all[2], "full");
    /* Filled to the brim by small ones, too; once there is room, it goes on. */
    int stored = 0;
    large[20000] = '\0';
    for (char key[16]; stored < 200; stored++) {
        snprintf(key, sizeof key, "k%d", stored);
        if (put("s", key, large).failed)
            break;
    }
    assert_in_range(stored, 1, 199);
    fixture_close();
    fixture_open();
    assert_value("s", "4",
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxx");
    assert_return_code(mount("none", test_directory, "tmpfs", MS_REMOUNT | MS_NOSUID, "size=4m,mode=0700"),
                       0);
    assert_false(put("s", "room", "again").failed);
    fixture_close();
    assert_return_code(mount("none", test_directory, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    fixture_refused("Read-only file system", "state_dir");
    umount(test_directory);
    free(large);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_failed_write_leaves_what_was_there_and_the_next_works),
        TEST(many_at_once_fail_each_with_its_own_answer),
        TEST(what_would_overfill_memory_while_the_disk_hangs_is_refused),
        TEST(every_answer_comes_after_a_sync),
        TEST(the_log_does_not_grow_without_bound),
        TEST(a_full_disk_at_the_start_is_said),
        TEST(on_a_small_disk_what_fits_is_stored_and_what_does_not_is_not),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
