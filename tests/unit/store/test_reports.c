/* Conversations and events: each once and as it came first, nobody reaches another's rows, order, paging, bounds. */
#include "fixture.h"

#include "base/clock.h"
#include "store/reports.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char talk[] = "0123456789abcdef0123456789abcdef";

/* ---- reporting -------------------------------------------------------------------------------- */

struct sent {
    struct store_reported reported;
    struct sbx_error err;
    bool told, failed, released;
};

static void ignore_told(void *arg, const struct sbx_error *err, const struct store_reported *reported)
{
    (void)arg;
    (void)reported;
    assert_null(err);
}

static void ignore_released(void *arg)
{
    (void)arg;
}

static void told(void *arg, const struct sbx_error *err, const struct store_reported *reported)
{
    struct sent *sent = arg;
    assert_false(sent->told || sent->released);
    sent->told = true;
    sent->failed = err != NULL;
    if (err)
        sent->err = *err;
    sent->reported = *reported;
}

static void released(void *arg)
{
    struct sent *sent = arg;
    assert_false(sent->released);
    sent->released = true;
    if (sent->told)
        loop_stop(test_loop);
}

static struct store_report report_of(const char *sandbox, const char *owner)
{
    return (struct store_report){.sandbox_id = sandbox,
                                 .owner = owner,
                                 .conversation_id = talk,
                                 .arrived_us = 1000,
                                 .max_bytes = 1 << 20};
}

static struct sent send_report(const struct store_report *report)
{
    struct sent sent = {0};
    store_report(test_store, report, told, released, &sent);
    while (!sent.released)
        loop_run(test_loop);
    assert_true(sent.told);
    return sent;
}

/* One event whose text is its id in quotes. */
static struct sent send_event(const char *sandbox, const char *owner, const char *id, int64_t timestamp_us)
{
    char json[64];
    snprintf(json, sizeof json, "\"%s of %s\"", id, sandbox);
    struct store_new_event event = {id, "Kind", timestamp_us, json, strlen(json)};
    struct store_report report = report_of(sandbox, owner);
    report.events = &event;
    report.events_len = 1;
    struct sent sent = send_report(&report);
    assert_false(sent.failed);
    return sent;
}

static void send_text(const char *sandbox, const char *owner, const char *json)
{
    struct store_report report = report_of(sandbox, owner);
    report.conversation_json = json;
    report.conversation_len = strlen(json);
    assert_false(send_report(&report).failed);
}

/* ---- asking ----------------------------------------------------------------------------------- */

struct found {
    char texts[1024]; /* each row's text, and a space */
    size_t count;
    bool more;
    struct store_place place;
    int64_t number;
};

static void add_text(struct found *found, const char *json, size_t len)
{
    size_t used = strlen(found->texts);
    snprintf(found->texts + used, sizeof found->texts - used, "%.*s ", (int)len, json);
}

static void events_found(void *arg, const struct sbx_error *err, const struct store_events *events)
{
    struct found *found = arg;
    assert_null(err);
    for (size_t i = 0; events->rows && i < events->count; i++)
        add_text(found, events->rows[i].json, events->rows[i].json_len);
    found->count = events->count;
    found->more = events->more;
    found->place = events->place;
    loop_stop(test_loop);
}

static void conversations_found(void *arg, const struct sbx_error *err,
                                const struct store_conversations *conversations)
{
    struct found *found = arg;
    assert_null(err);
    for (size_t i = 0; i < conversations->count; i++)
        add_text(found, conversations->rows[i].json, conversations->rows[i].json_len);
    found->count = conversations->count;
    found->more = conversations->more;
    found->place.seq = conversations->place;
    loop_stop(test_loop);
}

static void number_found(void *arg, const struct sbx_error *err, int64_t number)
{
    assert_null(err);
    ((struct found *)arg)->number = number;
    loop_stop(test_loop);
}

static const struct store_event_filter everything = {
    .all_owners = true, .from_us = INT64_MIN, .until_us = INT64_MAX};

static struct found find_events(const struct store_event_filter *filter, size_t limit)
{
    struct found found = {0};
    store_events_search(test_store, filter, limit, events_found, &found);
    loop_run(test_loop);
    return found;
}

static size_t count(const struct store_event_filter *filter)
{
    struct found found = {0};
    store_events_count(test_store, filter, events_found, &found);
    loop_run(test_loop);
    return found.count;
}

