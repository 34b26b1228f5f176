/* api/api.h: the HTTP API: authentication, routes, parameters, JSON out.
 *
 * It turns requests of the front end (http/server.h) into calls of the service (sandbox/service.h) and
 * what these answer into replies. It keeps no state of sandboxes; what lives longer than a request here is
 * counters alone. Loop thread only.
 */
#ifndef API_API_H
#define API_API_H

#include "base/loop.h"
#include "build/builds.h"
#include "http/server.h"
#include "mirror/mirror.h"
#include "sandbox/service.h"
#include "store/store.h"

struct api;

struct api_deps {
    struct loop *loop;
    struct service *service;
    struct mirror *mirror; /* where agents' reports go */
    struct builds *builds;
    struct store *store; /* for what they reported, and for /metrics */
    const char *version; /* of the daemon; stays valid */
};

struct api *api_create(const struct api_deps *deps);
/* The front end that calls api_head(), for /metrics. It is made after the API, whose handler it holds. */
void api_set_server(struct api *api, const struct http_server *server);
/* An http_handler's `head`; `api` is its arg. */
void api_head(void *api, struct http_request *request);
/* The daemon stops: from now on what would change something is 503 and so is /ready, and logs that are
 * followed end. To be called before http_server_drain(), which waits for these. */
void api_drain(struct api *api);
/* After the front end: no request is pending any more. NULL is allowed. */
void api_destroy(struct api *api);

#endif
