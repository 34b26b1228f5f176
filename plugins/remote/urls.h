/* urls.h: URLs, taken apart, and those of a sandbox's services, put together.
 */
#ifndef REMOTE_URLS_H
#define REMOTE_URLS_H

#include <sandboxd/host.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* URL_SIZE is what a host takes; a runtime's own has at most URL_MAX, so that what is appended fits. */
enum { URL_MAX = 2048, URL_SIZE = 4096, URLS_MAX = 4 };

/* Where the protocol has the services of a sandbox listen inside. */
enum { AGENT_SERVER_PORT = 60000, VSCODE_PORT = 60001, WORKER_1_PORT = 12000, WORKER_2_PORT = 12001 };

/* Borrowed from the text that it was made of. */
struct url {
    bool tls;
    const char *host; /* "[::1]" has its brackets */
    size_t host_len;
    uint16_t port;         /* given, or the scheme's */
    const char *authority; /* host and port as they stand there */
    size_t authority_len;
    const char *path; /* with what follows it; "" where there is none */
};

/* "http://" or "https://", HOST[:PORT], and the rest: at most URL_MAX bytes of ASCII without blanks or a user
 * (RFC 3986). False for everything else. */
bool url_split(struct url *url, const char *text);

/* Percent-encodes `text` for a query value (RFC 3986: unreserved characters stay). False when it does not fit. */
bool url_encode(char *to, size_t size, const char *text);

/* What the URLs of a sandbox are made of; all borrowed. */
struct url_source {
    const char *url;         /* of its agent server, one that url_split() takes */
    const char *runtime_id;  /* at most 255 bytes */
    const char *key;         /* at most 255 bytes; NULL: none */
    const char *working_dir; /* NULL: none */
    const char *worker[2];   /* where the API says so itself; NULL: derived from `url` */
};

struct urls {
    struct sbx_url list[URLS_MAX];
    char text[URLS_MAX][URL_SIZE];
    uint32_t count;
};

/* AGENT_SERVER, and VSCODE, WORKER_1 and WORKER_2 where they can be derived: below "/{runtime_id}" where the URL's
 * path begins so, else at hosts of their own ("{service}-{host}"), which an address or localhost does not have. */
void urls_make(struct urls *urls, const struct url_source *source);
void urls_wipe(struct urls *urls); /* the key is in one of them */

#endif
