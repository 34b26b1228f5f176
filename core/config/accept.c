/* config/accept.c: which texts a key takes: paths, URLs, names. Each answers NULL, or what would be right. */
#include "config/keys.h"

#include <stdlib.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static bool is_visible_ascii(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f)
            return false;
    return true;
}

const char *accept_absolute(const char *text)
{
    return *text == '/' ? NULL : "must be an absolute path";
}

/* RFC 3986 leaves more open than a client can connect to: a host is there, and a port is a number. */
const char *accept_url(const char *text)
{
    static const char must[] = "must be a URL such as http://HOST:PORT/PATH or https://HOST/PATH";
    size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
    if (scheme == 0 || !is_visible_ascii(text))
        return must;
    const char *host = text + scheme;
    const char *end = host + strcspn(host, "/?#");
    const char *at = memchr(host, '@', (size_t)(end - host));
    if (at)
        host = at + 1;
    const char *host_end = host;
    if (*host == '[') {
        host_end += strcspn(host, "]");
        if (host_end >= end)
            return must;
        host_end++;
    } else
        host_end += strspn(host, LETTERS DIGITS "-._~%");
    if (host_end == host || host_end > end || (host_end < end && *host_end != ':'))
        return must;
    if (host_end == end)
        return NULL;
    size_t digits = strspn(host_end + 1, DIGITS);
    unsigned long port = digits <= 5 ? strtoul(host_end + 1, NULL, 10) : 0;
    return host_end + 1 + digits == end && port >= 1 && port <= 65535 ? NULL : must;
}

const char *accept_public_url(const char *text)
{
    return strpbrk(text, "?#@") ? "must be a URL without \"?\", \"#\" and \"@\"" : accept_url(text);
}

const char *accept_plugin(const char *text)
{
    static const char must[] =
        "must be the name of a plugin without \".so\", or the path of a file, with a slash in it";
    if (strchr(text, '/'))
        return NULL;
    size_t len = strlen(text);
    bool suffixed = len >= 3 && strcmp(text + len - 3, ".so") == 0;
    return len <= 63 && !suffixed && *text != '.' && strspn(text, LETTERS DIGITS "-_.") == len ? NULL : must;
}

const char *accept_health_path(const char *text)
{
    return *text == '/' && is_visible_ascii(text)
               ? NULL
               : "must be the path of a URL, beginning with \"/\", or null for no checks";
}

/* It comes in a header (RFC 9110, section 5.5) and after "Bearer ". */
const char *accept_api_key(const char *text)
{
    return is_visible_ascii(text) ? NULL : "must be of ASCII letters, digits and signs, without spaces";
}

const char *accept_variable(const char *text)
{
    return strchr(text, '=') ? "the name of an environment variable has no \"=\" in it: write NAME: VALUE"
                             : NULL;
}

const char *accept_backend_name(const char *text)
{
    size_t len = strlen(text);
    return len <= 63 && strspn(text, LETTERS DIGITS "-_.") == len && strchr("-_.", *text) == NULL
               ? NULL
               : "a backend's name must be of letters, digits, \"-\", \"_\" and \".\", begin with a letter "
                 "or digit, "
                 "and be at most 63 long";
}
