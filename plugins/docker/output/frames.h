/* frames.h: the framing of a container's log (Engine API 1.41, ContainerAttach, "Stream format"): eight bytes, the
 * last four of them the length in network order, then so many bytes of output.
 *
 * Pure; the bytes come in pieces of any size, and the output goes out in pieces as they come.
 */
#ifndef DOCKER_FRAMES_H
#define DOCKER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frames {
    uint8_t header[8];
    uint32_t header_len;
    uint32_t left; /* of the frame's output */
};

/* Takes the next bytes of `*bytes`, and moves it on. True: `*out` and `*out_len` are a piece of output (borrowed
 * from `*bytes`); call again for the next. False: all was taken, or (`*broken`) it is no log. */
bool frames_next(struct frames *frames, const uint8_t **bytes, size_t *len, const uint8_t **out,
                 size_t *out_len, bool *broken);

#endif
