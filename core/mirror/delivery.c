/* mirror/delivery.c: see delivery.h. Owns the transfer; when a message is sent again is lane.c's. */
#include "mirror/delivery.h"

#include "mirror/signature.h"

#include <stdio.h>

enum {
    SEND_TIMEOUT_MS = 30000,
    ANSWER_MAX = 64 * 1024 /* bytes of an answer that are waited for: only its status matters */
};

static void ended(struct delivery *delivery, const char *why)
{
    char text[64];
    delivery->transfer = NULL;
    if (delivery->status >= 200 && delivery->status <= 299) {
        why = NULL;
    } else if (delivery->status) {
        snprintf(text, sizeof text, "its answer has status %d", delivery->status);
        why = text;
    }
    delivery->done(delivery->arg, why);
}

static void on_head(void *arg, int status, const char *const *headers)
{
    (void)headers;
    struct delivery *delivery = arg;
    delivery->status = status;
}

/* The answer is read so that the connection can be kept; how it goes on says nothing any more. */
static bool on_data(void *arg, const void *bytes, size_t len)
{
    (void)bytes;
    struct delivery *delivery = arg;
    delivery->answer_size += len;
    if (delivery->answer_size <= ANSWER_MAX)
        return true;
    client_cancel(delivery->transfer);
    ended(delivery, NULL);
    return true;
}

static void on_done(void *arg, const struct sbx_error *err, int status, const void *body, size_t len)
{
    (void)status;
    (void)body;
    (void)len;
    ended(arg, err ? err->message : "it has no status");
}

void delivery_start(struct delivery *delivery, struct client *client, const char *url, const char *secret,
                    const struct message *message, delivery_done done, void *arg)
{
    static const struct client_handler handler = {on_head, on_data, on_done};
    char sandbox[192], conversation[96], signature[SIGNATURE_SIZE], signed_by[SIGNATURE_SIZE + 32];
    const char *headers[] = {"Content-Type: application/json", sandbox, conversation, NULL, NULL};
    snprintf(sandbox, sizeof sandbox, "X-Sandboxd-Sandbox: %s", message->sandbox_id);
    snprintf(conversation, sizeof conversation, "X-Sandboxd-Conversation: %s", message->conversation_id);
    if (secret) {
        signature_make(secret, message->body.data, message->body.len, signature);
        snprintf(signed_by, sizeof signed_by, "X-Sandboxd-Signature: %s", signature);
        headers[3] = signed_by;
    }
    struct client_request request = {.method = "POST",
                                     .url = url,
                                     .headers = headers,
                                     .body = message->body.data,
                                     .body_len = message->body.len,
                                     .timeout_ms = SEND_TIMEOUT_MS};
    struct sbx_error err;
    *delivery = (struct delivery){.done = done, .arg = arg};
    delivery->transfer = client_start(client, &request, &handler, delivery, &err);
    if (!delivery->transfer)
        done(arg, err.message);
}

void delivery_cancel(struct delivery *delivery)
{
    client_cancel(delivery->transfer);
    delivery->transfer = NULL;
}
