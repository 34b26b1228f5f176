/* The front end as the tests play it: a request is a struct that they fill in, its reply lands in the same. */
#ifndef FRONT_H
#define FRONT_H

#include "http/server.h"

#include <json-c/json.h>

enum { FRONT_MANY = 128 };

struct pair {
    const char *name, *value;
};

struct http_request {
    const char *method, *path;
    struct pair headers[8];
    struct pair query[FRONT_MANY]; /* in order */
    struct config *config;
    bool has_body; /* said to be JSON, unless `headers` or `no_type` say otherwise */
    bool no_type, unix_socket, tls;

    void (*gone)(void *arg, struct http_request *request);
    void *gone_arg;
    void (*whole)(void *arg, struct http_request *request, const void *body, size_t len);
    void *whole_arg;
    bool (*piece)(void *arg, struct http_request *request, const void *bytes, size_t len);
    void (*streamed)(void *arg, struct http_request *request);
    bool held; /* it wants no more pieces */
    void (*writable)(void *arg, struct http_request *request);
    void *writable_arg;
    size_t stream_room; /* bytes that the client takes before it stalls */

    int status; /* 0: not answered yet */
    char type[64];
    char reply_headers[1024]; /* "Name: value\n" each */
    char *body;
    size_t len;
    bool streaming, ended, aborted;
};

/* Delivers the body that it asked for. */
void front_deliver_body(struct http_request *request, const char *body);
/* The same in pieces of that size; what it answers, or holds back, ends it. A body that ends in "--\r\n", or is empty, is
 * whole. */
void front_pass_body(struct http_request *request, const char *body, size_t len, size_t piece);
void front_disconnect(struct http_request *request);
void front_client_reads(struct http_request *request);
/* Parses the reply's body; the test fails when it is not JSON. The caller puts it. */
struct json_object *front_json(const struct http_request *request);
/* `detail` of an answer that is an error, as text; valid until the next call. */
const char *front_detail(const struct http_request *request);
void front_free(struct http_request *request);

#endif
