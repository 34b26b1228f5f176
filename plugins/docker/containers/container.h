/* container.h: what the engine says of one container, read from the JSON of GET /containers/{id}/json (Engine API
 * 1.41, ContainerInspect), of an entry of GET /containers/json (ContainerList), or of an event (SystemEvents).
 *
 * Pure: makes facts of JSON, which may be anything.
 */
#ifndef DOCKER_CONTAINER_H
#define DOCKER_CONTAINER_H

#include "options/options.h"

/* Labels of what this plugin makes. A container with another backend's name in LABEL_BACKEND is not ours. */
#define LABEL_BACKEND "sandboxd.backend"
#define LABEL_INSTANCE "sandboxd.instance" /* the id of the state of the daemon that made it */
#define LABEL_OWNER "sandboxd.owner"
#define LABEL_CREATED "sandboxd.created_at" /* microseconds since 1970-01-01 UTC */
#define LABEL_SPEC "sandbox_spec_id"        /* as the first seed calls it */
/* LABEL_PORT_PREFIX NAME: the TCP port in the container, in decimal, that the exposed port NAME stands for: as it was
 * when the container was made, whatever the option says now. */
#define LABEL_PORT_PREFIX "sandboxd.port."
#define ENV_SESSION_KEY "OH_SESSION_API_KEYS_0"

enum container_state { /* State.Status */
                       CONTAINER_UNKNOWN,
                       CONTAINER_CREATED,
                       CONTAINER_RUNNING,
                       CONTAINER_PAUSED,
                       CONTAINER_RESTARTING,
                       CONTAINER_REMOVING,
                       CONTAINER_EXITED,
                       CONTAINER_DEAD
};

enum { FACTS_PORTS_MAX = 64, FACTS_NAMES_MAX = 16, FACTS_TEXT_MAX = 4096, ENGINE_ID_SIZE = 65 };

struct published_port {
    uint16_t container_port, host_port; /* TCP */
};

struct named_port {
    char name[64];
    uint16_t container_port;
};

/* Texts are owned, and never NULL unless it says so. One over FACTS_TEXT_MAX bytes is as good as none; the error is
 * cut there. */
struct facts {
    char id[ENGINE_ID_SIZE]; /* the engine's, 64 hexadecimal digits */
    char *name;              /* without the slash in front; the sandbox's id */
    enum container_state state;
    char *spec_id;     /* the label, else the image's name, else "unknown" */
    char *backend;     /* LABEL_BACKEND; NULL: not made by this plugin */
    char *instance;    /* LABEL_INSTANCE; NULL: none */
    char *owner;       /* NULL: nobody's */
    char *session_key; /* NULL: it has none */
    char *working_dir; /* may be "" */
    char *
        workspace; /* the word after `--working-dir` in its command, as images of the second seed have it; NULL */
    char *
        vscode_token; /* that its VS Code asks for, where its program has said so (confirm.c); NULL: not known */
    int64_t created_at_us;   /* the label, else made_at_ns */
    uint64_t made_at_ns;     /* of the container; 0: not known */
    uint64_t started_at_ns;  /* since 1970-01-01 UTC; 0: never */
    uint64_t finished_at_ns; /* 0: never */
    int32_t exit_code;       /* 0 to 255; -1: not known */
    uint32_t restart_count;  /* by the engine itself since somebody last started it */
    bool out_of_memory;
    bool tty; /* its log has no frames (logs.c) */
    bool host_network;
    char *error;                                  /* State.Error: why it could not be started; may be "" */
    struct published_port ports[FACTS_PORTS_MAX]; /* wanted or in force */
    uint32_t ports_len;
    struct named_port names[FACTS_NAMES_MAX]; /* from LABEL_PORT_PREFIX */
    uint32_t names_len;
    uint16_t env_port,
        env_vscode_port;   /* `port` and `VSCODE_PORT`, as the second seed sets them; 0: not there */
    uint64_t memory_limit; /* bytes; 0: none */
    uint64_t
        run; /* of the network endpoints that it has while it runs: others mean that it was started anew */
    char status[24]; /* State.Status in the engine's own word */
};

/* From an inspection. -1 with `err` (BACKEND_REFUSED) when it is not one; facts_finish() is not due then. */
int facts_from_inspect(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *inspect,
                       struct sbx_error *err);
void facts_finish(struct facts *facts);

/* An entry of a listing: borrowed texts. False when it is none that makes sense. */
struct listed {
    const char *id;   /* the engine's */
    const char *name; /* without the slash */
    enum container_state state;
    const char *backend;         /* LABEL_BACKEND; NULL: none */
    const char *instance;        /* LABEL_INSTANCE; NULL: none */
    uint64_t run;                /* as in struct facts */
    int32_t exit_code;           /* of one that has ended, from the words on its state; -1: not known */
    const char *owner, *spec_id; /* the labels; NULL: none that the host would take */
    int64_t created_at_us;
};
bool listed_from(struct listed *listed, const struct sbx_json_api *json, const struct sbx_json *entry);

/* Is a container of that name and label (NULL: none) one of this backend's sandboxes? The label decides where there
 * is one, else the prefix. A name that can't be a sandbox's id is none. */
bool container_is_ours(const struct options *options, const char *backend_name, const char *name,
                       const char *backend_label);

/* The folder that a command names with `--working-dir`; NULL: none. Borrowed. */
const char *container_workspace(const struct sbx_json_api *json, const struct sbx_json *command);

/* 64 hexadecimal digits in lower case, as the engine's ids of containers are: safe in a path. */
bool container_is_engine_id(const char *text);

/* RFC 3339 with up to nine digits of a fraction, as the engine writes times; 0 for its "0001-01-01T00:00:00Z",
 * for anything before 1970 and for what is no time. Nanoseconds since 1970-01-01 UTC. */
uint64_t container_time_ns(const char *text);

#endif
