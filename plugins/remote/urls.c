/* urls.c: see urls.h. Knows how runtime APIs name the services of a sandbox, and asks nobody whether they are there. */
#include "urls.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FOLDER_SIZE = 1024, KEY_SIZE = 3 * 256 }; /* percent-encoded; a longer folder is left out */

/* ---- taking apart ---- */

static bool read_port(struct url *url, const char *text, size_t len)
{
    unsigned port = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    url->port = (uint16_t)port;
    return port >= 1 && port <= UINT16_MAX;
}

static bool is_plain(const char *text)
{
    size_t len = 0;
    for (; text[len]; len++)
        if (text[len] <= ' ' || text[len] > '~' || strchr("\"<>\\^`{|}", text[len]) || len == URL_MAX)
            return false;
    return true;
}

bool url_split(struct url *url, const char *text)
{
    *url = (struct url){.tls = strncmp(text, "https://", 8) == 0};
    if ((!url->tls && strncmp(text, "http://", 7) != 0) || !is_plain(text))
        return false;
    url->authority = url->host = text + (url->tls ? 8 : 7);
    url->authority_len = strcspn(url->authority, "/?#");
    url->path = url->authority + url->authority_len;
    if (memchr(url->authority, '@', url->authority_len))
        return false;
    const char *end = url->path, *port;
    if (*url->host == '[') {
        const char *bracket = memchr(url->host, ']', url->authority_len);
        if (!bracket || bracket == url->host + 1 ||
            strspn(url->host + 1, "0123456789abcdefABCDEF:.") != (size_t)(bracket - url->host - 1))
            return false;
        port = bracket + 1;
    } else {
        port = memchr(url->host, ':', url->authority_len);
        if (!port)
            port = end;
    }
    url->host_len = (size_t)(port - url->host);
    url->port = url->tls ? 443 : 80;
    if (url->host_len == 0)
        return false;
    return port == end || (*port == ':' && read_port(url, port + 1, (size_t)(end - port - 1)));
}

/* ---- putting together ---- */

bool url_encode(char *to, size_t size, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool plain = *c < 0x80 && (isalnum(*c) || strchr("-._~", *c));
        if (len + (plain ? 1 : 3) >= size)
            return false;
        if (plain) {
            to[len++] = (char)*c;
        } else {
            to[len++] = '%';
            to[len++] = hex[*c >> 4];
            to[len++] = hex[*c & 15];
        }
    }
    to[len] = '\0';
    return true;
}

static bool has_subdomains(const struct url *url)
{
    char host[256];
    struct in_addr address;
    if (*url->host == '[' || url->host_len >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)url->host_len, url->host);
    return strcmp(host, "localhost") != 0 && inet_pton(AF_INET, host, &address) != 1;
}

/* `port`: where the protocol has the service listen inside. */
static void add(struct urls *urls, const char *name, int32_t port)
{
    urls->list[urls->count] = (struct sbx_url){.name = name, .url = urls->text[urls->count], .port = port};
    urls->count++;
}

/* The base of a service in the next free place; its length, 0 where it can't be known. */
static size_t write_service(struct urls *urls, const struct url_source *source, const struct url *url,
                            const char *service)
{
    const char *scheme = url->tls ? "https" : "http";
    size_t id_len = strlen(source->runtime_id);
    bool below = *url->path == '/' && strncmp(url->path + 1, source->runtime_id, id_len) == 0;
    int authority_len = (int)url->authority_len;
    int len = 0;
    if (below)
        len = snprintf(urls->text[urls->count], URL_SIZE, "%s://%.*s/%s/%s", scheme, authority_len,
                       url->authority, source->runtime_id, service);
    else if (has_subdomains(url))
        len = snprintf(urls->text[urls->count], URL_SIZE, "%s://%s-%.*s", scheme, service, authority_len,
                       url->authority);
    return len > 0 && len < URL_SIZE ? (size_t)len : 0;
}

/* The page takes its token and the folder to open from the query. A host alone needs a "/" before that. */
static void add_editor(struct urls *urls, const struct url_source *source, const struct url *url)
{
    char key[KEY_SIZE], folder[FOLDER_SIZE];
    char *text = urls->text[urls->count];
    size_t len = write_service(urls, source, url, "vscode");
    if (len == 0)
        return;
    bool has_key = source->key && url_encode(key, sizeof key, source->key);
    bool has_folder = source->working_dir && url_encode(folder, sizeof folder, source->working_dir);
    const char *slash = strchr(strstr(text, "://") + 3, '/') ? "" : "/";
    if (has_key || has_folder)
        snprintf(text + len, URL_SIZE - len, "%s?%s%s%s%s%s", slash, has_key ? "tkn=" : "",
                 has_key ? key : "", has_key && has_folder ? "&" : "", has_folder ? "folder=" : "",
                 has_folder ? folder : "");
    explicit_bzero(key, sizeof key);
    add(urls, "VSCODE", VSCODE_PORT);
}

/* Without slashes at its end. */
static void copy_trimmed(char *to, const char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    snprintf(to, URL_SIZE, "%.*s", (int)len, url);
}

static void add_worker(struct urls *urls, const struct url_source *source, const struct url *url,
                       unsigned number)
{
    static const char *const names[] = {"WORKER_1", "WORKER_2"}, *const services[] = {"work-1", "work-2"};
    const char *given = source->worker[number];
    if (given)
        copy_trimmed(urls->text[urls->count], given);
    else if (write_service(urls, source, url, services[number]) == 0)
        return;
    add(urls, names[number], WORKER_1_PORT + (int32_t)number);
}

void urls_make(struct urls *urls, const struct url_source *source)
{
    struct url url;
    urls->count = 0;
    if (!url_split(&url, source->url))
        return;
    copy_trimmed(urls->text[0], source->url);
    add(urls, "AGENT_SERVER", AGENT_SERVER_PORT);
    add_editor(urls, source, &url);
    add_worker(urls, source, &url, 0);
    add_worker(urls, source, &url, 1);
}

void urls_wipe(struct urls *urls)
{
    explicit_bzero(urls->text, sizeof urls->text[0] * urls->count);
}
