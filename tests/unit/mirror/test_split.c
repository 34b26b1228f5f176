/* Taking reports apart: each event's own text, what counts of it, and where a wrong one is wrong. */
#include "mirror/mirror.h"
#include "mirror/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ARRIVED = 77 };

static void each_event_keeps_its_text(void **state)
{
    (void)state;
    static const char json[] =
        " [ {\"id\":\"1\",\"kind\" : \"K\",\"timestamp\":\"2026-01-02T03:04:05.678901\"} ,\n"
        "{ \"x\":[{\"id\":\"no\"},\"]}\\\"\",-1.0e+2,12345678901234567890123,\"\\u0000\"], \"id\": \"2\" }] ";
    struct split split;
    struct split_problem problem;
    assert_int_equal(split_events(&split, json, sizeof json - 1, 10, ARRIVED, &problem), 0);
    assert_int_equal(split.count, 2);
    assert_string_equal(split.events[0].id, "1");
    assert_string_equal(split.events[0].kind, "K");
    assert_int_equal(split.events[0].timestamp_us, 1767323045678901);
    assert_int_equal(split.events[0].json_len, strlen("{\"id\":\"1\",\"kind\" : \"K\",\"timestamp\":"
                                                      "\"2026-01-02T03:04:05.678901\"}"));
    assert_string_equal(split.events[1].id, "2");
    assert_null(split.events[1].kind);
    assert_int_equal(split.events[1].timestamp_us, ARRIVED);
    assert_memory_equal(split.events[1].json, "{ \"x\":", 6);
    assert_int_equal(split.events[1].json[split.events[1].json_len - 1], '}');
    split_finish(&split);
}

