/* A server on a real loop, stepped by the test itself, and clients on real sockets that never block. */
#ifndef TEST_HTTP_RIG_H
#define TEST_HTTP_RIG_H

#include "http/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RIG_CLIENTS = 64 };

struct rig {
    struct loop *loop;
    struct http_server *server;
    struct config config; /* given to prepare(); changed by a test before rig_start() */
    struct config_address listen[4];
    struct config_problems problems;
    int clients[RIG_CLIENTS];
    size_t clients_len;
    uint16_t port; /* of the first listener */

    /* What the handler does on each path is in rig.c. */
    struct http_request *pending;
    unsigned heads, gone, bodies, writable;
    size_t stream_sent;
    size_t passed; /* bytes of a body that came in pieces */
    unsigned char passed_sum;
    size_t hold_at; /* "/pieces" wants no more from there on; 0: it takes all */
    bool drained;
};

struct reply {
    int status;
    char head[8192]; /* with its last empty line */
    char body[256 * 1024];
    size_t body_len;
};

/* A configuration with one listener on 127.0.0.1 and any port; nothing runs yet. */
void rig_init(struct rig *rig);
void rig_start(struct rig *rig);  /* prepares and commits rig->config; must succeed */
int rig_stop(void **state);       /* a teardown: everything is freed, a request left pending is gone */
int rig_setup(void **state);      /* a setup: rig_init() and rig_start() */
int rig_setup_only(void **state); /* rig_init() alone */

void rig_turn(struct rig *rig); /* one turn of the loop, waiting a millisecond at most */
/* Turns until `truth`; the test fails when that takes ten seconds. */
#define rig_until(rig, truth)                                                                                \
    do {                                                                                                     \
        for (uint64_t rig_end = clock_ms() + 10000; !(truth);) {                                             \
            if (clock_ms() > rig_end)                                                                        \
                fail_msg("never: %s", #truth);                                                               \
            rig_turn(rig);                                                                                   \
        }                                                                                                    \
    } while (0)

int client_connect(struct rig *rig); /* closed at the end of the test unless client_close()d */
void client_close(struct rig *rig, int client);
void client_reset(struct rig *rig, int client);
void client_send(struct rig *rig, int client, const char *text);
void client_send_bytes(struct rig *rig, int client, const void *bytes, size_t len);
/* One reply with Content-Length or chunks (decoded), or up to the end of the connection; the connection keeps
 * what follows. `no_body`: the reply to HEAD. */
void client_reply(struct rig *rig, int client, struct reply *reply, bool no_body);
/* Sends a request and expects this status. */
void client_ask(struct rig *rig, int client, const char *request, int status);
/* 0: the server closed; -1: it reset. What comes before is dropped. */
int client_end(struct rig *rig, int client);
bool client_quiet(struct rig *rig, int client); /* nothing to read, not closed */

/* The value of a header in a reply; "" when it is not there. */
const char *reply_header(const struct reply *reply, const char *name);

#endif
