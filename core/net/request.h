/* net/request.h: a `struct client_request` checked and turned into the options of a curl handle. */
#ifndef NET_REQUEST_H
#define NET_REQUEST_H

#include "net/client.h"

#include <curl/curl.h>

enum { REQUEST_HOST_SIZE = 256 };

/* Where a request goes, taken from its URL. */
struct request_target {
    char host[REQUEST_HOST_SIZE]; /* as curl names it: an IPv6 address in brackets */
    uint16_t port;
    bool https;
    bool needs_lookup; /* the host is a name that must be resolved */
};

/* -1 with SBX_ERR_INVALID when the URL, method or a header is not valid. */
int request_check(const struct client_request *request, struct request_target *target, struct sbx_error *err);

/* Sets all that `request` asks for. `*headers` is the caller's: it is freed (curl_slist_free_all) after the
 * transfer. -1 with SBX_ERR_INTERNAL when memory is short. */
int request_apply(CURL *easy, const struct client_request *request, const struct request_target *target,
                  bool streamed, struct curl_slist **headers, struct sbx_error *err);

/* The whole-call timeout in force, in milliseconds; 0: none. And that of connecting. */
uint32_t request_timeout_ms(const struct client_request *request, bool streamed);
uint32_t request_connect_timeout_ms(const struct client_request *request);

#endif
