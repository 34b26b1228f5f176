/* build_log.h: what the engine says while it builds or pushes an image (Engine API 1.41, ImageBuild and ImagePush; JSON
 * objects, each on a line of its own): lines become text for people, and an error.
 *
 * Pure. The bytes may be anything and come in pieces of any size; a line that is no such object is skipped.
 */
#ifndef DOCKER_BUILD_LOG_H
#define DOCKER_BUILD_LOG_H

#include "common/bytes.h"

#include <sandboxd/json.h>

enum { BUILD_LINE_MAX = 1024 * 1024, BUILD_TEXT_MAX = 1024 * 1024, BUILD_WORDS_SIZE = 400 };

struct build_log {
    const struct sbx_json_api *json;
    struct bytes line;
    struct bytes text; /* what was fed says; its reader empties it */
    bool has_result;   /* an image's id, or a digest at the registry */
    bool failed;
    char words[BUILD_WORDS_SIZE]; /* why, in the engine's words, on one line */
};

void build_log_init(struct build_log *log, const struct sbx_json_api *json);
void build_log_finish(struct build_log *log);
/* False: a line is over BUILD_LINE_MAX; the stream makes no sense any more. */
bool build_log_feed(struct build_log *log, const void *bytes, size_t len);
/* The stream has ended: what came after the last line break is a line too. */
void build_log_end(struct build_log *log);

#endif
