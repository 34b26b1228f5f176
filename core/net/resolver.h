/* net/resolver.h: host names to addresses, on a few short-lived threads of its own.
 *
 * libcurl would start one thread for each request with a name; here a name that many wait for is
 * looked up once, at most RESOLVER_THREADS lookups run at a time, and an answer is kept for a minute.
 * A thread ends when nothing waits. Loop thread only.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "base/loop.h"

enum { RESOLVER_THREADS = 4, RESOLVER_KEEP_MS = 60 * 1000, RESOLVER_CACHE = 256 };

struct resolver;

/* One who waits; embedded in its owner, which stays valid until `done` or resolver_cancel(). */
struct resolver_query {
    /* `addresses` as curl's CURLOPT_RESOLVE takes them ("192.0.2.1,[2001:db8::1]"), or NULL and why. */
    void (*done)(void *arg, const char *addresses, const char *why);
    void *arg;
    struct resolver_query *next, **prev; /* the resolver's; prev is null when nothing is waited for */
};

struct resolver *resolver_create(struct loop *loop);
/* Waits for nobody: a thread that hangs in a lookup ends by itself later. NULL is allowed. */
void resolver_destroy(struct resolver *resolver);

/* The addresses of `host` when they are known, valid until the next call; else NULL. */
const char *resolver_known(struct resolver *resolver, const char *host);
/* For a name that is not known: calls query->done later, never inside this call. */
void resolver_lookup(struct resolver *resolver, struct resolver_query *query, const char *host);
void resolver_cancel(struct resolver_query *query);

#endif
