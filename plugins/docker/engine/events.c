/* events.c: see events.h. */
#include "engine/events.h"

#include "common/document.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *action;
    enum event_kind kind;
} kinds[] = {{"create", EVENT_CREATE}, {"rename", EVENT_CREATE},  {"start", EVENT_START},
             {"unpause", EVENT_START}, {"pause", EVENT_START},    {"restart", EVENT_START},
             {"kill", EVENT_KILL},     {"oom", EVENT_OOM},        {"die", EVENT_DIE},
             {"stop", EVENT_STOP},     {"destroy", EVENT_DESTROY}};

static bool kind_of(const char *action, enum event_kind *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(action, kinds[i].action) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    return false;
}

/* Attributes are texts, numbers too. */
static int number_of(const char *text, int max, int fallback)
{
    if (strspn(text, "0123456789") != strlen(text) || !*text || strlen(text) > 9)
        return fallback;
    long number = strtol(text, NULL, 10);
    return number <= max ? (int)number : fallback;
}

static uint64_t time_of(const struct sbx_json_api *json, const struct sbx_json *object)
{
    int64_t nanoseconds = json->integer(json->get(object, "timeNano"), 0);
    int64_t seconds = json->integer(json->get(object, "time"), 0);
    if (nanoseconds > 0)
        return (uint64_t)nanoseconds;
    return seconds > 0 && seconds < INT64_MAX / 1000000000 ? (uint64_t)seconds * 1000000000 : 0;
}

/* False: another sort of event, or of another sort of thing. The old form, with "status" and "id" beside, has these
 * members as well since API 1.22. */
static bool read_event(struct event *event, const struct sbx_json_api *json, const struct sbx_json *object)
{
    const struct sbx_json *actor = json->get(object, "Actor"), *attributes = json->get(actor, "Attributes");
    if (strcmp(json->string(json->get(object, "Type"), "container"), "container") != 0 ||
        !kind_of(json->string(json->get(object, "Action"), ""), &event->kind))
        return false;
    event->id = json->string(json->get(actor, "ID"), "");
    if (!container_is_engine_id(event->id))
        return false;
    event->name = json->string(json->get(attributes, "name"), "");
    event->name += *event->name == '/';
    event->backend = json->string(json->get(attributes, LABEL_BACKEND), NULL);
    event->instance = json->string(json->get(attributes, LABEL_INSTANCE), NULL);
    event->signal = number_of(json->string(json->get(attributes, "signal"), ""), 64, 0);
    event->exit_code = number_of(json->string(json->get(attributes, "exitCode"), ""), 255, -1);
    event->time_ns = time_of(json, object);
    return true;
}

void event_reader_init(struct event_reader *reader, const struct sbx_json_api *json)
{
    *reader = (struct event_reader){.json = json, .line.max = EVENT_MAX};
}

void event_reader_finish(struct event_reader *reader)
{
    bytes_finish(&reader->line);
}

static bool read_line(const struct sbx_json_api *json, const char *line, size_t len,
                      void (*tell)(void *arg, const struct event *event), void *arg)
{
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (len == 0)
        return true;
    struct sbx_json *object = document_parse(json, line, len);
    bool sound = json->type(object) == SBX_JSON_OBJECT;
    struct event event;
    if (sound && read_event(&event, json, object))
        tell(arg, &event);
    json->free(object);
    return sound;
}

bool event_reader_feed(struct event_reader *reader, const void *bytes, size_t len,
                       void (*tell)(void *arg, const struct event *event), void *arg)
{
    const struct sbx_json_api *json = reader->json;
    const char *at = bytes, *end = at + len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t piece = (size_t)((newline ? newline : end) - at);
        if (newline && reader->line.len == 0) { /* it came whole, as most do */
            if (piece > EVENT_MAX || !read_line(json, at, piece, tell, arg))
                return false;
        } else {
            bytes_add(&reader->line, at, piece);
            if (reader->line.failed ||
                (newline && !read_line(json, reader->line.data, reader->line.len, tell, arg)))
                return false;
            if (newline)
                reader->line.len = 0;
        }
        at += piece + (newline != NULL);
    }
    return true;
}
