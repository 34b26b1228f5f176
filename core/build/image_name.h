/* build/image_name.h: the names of images, made comparable. Pure. */
#ifndef BUILD_IMAGE_NAME_H
#define BUILD_IMAGE_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { BUILD_NAME_MAX = 512, BUILD_NAME_SIZE = BUILD_NAME_MAX + sizeof "docker.io/library/:latest" };

/* The one full name that a name with or without registry, "library/" and tag stands for:
 * "docker.io/library/alpine:latest" for "alpine". False: an image can't be built under it, for it is malformed, too
 * long, or has a digest. */
bool image_name_full(const char *name, char full[BUILD_NAME_SIZE]);
/* As people write a full name: without "docker.io/" and "library/". Part of it. */
const char *image_name_short(const char *full);

#endif
