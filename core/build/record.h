/* build/record.h: a build as it stands in the store. */
#ifndef BUILD_RECORD_H
#define BUILD_RECORD_H

#include "build/builds.h"

/* As JSON, the caller's to free. */
char *record_write(const struct build *build, size_t *len);
/* NULL: it is none of ours. */
struct build *record_read(const char *id, const void *text, size_t len);
void record_free(struct build *build);
/* The word of the runtime API. */
const char *record_status(enum build_status status);

#endif
