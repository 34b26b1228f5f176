/* Reads of events and conversations: filters, owners, pages over several turns of the store, texts as they came. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

static void answer_events(const char *const *texts, size_t count, bool more)
{
    struct store_event rows[8] = {{0}};
    for (size_t i = 0; i < count; i++) {
        rows[i].json = texts[i];
        rows[i].json_len = strlen(texts[i]);
    }
    struct store_events events = {rows, count, more, {1767323045678901, 42}};
    world.question.events(world.question.arg, NULL, &events);
}

static void texts_go_out_as_they_came_over_several_turns(void **state)
{
    (void)state;
    struct http_request request = {.query = {{"limit", "3"}}};
    world_request(&request, "GET", "/api/v1/events/search");
    assert_string_equal(world.question.what, "search");
    assert_int_equal(world.question.limit, 3);
    assert_true(world.question.filter.all_owners);
    assert_false(world.question.filter.after || world.question.filter.newest_first);
    answer_events((const char *[]){"{\"a\" : 1.0e0}"}, 1, true);
    assert_int_equal(world.question.limit, 2);
    assert_true(world.question.filter.after);
    assert_int_equal(world.question.filter.place.seq, 42);
    answer_events(NULL, 0, true);
    answer_events((const char *[]){"{}", "{\"b\":\"\\u0041\"}"}, 2, true);
    assert_string_equal(request.body, "{\"items\":[{\"a\" : 1.0e0},{},{\"b\":\"\\u0041\"}],"
                                      "\"next_page_id\":\"1767323045678901-42\"}");
    front_free(&request);
}

static void the_last_page_has_no_next(void **state)
{
    (void)state;
    struct http_request request = {
        .query = {{"page_id", "1767323045678901-42"}, {"sort_order", "TIMESTAMP_DESC"}}};
    world_request(&request, "GET", "/api/v1/events/search");
    assert_true(world.question.filter.after && world.question.filter.newest_first);
    assert_int_equal(world.question.filter.place.timestamp_us, 1767323045678901);
    assert_int_equal(world.question.filter.place.seq, 42);
    answer_events(NULL, 0, false);
    assert_string_equal(request.body, "{\"items\":[],\"next_page_id\":null}");
    front_free(&request);
}

static void a_page_that_is_large_ends_early(void **state)
{
    (void)state;
    char *text = malloc(REPORTS_BYTES + 1);
    assert_non_null(text);
    memset(text, '1', REPORTS_BYTES);
    text[REPORTS_BYTES] = '\0';
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/events/search");
    answer_events((const char *[]){text}, 1, true);
    assert_int_equal(request.status, 200);
    assert_int_equal(world.question.asked, 1);
    front_free(&request);
    free(text);
}

static void a_page_id_that_is_not_ours_begins_at_the_beginning(void **state)
{
    (void)state;
    static const char *const ids[] = {"", "x", "1", "1-", "1-x", "1-2-3", "99999999999999999999-1"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct http_request request = {0};
        world_query(&request, "GET", "/api/v1/events/search", "page_id", ids[i]);
        assert_false(world.question.filter.after);
        answer_events(NULL, 0, false);
        front_free(&request);
    }
}

static void filters_reach_the_store(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {.headers = {{"X-API-Key", "alice-key"}},
                                   .query = {{"conversation_id__eq", "01234567-89ab-cdef-0123-456789ABCDEF"},
                                             {"kind__eq", "MessageEvent"},
                                             {"timestamp__gte", "2026-01-02T03:04:05.678901"},
                                             {"timestamp__lt", "2026-01-02T04:04:06+01:00"}}};
    world_request(&request, "GET", "/api/v1/events/count");
    assert_string_equal(world.question.what, "count");
    assert_false(world.question.filter.all_owners);
    assert_string_equal(world.question.owner, "alice");
    assert_string_equal(world.question.conversation_id, "0123456789abcdef0123456789abcdef");
    assert_string_equal(world.question.kind, "MessageEvent");
    assert_int_equal(world.question.filter.from_us, 1767323045678901);
    assert_int_equal(world.question.filter.until_us, 1767323046000000);
    answer_events((const char *[]){"", "", ""}, 3, true);
    answer_events((const char *[]){"", ""}, 2, false);
    assert_string_equal(request.body, "5");
    front_free(&request);
}

static void wrong_filters_are_422_all_at_once(void **state)
{
    (void)state;
    struct http_request request = {.query = {{"conversation_id__eq", "x"},
                                             {"timestamp__gte", "yesterday"},
                                             {"timestamp__lt", ""},
                                             {"sort_order", "KIND"},
                                             {"limit", "101"}}};
    world_request(&request, "GET", "/api/v1/events/search");
    assert_int_equal(request.status, 422);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(strstr(request.body, request.query[i].name));
    assert_int_equal(world.question.asked, 0);
    front_free(&request);
}

static void a_limit_is_1_to_100(void **state)
{
    (void)state;
    static const char *const paths[] = {"/api/v1/events/search", "/api/v1/conversations/search"};
    static const char *const limits[] = {"0", "101", "-1", "", "1.5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        for (size_t j = 0; j < sizeof limits / sizeof *limits; j++) {
            struct http_request request = {0};
            world_query(&request, "GET", paths[i], "limit", limits[j]);
            assert_int_equal(request.status, 422);
            assert_int_equal(world.question.asked, 0);
            front_free(&request);
        }
}

static void a_batch_is_in_order_with_null_for_what_is_not_there(void **state)
{
    (void)state;
    struct http_request request = {
        .query = {{"id", "ABCDEF01-2345-6789-abcd-ef0123456789"}, {"id", ""}, {"id", "gone"}, {"id", "b"}}};
    world_request(&request, "GET", "/api/v1/events");
    assert_string_equal(world.question.id, "abcdef0123456789abcdef0123456789");
    answer_events((const char *[]){"{ }"}, 1, false);
    assert_string_equal(world.question.id, "gone");
    answer_events(NULL, 0, false);
    answer_events((const char *[]){"[]"}, 1, false);
    assert_string_equal(request.body, "[{ },null,null,[]]");
    front_free(&request);

    struct http_request none = {0};
    world_request(&none, "GET", "/api/v1/events");
    assert_int_equal(none.status, 422);
    front_free(&none);
}

static void a_client_that_leaves_ends_the_question(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/events/count");
    front_disconnect(&request);
    answer_events(NULL, 0, true);
    assert_int_equal(world.question.asked, 1);
}

static void a_store_that_fails_is_503(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", "/api/v1/events/search");
    struct sbx_error err;
    error_set(&err, SBX_ERR_UNAVAILABLE, STORE_FAILED, "the store failed");
    world.question.events(world.question.arg, &err, NULL);
    assert_int_equal(request.status, 503);
    front_free(&request);
}

static void conversations_are_paged_by_their_number(void **state)
{
    (void)state;
    world_use_keys();
    struct http_request request = {.headers = {{"X-API-Key", "alice-key"}},
                                   .query = {{"page_id", "9"}, {"limit", "2"}, {"sandbox_id__eq", "s1"}}};
    world_request(&request, "GET", "/api/v1/conversations/search");
    assert_string_equal(world.question.id, "s1");
    assert_string_equal(world.question.owner, "alice");
    assert_int_equal(world.question.filter.place.seq, 9);
    struct store_conversation rows[] = {{.json = "{\"id\": 1}", .json_len = 9}};
    struct store_conversations found = {rows, 1, true, 5};
    world.question.conversations(world.question.arg, NULL, &found);
    assert_int_equal(world.question.filter.place.seq, 5);
    assert_int_equal(world.question.limit, 1);
    assert_string_equal(world.question.id, "s1"); /* on each turn */
    found.place = 3;
    world.question.conversations(world.question.arg, NULL, &found);
    assert_string_equal(request.body, "{\"items\":[{\"id\": 1},{\"id\": 1}],\"next_page_id\":\"3\"}");
    front_free(&request);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(texts_go_out_as_they_came_over_several_turns),
        TEST(the_last_page_has_no_next),
        TEST(a_page_that_is_large_ends_early),
        TEST(a_page_id_that_is_not_ours_begins_at_the_beginning),
        TEST(filters_reach_the_store),
        TEST(wrong_filters_are_422_all_at_once),
        TEST(a_limit_is_1_to_100),
        TEST(a_batch_is_in_order_with_null_for_what_is_not_there),
        TEST(a_client_that_leaves_ends_the_question),
        TEST(a_store_that_fails_is_503),
        TEST(conversations_are_paged_by_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
