/* build_log.c: see build_log.h. The steps of a build come as "stream", those of a pull or push as "status" with the
 * layer's "id"; a status that only counts bytes is left out. */
#include "images/build_log.h"

#include "common/document.h"

#include <stdio.h>
#include <string.h>

void build_log_init(struct build_log *log, const struct sbx_json_api *json)
{
    *log = (struct build_log){.json = json};
    log->line.max = BUILD_LINE_MAX;
    log->text.max = BUILD_TEXT_MAX;
}

void build_log_finish(struct build_log *log)
{
    bytes_finish(&log->line);
    bytes_finish(&log->text);
}

/* What is said of a failure stands last. */
static void keep_words(struct build_log *log, const char *words)
{
    size_t len = strlen(words), skip = len < sizeof log->words ? 0 : len - (sizeof log->words - 1);
    while (((unsigned char)words[skip] & 0xc0) == 0x80) /* not from the middle of a character */
        skip++;
    snprintf(log->words, sizeof log->words, "%s", words + skip);
    for (char *c = log->words; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    for (len = strlen(log->words); len > 0 && log->words[len - 1] == ' ';)
        log->words[--len] = '\0';
}

static void take_status(struct build_log *log, const sbx_json *object, const char *status)
{
    const struct sbx_json_api *json = log->json;
    const char *id = json->string(json->get(object, "id"), NULL);
    if (json->length(json->get(object, "progressDetail")) > 0)
        return;
    if (id) {
        bytes_add_text(&log->text, id);
        bytes_add_text(&log->text, ": ");
    }
    bytes_add_text(&log->text, status);
    bytes_add_text(&log->text, "\n");
}

static void take_object(struct build_log *log, const sbx_json *object)
{
    const struct sbx_json_api *json = log->json;
    const sbx_json *detail = json->get(object, "errorDetail"), *aux = json->get(object, "aux");
    const char *error = json->string(json->get(object, "error"), NULL);
    const char *status = json->string(json->get(object, "status"), NULL);
    if (error || json->type(detail) != SBX_JSON_NULL) {
        if (!log->failed) /* what follows is mere consequence */
            keep_words(log, json->string(json->get(detail, "message"), error ? error : "it did not say why"));
        log->failed = true;
        bytes_add_text(&log->text, log->words);
        bytes_add_text(&log->text, "\n");
        return;
    }
    bytes_add_text(&log->text, json->string(json->get(object, "stream"), ""));
    if (status)
        take_status(log, object, status);
    if (json->string(json->get(aux, "ID"), NULL) || json->string(json->get(aux, "Digest"), NULL))
        log->has_result = true;
}

static void take_line(struct build_log *log)
{
    sbx_json *object = document_parse(log->json, log->line.data, log->line.len);
    log->line.len = 0;
    if (object)
        take_object(log, object);
    log->json->free(object);
}

bool build_log_feed(struct build_log *log, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0 && !log->line.failed) {
        const char *end = memchr(at, '\n', len);
        size_t part = end ? (size_t)(end - at) : len;
        bytes_add(&log->line, at, part);
        if (log->line.failed)
            break;
        if (end)
            take_line(log);
        at += part + (end != NULL);
        len -= part + (end != NULL);
    }
    return !log->line.failed;
}

void build_log_end(struct build_log *log)
{
    if (!log->line.failed && log->line.len > 0)
        take_line(log);
}
