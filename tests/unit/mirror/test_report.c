/* Reports on their way: the answer once and after the disk, order within a sandbox, bounds, and the end of everything
 * in the middle. The store and the pool are the real ones. */
#include "base/error.h"
#include "mirror/mirror.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char talk[] = "0123456789abcdef0123456789abcdef";

static struct loop *loop;
static struct pool *pool;
static struct store *store;
static struct mirror *mirror;
static struct service *service;
static struct config config;
static char ann_name[] = "ann", one_id[] = "one", two_id[] = "two";
static struct owner ann = {.name = ann_name};
static struct sandbox one = {.id = one_id, .owner = &ann}, two = {.id = two_id, .owner = &ann};
static char directory[64];
static int heard;

/* ---- a world ---- */

static void hear(void *arg)
{
    assert_null(arg);
    heard++;
}

static int setup(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/sandboxd-mirror-XXXXXX");
    assert_non_null(mkdtemp(directory));
    loop = loop_create();
    pool = pool_create(loop, 2);
    struct sbx_error err;
    store = store_open(loop, directory, &err);
    assert_non_null(store);
    service = service_create(&(struct service_deps){.loop = loop, .store = store});
    mirror =
        mirror_create(&(struct mirror_deps){.loop = loop, .pool = pool, .store = store, .service = service});
    config = (struct config){
        .refs = 1, .events_max_per_sandbox = UINT64_C(1) << 30, .events_retention_ms = 3600000};
    mirror_commit(mirror, &config);
    mirror_listen(mirror, hear, NULL);
    heard = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (pool)
        pool_destroy(pool);
    mirror_destroy(mirror);
    service_destroy(service);
    store_close(store);
    loop_destroy(loop);
    DIR *dir = opendir(directory);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    return rmdir(directory);
}

struct outcome {
    bool told;
    struct sbx_error err; /* kind 0: none */
    struct mirror_outcome what;
    int order;
};
static int answers;

static void told(void *arg, const struct sbx_error *err, const struct mirror_outcome *what)
{
    struct outcome *outcome = arg;
    assert_false(outcome->told);
    outcome->told = true;
    outcome->order = ++answers;
    if (err)
        outcome->err = *err;
    outcome->what = *what;
    loop_stop(loop);
}

static void await(const struct outcome *outcome)
{
    while (!outcome->told)
        loop_run(loop);
}

static struct mirror_report *open_report(const struct sandbox *sandbox, size_t size)
{
    struct sbx_error err;
    struct mirror_report *report = mirror_report_open(mirror, sandbox, size, &err);
    if (!report)
        fail_msg("%s", err.message);
    return report;
}

static void send_events(const struct sandbox *sandbox, const char *json, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    mirror_report_events(open_report(sandbox, strlen(json)), talk, json, strlen(json), told, outcome);
    assert_false(outcome->told);
}

/* An event of about `size` bytes; to be freed. */
static char *large_event(const char *id, size_t size)
{
    char *json = malloc(size + 64);
    assert_non_null(json);
    int at = snprintf(json, 64, "[{\"id\":\"%s\",\"text\":\"", id);
    memset(json + at, 'x', size);
    memcpy(json + (size_t)at + size, "\"}]", 4);
    return json;
}

static struct {
    bool told;
    char texts[256];
    size_t count;
} found;

static void events_found(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    (void)arg;
    assert_null(err);
    found.told = true;
    found.count = events->count;
    found.texts[0] = '\0';
    for (size_t i = 0; i < events->count; i++) {
        size_t used = strlen(found.texts);
        snprintf(found.texts + used, sizeof found.texts - used, "%s of %s ", events->rows[i].id,
                 events->rows[i].sandbox_id);
        assert_string_equal(events->rows[i].owner, "ann");
    }
    loop_stop(loop);
}

static const char *stored(void)
{
    found.told = false;
    store_events_after(store, NULL, 0, 100, events_found, NULL);
    while (!found.told)
        loop_run(loop);
    return found.texts;
}

/* ---- tests ---- */

static void small_and_large_reports_are_stored_and_told_once(void **state)
{
    (void)state;
    struct outcome outcome;
    send_events(&one, "[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"1\"}]", &outcome);
    await(&outcome);
    assert_int_equal(outcome.err.kind, 0);
    assert_int_equal(outcome.what.stored, 2);
    assert_int_equal(outcome.what.known, 1);
    assert_int_equal(heard, 1);
    char *json = large_event("3", 100000);
    send_events(&one, json, &outcome);
    memset(json, '?', 50); /* it was copied */
    free(json);
    await(&outcome);
    assert_int_equal(outcome.what.stored, 1);
    send_events(&one, "[{\"id\":\"3\"}]", &outcome);
    await(&outcome);
    assert_int_equal(outcome.what.known, 1);
    assert_int_equal(heard, 2);
    assert_string_equal(stored(), "1 of one 2 of one 3 of one ");
    assert_int_equal(mirror_stats(mirror).events, 3);
    assert_int_equal(mirror_stats(mirror).duplicates, 2);
}

static void one_sandboxs_reports_are_stored_in_their_order(void **state)
{
    (void)state;
    struct outcome outcomes[4];
    answers = 0;
    char *json = large_event("first", 2000000); /* takes the pool a while */
    send_events(&one, json, &outcomes[0]);
    free(json);
    send_events(&one, "[{\"id\":\"second\"}]", &outcomes[1]);
    send_events(&one, "[5]", &outcomes[2]);
    send_events(&one, "[{\"id\":\"fourth\"}]", &outcomes[3]);
    for (int i = 0; i < 4; i++) {
        await(&outcomes[i]);
        assert_int_equal(outcomes[i].order, i + 1);
    }
    assert_string_equal(stored(), "first of one second of one fourth of one ");
}

