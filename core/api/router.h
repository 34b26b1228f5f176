/* api/router.h: the routes, and which of them a request is for. */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/call.h"

enum route_access {
    ACCESS_OPEN,    /* no key, or the handler checks a session key */
    ACCESS_USER,    /* a valid API key, where there are keys */
    ACCESS_RUNTIME, /* likewise, and only where the runtime API is enabled */
    ACCESS_ADMIN    /* an admin's, where there are keys */
};

struct route {
    const char *method;
    const char *pattern; /* {id}, and one {…} of another name, are an element of the path each */
    enum route_access access;
    bool changes; /* something: its body is read, and it is refused while the daemon drains, logged at info */
    void (*handle)(struct call *call);
};

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

/* What a path names: "" where its pattern has none. */
struct router_names {
    char id[CALL_ID_SIZE], item[CALL_ID_SIZE]; /* {id}, and the other */
};

/* Finds the route and writes what the path names. Paths are taken as they are: one with a slash more at its end is
 * another path. HEAD is served as GET. */
enum router_result router_find(const char *method, const char *path, const struct route **route,
                               struct router_names *names);
/* The methods of a path, for Allow. */
enum { ROUTER_ALLOW_SIZE = 64 };
void router_allow(const char *path, char out[ROUTER_ALLOW_SIZE]);
/* The index-th route; NULL: there are no more. */
const struct route *router_at(size_t index);

#endif
