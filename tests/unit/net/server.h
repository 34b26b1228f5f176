/* A small HTTP server for the client's tests: real sockets, a thread for each connection, and one answer,
 * right or wrong, for each path. */
#ifndef TEST_NET_SERVER_H
#define TEST_NET_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct server;

enum { SERVER_STREAM_BYTES = 12 * 1024 * 1024 }; /* of /stream and /stream-chunked */

/* On 127.0.0.1, or ::1 for `v6`, or a unix socket for `path`; with TLS for `tls`. */
struct server *server_start_tcp(bool v6, SSL_CTX *tls);
struct server *server_start_unix(const char *path);
void server_stop(struct server *server); /* also frees */

int server_port(const struct server *server);
int server_connections(struct server *server); /* accepted so far */
int server_open(struct server *server);        /* of these, not closed by the client yet */
int server_requests(struct server *server);

/* The byte of a stream at `position`. */
char server_stream_byte(size_t position);

#endif
