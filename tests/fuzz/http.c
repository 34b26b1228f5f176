// uses: http
/* Head and body of a request. Fed whole and cut into pieces they must get the same verdict, and what is
 * decoded must be what the rest of the daemon may rely on. */
#include "http/chunked.h"
#include "http/syntax.h"

#include <stdlib.h>
#include <string.h>

struct result {
    enum http_progress head, body;
    int status;
    size_t used, data_len;
    struct http_head parsed;
    char text[HTTP_HEAD_MAX], data[64 * 1024];
};

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void check_head(const struct result *result)
{
    const struct http_head *head = &result->parsed;
    const char *path = result->text + head->path;
    require(*path == '/' || strcmp(path, "*") == 0);
    require(syntax_valid_utf8(path, strlen(path)));
    size_t method = strlen(result->text + head->method);
    require(method >= 1 && method <= HTTP_METHOD_MAX);
    require(!(head->chunked && head->content_length > 0));
    for (size_t i = 0; i < head->params_len; i++) {
        const char *value = result->text + head->params[i].value;
        require(syntax_valid_utf8(value, strlen(value)));
    }
    for (size_t i = 0; i < head->fields_len; i++) {
        const char *name = result->text + head->fields[i].name;
        const char *value = result->text + head->fields[i].value;
        require(*name && syntax_all(name, strlen(name), CHAR_TOKEN));
        require(syntax_all(value, strlen(value), CHAR_VALUE));
    }
}

static size_t next_piece(const struct result *result, size_t size, size_t piece)
{
    return size - result->used < piece ? size - result->used : piece;
}

static void decode_body(struct result *result, const char *bytes, size_t size, size_t piece)
{
    struct http_chunked decoder = {0};
    struct http_fault fault;
    result->body = HTTP_MORE;
    while (result->body == HTTP_MORE && result->used < size) {
        size_t used, len;
        const char *data;
        size_t given = next_piece(result, size, piece);
        result->body = http_chunked_next(&decoder, bytes + result->used, given, &used, &data, &len, &fault);
        require(used >= 1 && used <= given && len <= used);
        if (len > 0)
            memcpy(result->data + result->data_len, data, len);
        result->data_len += len;
        result->used += used;
    }
}

static void run(struct result *result, const char *bytes, size_t size, size_t piece)
{
    struct http_scan scan = {0};
    struct http_fault fault = {0};
    result->head = HTTP_MORE;
    result->body = HTTP_DONE;
    result->used = result->data_len = 0;
    for (size_t at = 0; result->head == HTTP_MORE && at < size; at += piece)
        result->head = http_scan(&scan, bytes + at, size - at < piece ? size - at : piece, &fault);
    if (result->head == HTTP_DONE) {
        memcpy(result->text, bytes + scan.skipped, scan.len);
        result->used = (size_t)scan.skipped + scan.len;
        result->head = http_head_parse(&result->parsed, result->text, scan.len, &fault);
    }
    result->status = fault.status;
    require((result->head == HTTP_FAULT) == (fault.status != 0));
    if (result->head == HTTP_DONE) {
        check_head(result);
        if (result->parsed.chunked)
            decode_body(result, bytes, size, piece);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct result whole, cut;
    if (size < 1 || size > sizeof whole.data)
        return 0;
    const char *bytes = (const char *)data + 1;
    size--;
    run(&whole, bytes, size, size + 1);
    run(&cut, bytes, size, (size_t)data[0] + 1);
    require(whole.head == cut.head && whole.body == cut.body && whole.status == cut.status);
    require(whole.body == HTTP_FAULT || whole.used == cut.used);
    require(whole.data_len == cut.data_len && memcmp(whole.data, cut.data, whole.data_len) == 0);
    return 0;
}
