// uses: docker_pieces
/* fuzz/docker_frames.c: a container's log, whole and byte by byte: both ways have the same output, and the same end. */
#include "output/frames.h"

#include <stdlib.h>
#include <string.h>

/* As `step` bytes at once. Returns how much output came; false in `*sane` where it is no log. */
static size_t run(const uint8_t *data, size_t size, size_t step, uint8_t *output, bool *sane)
{
    struct frames frames = {0};
    size_t total = 0;
    bool broken = false;
    for (size_t at = 0; at < size && !broken; at += step) {
        const uint8_t *bytes = data + at, *out;
        size_t len = size - at < step ? size - at : step, out_len;
        while (frames_next(&frames, &bytes, &len, &out, &out_len, &broken)) {
            if (out_len == 0 || out < data || out + out_len > data + size)
                abort();
            memcpy(output + total, out, out_len);
            total += out_len;
        }
    }
    *sane = !broken;
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *whole = malloc(size + 1), *pieces = malloc(size + 1);
    if (!whole || !pieces)
        abort();
    bool sane, sane_in_pieces;
    size_t len = run(data, size, size + 1, whole, &sane);
    if (run(data, size, 1, pieces, &sane_in_pieces) != len || memcmp(whole, pieces, len) != 0 ||
        sane != sane_in_pieces)
        abort();
    free(whole);
    free(pieces);
    return 0;
}
