/* pull_progress.c: see pull_progress.h. Owns the line that is not complete yet. */
#include "images/pull_progress.h"

#include "common/document.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SIZE_LIMIT (UINT64_C(1) << 50) /* of a layer: the sum of all of them fits */

/* The stages of a layer. A retry is none: the layer stays where it was. */
enum { STAGE_KNOWN = 1, STAGE_DOWNLOADING, STAGE_DOWNLOADED, STAGE_EXTRACTING, STAGE_DONE };

static const struct {
    const char *status;
    unsigned stage;
} stages[] = {
    {"Pulling fs layer", STAGE_KNOWN},       {"Waiting", STAGE_KNOWN},
    {"Downloading", STAGE_DOWNLOADING},      {"Verifying Checksum", STAGE_DOWNLOADED},
    {"Download complete", STAGE_DOWNLOADED}, {"Extracting", STAGE_EXTRACTING},
    {"Pull complete", STAGE_DONE},           {"Already exists", STAGE_DONE},
};

void pull_progress_init(struct pull_progress *progress, const struct sbx_json_api *json)
{
    *progress = (struct pull_progress){.json = json, .line = {.max = PULL_LINE_MAX}};
}

void pull_progress_finish(struct pull_progress *progress)
{
    bytes_finish(&progress->line);
}

static struct pull_layer *find_layer(struct pull_progress *progress, const char *id)
{
    for (uint32_t i = 0; i < progress->layers_len; i++)
        if (strcmp(progress->layers[i].id, id) == 0)
            return &progress->layers[i];
    size_t len = strlen(id);
    if (progress->layers_len == PULL_LAYERS_MAX || len == 0 || len > PULL_LAYER_ID_MAX)
        return NULL;
    struct pull_layer *layer = &progress->layers[progress->layers_len++];
    memcpy(layer->id, id, len + 1);
    return layer;
}

static uint64_t count_of(const struct sbx_json_api *json, const sbx_json *detail, const char *key)
{
    int64_t count = json->integer(json->get(detail, key), 0);
    return count < 0 ? 0 : (uint64_t)count < SIZE_LIMIT ? (uint64_t)count : SIZE_LIMIT;
}

static bool raise_to(uint64_t *value, uint64_t to)
{
    bool more = to > *value;
    if (more)
        *value = to;
    return more;
}

static void take_layer(struct pull_progress *progress, const char *id, unsigned stage, const sbx_json *detail)
{
    const struct sbx_json_api *json = progress->json;
    struct pull_layer *layer = find_layer(progress, id);
    if (!layer)
        return;
    bool moved = stage > layer->stage;
    if (moved)
        layer->stage = stage;
    uint64_t current = count_of(json, detail, "current");
    if (stage == STAGE_DOWNLOADING || stage == STAGE_EXTRACTING) /* a small one may come without the first */
        moved |= raise_to(&layer->size, count_of(json, detail, "total"));
    if (stage == STAGE_DOWNLOADING) {
        if (layer->size > 0 && current > layer->size)
            current = layer->size;
        moved |= raise_to(&layer->downloaded, current);
    } else if (stage == STAGE_EXTRACTING) {
        moved |= raise_to(&layer->extracted, current);
    }
    if (layer->stage >= STAGE_DOWNLOADED)
        layer->downloaded = layer->size;
    progress->steps += moved;
}

/* One line of whole characters; what the JSON library gives is valid UTF-8. */
static void keep_words(struct pull_progress *progress, const char *words)
{
    size_t len = strnlen(words, sizeof progress->words - 1);
    while (words[len] != '\0' && len > 0 && ((unsigned char)words[len] & 0xc0) == 0x80)
        len--;
    for (size_t i = 0; i < len; i++)
        progress->words[i] = (unsigned char)words[i] < ' ' || words[i] == 0x7f ? ' ' : words[i];
    progress->words[len] = '\0';
}

static void take_object(struct pull_progress *progress, const sbx_json *object)
{
    const struct sbx_json_api *json = progress->json;
    const sbx_json *error = json->get(object, "error"), *detail = json->get(object, "errorDetail");
    if (json->type(error) != SBX_JSON_NULL || json->type(detail) != SBX_JSON_NULL) {
        const char *words = json->string(error, "it did not say why");
        if (!progress->failed) /* what follows is mere consequence */
            keep_words(progress, json->string(json->get(detail, "message"), words));
        progress->failed = true;
        return;
    }
    static const char success[] =
        "Status: "; /* "… Downloaded newer image for", "… Image is up to date for" */
    const char *status = json->string(json->get(object, "status"), "");
    const char *id = json->string(json->get(object, "id"), NULL);
    if (strncmp(status, success, sizeof success - 1) == 0)
        progress->succeeded = true;
    for (size_t i = 0; id && i < sizeof stages / sizeof stages[0]; i++)
        if (strcmp(status, stages[i].status) == 0)
            take_layer(progress, id, stages[i].stage, json->get(object, "progressDetail"));
}

static void take_line(struct pull_progress *progress)
{
    sbx_json *object = document_parse(progress->json, progress->line.data, progress->line.len);
    progress->line.len = 0;
    if (object)
        take_object(progress, object);
    progress->json->free(object);
}

bool pull_progress_feed(struct pull_progress *progress, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0 && !progress->line.failed) {
        const char *end = memchr(at, '\n', len);
        size_t part = end ? (size_t)(end - at) : len;
        bytes_add(&progress->line, at, part);
        if (progress->line.failed)
            break;
        if (end)
            take_line(progress);
        at += part + (end != NULL);
        len -= part + (end != NULL);
    }
    return !progress->line.failed;
}

void pull_progress_end(struct pull_progress *progress)
{
    if (!progress->line.failed)
        take_line(progress);
}

struct pull_sums pull_progress_sums(const struct pull_progress *progress)
{
    struct pull_sums sums = {.layers = progress->layers_len};
    for (uint32_t i = 0; i < progress->layers_len; i++) {
        const struct pull_layer *layer = &progress->layers[i];
        sums.layers_done += layer->stage == STAGE_DONE;
        sums.bytes += layer->size;
        sums.bytes_done += layer->downloaded < layer->size ? layer->downloaded : layer->size;
    }
    return sums;
}

void pull_progress_text(const struct pull_progress *progress, char *text, size_t size)
{
    struct pull_sums sums = pull_progress_sums(progress);
    bool small = sums.bytes < UINT64_C(10) << 20; /* so that each second shows something */
    unsigned shift = small ? 10 : 20;
    *text = '\0';
    if (sums.layers == 0)
        return;
    int len = snprintf(text, size, ": %" PRIu32 " of %" PRIu32 " layers", sums.layers_done, sums.layers);
    if (sums.bytes > 0 && len > 0 && (size_t)len < size)
        snprintf(text + len, size - (size_t)len, ", %" PRIu64 " of %" PRIu64 " %s", sums.bytes_done >> shift,
                 (sums.bytes + (UINT64_C(1) << shift) - 1) >> shift, small ? "KiB" : "MiB");
}
