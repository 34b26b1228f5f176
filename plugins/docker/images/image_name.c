/* image_name.c: see image_name.h. */
#include "images/image_name.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define HUB "docker.io"

static bool is_hex64(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static bool is_id(const char *image)
{
    static const char prefix[] = "sha256:";
    return is_hex64(image) ||
           (strncmp(image, prefix, sizeof prefix - 1) == 0 && is_hex64(image + sizeof prefix - 1));
}

static bool has_blanks(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return true;
    return false;
}

static void copy(char *to, const char *from, size_t len)
{
    memcpy(to, from, len);
    to[len] = '\0';
}

/* What stands before the first slash is a registry where it can't be the first part of a path. */
static bool is_registry(const char *text, size_t len)
{
    static const char local[] = "localhost";
    if (len == sizeof local - 1 && memcmp(text, local, len) == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' || text[i] == ':' || isupper((unsigned char)text[i]))
            return true;
    return false;
}

bool image_name_parse(struct image_name *name, const char *image)
{
    if (strlen(image) > IMAGE_NAME_MAX || has_blanks(image) || is_id(image))
        return false;
    const char *digest = strchr(image, '@');
    size_t len = digest ? (size_t)(digest - image) : strlen(image);
    const char *slash = memrchr(image, '/', len);
    const char *last = slash ? slash + 1 : image;
    const char *colon = memchr(last, ':', len - (size_t)(last - image));
    const char *tag = digest ? digest + 1 : colon ? colon + 1 : "latest";
    if (colon)
        len = (size_t)(colon - image);
    if (len == 0 || *tag == '\0')
        return false;
    copy(name->name, image, len);
    copy(name->tag, tag, strlen(tag));
    slash = strchr(name->name, '/');
    size_t host = slash ? (size_t)(slash - name->name) : 0;
    if (slash && is_registry(name->name, host))
        copy(name->registry, name->name, host);
    else
        copy(name->registry, HUB, sizeof HUB - 1);
    if (strcmp(name->registry, "index." HUB) == 0)
        copy(name->registry, HUB, sizeof HUB - 1);
    return true;
}

const char *image_name_registry_key(const struct image_name *name)
{
    return strcmp(name->registry, HUB) == 0 ? IMAGE_HUB_KEY : name->registry;
}
