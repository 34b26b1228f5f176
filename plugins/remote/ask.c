/* ask.c: operations that only ask: a sandbox's output, and whether there is an image; see remote.h. The API has
 * nothing that could be followed: `logs` gives what is there and ends.
 */
#include "common/failure.h"
#include "refusal.h"
#include "remote.h"
#include "urls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 25000, PIECE_MAX = 64 * 1024, IMAGE_PATH_SIZE = 4096 };

/* ---- logs ---- */

struct reading {
    struct operation base;
    uint32_t tail;
    char *text; /* what is still to be written begins at `at` */
    size_t at, len;
    bool held;
};

static void finish_reading(struct operation *operation)
{
    free(((struct reading *)operation)->text);
}

static void write_on(struct reading *reading)
{
    const struct remote *remote = reading->base.remote;
    while (reading->at < reading->len) {
        size_t left = reading->len - reading->at, piece = left < PIECE_MAX ? left : PIECE_MAX;
        const char *bytes = reading->text + reading->at;
        reading->at += piece;
        reading->held =
            remote->host->stream_write(remote->public, reading->base.op, bytes, piece) == SBX_STREAM_STOP;
        if (reading->held && reading->at < reading->len)
            return;
    }
    operation_end(&reading->base, NULL);
}

/* Where the newest `lines` lines begin. */
static size_t tail_begin(const char *text, size_t len, uint32_t lines)
{
    size_t at = len;
    if (at > 0 && text[at - 1] == '\n')
        at--;
    for (; at > 0; at--)
        if (text[at - 1] == '\n' && --lines == 0)
            break;
    return at;
}

static void on_logs(void *arg, const struct api_answer *answer)
{
    struct reading *reading = arg;
    const struct sbx_json_api *json = reading->base.remote->host->json;
    struct sbx_error error;
    reading->base.call = NULL;
    if (refusal_is_missing(answer->error)) {
        failure_set(&error, SBX_ERR_NOT_FOUND, "NOT_FOUND",
                    "the runtime API does not know its runtime any more");
        operation_end(&reading->base, &error);
        return;
    }
    if (answer->error) {
        operation_end(&reading->base, answer->error);
        return;
    }
    const char *text = json->string(json->get(answer->body, "pod_logs"), "");
    reading->len = reading->tail > 0 ? strlen(text) : 0;
    if (!(reading->text = strdup(text)))
        abort(); /* bounded as the answer is */
    reading->at = reading->len > 0 ? tail_begin(text, reading->len, reading->tail) : 0;
    write_on(reading);
}

/* It is no operation "on" the sandbox: polls go on, and others may come meanwhile. */
void logs_begin(struct remote *remote, const struct sbx_logs *logs, sbx_op op)
{
    struct reading *reading =
        operation_new(remote, sizeof *reading, op, NULL, remote->host->now_ms() + ASK_MS);
    char path[SANDBOX_ID_SIZE + 16];
    snprintf(path, sizeof path, "/sessions/%s", logs->sandbox_id);
    const struct api_request request = {
        .method = "GET", .path = path, .deadline_ms = reading->base.deadline_ms};
    reading->base.finish = finish_reading;
    reading->tail = logs->tail;
    reading->base.call = api_call(&remote->api, &request, on_logs, reading);
}

void logs_ready(struct remote *remote, sbx_op op)
{
    for (struct operation *operation = remote->operations; operation; operation = operation->next)
        if (operation->op == op) {
            write_on((struct reading *)operation);
            return;
        }
}

/* ---- images ---- */

static void on_image(void *arg, const struct api_answer *answer)
{
    struct operation *operation = arg;
    const struct remote *remote = operation->remote;
    const struct sbx_json_api *json = remote->host->json;
    struct sbx_error error;
    operation->call = NULL;
    const sbx_json *image = json->get(answer->body, "image");
    const char *uploaded = json->string(json->get(image, "upload_time"), NULL);
    int64_t size = json->integer(json->get(image, "image_size_bytes"), -1);
    int exists = json->boolean(json->get(answer->body, "exists"), -1);
    if (answer->error) {
        operation_end(operation, answer->error);
        return;
    }
    if (exists < 0) {
        failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the runtime API's answer to GET /image_exists makes no sense: it has no `exists`");
        operation_end(operation, &error);
        return;
    }
    sbx_json *result = json->new_object();
    json->set(result, "exists", json->new_boolean(exists));
    json->set(result, "upload_time", uploaded && strlen(uploaded) <= 64 ? json->new_string(uploaded) : NULL);
    json->set(result, "image_size_bytes", size >= 0 ? json->new_integer(size) : NULL);
    size_t len;
    const char *text = json->text(result, &len);
    remote->host->result(remote->public, operation->op, text, len);
    json->free(result);
    operation_end(operation, NULL);
}

void image_begin(struct remote *remote, const char *image, sbx_op op)
{
    char path[IMAGE_PATH_SIZE] = "/image_exists?image=";
    size_t len = strlen(path);
    struct sbx_error error;
    if (!url_encode(path + len, sizeof path - len, image)) {
        failure_set(&error, SBX_ERR_INVALID, "INVALID_REQUEST", "the name of the image is too long");
        remote->host->complete(remote->public, op, &error);
        return;
    }
    struct operation *operation =
        operation_new(remote, sizeof *operation, op, NULL, remote->host->now_ms() + ASK_MS);
    const struct api_request request = {.method = "GET", .path = path, .deadline_ms = operation->deadline_ms};
    operation->call = api_call(&remote->api, &request, on_image, operation);
}
