/* What stands behind the API as the tests play it: a service whose answers they give, and its table. */
#ifndef WORLD_H
#define WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/error.h"
#include "front.h"

/* One call that reached the service. */
struct sandbox_wait {
    service_done done;
    void *arg;
};

struct backend_operation {
    backend_done done;
    backend_data data;
    void *arg;
};

struct world {
    struct loop *loop;
    struct api *api;
    struct table table;
    struct config config;
    struct config_key keys[2]; /* alice's and the admin ops's: "alice-key" and "ops-key" */
    struct config_backend backends[2];
    struct config_spec specs[3];

    bool refuse; /* the next call, with `error` */
    struct sbx_error error;

    /* of the last call */
    char called[16], id[128], spec_id[64], user[64];
    bool everything, has_spec_id;
    uint32_t wait_ms;
    unsigned calls, given_up;
    char session_id[128], image[600], backend[64], own_spec[2048];
    struct sandbox_wait wait;
    struct sbx_logs logs;

    struct backend_operation operations[4];
    size_t operations_len;
    unsigned cancelled, stream_ready;

    /* The last report that reached the mirror. */
    struct {
        unsigned opened, closed;
        size_t size;
        char sandbox[64], conversation_id[MIRROR_CONVERSATION_ID_SIZE], text[256];
        mirror_report_done done; /* NULL: none is pending */
        void *arg;
    } report;
    /* The last question that reached the store about what was reported. */
    struct {
        char what[16], owner[64], conversation_id[MIRROR_CONVERSATION_ID_SIZE], kind[64], id[REPORTS_ID_SIZE];
        struct store_event_filter filter; /* but for its texts */
        size_t limit;
        unsigned asked;
        store_events_done events;
        store_conversations_done conversations;
        void *arg;
    } question;

    bool isolates;                /* both backends */
    struct sbx_error unavailable; /* of the second backend; kind 0: it can be reached */
    bool not_listed;              /* the second backend */
    bool store_full;
};
extern struct world world;

int world_setup(void **state); /* without keys */
int world_teardown(void **state);
void world_use_keys(void);

/* A RUNNING sandbox, newer than the ones before. `owner` NULL: nobody's. */
struct sandbox *world_add(const char *id, const char *owner);
/* The service answers the last call. */
void world_answer(const struct sandbox *sandbox, const struct sbx_error *err);
/* Sends a request that has nothing but a method and a path. */
void world_request(struct http_request *request, const char *method, const char *path);
/* The same, with one query parameter. */
void world_query(struct http_request *request, const char *method, const char *path, const char *name,
                 const char *value);

#endif