static void what_counts_of_an_event(void **state)
{
    (void)state;
    static const struct {
        const char *json, *id, *kind; /* kind NULL: none */
        int64_t timestamp_us;
    } cases[] = {
        {"[{\"id\":\"01234567-89ab-CDEF-0123-456789abcdef\"}]", "0123456789abcdef0123456789abcdef", NULL,
         ARRIVED},
        {"[{\"id\":\"a\\u0062\\n\",\"kind\":null}]", "ab\n", NULL, ARRIVED},
        {"[{\"id\":\"x\",\"id\":\"y\",\"kind\":\"\\\"\"}]", "y", "\"", ARRIVED},
        {"[{\"id\":\"x\",\"timestamp\":5}]", "x", NULL, ARRIVED},
        {"[{\"id\":\"x\",\"timestamp\":null}]", "x", NULL, ARRIVED},
        {"[{\"id\":\"x\",\"timestamp\":\"0001-01-01T00:00:00\"}]", "x", NULL, ARRIVED},
        {"[{\"id\":\"x\",\"timestamp\":\"1970-01-01T00:00:00Z\"}]", "x", NULL, 0},
        {"[{\"id\":\"x\",\"timestamp\":{\"timestamp\":\"1970-01-01\"}}]", "x", NULL, ARRIVED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct split split;
        struct split_problem problem;
        if (split_events(&split, cases[i].json, strlen(cases[i].json), 10, ARRIVED, &problem))
            fail_msg("%s: %s", cases[i].json, problem.text);
        assert_int_equal(split.count, 1);
        assert_string_equal(split.events[0].id, cases[i].id);
        if (cases[i].kind)
            assert_string_equal(split.events[0].kind, cases[i].kind);
        else
            assert_null(split.events[0].kind);
        assert_int_equal(split.events[0].timestamp_us, cases[i].timestamp_us);
        split_finish(&split);
    }
}

static void a_wrong_report_is_told_with_its_place(void **state)
{
    (void)state;
    char long_id[300] = "[{\"id\":\"";
    memset(long_id + strlen(long_id), 'x', 128);
    memcpy(long_id + strlen(long_id), "\"}]", 4);
    const struct {
        const char *json;
        int64_t event;
        const char *member, *says;
    } cases[] = {
        {"", MIRROR_WHERE_NOTHING, NULL, "not JSON"},
        {"[", MIRROR_WHERE_NOTHING, NULL, "byte 1"},
        {"[{\"id\":NaN}]", MIRROR_WHERE_NOTHING, NULL, "not JSON"},
        {"[] x", MIRROR_WHERE_NOTHING, NULL, "byte 3"},
        {"{\"id\":\"1\"}", MIRROR_WHERE_NOTHING, NULL, "array of events"},
        {"null", MIRROR_WHERE_NOTHING, NULL, "array of events"},
        {"[[],{}]", 0, NULL, "an object"},
        {"[\"\"]", 0, NULL, "an object"},
        {"[{}]", 0, "id", "1 to 127"},
        {"[{\"id\":\"\"}]", 0, "id", "1 to 127"},
        {"[{\"id\":5}]", 0, "id", "1 to 127"},
        {"[{\"id\":null}]", 0, "id", "1 to 127"},
        {"[{\"id\":\"a\\u0000b\"}]", 0, "id", "1 to 127"},
        {long_id, 0, "id", "1 to 127"},
        {"[{\"id\":\"3\",\"kind\":[]}]", 0, "kind", "1 to 127"},
        {"[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"3\"},{\"id\":\"4\"}]", MIRROR_WHERE_NOTHING, NULL,
         "at most 3 events, and has 4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct split split;
        struct split_problem problem;
        assert_int_equal(split_events(&split, cases[i].json, strlen(cases[i].json), 3, ARRIVED, &problem),
                         -1);
        split_finish(&split);
        if (problem.event != cases[i].event || !strstr(problem.text, cases[i].says))
            fail_msg("%s: event %lld: %s", cases[i].json, (long long)problem.event, problem.text);
        if (cases[i].member)
            assert_string_equal(problem.member, cases[i].member);
        else
            assert_null(problem.member);
    }
}

static void a_wrong_event_does_not_hold_up_the_others(void **state)
{
    (void)state;
    static const char json[] = "[5,{\"id\":\"a\"},{\"id\":\"b\",\"kind\":1},{\"id\":\"c\"},{}]";
    static const struct mirror_rejected rejected[] = {
        {0, NULL, "must be an event: an object"},
        {2, "kind", "must be a text of 1 to 127 bytes, or be left out"},
        {4, "id", "must be there, and be a text of 1 to 127 bytes"}};
    struct split split;
    struct split_problem problem;
    assert_int_equal(split_events(&split, json, sizeof json - 1, 10, ARRIVED, &problem), 0);
    assert_int_equal(split.count, 2);
    assert_string_equal(split.events[0].id, "a");
    assert_string_equal(split.events[1].id, "c");
    assert_int_equal(split.rejected_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(split.rejected[i].event, rejected[i].event);
        assert_string_equal(split.rejected[i].why, rejected[i].why);
        if (rejected[i].member)
            assert_string_equal(split.rejected[i].member, rejected[i].member);
        else
            assert_null(split.rejected[i].member);
    }
    split_finish(&split);
}

static void a_conversation_is_an_object_with_a_uuid(void **state)
{
    (void)state;
    static const char *const right[] = {
        " {\"title\":null,\"id\":\"01234567-89AB-cdef-0123-456789abcdef\"} ",
        "{\"id\":\"0123456789abcdef0123456789abcdef\",\"events\":[{\"id\":1}]}"};
    static const char *const wrong[] = {"[]",
                                        "{}",
                                        "{\"id\":1}",
                                        "{\"id\":\"0123456789abcdef0123456789abcde\"}",
                                        "{\"id\":\"\"}",
                                        "{\"id\":\"0123456789abcdef0123456789abcdef0\"}",
                                        "{\"id\"",
                                        "{\"id\":\"0123456789abcdef0123456789abcdeg\"}"};
    char id[MIRROR_CONVERSATION_ID_SIZE];
    struct split_problem problem;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(split_conversation(right[i], strlen(right[i]), id, &problem), 0);
        assert_string_equal(id, "0123456789abcdef0123456789abcdef");
    }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(split_conversation(wrong[i], strlen(wrong[i]), id, &problem), -1);
}

/* As json-c and Python have it. */
static void the_last_of_two_members_of_a_name_counts_however_it_is_spelled(void **state)
{
    (void)state;
    static const char *const spelled[] = {"id", "\\u0069d", "i\\u0064"};
    for (size_t first = 0; first < 3; first++)
        for (size_t second = 0; second < 3; second++) {
            char json[256], id[MIRROR_CONVERSATION_ID_SIZE];
            struct split_problem problem;
            snprintf(json, sizeof json,
                     "{\"%s\":\"00000000000000000000000000000001\",\"\\u0069\":1,"
                     "\"%s\":\"00000000000000000000000000000002\",\"\\u0000id\":2}",
                     spelled[first], spelled[second]);
            assert_int_equal(split_conversation(json, strlen(json), id, &problem), 0);
            assert_string_equal(id, "00000000000000000000000000000002");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_keeps_its_text),
        cmocka_unit_test(what_counts_of_an_event),
        cmocka_unit_test(a_wrong_report_is_told_with_its_place),
        cmocka_unit_test(a_wrong_event_does_not_hold_up_the_others),
        cmocka_unit_test(a_conversation_is_an_object_with_a_uuid),
        cmocka_unit_test(the_last_of_two_members_of_a_name_counts_however_it_is_spelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
