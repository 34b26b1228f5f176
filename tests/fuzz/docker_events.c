// uses: docker_pieces plugin
/* fuzz/docker_events.c: the docker backend's reader of event lines. Whole and cut into pieces it must tell the same
 * events, and what it tells must be what watch.c relies on. */
#include "engine/events.h"
#include "plugin/json.h"

#include <stdlib.h>
#include <string.h>

struct result {
    bool sound;
    uint64_t count, hash;
};

static void on_event(void *arg, const struct event *event)
{
    struct result *result = arg;
    if (!container_is_engine_id(event->id) || !event->name || event->signal < 0 || event->signal > 64 ||
        event->exit_code < -1 || event->exit_code > 255)
        abort();
    result->count++;
    for (const char *c = event->name; *c; c++)
        result->hash = result->hash * 31 + (unsigned char)*c;
    result->hash = result->hash * 31 + (uint64_t)event->kind + (uint64_t)event->exit_code + event->time_ns;
}

static struct result run(const uint8_t *bytes, size_t size, size_t piece)
{
    struct result result = {.sound = true};
    struct event_reader reader;
    event_reader_init(&reader, json_table());
    for (size_t at = 0; result.sound && at < size; at += piece)
        result.sound =
            event_reader_feed(&reader, bytes + at, size - at < piece ? size - at : piece, on_event, &result);
    event_reader_finish(&reader);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct result whole = run(data + 1, size - 1, size), cut = run(data + 1, size - 1, (size_t)data[0] + 1);
    if (whole.sound != cut.sound || whole.count != cut.count || whole.hash != cut.hash)
        abort();
    return 0;
}
