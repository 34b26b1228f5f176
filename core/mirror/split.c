/* mirror/split.c: see split.h. The text is checked as a whole first (plugin/json_syntax.h); what walks through it
 * afterwards relies on that. */
#include "mirror/split.h"

#include "base/clock.h"
#include "mirror/json_walk.h"
#include "mirror/mirror.h"
#include "plugin/json_syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct split_names {
    char id[REPORTS_ID_SIZE], kind[REPORTS_ID_SIZE];
};

static int wrong(struct split_problem *problem, int64_t event, const char *member, const char *text)
{
    problem->event = event;
    problem->member = member;
    snprintf(problem->text, sizeof problem->text, "%s", text);
    return -1;
}

static int check(const char *json, size_t len, struct split_problem *problem)
{
    const char *why;
    size_t at;
    if (json_syntax_only(json, len, &why, &at))
        return 0;
    char text[sizeof problem->text];
    snprintf(text, sizeof text, "is not JSON: %s (byte %zu)", why, at);
    return wrong(problem, MIRROR_WHERE_NOTHING, NULL, text);
}

/* ---- events ----------------------------------------------------------------------------------- */

static bool reject(struct mirror_rejected *rejected, const char *member, const char *why)
{
    rejected->member = member;
    rejected->why = why;
    return false;
}

/* False: it is none, and `rejected` has the reason. */
static bool take_event(struct store_new_event *event, struct split_names *names, const char *json, size_t len,
                       int64_t arrived_us, struct mirror_rejected *rejected)
{
    static const char *const members[] = {"id", "kind", "timestamp"};
    struct walk_span values[3];
    char text[REPORTS_ID_SIZE];
    if (*json != '{')
        return reject(rejected, NULL, "must be an event: an object");
    walk_members(json, members, values, 3);
    if (!walk_text(&values[0], text, sizeof text) || !mirror_event_id(text, names->id))
        return reject(rejected, members[0], "must be there, and be a text of 1 to 127 bytes");
    if (!walk_is_null(&values[1]) && !walk_text(&values[1], names->kind, sizeof names->kind))
        return reject(rejected, members[1], "must be a text of 1 to 127 bytes, or be left out");
    *event = (struct store_new_event){.id = names->id,
                                      .kind = walk_is_null(&values[1]) ? NULL : names->kind,
                                      .timestamp_us = arrived_us,
                                      .json = json,
                                      .json_len = len};
    if (walk_text(&values[2], text, sizeof text))
        clock_read_iso(text, &event->timestamp_us);
    return true;
}

bool split_is_event(const char *json)
{
    struct store_new_event event;
    struct split_names names;
    struct mirror_rejected rejected;
    return take_event(&event, &names, json, 0, 0, &rejected);
}

static size_t count_values(const char *array)
{
    size_t count = 0;
    for (const char *at = walk_blanks(array + 1); *at != ']'; at = walk_comma(walk_value(at)))
        count++;
    return count;
}

int split_events(struct split *split, const char *json, size_t len, size_t most, int64_t arrived_us,
                 struct split_problem *problem)
{
    *split = (struct split){0};
    if (check(json, len, problem))
        return -1;
    json = walk_blanks(json);
    if (*json != '[')
        return wrong(problem, MIRROR_WHERE_NOTHING, NULL, "must be an array of events");
    size_t count = count_values(json);
    if (count > most) {
        char text[sizeof problem->text];
        snprintf(text, sizeof text, "must have at most %zu events, and has %zu", most, count);
        return wrong(problem, MIRROR_WHERE_NOTHING, NULL, text);
    }
    split->events = calloc(count + 1, sizeof *split->events);
    split->names = calloc(count + 1, sizeof *split->names);
    split->rejected = calloc(count + 1, sizeof *split->rejected);
    if (!split->events || !split->names || !split->rejected)
        return wrong(problem, MIRROR_WHERE_NOTHING, NULL, "is too large for the memory that is left");
    for (const char *at = walk_blanks(json + 1); *at != ']'; at = walk_comma(at)) {
        const char *begin = at;
        struct mirror_rejected *rejected = &split->rejected[split->rejected_count];
        at = walk_value(at);
        rejected->event = (int64_t)(split->count + split->rejected_count);
        if (take_event(&split->events[split->count], &split->names[split->count], begin, (size_t)(at - begin),
                       arrived_us, rejected))
            split->count++;
        else
            split->rejected_count++;
    }
    const struct mirror_rejected *first = &split->rejected[0];
    if (split->count == 0 && split->rejected_count > 0)
        return wrong(problem, first->event, first->member, first->why);
    return 0;
}

void split_finish(struct split *split)
{
    free(split->events);
    free(split->names);
    free(split->rejected);
    *split = (struct split){0};
}

/* ---- a conversation --------------------------------------------------------------------------- */

int split_conversation(const char *json, size_t len, char *conversation_id, struct split_problem *problem)
{
    static const char *const members[] = {"id"};
    struct walk_span id;
    char text[REPORTS_ID_SIZE];
    if (check(json, len, problem))
        return -1;
    json = walk_blanks(json);
    if (*json != '{')
        return wrong(problem, MIRROR_WHERE_NOTHING, NULL, "must be a conversation: an object");
    walk_members(json, members, &id, 1);
    if (!walk_text(&id, text, sizeof text) || !mirror_conversation_id(text, conversation_id))
        return wrong(problem, MIRROR_WHERE_NOTHING, members[0],
                     "must be there, and be a UUID: 32 hexadecimal digits, with or without dashes");
    return 0;
}

/* ---- ids -------------------------------------------------------------------------------------- */

bool mirror_conversation_id(const char *text, char out[MIRROR_CONVERSATION_ID_SIZE])
{
    size_t digits = 0;
    for (; *text; text++) {
        char c = *text;
        if (c == '-')
            continue;
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (digits == MIRROR_CONVERSATION_ID_SIZE - 1 || !strchr("0123456789abcdef", c))
            return false;
        out[digits++] = c;
    }
    out[digits] = '\0';
    return digits == MIRROR_CONVERSATION_ID_SIZE - 1;
}

bool mirror_event_id(const char *text, char *out)
{
    size_t len = strlen(text);
    if (len == 0 || len >= REPORTS_ID_SIZE)
        return false;
    if (!mirror_conversation_id(text, out))
        memcpy(out, text, len + 1);
    return true;
}
