/* build/builds.h as the tests play it: what reached it of an upload, and which builds there are. */
#ifndef BUILDS_WORLD_H
#define BUILDS_WORLD_H

#include "world.h"

#include "build/builds.h"

struct builds_world {
    bool refuse; /* the next upload, with `error` */
    struct sbx_error error;
    bool full; /* an upload takes no more than a piece at once */

    struct build_upload_events events; /* of the upload */
    unsigned begun, dropped, finished;
    uint8_t context[64 * 1024];
    size_t len;
    char names[1 + BUILD_TAGS_MAX][600], image[600];
    size_t names_len;

    const struct build *build; /* found by builds_find() and builds_of_image(); NULL: none */
    const char *taken;         /* a full name that is another user's */
};
extern struct builds_world builds_world;

#endif
