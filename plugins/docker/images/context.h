/* context.h: a folder as the context of a build: a tar (POSIX ustar, IEEE Std 1003.1, pax, "ustar Interchange Format")
 * that is the same for the same files, and their hash. Blocks: for the pool. Knows no engine.
 *
 * It has the files, folders and symbolic links below the folder, with their permissions; owners and times are left out.
 * No link is followed, so nothing from outside gets in. Anything else, and what goes beyond the bounds, is refused.
 */
#ifndef DOCKER_CONTEXT_H
#define DOCKER_CONTEXT_H

#include "common/sha256.h"

#include <sandboxd/error.h>

enum { CONTEXT_ENTRIES_MAX = 10000, CONTEXT_DEPTH_MAX = 32, CONTEXT_BYTES_MAX = 1 << 30 };

/* Adds the tar to the hash, and writes it to `fd` (-1: it is only hashed). -1 with err. */
int context_pack(const char *folder, int fd, struct sha256 *hash, struct sbx_error *err);

#endif
