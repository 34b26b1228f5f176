/* frames.c: see frames.h. Owns nothing, and takes no memory. */
#include "output/frames.h"

enum { STREAMS = 4 }; /* stdin, stdout, stderr, and the engine's own errors */

static bool header_is_sane(const uint8_t header[8])
{
    return header[0] < STREAMS && header[1] == 0 && header[2] == 0 && header[3] == 0;
}

bool frames_next(struct frames *frames, const uint8_t **bytes, size_t *len, const uint8_t **out,
                 size_t *out_len, bool *broken)
{
    *broken = false;
    while (*len > 0) {
        if (frames->left > 0) {
            *out = *bytes;
            *out_len = *len < frames->left ? *len : frames->left;
            frames->left -= (uint32_t)*out_len;
            *bytes += *out_len;
            *len -= *out_len;
            return true;
        }
        frames->header[frames->header_len++] = **bytes;
        ++*bytes;
        --*len;
        if (frames->header_len < sizeof frames->header)
            continue;
        frames->header_len = 0;
        if (!header_is_sane(frames->header)) {
            *broken = true;
            return false;
        }
        for (unsigned i = 4; i < sizeof frames->header; i++)
            frames->left = frames->left << 8 | frames->header[i];
    }
    return false;
}
