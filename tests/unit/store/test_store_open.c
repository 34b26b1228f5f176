/* Each thing that can be wrong with the state directory or the file in it is refused with a sentence. */
#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned mode_of(const char *path)
{
    struct stat info;
    assert_return_code(lstat(path, &info), 0);
    return info.st_mode & 07777;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void run_sql(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(fixture_file("sandboxd.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void make_store(void)
{
    fixture_open();
    assert_false(put("s", "key", "value").failed);
    fixture_close();
}

static void the_directory_and_files_are_the_owners_alone(void **state)
{
    (void)state;
    umask(0);
    fixture_open();
    put("s", "key", "value");
    assert_int_equal(mode_of(test_directory), 0700);
    assert_int_equal(mode_of(fixture_file("sandboxd.db")), 0600);
    assert_int_equal(mode_of(fixture_file("sandboxd.db-wal")), 0600);
    assert_int_equal(mode_of(fixture_file("sandboxd.lock")), 0600);
    fixture_close();
    chmod(fixture_file("sandboxd.db"), 0666);
    fixture_open();
    assert_int_equal(mode_of(fixture_file("sandboxd.db")), 0600);
    umask(022);
}

static void a_second_daemon_is_refused(void **state)
{
    (void)state;
    fixture_open();
    char number[32];
    snprintf(number, sizeof number, "process %ld", (long)getpid());
    fixture_refused("in use by another sandboxd", number);
    fixture_close();
    fixture_open();
}

static void a_child_does_not_inherit_the_lock(void **state)
{
    (void)state;
    fixture_open();
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sleep", "sleep", "60", NULL);
        _exit(1);
    }
    /* Once it runs another program, it holds nothing of ours. */
    char path[64], name[128];
    snprintf(path, sizeof path, "/proc/%ld/exe", (long)child);
    for (;;) {
        ssize_t len = readlink(path, name, sizeof name - 1);
        name[len > 0 ? len : 0] = '\0';
        if (!strstr(name, "test_store_open"))
            break;
        usleep(1000);
    }
    fixture_close();
    fixture_open();
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void a_child_that_outlives_its_daemon_for_a_moment_keeps_nobody_out(void **state)
{
    (void)state;
    fixture_open();
    pid_t child = fork();
    if (child == 0) {
        usleep(100000); /* the moment is the test's input, not a wait */
        _exit(0);
    }
    fixture_close(); /* as by SIGKILL: the child has the lock still */
    fixture_open();
    waitpid(child, NULL, 0);
}

static void directories_that_others_could_change_are_refused(void **state)
{
    (void)state;
    mkdir(test_directory, 0700);
    chmod(test_directory, 0770);
    fixture_refused("can be written to by others (mode 0770)", "chmod 0700");
    chmod(test_directory, 0702);
    fixture_refused("can be written to by others (mode 0702)", "chmod 0700");
    chmod(test_directory, 0755); /* only looked at: the files are closed to them */
    fixture_open();
    fixture_close();
    if (geteuid() != 0)
        return;
    assert_return_code(chown(test_directory, 65534, 65534), 0);
    fixture_refused("belongs to user 65534", "chown");
}

static void what_is_not_a_directory_of_its_own_is_refused(void **state)
{
    (void)state;
    write_file(test_directory, "x", 1);
    fixture_refused("is not a directory", "state_dir");
    unlink(test_directory);
    assert_return_code(symlink("/tmp", test_directory), 0);
    fixture_refused("is a symbolic link", "state_dir");
    size_t len = strlen(test_directory);
    test_directory[len] = '/'; /* does not get around it */
    test_directory[len + 1] = '\0';
    fixture_refused("is a symbolic link", "state_dir");
    test_directory[len] = '\0';
    unlink(test_directory);
}

static void a_missing_parent_is_said(void **state)
{
    (void)state;
    size_t len = strlen(test_directory);
    snprintf(test_directory + len, sizeof test_directory - len, "/deeper");
    fixture_refused("the directory above it does not exist", "state_dir");
    test_directory[len] = '\0';
}

static void something_else_in_the_place_of_the_file_is_refused(void **state)
{
    (void)state;
    mkdir(test_directory, 0700);
    mkdir(fixture_file("sandboxd.db"), 0700);
    fixture_refused("is not a file", "move it away");
    rmdir(fixture_file("sandboxd.db"));
    assert_return_code(symlink("/etc/passwd", fixture_file("sandboxd.db")), 0);
    fixture_refused("is not a file", "move it away");
    unlink(fixture_file("sandboxd.db"));
    mkfifo(fixture_file("sandboxd.db"), 0600);
    fixture_refused("is not a file", "move it away");
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    (void)state;
    mkdir(test_directory, 0700);
    char text[8192];
    memset(text, 'x', sizeof text);
    write_file(fixture_file("sandboxd.db"), text, sizeof text);
    fixture_refused("is not a store of sandboxd", "move it away");
    struct stat info;
    stat(fixture_file("sandboxd.db"), &info);
    assert_int_equal(info.st_size, sizeof text);
}

static void a_database_of_another_program_is_refused_and_left_alone(void **state)
{
    (void)state;
    mkdir(test_directory, 0700);
    run_sql("CREATE TABLE theirs (x); PRAGMA user_version = 1");
    fixture_refused("of another program", "move it away");
    run_sql("SELECT x FROM theirs; PRAGMA user_version = 0");
    fixture_refused("of another program", "move it away");
    assert_int_not_equal(access(fixture_file("sandboxd.db-wal"), F_OK), 0);
}

static void a_newer_version_is_refused(void **state)
{
    (void)state;
    make_store();
    run_sql("PRAGMA user_version = 99");
    fixture_refused("newer sandboxd (version 99", "this one knows");
    char back[64];
    snprintf(back, sizeof back, "PRAGMA user_version = %d", STORE_SCHEMA_VERSION);
    run_sql(back);
    fixture_open();
    assert_value("s", "key", "value");
}

/* As the first version made it: it never changes. */
static const char version_1[] =
    "CREATE TABLE sandboxes (id TEXT NOT NULL PRIMARY KEY, backend TEXT NOT NULL, owner TEXT, spec_id TEXT,"
    "  session_key TEXT, created_at_us INTEGER NOT NULL, begun INTEGER NOT NULL, deleting INTEGER NOT NULL,"
    "  error_json TEXT) STRICT, WITHOUT ROWID;"
    "CREATE TABLE records (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    "  PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID;"
    "INSERT INTO sandboxes VALUES ('old', 'local', 'alice', 'spec', 'secret', 17, 1, 0, NULL);"
    "INSERT INTO records VALUES ('s', 'key', CAST('value' AS BLOB));"
    "PRAGMA application_id = 1396856900; PRAGMA user_version = 1"; /* 0x53425844, "SBXD" */

static void on_old_one(void *arg, const struct store_sandbox *sandbox)
{
    int *count = arg;
    (*count)++;
    assert_string_equal(sandbox->id, "old");
    assert_string_equal(sandbox->owner, "alice");
    assert_string_equal(sandbox->session_key, "secret");
    assert_int_equal(sandbox->created_at_us, 17);
    assert_true(sandbox->begun);
    assert_null(sandbox->session_id);
    assert_null(sandbox->spec_json);
}

static void a_store_of_version_1_is_taken_over_with_all_it_has(void **state)
{
    (void)state;
    assert_return_code(mkdir(test_directory, 0700), 0);
    run_sql(version_1);
    int count = 0;
    for (int i = 0; i < 2; i++) { /* brought up to date, and as it is then */
        fixture_open();
        assert_value("s", "key", "value");
        assert_int_equal(store_load_sandboxes(test_store, on_old_one, &count, NULL), 0);
        fixture_close();
    }
    assert_int_equal(count, 2);
}

/* What the versions from 2 to 3 added to the sandboxes. */
static const char version_3[] =
    "ALTER TABLE sandboxes ADD COLUMN session_id TEXT; ALTER TABLE sandboxes ADD COLUMN spec_json TEXT;"
    "INSERT INTO sandboxes VALUES ('newest', 'local', 'bob', 'spec', 'k1', 19, 1, 0, NULL, 'session', NULL);"
    "INSERT INTO sandboxes VALUES ('middle', 'local', NULL, 'spec', 'k2', 18, 1, 0, NULL, NULL, NULL);"
    "PRAGMA user_version = 3";

static void on_ordered(void *arg, const struct store_sandbox *sandbox)
{
    static const char *const ids[] = {"old", "middle", "newest"};
    int *count = arg;
    assert_string_equal(sandbox->id, ids[(*count)++]);
    assert_int_equal(sandbox->sequence, *count);
    assert_null(sandbox->pause_reason);
}

static void a_store_of_version_3_keeps_the_order_of_its_times(void **state)
{
    (void)state;
    assert_return_code(mkdir(test_directory, 0700), 0);
    run_sql(version_1);
    run_sql(version_3);
    for (int i = 0; i < 2; i++) {
        int count = 0;
        fixture_open();
        assert_int_equal(store_load_sandboxes(test_store, on_ordered, &count, NULL), 0);
        assert_int_equal(count, 3);
        fixture_close();
    }
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    make_store();
    struct stat info;
    stat(fixture_file("sandboxd.db"), &info);
    int fd = open(fixture_file("sandboxd.db"), O_RDWR);
    char noise[4096];
    memset(noise, 0xa5, sizeof noise);
    for (off_t at = 4096; at < info.st_size; at += 4096)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
    fixture_refused("is damaged", "put back a copy");
    assert_return_code(truncate(fixture_file("sandboxd.db"), 4096 + 100), 0);
    fixture_refused("is damaged", "put back a copy");
}

static void a_store_that_another_program_has_open_is_refused(void **state)
{
    (void)state;
    make_store();
    sqlite3 *db;
    sqlite3_open(fixture_file("sandboxd.db"), &db);
    sqlite3_exec(db, "SELECT * FROM sandboxes", NULL, NULL, NULL);
    fixture_refused("is open in another program", "close it there");
    sqlite3_close(db);
    fixture_open();
}

/* As a user who may not; permissions do not bind root. */
static void without_permission_it_says_so(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    mkdir(test_directory, 0700);
    write_file(fixture_file("sandboxd.db"), "", 0);
    assert_return_code(chown(test_directory, 65534, 65534), 0);
    chmod(fixture_file("sandboxd.db"), 0600);
    char above[64];
    snprintf(above, sizeof above, "%.*s", (int)(strrchr(test_directory, '/') - test_directory),
             test_directory);
    chmod(above, 0755);
    assert_return_code(seteuid(65534), 0);
    fixture_refused("can't open sandboxd.db", "Permission denied");
    size_t len = strlen(test_directory);
    snprintf(test_directory + len, sizeof test_directory - len,
             "2"); /* beside it, where only root may make one */
    fixture_refused("can't make the state directory", "Permission denied");
    test_directory[len] = '\0';
    assert_return_code(seteuid(0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_directory_and_files_are_the_owners_alone),
        TEST(a_second_daemon_is_refused),
        TEST(a_child_does_not_inherit_the_lock),
        TEST(a_child_that_outlives_its_daemon_for_a_moment_keeps_nobody_out),
        TEST(directories_that_others_could_change_are_refused),
        TEST(what_is_not_a_directory_of_its_own_is_refused),
        TEST(a_missing_parent_is_said),
        TEST(something_else_in_the_place_of_the_file_is_refused),
        TEST(a_file_that_is_no_database_is_refused_and_left_alone),
        TEST(a_database_of_another_program_is_refused_and_left_alone),
        TEST(a_newer_version_is_refused),
        TEST(a_store_of_version_3_keeps_the_order_of_its_times),
        TEST(a_store_of_version_1_is_taken_over_with_all_it_has),
        TEST(a_damaged_file_is_refused),
        TEST(a_store_that_another_program_has_open_is_refused),
        TEST(without_permission_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
