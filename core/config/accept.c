/* config/accept.c: which texts a key takes: paths, URLs, names. Each answers NULL, or what would be right. */
#include "config/keys.h"

#include <arpa/inet.h>
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

/* Whether `len` bytes are a host: a name, an IPv4 address, or an IPv6 address in brackets. */
static bool is_host(const char *host, size_t len)
{
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        char address[INET6_ADDRSTRLEN] = "";
        struct in6_addr number;
        if (len - 2 >= sizeof address)
            return false;
        memcpy(address, host + 1, len - 2);
        return inet_pton(AF_INET6, address, &number) == 1;
    }
    return len > 0 && strspn(host, LETTERS DIGITS "-._") >= len && *host != '.' && host[len - 1] != '.';
}

const char *accept_host_pattern(const char *text)
{
    if (strcmp(text, "*") == 0 || strcmp(text, "*.") == 0)
        return "must not allow every name, since a web page's could be among them: name the hosts";
    struct in6_addr number;
    const char *host = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
    return is_host(host, strlen(host)) || inet_pton(AF_INET6, text, &number) == 1
               ? NULL
               : "must be a host name or an IP address without scheme and port, or *.example.com";
}

/* A browser's Origin (RFC 6454, section 6.2): in lower case, without a port that is the scheme's own. */
const char *accept_origin(const char *text)
{
    static const char must[] = "must be an origin such as https://app.example.com or http://localhost:5173";
    if (strcmp(text, "*") == 0)
        return "must not be *, since every web page could then use this server: name each origin";
    if (strcmp(text, "null") == 0)
        return "must not be null, which any web page can make its origin: name each origin";
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz" DIGITS "+-.");
    if (scheme == 0 || strncmp(text + scheme, "://", 3) != 0)
        return must;
    const char *host = text + scheme + 3;
    if (strpbrk(host, "/?#@*"))
        return "must be an origin alone, without a path, a slash at its end, \"@\" and \"*\"";
    if (strpbrk(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return "must be in lower case, as browsers send it";
    const char *colon = *host == '[' ? strstr(host, "]:") : strchr(host, ':');
    if (colon && *colon == ']')
        colon++;
    if (!is_host(host, colon ? (size_t)(colon - host) : strlen(host)))
        return must;
    if (!colon)
        return NULL;
    size_t digits = strspn(colon + 1, DIGITS);
    unsigned long port = digits >= 1 && digits <= 5 ? strtoul(colon + 1, NULL, 10) : 0;
    if (colon[1 + digits] != '\0' || colon[1] == '0' || port < 1 || port > 65535)
        return must;
    bool own = (scheme == 4 && strncmp(text, "http", 4) == 0 && port == 80) ||
               (scheme == 5 && strncmp(text, "https", 5) == 0 && port == 443);
    return own ? "must be without the port that is its scheme's own, as browsers send it" : NULL;
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

/* Agents ask for it by a path, and have it as a variable of that name. */
const char *accept_secret_name(const char *text)
{
    return strspn(text, LETTERS DIGITS "_.-") == strlen(text)
               ? NULL
               : "must be of letters, digits, \"_\", \"-\" and \".\"";
}

/* The beginning of an image's name: the rest of the grammar is for the registry. */
const char *accept_registry_prefix(const char *text)
{
    static const char user[] = "{user}";
    for (const char *at = text; *at; at++) {
        if (*at == '{' && strncmp(at, user, sizeof user - 1) == 0)
            at += sizeof user - 2;
        else if (*at == '{' || *at == '}')
            return "must have no placeholder but {user}";
        else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789._-/:", *at))
            return "must be the beginning of an image's name, such as ghcr.io/openhands: lower-case letters, "
                   "digits, \".\", \"_\", \"-\", \"/\", \":\" and {user}";
    }
    return NULL;
}
