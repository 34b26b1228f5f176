/* mirror/split.c: see split.h. The text is checked as a whole first (plugin/json_syntax.h); what walks through it
 * afterwards relies on that. */
#include "mirror/split.h"

#include "base/clock.h"
#include "mirror/mirror.h"
#include "plugin/json_syntax.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct split_names {
    char id[REPORTS_ID_SIZE], kind[REPORTS_ID_SIZE];
};

/* A value in the text. */
struct span {
    const char *at;
    size_t len;
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

/* ---- walking through valid JSON --------------------------------------------------------------- */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at `at`. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at + 1;
}

/* Behind the value that begins at `at`. */
static const char *skip_value(const char *at)
{
    if (*at == '"')
        return skip_string(at);
    if (*at != '{' && *at != '[')
        return at + strcspn(at, ",]} \t\r\n");
    unsigned depth = 0;
    do {
        at += strcspn(at, "\"{}[]");
        if (*at == '"') {
            at = skip_string(at);
        } else {
            depth += *at == '{' || *at == '[' ? 1 : UINT_MAX;
            at++;
        }
    } while (depth > 0);
    return at;
}

/* Behind the comma, or at the end of the array or object. */
static const char *skip_comma(const char *at)
{
    at = skip_blanks(at);
    return *at == ',' ? skip_blanks(at + 1) : at;
}

/* The values of these members of the object at `at`; the last of a name counts, as elsewhere. */
static void find_members(const char *at, const char *const *names, struct span *values, size_t count)
{
    memset(values, 0, count * sizeof *values);
    for (at = skip_blanks(at + 1); *at != '}'; at = skip_comma(at)) {
        const char *name = at + 1, *end = skip_string(at);
        at = skip_blanks(skip_blanks(end) + 1);
        const char *value = at;
        at = skip_value(at);
        for (size_t i = 0; i < count; i++)
            if ((size_t)(end - 1 - name) == strlen(names[i]) && memcmp(name, names[i], strlen(names[i])) == 0)
                values[i] = (struct span){value, (size_t)(at - value)};
    }
}

/* The text of a string with escapes in it. */
static bool decode(const struct span *value, char *out)
{
    enum { LONGEST = 6 * REPORTS_ID_SIZE }; /* each byte as an escape */
    if (value->len > LONGEST)
        return false;
    struct json_tokener *tokener = json_tokener_new();
    if (!tokener)
        abort();
    struct json_object *string = json_tokener_parse_ex(tokener, value->at, (int)value->len);
    json_tokener_free(tokener);
    size_t len = (size_t)json_object_get_string_len(string);
    const char *text = json_object_get_string(string);
    bool fits = text && len > 0 && len < REPORTS_ID_SIZE && !memchr(text, '\0', len);
    if (fits)
        memcpy(out, text, len + 1);
    json_object_put(string);
    return fits;
}

/* A string of 1 to REPORTS_ID_SIZE - 1 bytes, without a zero byte. */
static bool text_of(const struct span *value, char *out)
{
    if (value->len < 3 || *value->at != '"')
        return false;
    if (memchr(value->at, '\\', value->len))
        return decode(value, out);
    size_t len = value->len - 2;
    if (len >= REPORTS_ID_SIZE)
        return false;
    memcpy(out, value->at + 1, len);
    out[len] = '\0';
    return true;
}

static bool is_null(const struct span *value)
{
    return !value->at || *value->at == 'n';
}

/* ---- events ----------------------------------------------------------------------------------- */

static int take_event(struct store_new_event *event, struct split_names *names, const char *json, size_t len,
                      int64_t index, int64_t arrived_us, struct split_problem *problem)
{
    static const char *const members[] = {"id", "kind", "timestamp"};
    struct span values[3];
    char text[REPORTS_ID_SIZE];
    if (*json != '{')
        return wrong(problem, index, NULL, "must be an event: an object");
    find_members(json, members, values, 3);
    if (!text_of(&values[0], text) || !mirror_event_id(text, names->id))
        return wrong(problem, index, members[0], "must be there, and be a text of 1 to 127 bytes");
    if (!is_null(&values[1]) && !text_of(&values[1], names->kind))
        return wrong(problem, index, members[1], "must be a text of 1 to 127 bytes, or be left out");
    *event = (struct store_new_event){.id = names->id,
                                      .kind = is_null(&values[1]) ? NULL : names->kind,
                                      .timestamp_us = arrived_us,
                                      .json = json,
                                      .json_len = len};
    if (text_of(&values[2], text))
        clock_read_iso(text, &event->timestamp_us);
    return 0;
}

static size_t count_values(const char *array)
{
    size_t count = 0;
    for (const char *at = skip_blanks(array + 1); *at != ']'; at = skip_comma(skip_value(at)))
        count++;
    return count;
}

int split_events(struct split *split, const char *json, size_t len, size_t most, int64_t arrived_us,
                 struct split_problem *problem)
{
    *split = (struct split){0};
    if (check(json, len, problem))
        return -1;
    json = skip_blanks(json);
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
    if (!split->events || !split->names)
        return wrong(problem, MIRROR_WHERE_NOTHING, NULL, "is too large for the memory that is left");
    for (const char *at = skip_blanks(json + 1); *at != ']'; at = skip_comma(at)) {
        const char *begin = at;
        at = skip_value(at);
        if (take_event(&split->events[split->count], &split->names[split->count], begin, (size_t)(at - begin),
                       (int64_t)split->count, arrived_us, problem))
            return -1;
        split->count++;
    }
    return 0;
}

void split_finish(struct split *split)
{
    free(split->events);
    free(split->names);
    *split = (struct split){0};
}

/* ---- a conversation --------------------------------------------------------------------------- */

int split_conversation(const char *json, size_t len, char *conversation_id, struct split_problem *problem)
{
    static const char *const members[] = {"id"};
    struct span id;
    char text[REPORTS_ID_SIZE];
    if (check(json, len, problem))
        return -1;
    json = skip_blanks(json);
    if (*json != '{')
        return wrong(problem, MIRROR_WHERE_NOTHING, NULL, "must be a conversation: an object");
    find_members(json, members, &id, 1);
    if (!text_of(&id, text) || !mirror_conversation_id(text, conversation_id))
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
