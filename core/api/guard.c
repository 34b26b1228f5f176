/* api/guard.c: see guard.h. */
#include "api/guard.h"

#include "api/errors.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 255, SHOWN = 100 }; /* bytes of a name; of it in a sentence */

/* ---- hosts ---- */

/* The host of "HOST[:PORT]" in lower case, without brackets and without a dot at its end. False: too long. */
static bool take_host(const char *authority, size_t len, char out[HOST_MAX + 1])
{
    const char *end = authority + len;
    if (len > 0 && *authority == '[') {
        const char *close = memchr(authority, ']', len);
        authority++;
        end = close ? close : end;
    } else {
        const char *colon = memchr(authority, ':', len);
        end = colon ? colon : end;
        if (end > authority && end[-1] == '.')
            end--;
    }
    size_t host = (size_t)(end - authority);
    if (host > HOST_MAX)
        return false;
    for (size_t i = 0; i < host; i++)
        out[i] = (char)(authority[i] >= 'A' && authority[i] <= 'Z' ? authority[i] | 0x20 : authority[i]);
    out[host] = '\0';
    return true;
}

static bool is_loopback(const char *host)
{
    static const char suffix[] = ".localhost";
    size_t len = strlen(host);
    if (strcmp(host, suffix + 1) == 0 ||
        (len >= sizeof suffix && strcmp(host + len - (sizeof suffix - 1), suffix) == 0))
        return true;
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

/* `pattern` is a name, an address, or "*.NAME" for all names below that one. */
static bool matches(const char *pattern, const char *host)
{
    char name[HOST_MAX + 1];
    struct in6_addr a, b;
    if (strncmp(pattern, "*.", 2) == 0) {
        size_t len = strlen(host), suffix = strlen(pattern) - 1;
        return len > suffix && strcasecmp(host + len - suffix, pattern + 1) == 0;
    }
    if (inet_pton(AF_INET6, pattern, &b) == 1)
        return inet_pton(AF_INET6, host, &a) == 1 && IN6_ARE_ADDR_EQUAL(&a, &b);
    return take_host(pattern, strlen(pattern), name) && strcmp(name, host) == 0;
}

static bool is_own_host(const struct config *config, const char *sent)
{
    char host[HOST_MAX + 1], own[HOST_MAX + 1];
    if (!take_host(sent, strlen(sent), host) || !*host)
        return false;
    bool known = is_loopback(host);
    for (size_t i = 0; i < config->hosts_len && !known; i++)
        known = matches(config->hosts[i], host);
    if (known || !config->public_url)
        return known;
    const char *authority = strstr(config->public_url, "://") + 3;
    return take_host(authority, strcspn(authority, "/"), own) && strcmp(own, host) == 0;
}

/* ---- origins ---- */

const char *guard_find_origin(const struct config *config, const char *origin)
{
    for (size_t i = 0; origin && i < config->cors_origins_len; i++)
        if (strcmp(config->cors_origins[i], origin) == 0)
            return config->cors_origins[i];
    return NULL;
}

/* The length without a port that is the scheme's own. */
static size_t length_without(const char *authority, const char *port)
{
    size_t len = strlen(authority), end = strlen(port);
    return len >= end && strcmp(authority + len - end, port) == 0 ? len - end : len;
}

/* Whether the page came from the very name and port that it calls. Behind a proxy for TLS the scheme differs. */
static bool is_same_origin(const struct guard_facts *facts)
{
    bool secure = strncmp(facts->origin, "https://", 8) == 0;
    if ((!secure && (facts->tls || strncmp(facts->origin, "http://", 7) != 0)))
        return false;
    const char *port = secure ? ":443" : ":80", *page = facts->origin + (secure ? 8 : 7);
    size_t len = length_without(page, port);
    return len > 0 && len == length_without(facts->host, port) && strncasecmp(page, facts->host, len) == 0;
}

/* A browser says "same-origin", or "none" where the user typed the address. */
static bool is_of_this_site(const char *fetch_site)
{
    return !fetch_site || strcmp(fetch_site, "same-origin") == 0 || strcmp(fetch_site, "none") == 0;
}

/* ---- the decision ---- */

/* With keys, what a rebound name could reach needs one, which no page has; /ready is asked by its address. */
static bool may_say_any_host(const struct config *config, const struct guard_facts *facts, bool listed)
{
    bool keys = config->keys_len > 0;
    return facts->unix_socket || facts->access == ACCESS_SESSION ||
           (keys && (facts->access == ACCESS_PROBE || (facts->preflight && listed)));
}

enum guard_verdict guard_judge(const struct config *config, const struct guard_facts *facts)
{
    bool listed = guard_find_origin(config, facts->origin) != NULL;
    if (facts->access == ACCESS_OPEN || (config->keys_len > 0 && facts->carries_key))
        return GUARD_PASS;
    /* Only HTTP/1.0 has none: no browser. */
    if (facts->host && !may_say_any_host(config, facts, listed) && !is_own_host(config, facts->host))
        return GUARD_HOST;
    if (listed)
        return GUARD_PASS;
    /* Where any host is taken, a page that made its name point here would be of the same origin. */
    bool own_page =
        !facts->origin || (facts->host && is_own_host(config, facts->host) && is_same_origin(facts));
    return own_page && is_of_this_site(facts->fetch_site) ? GUARD_PASS : GUARD_ORIGIN;
}

bool guard_is_json(const char *content_type)
{
    if (!content_type)
        return false;
    static const char json[] = "application/json", suffix[] = "+json";
    size_t len = strcspn(content_type, "; \t");
    const char *rest = content_type + len + strspn(content_type + len, " \t");
    if (*rest && *rest != ';')
        return false;
    const char *slash = memchr(content_type, '/', len);
    if (!slash || memchr(content_type, ',', len))
        return false;
    return (len == sizeof json - 1 && strncasecmp(content_type, json, len) == 0) ||
           (len >= sizeof suffix &&
            strncasecmp(content_type + len - (sizeof suffix - 1), suffix, sizeof suffix - 1) == 0);
}

/* ---- the request at hand ---- */

static void reply_host(struct call *call, const char *host)
{
    char detail[512];
    bool keys = http_config(call->request)->keys_len > 0;
    snprintf(
        detail, sizeof detail,
        "the host '%.*s' is neither loopback nor in server.hosts, and a web page could have made its name "
        "point here: %s",
        SHOWN, host,
        keys ? "send an API key, or have the operator add the name to server.hosts"
             : "add the name to server.hosts of the configuration");
    errors_reply(call, 403, detail);
}

static void reply_origin(struct call *call, const char *origin)
{
    char detail[512];
    snprintf(detail, sizeof detail,
             "a web page of %s%.*s%s sent this request, which only pages of server.cors_origins may: add its "
             "origin there if you trust it",
             origin ? "the origin '" : "another site", SHOWN, origin ? origin : "", origin ? "'" : "");
    errors_reply(call, 403, detail);
}

static void reply_preflight(struct call *call)
{
    static const char allowed[] = "Authorization, Content-Type, X-API-Key, X-Request-ID, X-Session-API-Key",
                      seconds[] = "600";
    struct http_request *request = call->request;
    char methods[ROUTER_ALLOW_SIZE];
    router_allow(http_path(request), methods);
    http_add_header(request, "Allow", methods);
    http_add_header(request, "Access-Control-Allow-Methods", methods);
    http_add_header(request, "Access-Control-Allow-Headers", allowed);
    http_add_header(request, "Access-Control-Max-Age", seconds);
    /* Browsers ask this as well before a page of the Internet may call an address of a local network. */
    if (http_header(request, "Access-Control-Request-Private-Network"))
        http_add_header(request, "Access-Control-Allow-Private-Network", "true");
    call_reply(call, 204, NULL, NULL, 0);
}

/* Not `Authorization: Basic` and its like, which a browser adds by itself once the user gave it a password. */
static bool carries_key(const struct http_request *request)
{
    const char *authorization = http_header(request, "Authorization");
    return (authorization && strncasecmp(authorization, "Bearer ", 7) == 0) ||
           http_header(request, "X-API-Key") || http_header(request, "X-Session-API-Key");
}

bool guard_admit(struct call *call, enum route_access access)
{
    struct http_request *request = call->request;
    const struct config *config = http_config(request);
    const struct guard_facts facts = {
        .access = access,
        .host = http_header(request, "Host"),
        .origin = http_header(request, "Origin"),
        .fetch_site = http_header(request, "Sec-Fetch-Site"),
        .unix_socket = http_is_unix(request),
        .tls = http_is_tls(request),
        .carries_key = carries_key(request),
        .preflight = strcmp(http_method(request), "OPTIONS") == 0 &&
                     http_header(request, "Access-Control-Request-Method"),
    };
    const char *listed = guard_find_origin(config, facts.origin);
    /* A cache must not hand the answer of one origin to another. */
    if (config->cors_origins_len > 0)
        http_add_header(request, "Vary", "Origin");
    if (listed) {
        http_add_header(request, "Access-Control-Allow-Origin", listed);
        http_add_header(request, "Access-Control-Expose-Headers", "Allow, Retry-After, X-Request-ID");
    }
    switch (guard_judge(config, &facts)) {
    case GUARD_HOST: reply_host(call, facts.host); return false;
    case GUARD_ORIGIN: reply_origin(call, facts.origin); return false;
    case GUARD_PASS: break;
    }
    if (!facts.preflight || !listed)
        return true;
    reply_preflight(call);
    return false;
}

bool guard_admit_body(struct call *call)
{
    const char *type = http_header(call->request, "Content-Type");
    if (guard_is_json(type))
        return true;
    char detail[256];
    snprintf(detail, sizeof detail,
             "the body must be sent as JSON, with the header Content-Type: application/json%s%.*s",
             type ? ", and not as " : "; the header is missing", SHOWN, type ? type : "");
    errors_reply(call, 415, detail);
    return false;
}
