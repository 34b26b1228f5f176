/* Which state it is: kept over moves and restores, refused for a copy of what is still there. */
#include "fixture.h"
#include "store/identity.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char other_directory[80];

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    int failed = fixture_setup(state);
    snprintf(other_directory, sizeof other_directory, "%s-other", test_directory);
    return failed;
}

static int teardown(void **state)
{
    fixture_close();
    run("rm -rf %s", other_directory);
    return fixture_teardown(state);
}

/* Serves the state for a moment. Its id. */
static void serve(char *id)
{
    fixture_open();
    snprintf(id, BASE62_SIZE_16, "%s", store_instance_id(test_store));
    fixture_close();
}

static struct store *open_other(struct sbx_error *err)
{
    return store_open(test_loop, other_directory, err);
}

static void other_is_refused(const char *one, const char *two)
{
    struct sbx_error err = {0};
    assert_null(open_other(&err));
    print_message("%s\n", err.message);
    assert_string_equal(err.code, STORE_FAILED);
    assert_non_null(strstr(err.message, one));
    assert_non_null(strstr(err.message, two));
}

static void other_has(const char *id)
{
    struct sbx_error err = {0};
    struct store *store = open_other(&err);
    if (!store)
        fail_msg("%s", err.message);
    assert_string_equal(store_instance_id(store), id);
    store_close(store);
}

static void a_state_has_an_id_of_its_own_that_stays(void **state)
{
    (void)state;
    char first[BASE62_SIZE_16], again[BASE62_SIZE_16];
    struct stat info;
    serve(first);
    serve(again);
    assert_int_equal(strlen(first), BASE62_SIZE_16 - 1);
    assert_string_equal(first, again);
    assert_return_code(stat(fixture_file(IDENTITY_FILE), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    struct sbx_error err;
    struct store *store = open_other(&err);
    assert_non_null(store);
    assert_string_not_equal(store_instance_id(store), first);
    store_close(store);
}

static void a_copy_is_refused_while_the_original_is_there(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16];
    serve(id);
    run("cp -a %s %s", test_directory, other_directory);
    other_is_refused(test_directory, "remove or rename");
    fixture_open(); /* the original is as it was */
    assert_string_equal(store_instance_id(test_store), id);
    other_is_refused(other_directory, "is a copy");
}

/* What a backup has is the database alone. */
static void a_copy_of_the_database_alone(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16];
    serve(id);
    assert_return_code(mkdir(other_directory, 0700), 0);
    run("cp -a %s/sandboxd.db %s/", test_directory, other_directory);
    other_is_refused(test_directory, "is a copy");
    run("rm %s/%s", test_directory, IDENTITY_FILE); /* that folder holds something else now */
    other_has(id);
}

static void a_state_that_was_moved_is_the_same(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16], again[BASE62_SIZE_16];
    serve(id);
    run("mv %s %s", test_directory, other_directory);
    other_has(id);
    other_has(id);
    run("mkdir -m 700 %s", test_directory); /* a new one begins where it was */
    serve(again);
    assert_string_not_equal(again, id);
    other_has(id);
}

static void a_state_that_was_restored_is_the_same(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16], again[BASE62_SIZE_16];
    serve(id);
    run("cp -a %s/sandboxd.db %s.backup", test_directory, test_directory);
    run("rm -rf %s && mkdir -m 700 %s", test_directory, test_directory);
    run("cp -a %s.backup %s/sandboxd.db", test_directory, test_directory);
    run("rm %s.backup", test_directory);
    serve(again);
    assert_string_equal(id, again);
}

static void another_way_to_the_folder_is_no_copy(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16], way[128], text[IDENTITY_TEXT_MAX];
    serve(id);
    run("ln -s %s %s", test_directory, other_directory);
    /* As if it had been served by that name, which is a bind mount's as often as a link's. */
    int fd = open(fixture_file(IDENTITY_FILE), O_RDWR);
    ssize_t len = read(fd, text, sizeof text - 1);
    text[len] = '\0';
    snprintf(way, sizeof way, "folder %s\n", other_directory);
    snprintf(strstr(text, "folder "), 200, "%s", way);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
    close(fd);
    char again[BASE62_SIZE_16];
    serve(again);
    assert_string_equal(id, again);
}

/* In another place, or behind another name, where the folders can't tell: both are here, alive. */
static void what_is_served_now_is_not_served_twice(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16];
    serve(id);
    run("mv %s %s", test_directory, other_directory);
    run("cp -a %s %s", other_directory,
        test_directory); /* its file names this folder, as the original's does */
    fixture_open();
    assert_true(identity_is_served(id));
    run("rm -rf %s/%s", test_directory, IDENTITY_FILE); /* the one that is looked at in the other's check */
    other_is_refused(other_directory, "another sandboxd");
    fixture_close();
    assert_false(identity_is_served(id));
    assert_false(identity_is_served("nothing of the sort"));
}

/* As a copy does that is started over and over, or a backend for each of many things. */
static void it_is_served_however_often_that_is_asked(void **state)
{
    (void)state;
    char id[BASE62_SIZE_16];
    serve(id);
    run("mv %s %s", test_directory, other_directory);
    run("cp -a %s %s", other_directory, test_directory);
    fixture_open();
    for (int i = 0; i < 200; i++)
        assert_true(identity_is_served(id)); /* also while the daemon is busy with something else */
    for (int i = 0; i < 200; i++)
        event_base_loop(loop_base(test_loop), EVLOOP_NONBLOCK);
    run("rm -rf %s/%s", test_directory, IDENTITY_FILE);
    other_is_refused(other_directory, "another sandboxd");
}

static void a_file_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "id x\ninode 1 2\nfolder /x\n",
        "id 0123456789012345678901\ninode 1 2\nfolder x\n",
        "id 0123456789012345678901\ninode 1 x\nfolder /x\n",
        "id 0123456789012345678901\ninode 1 2\nfolder /x",
        "id 0123456789012345678901\nfolder /x\n",
    };
    char id[BASE62_SIZE_16];
    serve(id);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int fd = open(fixture_file(IDENTITY_FILE), O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
        close(fd);
        fixture_refused(IDENTITY_FILE, "does not say which state this is");
    }
    unlink(fixture_file(IDENTITY_FILE));
    char again[BASE62_SIZE_16];
    serve(again); /* the database knows */
    assert_string_equal(id, again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_state_has_an_id_of_its_own_that_stays),
        TEST(a_copy_is_refused_while_the_original_is_there),
        TEST(a_copy_of_the_database_alone),
        TEST(a_state_that_was_moved_is_the_same),
        TEST(a_state_that_was_restored_is_the_same),
        TEST(another_way_to_the_folder_is_no_copy),
        TEST(what_is_served_now_is_not_served_twice),
        TEST(it_is_served_however_often_that_is_asked),
        TEST(a_file_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
