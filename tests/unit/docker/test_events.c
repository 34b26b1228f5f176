/* test_events.c: the engine's event stream, cut anywhere, becomes events. The lines are Docker Engine 20.10's own. */
#include "engine/events.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "14cb33fb4013b65518b7cf2e29efac9e492a253f83a1acb4988a7d0e5a4ef078"
#define LINE(action, attributes)                                                                             \
    "{\"status\":\"" action "\",\"id\":\"" ID                                                                \
    "\",\"from\":\"t:1\",\"Type\":\"container\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" ID           \
    "\",\"Attributes\":{" attributes                                                                         \
    "\"image\":\"t:1\",\"name\":\"truth-run\",\"sandboxd.backend\":\"local\"}},\"scope\":\"local\","         \
    "\"time\":1795260321,\"timeNano\":1795260321573596374}\n"

static char seen[4096];

static void on_event(void *arg, const struct event *event)
{
    (void)arg;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%d %s %s %s signal=%d code=%d %llu\n", (int)event->kind,
             strcmp(event->id, ID) == 0 ? "ID" : event->id, event->name,
             event->backend ? event->backend : "-", event->signal, event->exit_code,
             (unsigned long long)event->time_ns);
}

/* In pieces of `piece` bytes. */
static bool feed(const char *text, size_t piece)
{
    struct event_reader reader;
    bool sound = true;
    event_reader_init(&reader, json_table());
    seen[0] = '\0';
    for (size_t at = 0, len = strlen(text); sound && at < len; at += piece)
        sound = event_reader_feed(&reader, text + at, len - at < piece ? len - at : piece, on_event, NULL);
    event_reader_finish(&reader);
    return sound;
}

static void events_are_the_same_however_the_stream_is_cut(void **state)
{
    (void)state;
    static const char text[] = LINE("create", "") LINE("start", "") LINE("kill", "\"signal\":\"15\",")
        LINE("die", "\"exitCode\":\"143\",") LINE("stop", "") LINE("destroy", "");
    char expected[4096];
    snprintf(expected, sizeof expected,
             "%d ID truth-run local signal=0 code=-1 1795260321573596374\n"
             "%d ID truth-run local signal=0 code=-1 1795260321573596374\n"
             "%d ID truth-run local signal=15 code=-1 1795260321573596374\n"
             "%d ID truth-run local signal=0 code=143 1795260321573596374\n"
             "%d ID truth-run local signal=0 code=-1 1795260321573596374\n"
             "%d ID truth-run local signal=0 code=-1 1795260321573596374\n",
             EVENT_CREATE, EVENT_START, EVENT_KILL, EVENT_DIE, EVENT_STOP, EVENT_DESTROY);
    static const size_t pieces[] = {1, 2, 7, 100, 399, sizeof text};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        assert_true(feed(text, pieces[i]));
        assert_string_equal(seen, expected);
    }
}

static void a_rename_counts_as_a_creation_and_a_pause_as_a_start(void **state)
{
    (void)state;
    assert_true(feed(LINE("rename", "\"oldName\":\"/before\",") LINE("pause", "") LINE("unpause", "")
                         LINE("restart", "") LINE("oom", ""),
                     1000));
    static const enum event_kind kinds[] = {EVENT_CREATE, EVENT_START, EVENT_START, EVENT_START, EVENT_OOM};
    const char *at = seen;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        assert_int_equal(strtol(at, NULL, 10), kinds[i]);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
}

static void what_is_no_event_of_a_container_is_skipped(void **state)
{
    (void)state;
    assert_true(feed("{\"Type\":\"network\",\"Action\":\"create\",\"Actor\":{\"ID\":\"" ID "\"}}\n"
                     "{\"Type\":\"container\",\"Action\":\"exec_start: sh\",\"Actor\":{\"ID\":\"" ID "\"}}\n"
                     "{\"Type\":\"container\",\"Action\":\"health_status: healthy\",\"Actor\":{\"ID\":\"" ID
                     "\"}}\n"
                     "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"../../x\"}}\n"
                     "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":[]}\n"
                     "{\"Type\":\"container\",\"Action\":7}\n{}\n\r\n\n",
                     50));
    assert_string_equal(seen, "");
}

static void members_of_any_type_are_survived(void **state)
{
    (void)state;
    assert_true(
        feed("{\"Type\":\"container\",\"Action\":\"die\",\"time\":\"x\",\"timeNano\":1e300,\"Actor\":{"
             "\"ID\":\"" ID "\",\"Attributes\":{\"exitCode\":143,\"signal\":\"99999999999\"}}}\n"
             "{\"Action\":\"kill\",\"time\":12,\"Actor\":{\"ID\":\"" ID
             "\",\"Attributes\":{\"signal\":\"-9\",\"exitCode\":\"256\",\"name\":\"/x\"}}}\n",
             50));
    char expected[256];
    snprintf(expected, sizeof expected,
             "%d ID  - signal=0 code=-1 0\n%d ID x - signal=0 code=-1 12000000000\n", EVENT_DIE, EVENT_KILL);
    assert_string_equal(seen, expected);
}

static void a_line_that_is_no_json_ends_the_stream(void **state)
{
    (void)state;
    assert_false(feed(LINE("start", "") "garbage\n" LINE("die", ""), 64));
    assert_non_null(strstr(seen, "ID"));
    assert_null(strchr(strchr(seen, '\n') + 1, '\n'));
    assert_false(feed("[]\n", 64));
}

static void a_line_without_an_end_is_not_collected_for_ever(void **state)
{
    (void)state;
    char *text = malloc(EVENT_MAX + 3);
    assert_non_null(text);
    memset(text, ' ', EVENT_MAX + 2);
    text[EVENT_MAX + 2] = '\0';
    assert_false(feed(text, 4096));
    text[EVENT_MAX + 1] = '\n';
    assert_false(feed(text, EVENT_MAX + 2));
    text[EVENT_MAX] = '\n';
    assert_true(feed(text, 4096));
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_however_the_stream_is_cut),
        cmocka_unit_test(a_rename_counts_as_a_creation_and_a_pause_as_a_start),
        cmocka_unit_test(what_is_no_event_of_a_container_is_skipped),
        cmocka_unit_test(members_of_any_type_are_survived),
        cmocka_unit_test(a_line_that_is_no_json_ends_the_stream),
        cmocka_unit_test(a_line_without_an_end_is_not_collected_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
