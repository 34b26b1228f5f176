/* confirm.c: the confirm operation: was it the sandbox's own program that answered? Under `profile: runtime` its program is
 * asked for the token of its VS Code as well, which it makes itself at each start. Judges no health.
 *
 *   (look, on the host's network) ──▶ (token) ──▶ end
 */
#include "common/failure.h"
#include "docker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKEN_MS = 3000, /* the host gives a confirmation 5 s */
    TOKEN_MAX = 255,
    TOKEN_BODY_MAX = 4096
};

struct confirmation {
    struct confirmation *next; /* docker->confirmations */
    struct docker *docker;
    sbx_op op; /* 0: given up */
    char name[SANDBOX_ID_MAX + 1];
    sbx_transfer transfer; /* for the token; 0: none */
};

static void destroy(struct confirmation *confirmation)
{
    struct docker *docker = confirmation->docker;
    struct confirmation **at = &docker->confirmations;
    while (*at != confirmation)
        at = &(*at)->next;
    *at = confirmation->next;
    free(confirmation);
}

static void end(struct confirmation *confirmation, const struct sbx_error *why_not)
{
    struct docker *docker = confirmation->docker;
    const struct container *container = table_find(docker, confirmation->name);
    struct sbx_error error;
    if (!why_not && (!container || container->facts.state != CONTAINER_RUNNING)) {
        failure_set(&error, SBX_ERR_CONFLICT, "NOT_RUNNING",
                    "its container does not run: what answered on its port is another program");
        why_not = &error;
    }
    if (!why_not)
        start_log_end(docker, container->name);
    if (confirmation->op)
        docker->host->complete(docker->public, confirmation->op, why_not);
    destroy(confirmation);
}

/* ---- VS Code's token ---- */

static bool is_token(const char *text)
{
    size_t len = strnlen(text, TOKEN_MAX + 1);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
            return false;
    return len > 0 && len <= TOKEN_MAX;
}

static void take_token(struct confirmation *confirmation, const void *body, size_t len)
{
    struct docker *docker = confirmation->docker;
    const struct sbx_json_api *json = docker->host->json;
    struct container *container = table_find(docker, confirmation->name);
    sbx_json *answer = json->parse(body, len, NULL);
    const char *token = json->string(json->get(answer, "token"), "");
    if (container && is_token(token)) {
        free(container->facts.vscode_token);
        if (!(container->facts.vscode_token = strdup(token)))
            abort();
        report_container(docker, container);
    }
    json->free(answer);
}

/* Without a token there is a page that asks for it: no reason to say that the sandbox does not run. */
static void token_came(sbx_transfer transfer, const struct sbx_error *error, int status, const void *body,
                       size_t len, void *arg)
{
    (void)transfer;
    struct confirmation *confirmation = arg;
    struct docker *docker = confirmation->docker;
    confirmation->transfer = 0;
    if (!error && status == 200 && body && !docker->quiesced)
        take_token(confirmation, body, len);
    else if (!docker->quiesced)
        docker->host->log(
            docker->public, SBX_LOG_WARN, confirmation->name,
            "its program did not say the token of its VS Code (GET /vscode/connection_token): %s",
            error ? error->message : "it answered with another status than 200");
    end(confirmation, NULL);
}

static void ask_token(struct confirmation *confirmation)
{
    struct docker *docker = confirmation->docker;
    const struct container *container = table_find(docker, confirmation->name);
    static const char path[] = "/vscode/connection_token";
    char url[2048 + sizeof path], header[320];
    if (docker->options.profile != PROFILE_RUNTIME || !container || container->facts.vscode_token ||
        container->facts.state != CONTAINER_RUNNING ||
        !report_agent_url(docker, &container->facts, url, 2048)) {
        end(confirmation, NULL);
        return;
    }
    memcpy(url + strlen(url), path, sizeof path);
    const char *key = container->facts.session_key;
    snprintf(header, sizeof header, "X-Session-API-Key: %s", key ? key : "");
    const char *const headers[] = {key ? header : NULL, NULL};
    const struct sbx_http_request request = {.size = sizeof request,
                                             .max_body = TOKEN_BODY_MAX,
                                             .method = "GET",
                                             .url = url,
                                             .headers = headers,
                                             .timeout_ms = TOKEN_MS};
    static const struct sbx_http_handler handler = {.size = sizeof handler, .done = token_came};
    struct sbx_error error;
    confirmation->transfer =
        docker->host->http_start(docker->public, &request, &handler, confirmation, &error);
    explicit_bzero(header, sizeof header);
    if (!confirmation->transfer)
        end(confirmation, NULL);
}

/* ---- the operation ---- */

static void looked(void *arg, const struct sbx_error *err, struct container *container)
{
    (void)container;
    struct confirmation *confirmation = arg;
    if (err || !confirmation->op)
        end(confirmation, err);
    else
        ask_token(confirmation);
}

/* The engine holds a published port itself, so who answers there is the container. On the host's network anybody
 * may have taken the port, and the container have ended for it: the event of that may still be on its way. */
void confirm_begin(struct docker *docker, const char *sandbox_id, sbx_op op)
{
    const struct container *container = table_find(docker, sandbox_id);
    struct confirmation *confirmation = calloc(1, sizeof *confirmation);
    if (!confirmation)
        abort();
    *confirmation = (struct confirmation){.next = docker->confirmations, .docker = docker, .op = op};
    snprintf(confirmation->name, sizeof confirmation->name, "%s", sandbox_id);
    docker->confirmations = confirmation;
    if (container && container->facts.host_network)
        look_at(docker, sandbox_id, looked, confirmation);
    else
        ask_token(confirmation);
}

void confirm_cancel(struct docker *docker, sbx_op op)
{
    for (struct confirmation *confirmation = docker->confirmations; confirmation;
         confirmation = confirmation->next) {
        if (confirmation->op != op)
            continue;
        struct sbx_error error;
        failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                    "it was given up before it was known whether its container runs");
        confirmation->op = 0;
        docker->host->complete(docker->public, op, &error);
        if (confirmation->transfer) {
            docker->host->http_cancel(docker->public, confirmation->transfer);
            destroy(confirmation);
        }
        return;
    }
}

void confirm_finish(struct docker *docker)
{
    while (docker->confirmations) {
        if (docker->confirmations->transfer)
            docker->host->http_cancel(docker->public, docker->confirmations->transfer);
        destroy(docker->confirmations);
    }
}
