/* What is put is kept: values, order, group commit, namespaces, loading. */
#include "fixture.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_value_comes_back_also_after_reopening(void **state)
{
    (void)state;
    assert_false(put("docker", "key", "value").failed);
    assert_value("docker", "key", "value");
    fixture_close();
    fixture_open();
    assert_value("docker", "key", "value");
    assert_false(put("docker", "key", "other").failed);
    assert_value("docker", "key", "other");
    assert_value("docker", "no such key", NULL);
}

static void a_value_may_be_empty_or_any_bytes(void **state)
{
    (void)state;
    assert_false(put("s", "empty", "").failed);
    struct answer empty = get("s", "empty");
    assert_non_null(empty.value);
    assert_int_equal(empty.len, 0);
    free(empty.value);

    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    struct answer written = {0};
    store_put(test_store, "s", "bytes", bytes, sizeof bytes, answer_done, &written);
    answer_wait(&written);
    struct answer read = get("s", "bytes");
    assert_int_equal(read.len, sizeof bytes);
    assert_memory_equal(read.value, bytes, sizeof bytes);
    free(read.value);
}

static void namespaces_do_not_see_each_other(void **state)
{
    (void)state;
    put("a", "key", "1");
    put("b", "key", "2");
    struct answer deleted = {0};
    store_delete(test_store, "a", "key", answer_done, &deleted);
    answer_wait(&deleted);
    assert_false(deleted.failed);
    assert_value("a", "key", NULL);
    assert_value("b", "key", "2");
}

static void keys_are_listed_by_prefix_in_order(void **state)
{
    (void)state;
    const char *keys[] = {"b/2", "a", "b/1", "b", "b/\303\244", "c", "b0"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        put("s", keys[i], "");
    put("other", "b/3", "");
    struct answer some = {0}, all = {0}, none = {0};
    store_list(test_store, "s", "b/", answer_keys, &some);
    store_list(test_store, "s", "", answer_keys, &all);
    store_list(test_store, "s", "d", answer_keys, &none);
    answer_wait(&none);
    assert_string_equal(some.keys, "b/1 b/2 b/\303\244 ");
    assert_int_equal(all.count, 7);
    assert_string_equal(all.keys, "a b b/1 b/2 b/\303\244 b0 c ");
    assert_int_equal(none.count, 0);
}

static void answers_come_in_the_order_of_the_calls(void **state)
{
    (void)state;
    enum { CALLS = 3000 };
    struct answer *all = calloc(CALLS, sizeof *all);
    char value[16];
    for (int i = 0; i < CALLS; i++) {
        snprintf(value, sizeof value, "%d", i);
        if (i % 3 == 0)
            store_put(test_store, "s", "key", value, strlen(value), answer_done, &all[i]);
        else if (i % 3 == 1)
            store_get(test_store, "s", "key", answer_value, &all[i]); /* sees the write before it */
        else
            store_list(test_store, "s", "", answer_keys, &all[i]);
        memset(value, 'x', sizeof value - 1); /* it was copied */
    }
    answer_wait(&all[CALLS - 1]);
    for (int i = 0; i < CALLS; i++) {
        assert_true(all[i].here && !all[i].failed);
        assert_int_equal(all[i].order, i + 1);
        if (i % 3 == 1)
            assert_int_equal(strtol(all[i].value, NULL, 10), i - 1);
        free(all[i].value);
    }
    free(all);
}

static void writes_that_wait_together_are_committed_together(void **state)
{
    (void)state;
    enum { CALLS = 2000 };
    struct answer *all = calloc(CALLS, sizeof *all);
    for (int i = 0; i < CALLS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        store_put(test_store, "s", key, "value", 5, answer_done, &all[i]);
    }
    answer_wait(&all[CALLS - 1]);
    struct store_stats stats = store_stats(test_store);
    assert_int_equal(stats.writes, CALLS);
    assert_int_equal(stats.failures, 0);
    assert_in_range(stats.commits, 1, CALLS / 10);
    free(all);
}

static void a_record_over_the_bound_is_refused_in_its_turn(void **state)
{
    (void)state;
    size_t len = 5 << 20;
    char *huge = calloc(1, len);
    struct answer before = {0}, refused = {0}, after = {0};
    store_put(test_store, "s", "before", "1", 1, answer_done, &before);
    store_put(test_store, "s", "huge", huge, len, answer_done, &refused);
    store_put(test_store, "s", "after", "1", 1, answer_done, &after);
    answer_wait(&after);
    assert_false(before.failed || after.failed);
    assert_true(refused.failed);
    assert_int_equal(refused.order, 2);
    assert_int_equal(refused.err.kind, SBX_ERR_LIMIT);
    assert_value("s", "huge", NULL);
    free(huge);
}

static void closing_finishes_what_was_asked_for(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        char key[16];
        snprintf(key, sizeof key, "%03d", i);
        store_put(test_store, "s", key, "value", 5, NULL, NULL);
    }
    fixture_close();
    fixture_open();
    struct answer all = {0};
    store_list(test_store, "s", "", answer_keys, &all);
    answer_wait(&all);
    assert_int_equal(all.count, 500);
}

