/* See fixture.h. */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct loop *test_loop;
struct store *test_store;
char test_directory[64];

static char parent[32];
static int answers;

int fixture_setup(void **state)
{
    (void)state;
    snprintf(parent, sizeof parent, "/tmp/sandboxd-store-XXXXXX");
    if (!mkdtemp(parent))
        return -1;
    snprintf(test_directory, sizeof test_directory, "%s/state", parent);
    test_loop = loop_create();
    answers = 0;
    return 0;
}

int fixture_setup_open(void **state)
{
    int failed = fixture_setup(state);
    if (!failed)
        fixture_open();
    return failed;
}

static void remove_files(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
    if (dir)
        closedir(dir);
    if (rmdir(directory) != 0)
        unlink(directory);
}

int fixture_teardown(void **state)
{
    (void)state;
    store_close(test_store);
    test_store = NULL;
    loop_destroy(test_loop);
    remove_files(test_directory);
    remove_files(parent);
    return 0;
}

void fixture_open(void)
{
    struct sbx_error err;
    test_store = store_open(test_loop, test_directory, &err);
    if (!test_store)
        fail_msg("%s", err.message);
}

void fixture_close(void)
{
    store_close(test_store);
    test_store = NULL;
}

const char *fixture_file(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", test_directory, name);
    return path;
}

void fixture_refused(const char *one, const char *other)
{
    struct sbx_error err = {0};
    struct store *store = store_open(test_loop, test_directory, &err);
    if (store) {
        store_close(store);
        fail_msg("it was opened");
    }
    print_message("%s\n", err.message);
    assert_string_equal(err.code, strstr(one, "full") ? STORE_NO_SPACE : STORE_FAILED);
    if (!strstr(err.message, one) || !strstr(err.message, other))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.message, one, other);
}

static void note(struct answer *answer, const struct sbx_error *err)
{
    assert_false(answer->here);
    answer->here = true;
    answer->failed = err != NULL;
    if (err)
        answer->err = *err;
    answer->order = ++answers;
}

void answer_done(void *arg, const struct sbx_error *err)
{
    note(arg, err);
}

void answer_value(void *arg, const struct sbx_error *err, const void *value, size_t len)
{
    struct answer *answer = arg;
    note(answer, err);
    answer->len = len;
    if (!value)
        return;
    answer->value = malloc(len + 1);
    memcpy(answer->value, value, len);
    answer->value[len] = '\0';
}

void answer_keys(void *arg, const struct sbx_error *err, const char *const *keys, size_t count)
{
    struct answer *answer = arg;
    note(answer, err);
    answer->count = count;
    size_t at = 0;
    for (size_t i = 0; i < count && at < sizeof answer->keys; i++)
        at += (size_t)snprintf(answer->keys + at, sizeof answer->keys - at, "%s ", keys[i]);
}

void answer_wait(struct answer *answer)
{
    alarm(60); /* a test that hangs is killed */
    while (!answer->here)
        event_base_loop(loop_base(test_loop), EVLOOP_ONCE);
    alarm(0);
}

struct answer put(const char *space, const char *key, const char *value)
{
    struct answer answer = {0};
    store_put(test_store, space, key, value, strlen(value), answer_done, &answer);
    answer_wait(&answer);
    return answer;
}

struct answer get(const char *space, const char *key)
{
    struct answer answer = {0};
    store_get(test_store, space, key, answer_value, &answer);
    answer_wait(&answer);
    return answer;
}

void assert_value(const char *space, const char *key, const char *value)
{
    struct answer answer = get(space, key);
    assert_false(answer.failed);
    if (value)
        assert_string_equal(answer.value, value);
    else
        assert_null(answer.value);
    free(answer.value);
}
