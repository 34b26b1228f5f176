/* api/guard.h: keeps web pages out: which requests a browser may have sent for a page that has no business here.
 *
 * A browser lets any page send requests to any address that it reaches, this machine's loopback included. The
 * page gives itself away by `Origin`, by `Sec-Fetch-Site`, and, where its own name was made to point here, by
 * `Host`. SECURITY.md has the reasoning. The decision is pure; it runs before a key is looked at.
 */
#ifndef API_GUARD_H
#define API_GUARD_H

#include "api/router.h"

/* What is looked at of a request. A text is NULL where the header was not sent. */
struct guard_facts {
    enum route_access access;
    const char *host, *origin, *fetch_site;
    bool unix_socket; /* no browser connects to one */
    bool tls;
    bool carries_key; /* in a header, which a page of another origin may send only after a preflight */
    bool preflight;   /* the question whether a page may; it never carries a key */
};

enum guard_verdict {
    GUARD_PASS,
    GUARD_HOST,  /* the name that it was sent to is not one of ours */
    GUARD_ORIGIN /* a page of another origin sent it */
};

enum guard_verdict guard_judge(const struct config *config, const struct guard_facts *facts);
/* The configured origin that equals `origin`; NULL: there is none. */
const char *guard_find_origin(const struct config *config, const char *origin);
/* Whether a Content-Type says that a body is JSON: application/json or TYPE/…+json. NULL: none was sent. */
bool guard_is_json(const char *content_type);

/* Adds the headers that let the browser show the answer to a page of a configured origin, judges the request,
 * and answers it where it is refused or a preflight. False: it was answered. `access` is the path's. */
bool guard_admit(struct call *call, enum route_access access);
/* False: the body is not JSON by its Content-Type, and that was answered. */
bool guard_admit_body(struct call *call);

#endif