/* ---- sandboxes ------------------------------------------------------------------------------ */

static const struct store_sandbox whole = {.id = "id1",
                                           .backend = "local",
                                           .owner = "alice",
                                           .spec_id = "spec",
                                           .session_key = "secret",
                                           .sequence = 3,
                                           .created_at_us = 1790000000123456,
                                           .begun = true,
                                           .deleting = true,
                                           .error_json = "{\"code\":\"EXITED\"}",
                                           .session_id = "session",
                                           .spec_json = "{\"id\":\"spec\"}",
                                           .pause_reason = "to make room"};

struct loaded {
    int count;
    char ids[256];
    struct store_sandbox last;
};

static void on_loaded(void *arg, const struct store_sandbox *sandbox)
{
    struct loaded *loaded = arg;
    size_t len = strlen(loaded->ids);
    snprintf(loaded->ids + len, sizeof loaded->ids - len, "%s ", sandbox->id);
    loaded->count++;
    if (strcmp(sandbox->id, "id1") == 0) {
        assert_string_equal(sandbox->backend, whole.backend);
        assert_string_equal(sandbox->owner, whole.owner);
        assert_string_equal(sandbox->spec_id, whole.spec_id);
        assert_string_equal(sandbox->session_key, whole.session_key);
        assert_int_equal(sandbox->created_at_us, whole.created_at_us);
        assert_true(sandbox->begun && sandbox->deleting);
        assert_string_equal(sandbox->error_json, whole.error_json);
        assert_string_equal(sandbox->session_id, whole.session_id);
        assert_string_equal(sandbox->spec_json, whole.spec_json);
        assert_int_equal(sandbox->sequence, whole.sequence);
        assert_string_equal(sandbox->pause_reason, whole.pause_reason);
    } else {
        assert_null(sandbox->owner);
        assert_null(sandbox->error_json);
        assert_null(sandbox->session_id);
        assert_null(sandbox->spec_json);
        assert_null(sandbox->pause_reason);
        assert_false(sandbox->begun || sandbox->deleting);
    }
}

static void sandboxes_are_loaded_in_their_order_with_all_they_have(void **state)
{
    (void)state;
    struct store_sandbox bare = {.backend = "b", .spec_id = "s", .session_key = "k"};
    const char *ids[] = {"new", "old", "middle"};
    const int64_t places[] = {4, 1, 2};
    const int64_t times[] = {5, 1790000000999999, 1700000000000000}; /* which the order does not follow */
    for (int i = 0; i < 3; i++) {
        bare.id = ids[i];
        bare.sequence = places[i];
        bare.created_at_us = times[i];
        store_put_sandbox(test_store, &bare, NULL, NULL);
    }
    struct store_sandbox early = whole; /* to be replaced */
    early.owner = "bob";
    early.deleting = false;
    struct answer answer = {0}, deleted = {0}, missing = {0};
    store_put_sandbox(test_store, &early, NULL, NULL);
    store_put_sandbox(test_store, &whole, answer_done, &answer);
    answer_wait(&answer);
    assert_false(answer.failed);
    struct loaded loaded = {0};
    fixture_close();
    fixture_open();
    assert_int_equal(store_load_sandboxes(test_store, on_loaded, &loaded, NULL), 0);
    assert_string_equal(loaded.ids, "old middle id1 new ");

    store_delete_sandbox(test_store, "middle", answer_done, &deleted);
    store_delete_sandbox(test_store, "never there", answer_done, &missing);
    answer_wait(&missing);
    assert_false(deleted.failed || missing.failed);
    loaded = (struct loaded){0};
    assert_int_equal(store_load_sandboxes(test_store, on_loaded, &loaded, NULL), 0);
    assert_string_equal(loaded.ids, "old id1 new ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_value_comes_back_also_after_reopening),
        TEST(a_value_may_be_empty_or_any_bytes),
        TEST(namespaces_do_not_see_each_other),
        TEST(keys_are_listed_by_prefix_in_order),
        TEST(answers_come_in_the_order_of_the_calls),
        TEST(writes_that_wait_together_are_committed_together),
        TEST(a_record_over_the_bound_is_refused_in_its_turn),
        TEST(closing_finishes_what_was_asked_for),
        TEST(sandboxes_are_loaded_in_their_order_with_all_they_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
