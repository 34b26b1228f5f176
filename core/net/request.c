/* net/request.c: see request.h. Owns the rules on what may be asked for and every option set on a handle
 * except those of the transfer's callbacks. It starts nothing. */
#include "net/request.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    DEFAULT_CONNECT_TIMEOUT_MS = 5 * 1000,
    DEFAULT_TIMEOUT_MS = 30 * 1000,
    MAX_HEADERS = 100,
    MAX_HEADER_LEN = 16 * 1024,
    STATUS_BUFFER = 1024, /* what curl reads at a time when only the head is wanted */
    KEEPALIVE_S = 60
};

static int invalid(struct sbx_error *err, const char *text)
{
    return error_set(err, SBX_ERR_INVALID, "INVALID_REQUEST", "%s", text);
}

uint32_t request_timeout_ms(const struct client_request *request, bool streamed)
{
    return request->timeout_ms ? request->timeout_ms : streamed ? 0 : DEFAULT_TIMEOUT_MS;
}

uint32_t request_connect_timeout_ms(const struct client_request *request)
{
    return request->connect_timeout_ms ? request->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* A token of RFC 9110, section 5.6.2. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    return len > 0;
}

/* "Name: value" with nothing in it that could end the line or the head. */
static bool is_header(const char *header)
{
    const char *colon = strchr(header, ':');
    if (!colon || !is_token(header, (size_t)(colon - header)) || strlen(header) > MAX_HEADER_LEN)
        return false;
    for (const char *s = colon; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

/* curl resolves "localhost" itself, to both loopback addresses; addresses need no resolving. */
static bool is_name(const char *host)
{
    struct in_addr v4;
    return host[0] != '[' && strcasecmp(host, "localhost") != 0 && inet_pton(AF_INET, host, &v4) != 1;
}

static int check_url(const char *text, struct request_target *target, struct sbx_error *err)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    int result = -1;
    if (!url)
        abort();
    CURLUcode failed = curl_url_set(url, CURLUPART_URL, text, 0);
    if (!failed)
        failed = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    if (!failed)
        failed = curl_url_get(url, CURLUPART_HOST, &host, 0);
    if (!failed)
        failed = curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (failed) {
        error_set(err, SBX_ERR_INVALID, "INVALID_REQUEST", "the URL is not valid: %s",
                  curl_url_strerror(failed));
    } else if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0) {
        invalid(err, "the URL is not valid: it must begin with http:// or https://");
    } else if (strlen(host) >= sizeof target->host) {
        invalid(err, "the URL is not valid: its host name is longer than 255 bytes");
    } else {
        result = 0;
        memcpy(target->host, host, strlen(host) + 1);
        target->port = (uint16_t)strtoul(port, NULL, 10);
        target->https = strcmp(scheme, "https") == 0;
        target->needs_lookup = is_name(host);
        for (const char *s = host; *s && result == 0; s++)
            if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f)
                result = invalid(err, "the URL is not valid: write its host name in ASCII (xn--…)");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return result;
}

int request_check(const struct client_request *request, struct request_target *target, struct sbx_error *err)
{
    if (!request->url)
        return invalid(err, "there is no URL");
    if (check_url(request->url, target, err))
        return -1;
    if (request->method && !is_token(request->method, strlen(request->method)))
        return invalid(err, "the method is not valid");
    if (request->unix_socket) {
        /* sun_path of unix(7), with its zero byte. */
        if (request->unix_socket[0] == '\0' || strlen(request->unix_socket) > 107)
            return invalid(err, "the path of a unix socket must have 1 to 107 bytes");
        target->needs_lookup = false;
    }
    size_t count = 0;
    for (const char *const *h = request->headers; h && *h; h++) {
        if (!is_header(*h))
            return invalid(err, "a header is not valid: it must read \"Name: value\", on one line");
        if (++count > MAX_HEADERS)
            return invalid(err, "there are more than 100 headers");
    }
    return 0;
}

/* ---- setting -------------------------------------------------------------------------------- */

static bool named(const char *header, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(header, name, len) == 0 && header[len] == ':';
}

static int append(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (!longer)
        return -1;
    *list = longer;
    return 0;
}

/* curl reads "Name:" as "leave this header out"; a header with an empty value is written "Name;". */
static int append_header(struct curl_slist **list, const char *header)
{
    const char *colon = strchr(header, ':');
    if (colon[1 + strspn(colon + 1, " \t")] != '\0')
        return append(list, header);
    char name[MAX_HEADER_LEN + 1];
    size_t len = (size_t)(colon - header);
    memcpy(name, header, len);
    memcpy(name + len, ";", 2);
    return append(list, name);
}

