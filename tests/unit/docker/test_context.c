/* test_context.c: a folder as a build's context: its tar, its hash and its bounds; SHA-256; and the end of a build's
 * output. */
#include "images/build_tail.h"
#include "images/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static struct sbx_error error;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/context-XXXXXX");
    error = (struct sbx_error){0};
    return mkdtemp(folder) ? 0 : -1;
}

/* In this test's own folder. */
static void shell(const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd '%s' && %s", folder, command);
    assert_int_equal(system(line), 0);
}

static int tear_down(void **state)
{
    (void)state;
    shell("rm -rf \"$PWD\"");
    return 0;
}

static void put_file(const char *name, const char *content)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
}

static int pack(int fd, char hex[SHA256_HEX_SIZE])
{
    struct sha256 hash;
    sha256_init(&hash);
    int result = context_pack(folder, fd, &hash, &error);
    sha256_end(&hash, hex);
    return result;
}

static void assert_refused(const char *why)
{
    char hex[SHA256_HEX_SIZE];
    assert_int_equal(pack(-1, hex), -1);
    assert_non_null(strstr(error.message, why));
    assert_non_null(strstr(error.message, folder));
}

/* FIPS 180-4's own examples, and lengths around a block. */
static void hashes_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *text, *hex;
    } cases[] = {
        {3, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {0, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {56, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[SHA256_HEX_SIZE];
    struct sha256 hash;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sha256_init(&hash);
        for (size_t at = 0; at < cases[i].len; at++) /* piece by piece */
            sha256_add(&hash, cases[i].text + at, 1);
        sha256_end(&hash, hex);
        assert_string_equal(hex, cases[i].hex);
    }
    static char million[1000000];
    memset(million, 'a', sizeof million);
    sha256_init(&hash);
    sha256_add(&hash, million, sizeof million);
    sha256_end(&hash, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void the_tar_is_read_by_others(void **state)
{
    (void)state;
    char tar[] = "/tmp/context-tar-XXXXXX", hex[SHA256_HEX_SIZE];
    int fd = mkstemp(tar);
    assert_true(fd >= 0);
    put_file("Dockerfile", "FROM scratch\n");
    put_file("run.sh", "#!/bin/sh\n");
    shell("mkdir -p deep/er/empty && chmod 755 run.sh && ln -s /etc/passwd link");
    shell("n=$(printf %080d 0) && mkdir $n && touch $n/$n"); /* a path in two fields */
    assert_int_equal(pack(fd, hex), 0);
    close(fd);
    char command[600];
    snprintf(command, sizeof command,
             "d=$(mktemp -d) && tar -C $d -xpf %s && diff -r --no-dereference %s $d && "
             "test \"$(stat -c %%a $d/run.sh)\" = 755 && test -h $d/link && rm -rf $d",
             tar, folder);
    assert_int_equal(system(command), 0);
    unlink(tar);
}

static void the_same_files_have_the_same_hash_and_others_have_another(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "echo more >> Dockerfile", "chmod 600 Dockerfile", "mv a b",       "mkdir folder", "ln -s a link",
        "ln -sfn b link",          "chmod 700 folder",     "mv b folder/", "rm link",
    };
    char before[SHA256_HEX_SIZE], after[SHA256_HEX_SIZE];
    put_file("Dockerfile", "FROM scratch\n");
    put_file("a", "");
    assert_int_equal(pack(-1, before), 0);
    shell("touch -d 2001-01-01 *");
    assert_int_equal(pack(-1, after), 0);
    assert_string_equal(before, after);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        shell(changes[i]);
        assert_int_equal(pack(-1, after), 0);
        assert_string_not_equal(before, after);
        memcpy(before, after, sizeof before);
    }
}

static void what_it_has_no_words_for_is_refused(void **state)
{
    (void)state;
    shell("mkfifo pipe");
    assert_refused("/pipe of the build context is neither a file nor a folder");
    shell("rm pipe && truncate -s 2G large");
    assert_refused("/large of the build context is too large");
    shell("truncate -s 20M large && truncate -s 1010M other");
    assert_refused("/other of the build context is too large"); /* with the one before it */
    shell("rm large other && touch $(printf %0200d 0)");
    assert_refused("has too long a path for a tar");
    shell("rm 0* && n=$(printf %0200d 0) && mkdir $n && touch $n/$n");
    assert_refused("of the build context has ");
    shell("rm -r 0* && d=. && for i in $(seq 40); do d=$d/d; done && mkdir -p $d");
    assert_refused("is too deep a folder");
    shell("rm -r d && seq -f f%g 10001 | xargs touch");
    assert_refused("has more than 10000 files and folders");
}

static void a_folder_that_is_not_there_says_so(void **state)
{
    (void)state;
    struct sha256 hash;
    sha256_init(&hash);
    assert_int_equal(context_pack("/nonexistent/folder", -1, &hash, &error), -1);
    assert_string_equal(error.message,
                        "the build context /nonexistent/folder can't be read: No such file or directory");
}

/* ---- the end of the output ---- */

static void the_step_at_hand_and_the_last_lines_are_kept(void **state)
{
    (void)state;
    struct build_tail tail = {0};
    char line[64];
    build_tail_line(&tail, line, sizeof line);
    assert_string_equal(line, "");
    static const char text[] =
        "Step 1/2 : FROM x\n ---> 0123\nStep 2/2 : RUN make\nStep by step\n\nmake: *** stop\n";
    build_tail_add(&tail, text, sizeof text - 1);
    assert_string_equal(tail.step, "Step 2/2 : RUN make");
    build_tail_line(&tail, line, sizeof line);
    assert_string_equal(line, "123 | Step 2/2 : RUN make | Step by step | make: *** stop");
}

static void a_long_output_keeps_its_end_in_its_bounds(void **state)
{
    (void)state;
    struct build_tail tail = {0};
    char line[32], piece[3000];
    for (unsigned i = 0; i < 50; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        build_tail_add(&tail, piece, 1 + i * 59);
        assert_true(tail.len <= sizeof tail.text);
    }
    static const char end[] = "\r\n\x1b[91m\xc3\xa4\x1b end\x1b[0m\n";
    build_tail_add(&tail, end, sizeof end - 1);
    build_tail_line(&tail, line, sizeof line);
    assert_true(strlen(line) < sizeof line);
    assert_non_null(strstr(line, " | \xc3\xa4  end"));
    char long_step[400] = "Step 3/9 : ";
    memset(long_step + 11, 'x', sizeof long_step - 11);
    build_tail_add(&tail, long_step, sizeof long_step);
    assert_int_equal(strlen(tail.step), BUILD_STEP_SIZE - 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_standard),
        CASE(the_tar_is_read_by_others),
        CASE(the_same_files_have_the_same_hash_and_others_have_another),
        CASE(what_it_has_no_words_for_is_refused),
        CASE(a_folder_that_is_not_there_says_so),
        cmocka_unit_test(the_step_at_hand_and_the_last_lines_are_kept),
        cmocka_unit_test(a_long_output_keeps_its_end_in_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
