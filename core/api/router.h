/* api/router.h: the routes, and which of them a request is for. */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/call.h"

/* Who may, from anybody on: those from ACCESS_USER on need an API key where there are keys. */
enum route_access {
    ACCESS_OPEN,    /* anybody: it shows nothing of this daemon, and changes nothing */
    ACCESS_PROBE,   /* no key: whether clients may be sent here */
    ACCESS_SESSION, /* no API key: the handler checks a session key */
    ACCESS_USER,    /* a valid API key, where there are keys */
    ACCESS_RUNTIME, /* likewise, and only where the runtime API is enabled */
    ACCESS_ADMIN    /* an admin's, where there are keys */
};

/* What a request's body is taken for. A list of parameters or a body that the route does not take is 422. */
enum route_body {
    BODY_NONE, /* nothing: an empty object or null is harmless */
    BODY_JSON, /* call->body */
    BODY_OWN   /* the handler reads it, or leaves it unread */
};

struct route {
    const char *method;
    const char *pattern; /* {id}, and one {…} of another name, are an element of the path each */
    enum route_access access;
    bool changes; /* something: it is refused while the daemon drains, logged at info */
    void (*handle)(struct call *call);
    /* The parameters that its query may have, ending in NULL; NULL: none. router_any: whatever is there, since
     * the answer is the same all the same. */
    const char *const *params;
    enum route_body body;
};

extern const char *const router_any[];

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

/* What a path names: "" where its pattern has none. */
struct router_names {
    char id[CALL_ID_SIZE], item[CALL_ID_SIZE]; /* {id}, and the other */
};

/* Finds the route and writes what the path names. Paths are taken as they are: one with a slash more at its end is
 * another path. HEAD is served as GET. */
enum router_result router_find(const char *method, const char *path, const struct route **route,
                               struct router_names *names);
/* The access of a path, whatever the method; that of a user where there is nothing at it. */
enum route_access router_access(const char *path);
/* The methods of a path, for Allow. */
enum { ROUTER_ALLOW_SIZE = 64 };
void router_allow(const char *path, char out[ROUTER_ALLOW_SIZE]);
/* The index-th route; NULL: there are no more. */
const struct route *router_at(size_t index);

#endif