/* Beside the caller's: what curl adds to a body of its own accord is left out. */
static int set_headers(CURL *easy, const struct client_request *request, struct curl_slist **list)
{
    bool has_type = false, has_expect = false;
    for (const char *const *h = request->headers; h && *h; h++) {
        has_type |= named(*h, "Content-Type");
        has_expect |= named(*h, "Expect");
        if (append_header(list, *h))
            return -1;
    }
    if ((request->body || request->body_file) &&
        ((!has_type && append(list, "Content-Type:")) || (!has_expect && append(list, "Expect:"))))
        return -1;
    if (*list)
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *list);
    return 0;
}

static int set_method(CURL *easy, const struct client_request *request)
{
    const char *method = request->method ? request->method : "GET";
    bool sends_length = !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH");
    if (request->body_file) { /* its reading is set by upload.c */
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
    } else if (request->body || sends_length) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(request->body ? request->body_len : 0));
        if (curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : ""))
            return -1;
    } else if (!strcmp(method, "HEAD")) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return 0;
    }
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) ? -1 : 0;
}

/* Does the folder hold certificates under the hashes of their names, as OpenSSL looks them up? */
static bool is_hashed(const char *folder)
{
    DIR *dir = folder ? opendir(folder) : NULL;
    bool found = false;
    struct dirent *entry;
    while (dir && !found && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        found = len > 2 && strcmp(entry->d_name + len - 2, ".0") == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

/* The system's trust: the folder of hashed certificates, of which OpenSSL reads those it needs. The bundle
 * of them all, curl's default beside it, takes long to read and megabytes to keep. */
static int set_system_trust(CURL *easy)
{
    static enum { UNKNOWN, HASHED, BUNDLE } kind; /* looked at once */
    char *folder = NULL, *bundle = NULL;
    curl_easy_getinfo(easy, CURLINFO_CAPATH, &folder);
    curl_easy_getinfo(easy, CURLINFO_CAINFO, &bundle);
    if (kind == UNKNOWN)
        kind = is_hashed(folder) ? HASHED : BUNDLE;
    bool hashed = kind == HASHED;
    return curl_easy_setopt(easy, CURLOPT_CAPATH, hashed ? folder : NULL) ||
                   curl_easy_setopt(easy, CURLOPT_CAINFO, hashed ? NULL : bundle)
               ? -1
               : 0;
}

/* A stream has a connection of its own: one that is held back would hold up what shares an HTTP/2
 * connection with it, and libcurl lets 32 MiB come before it stops the server there. */
static int set_tls(CURL *easy, const struct client_request *request, bool streamed)
{
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long)(streamed ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    if (!request->ca_file) {
        if (set_system_trust(easy))
            return -1;
    } else if (curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file) ||
               curl_easy_setopt(easy, CURLOPT_CAPATH, NULL)) {
        return -1;
    } else {
        curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* a file that was replaced counts at once */
    }
    if (request->cert_file && curl_easy_setopt(easy, CURLOPT_SSLCERT, request->cert_file))
        return -1;
    if (request->key_file && curl_easy_setopt(easy, CURLOPT_SSLKEY, request->key_file))
        return -1;
    return 0;
}

int request_apply(CURL *easy, const struct client_request *request, const struct request_target *target,
                  bool streamed, struct curl_slist **headers, struct sbx_error *err)
{
    bool failed = curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK;
    failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK; /* also none from the environment */
    failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
    char agent[64] = "sandboxd";
    if (request->purpose)
        snprintf(agent, sizeof agent, "sandboxd/%s (%s)", SANDBOXD_VERSION, request->purpose);
    failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, agent) != CURLE_OK;
    if (request->unix_socket)
        failed |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket) != CURLE_OK;
    failed |= set_method(easy, request) || set_headers(easy, request, headers);
    failed |= target->https && set_tls(easy, request, streamed);
    if (failed)
        return error_set(err, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "no memory for a request");

    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request_timeout_ms(request, streamed));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request_connect_timeout_ms(request));
    /* Names come from the resolver, addresses need none: curl's cache would only grow. Should curl ever start
     * a lookup itself, nobody waits for its thread. */
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, target->needs_lookup ? 60L : 0L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (request->no_reuse) {
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    if (request->discard_body)
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)STATUS_BUFFER);
    if (streamed) { /* a stream may be silent for hours: let the kernel find out about a lost peer */
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    }
    return 0;
}
