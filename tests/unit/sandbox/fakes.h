/* What the service stands on, played by the test: backends whose operations end when the test says so, a store
 * whose writes are acknowledged when it says so, and agents that answer as it says. */
#ifndef TEST_SANDBOX_FAKES_H
#define TEST_SANDBOX_FAKES_H

#include "sandbox/internal.h"

struct backend {
    const char *name;
    const char *health_path, *health_body;
    enum sbx_on_shutdown on_shutdown;
    enum sbx_shutdown_scope shutdown_scope;
    bool down, has_logs, isolates;
    char id_prefix[32];
    struct sbx_error why;
};

struct backend_operation {
    struct backend *backend;
    char verb[12]; /* "start", "pause", "resume", "stop", "remove", "confirm", "list", "logs" */
    char sandbox[64];
    uint32_t again;
    char spec[256]; /* start: the spec_json */
    backend_done done;
    void *arg;
    bool cancelled;
    struct backend_operation *next;
};

struct world {
    struct loop *loop;
    struct service *service;
    struct config *config;
    struct config_backend settings;
    struct config_spec spec;
    struct backend backend, replaced;
    const char *asked_path; /* where agents are asked; NULL: at the backend's own health_path */
    bool prepared;          /* the first generation */
};

struct world *world_create(uint32_t max_sandboxes, enum over_limit over_limit);
void world_begin(struct world *world); /* the first generation; its listing is pending then */
void world_destroy(struct world *world);
void world_turn(struct world *world); /* lets what was deferred run */
/* A reload: with another instance of the backend, or without it. A quiesced instance reports nothing. */
void world_replace_backend(struct world *world);
void world_remove_backend(struct world *world);

/* The oldest operation of that sort in flight (sandbox NULL: any); NULL: there is none. */
struct backend_operation *flight_find(const char *verb, const char *sandbox);
unsigned flight_count(const char *verb);
/* Ends it: err NULL is success. For start, pause, resume, stop the state that follows is reported first. */
void flight_end(struct world *world, struct backend_operation *operation, const struct sbx_error *err);
/* Ends it with success, and nothing is reported. */
void flight_end_silently(struct world *world, struct backend_operation *operation);
void report(struct world *world, const char *sandbox, enum sbx_state state);
/* The same, each time of the same incarnation, with where the daemon reaches its agent server (NULL: where clients
 * do). */
void report_agent(struct world *world, const char *sandbox, enum sbx_state state, const char *agent_url);

/* Reported with this flag and key, in STARTING or RUNNING. */
/* RUNNING (again with the same incarnation), and reached by nobody from outside. */
void report_unreached(struct world *world, const char *sandbox);
void report_unused(struct world *world, const char *sandbox); /* ENDED, before anything ran */
void report_key(struct world *world, const char *sandbox, enum sbx_state state, const char *key);

/* Acknowledges every write that waits, with err (NULL: success). */
void store_flush(struct world *world, const struct sbx_error *err);
unsigned store_waiting(void);
bool store_has(const char *id, bool *deleting);
/* What the disk has of the session and the spec of a record; "": nothing. */
const char *store_session(const char *id);
const char *store_spec(const char *id);
const char *store_key(const char *id);
const char *store_pause_reason(const char *id);
int64_t store_sequence(const char *id);
/* A record of what was made, at that place in the order, whatever its time. */
void store_seed_created(const char *id, int64_t sequence, int64_t created_at_us, const char *pause_reason);
/* A record of a start that had its own spec. */
void store_seed_session(const char *id, bool begun, const char *session_id, const char *spec_json);
/* A record that an earlier daemon left. */
void store_seed(const char *id, const char *owner, bool begun, bool deleting, const char *error_json);

enum {
    AGENT_NOT_ASKED = -1, /* the daemon had no descriptor for it */
    AGENT_HANGS = -2      /* for as long as it was given */
};
/* Answers the health check of a sandbox, once it was asked; status 0: refused. */
void agent_answer(struct world *world, const char *sandbox_url, int status);
/* With 200 and this body; NULL: its head alone was wanted. */
void agent_answer_body(struct world *world, const char *sandbox_url, const char *body);

#endif
