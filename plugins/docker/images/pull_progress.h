/* pull_progress.h: what the engine says of a pull while it goes on (Engine API 1.41, ImageCreate; its stream of
 * JSON objects, each on a line of its own): lines become sums, a success or an error.
 *
 * Pure. The bytes may be anything and come in pieces of any size: a line that is no such object is skipped, a number
 * that makes no sense is taken for none, and of more layers than PULL_LAYERS_MAX the rest is not counted.
 */
#ifndef DOCKER_PULL_PROGRESS_H
#define DOCKER_PULL_PROGRESS_H

#include "common/bytes.h"

#include <sandboxd/json.h>
#include <stdint.h>

enum { PULL_LINE_MAX = 64 * 1024, PULL_LAYERS_MAX = 256, PULL_LAYER_ID_MAX = 79, PULL_WORDS_SIZE = 384 };

struct pull_layer {
    char id[PULL_LAYER_ID_MAX + 1];
    unsigned stage;            /* of its way; never goes back (pull_progress.c) */
    uint64_t downloaded, size; /* bytes, compressed; size 0: not known yet */
    uint64_t extracted;        /* likewise */
};

struct pull_progress {
    const struct sbx_json_api *json;
    struct bytes line;
    struct pull_layer layers[PULL_LAYERS_MAX];
    uint32_t layers_len;
    uint64_t
        steps; /* grows with each thing that was not so before: a byte, a layer, a stage; not with a retry */
    bool succeeded;              /* the engine said so */
    bool failed;                 /* it said the contrary, which counts more, and why */
    char words[PULL_WORDS_SIZE]; /* of the failure: the engine's own, one line of UTF-8 */
};

struct pull_sums {
    uint32_t layers_done, layers;
    uint64_t bytes_done, bytes; /* of the layers whose size is known */
};

void pull_progress_init(struct pull_progress *progress, const struct sbx_json_api *json);
void pull_progress_finish(struct pull_progress *progress);
/* False: a line is over PULL_LINE_MAX; the stream makes no sense any more. */
bool pull_progress_feed(struct pull_progress *progress, const void *bytes, size_t len);
/* The stream has ended: what came after the last line break is a line too. */
void pull_progress_end(struct pull_progress *progress);
struct pull_sums pull_progress_sums(const struct pull_progress *progress);
/* ": 3 of 7 layers, 120 of 512 MiB", to be put after the image's name; "" while nothing is known. */
void pull_progress_text(const struct pull_progress *progress, char *text, size_t size);

#endif