static void a_wrong_report_says_where_and_counts(void **state)
{
    (void)state;
    struct outcome outcome;
    send_events(&one, "[{\"id\":5},6]", &outcome);
    await(&outcome);
    assert_int_equal(outcome.err.kind, SBX_ERR_INVALID);
    assert_int_equal(outcome.what.event, 0);
    assert_string_equal(outcome.what.member, "id");
    assert_string_equal(stored(), "");
    assert_int_equal(mirror_stats(mirror).refused, 1);
    assert_int_equal(heard, 0);
    outcome = (struct outcome){0};
    mirror_report_events(open_report(&one, 1), talk, "[] ", 3, told, &outcome); /* more than was said */
    await(&outcome);
    assert_int_equal(outcome.err.kind, SBX_ERR_INVALID);
}

static void a_wrong_event_is_told_and_the_others_are_stored(void **state)
{
    (void)state;
    struct outcome outcome;
    send_events(&one, "[{\"id\":\"1\"},{\"id\":5},{\"id\":\"2\"}]", &outcome);
    await(&outcome);
    assert_int_equal(outcome.err.kind, 0);
    assert_int_equal(outcome.what.stored, 2);
    assert_int_equal(outcome.what.rejected_len, 1);
    assert_string_equal(stored(), "1 of one 2 of one ");
    assert_int_equal(mirror_stats(mirror).refused, 0);
    assert_int_equal(mirror_stats(mirror).rejected, 1);
}

static void a_sandbox_that_floods_is_refused_alone(void **state)
{
    (void)state;
    struct mirror_report *first = open_report(&one, MIRROR_MAX_REPORT);
    struct sbx_error err = {0};
    assert_null(mirror_report_open(mirror, &one, MIRROR_MAX_REPORT, &err));
    assert_int_equal(err.kind, SBX_ERR_UNAVAILABLE);
    assert_int_equal(err.retryable, 1);
    struct mirror_report *other = open_report(&two, MIRROR_MAX_REPORT);
    struct outcome outcome = {0};
    mirror_report_events(first, talk, "[]", 2, told, &outcome); /* less than was said: the rest is free */
    struct mirror_report *second = open_report(&one, MIRROR_MAX_REPORT);
    await(&outcome);
    assert_int_equal(outcome.err.kind, 0);
    mirror_report_close(second);
    mirror_report_close(other);
    second = open_report(&one, MIRROR_MAX_REPORT);
    mirror_report_close(second);
}

static void what_a_sandbox_may_keep_is_bounded(void **state)
{
    (void)state;
    config.events_max_per_sandbox = 2000;
    struct outcome outcome;
    char *json = large_event("1", 3000);
    send_events(&one, json, &outcome);
    free(json);
    await(&outcome);
    assert_int_equal(outcome.err.kind, SBX_ERR_LIMIT);
    assert_non_null(strstr(outcome.err.message, "events.max_per_sandbox"));
    send_events(&two, "[{\"id\":\"1\"}]", &outcome);
    await(&outcome);
    assert_int_equal(outcome.err.kind, 0);
}

static void a_conversation_is_stored_under_its_id(void **state)
{
    (void)state;
    static const char json[] = "{\"id\":\"01234567-89ab-cdef-0123-456789abcdef\"}";
    struct outcome outcome = {0};
    mirror_report_conversation(open_report(&one, sizeof json), json, sizeof json - 1, told, &outcome);
    await(&outcome);
    assert_int_equal(outcome.err.kind, 0);
    assert_int_equal(mirror_stats(mirror).conversations, 1);
    assert_int_equal(heard, 0);
}

static void a_report_that_nobody_waits_for_is_stored_all_the_same(void **state)
{
    (void)state;
    struct mirror_report *report = open_report(&one, 100);
    mirror_report_events(report, talk, "[{\"id\":\"1\"}]", 12, told, NULL);
    mirror_report_close(report);
    struct outcome outcome;
    send_events(&one, "[{\"id\":\"2\"}]", &outcome);
    await(&outcome);
    assert_string_equal(stored(), "1 of one 2 of one ");
}

/* In each stage: not sent, waiting for its turn, on the pool, at the store. The leak checker sees the rest. */
static void the_end_may_come_in_the_middle(void **state)
{
    (void)state;
    struct outcome outcomes[5] = {0}; /* of what is fast enough */
    char *json = large_event("1", 1000000);
    for (int i = 0; i < 4; i++)
        mirror_report_events(open_report(&one, strlen(json)), talk, json, strlen(json), told, &outcomes[i]);
    free(json);
    open_report(&two, 100);
    mirror_report_events(open_report(&two, 100), talk, "[{\"id\":\"1\"}]", 12, told, &outcomes[4]);
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK); /* that of `two` goes to the store */
    pool_destroy(pool);
    pool = NULL;
    mirror_destroy(mirror);
    mirror = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(small_and_large_reports_are_stored_and_told_once),
        TEST(one_sandboxs_reports_are_stored_in_their_order),
        TEST(a_wrong_event_is_told_and_the_others_are_stored),
        TEST(a_wrong_report_says_where_and_counts),
        TEST(a_sandbox_that_floods_is_refused_alone),
        TEST(what_a_sandbox_may_keep_is_bounded),
        TEST(a_conversation_is_stored_under_its_id),
        TEST(a_report_that_nobody_waits_for_is_stored_all_the_same),
        TEST(the_end_may_come_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
