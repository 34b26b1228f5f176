/* http/listener.h: one bound address: a TCP or unix socket that listens, and the path that it left behind.
 *
 * Knows nothing of connections: what is accepted is handed to a callback.
 */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include "base/loop.h"
#include "config/config.h"

#include <event2/listener.h>
#include <stdbool.h>
#include <sys/types.h>

struct http_listener {
    struct evconnlistener *socket;
    /* For 0.0.0.0 and [::], where it could be had: a second socket for loopback on the same port. The kernel hands it
     * those who connect to a loopback address, so that they don't queue behind others. NULL: there is none. */
    struct evconnlistener *loopback_socket;
    bool local; /* only loopback and this machine's processes reach `socket` */
    bool accepting, loopback_accepting;
    char *text;  /* as configured: by this it is known again */
    char *bound; /* with the port that 0 became */
    bool is_unix;
    char *path; /* UNIX: removed with the listener while it is still the same file */
    dev_t device;
    ino_t inode;
    bool keep; /* a reload's mark: the next generation has it too */
    void *owner;
    struct http_listener *next;
};

/* Whose a new listener is, and what is there beside it. */
struct listener_context {
    struct loop *loop;
    evconnlistener_cb accepted;    /* with the http_listener as its argument, as */
    evconnlistener_errorcb failed; /* accept() failed; errno tells */
    void *owner;
    /* Of the generation in force: those that do not `keep` may overlap with the new one (0.0.0.0:3000 and
     * 127.0.0.1:3000), the others may not, nor may those that the next generation has already. */
    const struct http_listener *current, *added;
};

/* Binds and listens, without accepting yet (listener_enable()). NULL: a sentence in `why`. */
struct http_listener *listener_create(const struct listener_context *context,
                                      const struct config_address *address, char *why, size_t why_size);
void listener_destroy(struct http_listener *listener);
/* Accepts on the one socket and on the other, or leaves who comes in its queue. */
void listener_enable(struct http_listener *listener, bool enable, bool enable_loopback);

/* Takes a connection that already waits; -1: none does. For a listener that is about to go. */
int listener_accept(struct http_listener *listener, struct sockaddr *peer, socklen_t *len);

#endif
