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

int window_fill(struct window *window, const struct store_events *events,
                bool (*wanted)(const void *arg, const struct store_event *event), const void *arg)
{
    for (size_t i = 0; i < events->count; i++) {
        const struct store_event *event = &events->rows[i];
        window->through = event->seq;
        if (!wanted(arg, event))
            continue;
        struct message *message = find(window, event);
        if (!message)
            message = append(window, event);
        buffer_add_text(&message->body, message->count ? "," : "[");
        buffer_add(&message->body, event->json, event->json_len);
        message->seqs[message->count++] = event->seq;
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

static void drop(struct window *window, struct message **at)
{
    struct message *message = *at;
    *at = message->next;
    if (!*at)
        window->last = at;
    buffer_finish(&message->body);
    free(message->sandbox_id);
    free(message);
}

void window_drop_first(struct window *window)
{
    drop(window, &window->first);
}

static bool is_of(const struct message *message, const char *sandbox_id)
{
    return !sandbox_id || strcmp(message->sandbox_id, sandbox_id) == 0;
}

void window_drop_sandbox(struct window *window, const char *sandbox_id)
{
    for (struct message **at = &window->first; *at;)
        if (is_of(*at, sandbox_id))
            drop(window, at);
        else
            at = &(*at)->next;
}

int64_t window_first_of(const struct window *window, const char *sandbox_id)
{
    int64_t first = INT64_MAX;
    for (const struct message *message = window->first; message; message = message->next)
        if (is_of(message, sandbox_id) && message->seqs[0] < first)
            first = message->seqs[0];
    return first;
}

bool window_has(const struct window *window, int64_t seq)
{
    for (const struct message *message = window->first; message; message = message->next)
        for (size_t i = 0; i < message->count; i++)
            if (message->seqs[i] == seq)
                return true;
    return false;
}

void window_clear(struct window *window)
{
    while (window->first)
        window_drop_first(window);
    window->through = 0;
}
