// uses: remote_pieces plugin
/* fuzz/remote_answer.c: any JSON as what a runtime API answers: as a runtime, as a list of them, as a refusal. What is
 * taken must be what the rest of the remote backend, and the host, rely on. */
#include "plugin/json.h"
#include "refusal.h"
#include "runtime.h"
#include "urls.h"

#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth)
        abort();
}

static bool is_word(const char *text, size_t max)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return len > 0 && len <= max;
}

static void make_urls(const struct runtime *runtime, const char *working_dir)
{
    static struct urls urls;
    const struct url_source source = {.url = runtime->url,
                                      .runtime_id = runtime->runtime_id,
                                      .key = runtime->key,
                                      .working_dir = working_dir,
                                      .worker = {runtime->worker[0], runtime->worker[1]}};
    urls_make(&urls, &source);
    require(urls.count >= 1 && urls.count <= URLS_MAX && strcmp(urls.list[0].name, "AGENT_SERVER") == 0);
    for (uint32_t i = 0; i < urls.count; i++) {
        struct url url;
        require(is_word(urls.list[i].url, URL_SIZE));
        require(urls.list[i].port >= 1 && urls.list[i].port <= UINT16_MAX);
        require(strlen(urls.list[i].url) > URL_MAX || url_split(&url, urls.list[i].url));
    }
    urls_wipe(&urls);
}

static void read_one(const struct sbx_json_api *json, const sbx_json *value)
{
    struct runtime runtime;
    struct sbx_error error = {0};
    if (runtime_read(&runtime, json, value, "0123456789abcdefABCDEF", &error) != 0) {
        require(error.kind == SBX_ERR_REFUSED && error.message[0]);
        return;
    }
    require(is_word(runtime.runtime_id, RUNTIME_TEXT_MAX));
    require(!runtime.key || is_word(runtime.key, RUNTIME_TEXT_MAX));
    require(runtime.status && runtime.pod_status);
    require(runtime.state == SBX_STATE_STARTING || runtime.state == SBX_STATE_RUNNING ||
            runtime.state == SBX_STATE_PAUSED || runtime.state == SBX_STATE_FAILED ||
            runtime.state == SBX_STATE_GONE);
    require(!runtime.ready || runtime.state == SBX_STATE_RUNNING);
    require(runtime_incarnation(&runtime) == runtime_incarnation(&runtime));
    if (runtime.url)
        make_urls(&runtime, runtime.detail);
}

static void refuse(const struct sbx_json_api *json, const sbx_json *value)
{
    static const int statuses[] = {401, 404, 422, 429, 500, 502, 503};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct sbx_error error = {0};
        bool may_pass = refusal_of(&error, json, statuses[i], value, " (text/html: '<html>')",
                                   "GET /sessions/x", "secret");
        require(error.kind != 0 && may_pass == (error.retryable != 0));
        require(error.code[0] && memchr(error.code, 0, sizeof error.code));
        require(memchr(error.message, 0, sizeof error.message) && !strstr(error.message, "secret"));
        require(!refusal_is_missing(&error) || statuses[i] == 404);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sbx_json_api *json = json_table();
    sbx_json *value = json->parse((const char *)data, size, NULL);
    read_one(json, value);
    for (size_t i = 0, count = json->length(value); i < count; i++)
        read_one(json, json->at(value, i));
    refuse(json, value);
    json->free(value);
    return 0;
}
