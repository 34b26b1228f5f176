/* build/image_name.c: see image_name.h. The grammar is that of the distribution project's references, as the engine
 * has it. */
#include "build/image_name.h"

#include <stdio.h>
#include <string.h>

static const char alphanumeric[] = "abcdefghijklmnopqrstuvwxyz0123456789";

/* Lower-case words between which stand '.', '_', "__" or any number of '-'. */
static bool is_component(const char *text, size_t len)
{
    size_t at = 0;
    for (;;) {
        size_t word = at;
        while (at < len && strchr(alphanumeric, text[at]))
            at++;
        if (at == word)
            return false;
        if (at == len)
            return true;
        size_t dashes = 0;
        while (at + dashes < len && text[at + dashes] == '-')
            dashes++;
        if (dashes == 0 && text[at] != '.' && text[at] != '_')
            return false;
        at += dashes ? dashes : text[at] == '_' && at + 1 < len && text[at + 1] == '_' ? 2 : 1;
    }
}

static bool is_path(const char *text, size_t len)
{
    for (;;) {
        const char *slash = memchr(text, '/', len);
        size_t component = slash ? (size_t)(slash - text) : len;
        if (!is_component(text, component))
            return false;
        if (!slash)
            return true;
        text = slash + 1;
        len -= component + 1;
    }
}

static bool is_tag(const char *text)
{
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t len = strlen(text);
    return len > 0 && len <= 128 && strchr(first, *text) &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

static bool is_registry(const char *text, size_t len)
{
    static const char host[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-[]:";
    for (size_t i = 0; i < len; i++)
        if (!strchr(host, text[i]))
            return false;
    return len > 0 && text[0] != ':' && text[0] != '.' && text[0] != '-';
}

/* The registry is what stands before the first slash and looks like a host. */
static size_t registry_length(const char *name)
{
    size_t len = strcspn(name, "/");
    bool is_host = name[len] == '/' && (memchr(name, '.', len) || memchr(name, ':', len) ||
                                        (len == 9 && memcmp(name, "localhost", 9) == 0));
    return is_host ? len : 0;
}

bool image_name_full(const char *name, char full[BUILD_NAME_SIZE])
{
    if (strlen(name) > BUILD_NAME_MAX || strchr(name, '@'))
        return false;
    size_t registry_len = registry_length(name);
    const char *registry = registry_len ? name : "docker.io",
               *path = name + registry_len + (registry_len > 0);
    if (registry_len == 0)
        registry_len = strlen(registry);
    else if (!is_registry(registry, registry_len))
        return false;
    if (registry_len == 15 && memcmp(registry, "index.docker.io", 15) == 0) {
        registry = "docker.io";
        registry_len = strlen(registry);
    }
    const char *colon = strchr(path, ':');
    size_t path_len = colon ? (size_t)(colon - path) : strlen(path);
    if (!is_path(path, path_len) || (colon && !is_tag(colon + 1)))
        return false;
    bool official =
        registry_len == 9 && memcmp(registry, "docker.io", 9) == 0 && !memchr(path, '/', path_len);
    snprintf(full, BUILD_NAME_SIZE, "%.*s/%s%.*s:%s", (int)registry_len, registry, official ? "library/" : "",
             (int)path_len, path, colon ? colon + 1 : "latest");
    return true;
}

const char *image_name_short(const char *full)
{
    static const char registry[] = "docker.io/", library[] = "library/";
    if (strncmp(full, registry, sizeof registry - 1) != 0)
        return full;
    full += sizeof registry - 1;
    return strncmp(full, library, sizeof library - 1) == 0 ? full + sizeof library - 1 : full;
}
