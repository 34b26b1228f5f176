// uses: mirror
/* The body of a webhook, as an array of events and as a conversation: any bytes. What is taken has to be JSON objects
 * in the text's order, without overlap, each valid by itself, with ids and kinds that keep their bounds. */
#include "mirror/mirror.h"
#include "mirror/split.h"
#include "plugin/json_syntax.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 50, ARRIVED = 1 };

static void must(bool so)
{
    if (!so)
        abort();
}

static void check_events(const char *text, size_t size)
{
    struct split split;
    struct split_problem problem = {.event = -9};
    bool taken = split_events(&split, text, size, MOST, ARRIVED, &problem) == 0;
    must(split.count + split.rejected_count <= MOST);
    must(!taken || split.count > 0 || split.rejected_count == 0);
    for (size_t i = 0; i < split.rejected_count; i++)
        must(split.rejected[i].event >= (int64_t)i && split.rejected[i].event < MOST &&
             split.rejected[i].why);
    must(taken || (problem.event >= -1 && problem.event < MOST && problem.text[0]));
    const char *before = text;
    for (size_t i = 0; taken && i < split.count; i++) {
        const struct store_new_event *event = &split.events[i];
        const char *why;
        size_t at;
        must(event->json >= before && event->json + event->json_len <= text + size);
        must(event->json[0] == '{' && json_syntax_only(event->json, event->json_len, &why, &at));
        must(event->id[0] && strlen(event->id) < REPORTS_ID_SIZE);
        must(!event->kind || (event->kind[0] && strlen(event->kind) < REPORTS_ID_SIZE));
        must(event->timestamp_us >= 0);
        before = event->json + event->json_len;
    }
    split_finish(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    must(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_events(text, size);
    char id[MIRROR_CONVERSATION_ID_SIZE];
    struct split_problem problem;
    if (split_conversation(text, size, id, &problem) == 0)
        must(strlen(id) == MIRROR_CONVERSATION_ID_SIZE - 1);
    free(text);
    return 0;
}
