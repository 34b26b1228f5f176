/* mirror/window.c: see window.h. */
#include "mirror/window.h"

#include <stdlib.h>
#include <string.h>

void window_init(struct window *window)
{
    *window = (struct window){.last = &window->first};
}

/* The last message of its conversation, where there is room in it. */
static struct message *find(const struct window *window, const struct store_event *event)
{
    struct message *found = NULL;
    for (struct message *message = window->first; message; message = message->next)
        if (strcmp(message->conversation_id, event->conversation_id) == 0 &&
            strcmp(message->sandbox_id, event->sandbox_id) == 0)
            found = message;
    bool room =
        found && found->count < MESSAGE_EVENTS && found->body.len + event->json_len + 2 <= MESSAGE_BYTES;
    return room ? found : NULL;
}

static struct message *append(struct window *window, const struct store_event *event)
{
    struct message *message = calloc(1, sizeof *message);
    char *sandbox_id = strdup(event->sandbox_id);
    if (!message || !sandbox_id)
        abort();
    message->sandbox_id = sandbox_id;
    memcpy(message->conversation_id, event->conversation_id,
           strnlen(event->conversation_id, sizeof message->conversation_id - 1));
    message->body = buffer_init(event->json_len + MESSAGE_BYTES);
    *window->last = message;
    window->last = &message->next;
    return message;
}

int window_fill(struct window *window, const struct store_events *events)
{
    for (size_t i = 0; i < events->count; i++) {
        const struct store_event *event = &events->rows[i];
        struct message *message = find(window, event);
        if (!message)
            message = append(window, event);
        buffer_add_text(&message->body, message->count ? "," : "[");
        buffer_add(&message->body, event->json, event->json_len);
        message->seqs[message->count++] = event->seq;
        window->through = event->seq;
    }
    bool failed = false;
    for (struct message *message = window->first; message; message = message->next) {
        buffer_add_text(&message->body, "]");
        failed = failed || message->body.failed;
    }
    if (failed)
        window_clear(window);
    return failed ? -1 : 0;
}

void window_drop_first(struct window *window)
{
    struct message *message = window->first;
    window->first = message->next;
    if (!window->first)
        window->last = &window->first;
    buffer_finish(&message->body);
    free(message->sandbox_id);
    free(message);
}

size_t window_count(const struct window *window, int64_t seq)
{
    size_t count = 0;
    for (const struct message *message = window->first; message; message = message->next)
        for (size_t i = 0; i < message->count; i++)
            count += message->seqs[i] <= seq;
    return count;
}

void window_clear(struct window *window)
{
    while (window->first)
        window_drop_first(window);
    window->through = 0;
}
