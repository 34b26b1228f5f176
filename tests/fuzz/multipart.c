// uses: api
/* Any multipart body, its parts as base64: in pieces of any size it gives what it gives at once. The first byte is the
 * size of the pieces. */
#include "api/multipart.h"
#include "api/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All that was told, one after another. */
struct told {
    uint8_t *bytes;
    size_t len, room;
    struct base64 base64;
};

static void tell(struct told *told, const void *bytes, size_t len)
{
    if (len > told->room - told->len)
        abort(); /* more came out than went in */
    memcpy(told->bytes + told->len, bytes, len);
    told->len += len;
}

static const char *part(void *arg, const char *name)
{
    struct told *told = arg;
    if (!*name || strlen(name) > MULTIPART_NAME_MAX)
        abort();
    tell(told, name, strlen(name) + 1);
    told->base64 = (struct base64){0};
    return NULL;
}

static const char *take(void *arg, const char *bytes, size_t len)
{
    struct told *told = arg;
    uint8_t *out = malloc(base64_room(len));
    size_t out_len;
    bool right = base64_decode(&told->base64, bytes, len, out, &out_len);
    if (out_len > base64_room(len))
        abort();
    if (right)
        tell(told, out, out_len);
    free(out);
    return right ? NULL : "has a part that is no base64";
}

static const char *end(void *arg)
{
    struct told *told = arg;
    tell(told, "", 1);
    return base64_is_whole(&told->base64) ? NULL : "has a part that breaks off";
}

static const char *run(const char *text, size_t len, size_t piece, struct told *told)
{
    struct multipart multipart;
    const struct multipart_handler handler = {part, take, end, told};
    const char *wrong = NULL;
    if (!multipart_begin(&multipart, "multipart/form-data; boundary=b"))
        abort();
    *told = (struct told){.bytes = malloc(2 * len + 64), .room = 2 * len + 64};
    for (size_t at = 0; at < len && !wrong; at += piece)
        wrong = multipart_feed(&multipart, text + at, len - at < piece ? len - at : piece, &handler);
    return wrong ? wrong : multipart_end(&multipart);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    struct told whole, pieces;
    const char *first = run(text, size - 1, size, &whole);
    const char *second = run(text, size - 1, 1u + data[0] % 16, &pieces);
    if ((first != NULL) != (second != NULL))
        abort();
    if (!first && (whole.len != pieces.len || memcmp(whole.bytes, pieces.bytes, whole.len) != 0))
        abort();
    free(whole.bytes);
    free(pieces.bytes);
    char *type = strndup((const char *)data, size); /* as a type */
    struct multipart multipart;
    multipart_begin(&multipart, type);
    free(type);
    return 0;
}