static int64_t last_seq(void)
{
    struct found found = {0};
    store_events_last_seq(test_store, number_found, &found);
    loop_run(test_loop);
    return found.number;
}

static int64_t last_time(const char *sandbox)
{
    struct found found = {0};
    store_events_last_time(test_store, sandbox, talk, number_found, &found);
    loop_run(test_loop);
    return found.number;
}

static struct found conversations_in(const char *sandbox, bool all, const char *owner, int64_t place,
                                     size_t limit)
{
    struct found found = {0};
    store_conversations_search(test_store, all, owner, sandbox, place, limit, conversations_found, &found);
    loop_run(test_loop);
    return found;
}

static struct found conversations(bool all, const char *owner, int64_t place, size_t limit)
{
    return conversations_in(NULL, all, owner, place, limit);
}

static struct store_expired expired;
static void expiry_told(void *arg, const struct sbx_error *err, const struct store_expired *what)
{
    (void)arg;
    assert_null(err);
    expired = *what;
    loop_stop(test_loop);
}

static void expire_behind(int64_t before_us, int64_t place)
{
    store_reports_expire(test_store, before_us, place, expiry_told, NULL);
    loop_run(test_loop);
}

static void expire(int64_t before_us)
{
    expire_behind(before_us, 0);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void an_event_is_stored_once_and_stays_as_it_came_first(void **state)
{
    (void)state;
    assert_int_equal(send_event("a", NULL, "1", 5).reported.stored, 1);
    struct store_new_event again[] = {
        {"1", NULL, 9, "other", 5}, {"2", NULL, 6, "two", 3}, {"2", NULL, 6, "2", 1}};
    struct store_report report = report_of("a", NULL);
    report.events = again;
    report.events_len = 3;
    struct sent sent = send_report(&report);
    assert_int_equal(sent.reported.stored, 1);
    assert_int_equal(sent.reported.known, 2);
    fixture_close();
    fixture_open();
    assert_string_equal(find_events(&everything, 10).texts, "\"1 of a\" two ");
    assert_int_equal(count(&everything), 2);
}

static void a_sandbox_reaches_no_row_of_another(void **state)
{
    (void)state;
    send_event("a", "ann", "1", 5);
    send_text("a", "ann", "{\"of\":\"ann\"}");
    assert_int_equal(send_event("b", "bob", "1", 5).reported.stored, 1);
    send_text("b", "bob", "{\"of\":\"bob\"}");
    struct store_event_filter filter = everything;
    filter.all_owners = false;
    filter.owner = "ann";
    assert_string_equal(find_events(&filter, 10).texts, "\"1 of a\" ");
    filter.conversation_id = talk;
    assert_string_equal(find_events(&filter, 10).texts, "\"1 of a\" ");
    struct found found = {0};
    store_events_get(test_store, &filter, "1", events_found, &found);
    loop_run(test_loop);
    assert_string_equal(found.texts, "\"1 of a\" ");
    assert_string_equal(conversations(false, "ann", 0, 10).texts, "{\"of\":\"ann\"} ");
    assert_string_equal(conversations(true, NULL, 0, 10).texts, "{\"of\":\"bob\"} {\"of\":\"ann\"} ");
    assert_string_equal(conversations_in("b", true, NULL, 0, 10).texts, "{\"of\":\"bob\"} ");
    assert_string_equal(conversations_in("a", false, "ann", 0, 10).texts, "{\"of\":\"ann\"} ");
    assert_int_equal(conversations_in("b", false, "ann", 0, 10).count, 0);
    assert_int_equal(conversations_in("c", true, NULL, 0, 10).count, 0);
    filter.owner = NULL; /* nobody's */
    assert_int_equal(count(&filter), 0);
    filter.conversation_id = NULL;
    assert_int_equal(count(&filter), 0);
}

static void an_id_that_another_uses_often_hides_no_event(void **state)
{
    (void)state;
    enum { OFTEN = 2 * REPORTS_TURN + 1 };
    static char talks[OFTEN][33];
    struct store_new_event event = {"1", NULL, 5, "theirs", 6};
    for (int i = 0; i < OFTEN; i++) {
        snprintf(talks[i], sizeof talks[i], "%032d", i); /* all before `talk` */
        struct store_report report = report_of("b", "bob");
        report.max_bytes = 1 << 30;
        report.conversation_id = talks[i];
        report.events = &event;
        report.events_len = 1;
        if (i < OFTEN - 1)
            store_report(test_store, &report, ignore_told, ignore_released, NULL);
        else
            assert_int_equal(send_report(&report).reported.stored, 1);
    }
    send_event("a", "ann", "1", 5);
    struct store_event_filter filter = everything;
    filter.all_owners = false;
    filter.owner = "ann";
    struct found found = {.more = true};
    int calls = 0;
    for (; found.count == 0 && found.more; calls++) {
        store_events_get(test_store, &filter, "1", events_found, &found);
        loop_run(test_loop);
        filter.after = true;
        filter.place = found.place;
    }
    assert_string_equal(found.texts, "\"1 of a\" ");
    assert_int_equal(calls, 3);
}

static void a_conversation_has_its_newest_text(void **state)
{
    (void)state;
    send_event("a", NULL, "1", 5); /* known by its event only: nothing to show */
    assert_int_equal(conversations(true, NULL, 0, 10).count, 0);
    send_text("a", NULL, "{\"v\": 1}");
    send_text("a", NULL, "{\"v\":  2}");
    send_text("a", NULL, "{\"v\":  2}");
    assert_string_equal(conversations(true, NULL, 0, 10).texts, "{\"v\":  2} ");
}

static void pages_are_by_time_and_then_by_arrival_in_both_directions(void **state)
{
    (void)state;
    send_event("a", NULL, "1", 30);
    send_event("a", NULL, "2", 10);
    send_event("a", NULL, "3", 20);
    send_event("a", NULL, "4", 20);
    send_event("a", NULL, "5", 20);
    static const char *const expected[2] = {"\"2 of a\" \"3 of a\" \"4 of a\" \"5 of a\" \"1 of a\" ",
                                            "\"1 of a\" \"5 of a\" \"4 of a\" \"3 of a\" \"2 of a\" "};
    for (int newest_first = 0; newest_first < 2; newest_first++)
        for (size_t limit = 1; limit < 7; limit++) {
            struct store_event_filter filter = everything;
            filter.newest_first = newest_first;
            char all[1024] = "";
            struct found page;
            do {
                page = find_events(&filter, limit);
                assert_true(page.count <= limit);
                size_t used = strlen(all);
                snprintf(all + used, sizeof all - used, "%s", page.texts);
                filter.after = true;
                filter.place = page.place;
            } while (page.more);
            assert_string_equal(all, expected[newest_first]);
        }
}

static void filters_are_of_time_kind_and_conversation(void **state)
{
    (void)state;
    send_event("a", NULL, "1", 10);
    send_event("a", NULL, "2", 20);
    send_event("a", NULL, "3", 30);
    for (int newest_first = 0; newest_first < 2; newest_first++) {
        struct store_event_filter filter = everything;
        filter.newest_first = newest_first;
        filter.from_us = 20;
        filter.until_us = 30;
        assert_string_equal(find_events(&filter, 10).texts, "\"2 of a\" ");
        filter.after = true;
        filter.place = (struct store_place){newest_first ? 30 : 10, newest_first ? 3 : 1};
        assert_string_equal(find_events(&filter, 10).texts, "\"2 of a\" ");
        filter.place = (struct store_place){20, 2};
        assert_int_equal(count(&filter), 0);
        filter.place = (struct store_place){newest_first ? 10 : 30, 1}; /* beyond the end */
        assert_int_equal(count(&filter), 0);
    }
    struct store_event_filter filter = everything;
    filter.kind = "Kind";
    assert_int_equal(count(&filter), 3);
    filter.kind = "Kin";
    assert_int_equal(count(&filter), 0);
    filter = everything;
    filter.conversation_id = "another";
    assert_int_equal(count(&filter), 0);
}

static void a_turn_is_bounded_and_says_where_it_ended(void **state)
{
    (void)state;
    enum { MANY = 2 * REPORTS_TURN + 7 };
    static struct store_new_event events[MANY];
    static char ids[MANY][8];
    for (int i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", i);
        events[i] = (struct store_new_event){ids[i], i == MANY - 1 ? "last" : NULL, i, "1", 1};
    }
    struct store_report report = report_of("a", NULL);
    report.max_bytes = 1 << 30;
    report.events = events;
    report.events_len = MANY;
    assert_int_equal(send_report(&report).reported.stored, MANY);
    struct store_event_filter filter = everything;
    filter.kind = "last";
    struct found page = find_events(&filter, 10);
    assert_int_equal(page.count, 0);
    assert_true(page.more);
    filter.after = true;
    filter.place = page.place;
    page = find_events(&filter, 10);
    assert_true(page.more);
    filter.place = page.place;
    page = find_events(&filter, 10);
    assert_int_equal(page.count, 1);
    assert_false(page.more);
}

static void a_large_answer_ends_early(void **state)
{
    (void)state;
    size_t len = REPORTS_BYTES / 2;
    char *json = malloc(len);
    assert_non_null(json);
    memset(json, 'x', len);
    struct store_new_event events[5];
    static const char *const ids[] = {"1", "2", "3", "4", "5"};
    for (int i = 0; i < 5; i++)
        events[i] = (struct store_new_event){ids[i], NULL, i, json, len};
    struct store_report report = report_of("a", NULL);
    report.max_bytes = 1 << 30;
    report.events = events;
    report.events_len = 5;
    assert_int_equal(send_report(&report).reported.stored, 5);
    free(json);
    struct found page = find_events(&everything, 100);
    assert_in_range(page.count, 1, 2);
    assert_true(page.more);
}

static void what_is_over_the_sandboxs_share_is_not_stored(void **state)
{
    (void)state;
    char json[1000];
    memset(json, 'x', sizeof json);
    struct store_new_event events[] = {{"1", NULL, 1, json, sizeof json}, {"2", NULL, 2, json, sizeof json}};
    struct store_report report = report_of("a", NULL);
    report.events = events;
    report.events_len = 2;
    report.max_bytes = 3 * REPORTS_ROW_COST + 2 * sizeof json - 1;
    struct sent sent = send_report(&report);
    assert_true(sent.reported.full && !sent.failed);
    assert_int_equal(sent.reported.stored, 0);
    assert_int_equal(count(&everything), 0);
    report.max_bytes++;
    assert_int_equal(send_report(&report).reported.stored, 2);
    sent = send_report(&report); /* what is known is no more than before */
    assert_int_equal(sent.reported.known, 2);
    assert_false(sent.reported.full);
    report.sandbox_id = "b"; /* each has its own */
    assert_int_equal(send_report(&report).reported.stored, 2);
    expire(2000); /* and gets it back */
    assert_int_equal(expired.events, 4);
    assert_int_equal(send_report(&report).reported.stored, 2);
}

static void what_follows_a_number_is_found_after_it_and_no_number_is_used_again_or_left_out(void **state)
{
    (void)state;
    assert_int_equal(last_seq(), 0);
    send_event("a", NULL, "1", 9);
    send_event("b", NULL, "2", 5);
    struct found found = {0};
    store_events_after(test_store, NULL, 0, 1, events_found, &found);
    loop_run(test_loop);
    assert_string_equal(found.texts, "\"1 of a\" ");
    assert_true(found.more);
    int64_t seq = found.place.seq;
    found = (struct found){0};
    store_events_after(test_store, NULL, seq, 10, events_found, &found);
    loop_run(test_loop);
    assert_string_equal(found.texts, "\"2 of b\" ");
    int64_t last = last_seq();
    assert_int_equal(found.place.seq, last);
    expire(2000);
    assert_int_equal(expired.through_seq, last);
    assert_int_equal(last_seq(), last);
    send_event("a", NULL, "3", 9);
    assert_int_equal(last_seq(), last + 1);
    send_event("a", NULL, "3", 9);
    struct store_new_event large = {"4", NULL, 9, "\"large\"", 7};
    struct store_report report = report_of("a", NULL);
    report.events = &large;
    report.events_len = 1;
    report.max_bytes = 1;
    assert_true(send_report(&report).reported.full);
    send_event("a", NULL, "4", 9);
    assert_int_equal(last_seq(), last + 2);
}

static void expiry_takes_the_old_and_leaves_what_a_living_sandbox_needs(void **state)
{
    (void)state;
    struct answer answer = {0};
    struct store_sandbox sandbox = {.id = "a", .backend = "x", .spec_id = "s", .session_key = "k"};
    store_put_sandbox(test_store, &sandbox, answer_done, &answer);
    answer_wait(&answer);
    send_event("a", NULL, "1", 77);
    send_text("a", NULL, "{}");
    send_event("gone", NULL, "1", 5);
    expire(1000); /* the time of their arrival: not before it */
    assert_int_equal(expired.events, 0);
    expire(1001);
    assert_int_equal(expired.events, 2);
    assert_int_equal(expired.conversations, 1);
    assert_false(expired.more);
    assert_int_equal(last_time("a"), 77);
    assert_int_equal(last_time("gone"), 0);
    assert_string_equal(conversations(true, NULL, 0, 10).texts, "{} ");
}

static void expiry_goes_on_where_it_ended_and_deletes_few_bytes_at_once(void **state)
{
    (void)state;
    enum { LARGE = 3 << 20 };
    static char json[LARGE];
    struct store_new_event large = {NULL, NULL, 1, json, sizeof json};
    struct store_report report = report_of("a", NULL);
    report.max_bytes = 1 << 30;
    report.events = &large;
    report.events_len = 1;
    static const char *const ids[] = {"1", "2", "3", "4"};
    for (int i = 0; i < 4; i++) {
        large.id = ids[i];
        assert_int_equal(send_report(&report).reported.stored, 1);
    }
    expire(2000);
    assert_int_equal(expired.events, 3);
    assert_true(expired.more);
    expire_behind(2000, expired.place);
    assert_int_equal(expired.events, 1);
    assert_int_equal(expired.conversations, 1);
    assert_false(expired.more);
    char talks[2500][33];
    for (int i = 0; i < 2500; i++) { /* one sandbox lives, with most of them */
        snprintf(talks[i], sizeof talks[i], "%032d", i);
        report = report_of(i == 2400 ? "gone" : "here", NULL);
        report.conversation_id = talks[i];
        report.conversation_json = "{}";
        report.conversation_len = 2;
        store_report(test_store, &report, ignore_told, ignore_released, NULL);
    }
    struct answer answer = {0};
    struct store_sandbox sandbox = {.id = "here", .backend = "x", .spec_id = "s", .session_key = "k"};
    store_put_sandbox(test_store, &sandbox, answer_done, &answer);
    answer_wait(&answer);
    int calls = 1;
    size_t gone = 0;
    for (expire(2000); expired.more; expire_behind(2000, expired.place), calls++)
        gone += expired.conversations;
    assert_int_equal(gone + expired.conversations, 1);
    assert_int_equal(calls, 3); /* none looks at all of them */
}

static void closing_releases_reports_that_were_not_answered(void **state)
{
    (void)state;
    struct store_new_event event = {"1", NULL, 5, "one", 3};
    struct store_report report = report_of("a", NULL);
    report.events = &event;
    report.events_len = 1;
    struct sent sent = {0};
    store_report(test_store, &report, told, released, &sent);
    fixture_close();
    assert_true(sent.released);
    assert_false(sent.told);
    fixture_open();
    assert_int_equal(count(&everything), 1); /* all that was asked for is written */
}

static void many_reports_at_once_are_one_transaction_and_one_over_its_share_fails_alone(void **state)
{
    (void)state;
    static const char *const ids[] = {"1", "2", "3", "4"};
    struct store_new_event events[4];
    struct store_report reports[4];
    struct sent sent[4];
    memset(sent, 0, sizeof sent);
    for (int i = 0; i < 4; i++) {
        events[i] = (struct store_new_event){ids[i], NULL, i, "one", 3};
        reports[i] = report_of("a", NULL);
        reports[i].events = &events[i];
        reports[i].events_len = 1;
        reports[i].max_bytes = i == 2 ? 0 : 1 << 20;
        store_report(test_store, &reports[i], told, released, &sent[i]);
    }
    for (int i = 0; i < 4; i++)
        while (!sent[i].released)
            loop_run(test_loop);
    assert_true(sent[2].reported.full);
    assert_int_equal(count(&everything), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_open, fixture_teardown)
        TEST(an_event_is_stored_once_and_stays_as_it_came_first),
        TEST(a_sandbox_reaches_no_row_of_another),
        TEST(an_id_that_another_uses_often_hides_no_event),
        TEST(a_conversation_has_its_newest_text),
        TEST(pages_are_by_time_and_then_by_arrival_in_both_directions),
        TEST(filters_are_of_time_kind_and_conversation),
        TEST(a_turn_is_bounded_and_says_where_it_ended),
        TEST(a_large_answer_ends_early),
        TEST(what_is_over_the_sandboxs_share_is_not_stored),
        TEST(what_follows_a_number_is_found_after_it_and_no_number_is_used_again_or_left_out),
        TEST(expiry_takes_the_old_and_leaves_what_a_living_sandbox_needs),
        TEST(expiry_goes_on_where_it_ended_and_deletes_few_bytes_at_once),
        TEST(closing_releases_reports_that_were_not_answered),
        TEST(many_reports_at_once_are_one_transaction_and_one_over_its_share_fails_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
