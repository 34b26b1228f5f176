/* sandboxd/backend.h: what a backend plugin implements.
 *
 * The public ABI of sandboxd is the four headers of this folder: error.h, json.h, host.h (what the
 * daemon offers to a plugin) and this one. They are plain C11, use no type of any library, and are
 * all that a plugin is built against.
 *
 *   A *plugin* is a shared object that exports one symbol, the constant `sandboxd_plugin`.
 *   A *backend* is one configured instance of a plugin; a plugin may have several at once.
 *   A *sandbox* is one place to run in, with an id that the host made.
 *
 * Versions. The major number changes when something here changes meaning; host and plugin must have
 * the same. The minor number grows when something is added. Every table and every struct that
 * crosses begins with its size, and only ever grows at the end: a member counts as there when the
 * size covers it (SBX_HAS below) and it is not null. So a plugin built against an older minor goes
 * on working, and one built against a newer minor says in `min_host_minor` which one it can't do
 * without.
 *
 *   1.0   first version
 *   1.1   host: id_prefix(), progress(), log_enabled(); sbx_observation: agent_url, flags, URLs in STARTING, PAUSED
 *         and STOPPED; ops: SBX_BACKEND_ISOLATES, image(); spec_json: ports and resources; a start that failed as
 *         UNAVAILABLE or TIMEOUT is followed by remove()
 *   1.2   host: health_check(), polling_interval(), drop_health_checks(); and what is marked with "1.2" below
 *
 * Threads. Every function here is called on the host's loop thread, and none of them may block: no
 * disk sync, no connect, no wait for a child. What can only block goes to host->work() (host.h).
 *
 * Completion. An operation that receives an `sbx_op` ends by exactly one call of
 * host->complete(backend, op, error), on the loop thread, with NULL for success. Completing inside
 * the call is legal; the host delivers the result on its next turn. Until then the operation is in
 * flight and keeps the backend open. The strings and structs that a call receives are valid until
 * the call returns, not until the operation completes: copy what is needed later.
 *
 * Cancellation is a request. The host calls cancel(); the plugin still completes the operation, as
 * soon as it can, with whatever is true by then (SBX_ERR_CANCELLED when it gave up).
 *
 * The host never calls two operations on one sandbox at once (logs, confirm and describe excepted:
 * these may come at any time), and it keeps the order start, then pause/resume any number of times,
 * then remove.
 */
#ifndef SANDBOXD_BACKEND_H
#define SANDBOXD_BACKEND_H

#include <sandboxd/error.h>
#include <sandboxd/host.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SBX_PLUGIN_MAGIC UINT64_C(0x31444e4158424453) /* "SDBXAND1" as bytes in memory */
#define SBX_PLUGIN_SYMBOL "sandboxd_plugin"

/* One backend. Allocated, freed and extended by the host; a plugin reads it, and sets `self`. */
struct sbx_backend {
    uint32_t size;
    uint32_t reserved;
    const struct sbx_host *host; /* the host's services; outlives the backend */
    const char *name;            /* the name in the configuration, for messages */
    void *self;                  /* the plugin's own; set in open(), freed by it in close() */
};

/* What open() and validate() are told. `options_json` is the backend's `options:` as a JSON object
 * text, with ${NAME} replaced; it may hold secrets and must not be logged. */
struct sbx_backend_config {
    uint32_t size;
    uint32_t max_sandboxes;   /* per user; 0: no limit. For information, the host enforces it */
    const char *name;         /* as in sbx_backend */
    const char *options_json; /* never null; "{}" where there are none */
    size_t options_len;
    const char *plugin_path; /* absolute path the plugin was loaded from, to find files beside it */
    const char *state_dir;   /* absolute path of a directory of this backend's own, mode 0700,
                                 * already made when open() is called; null in validate() */
    const char *public_url;  /* where sandboxes reach the daemon for webhooks; null: nowhere */
    /* 1.1 ends here */

    const char *
        instance_id; /* the random id of the daemon's state, 22 letters and digits: another daemon has another
                              * one, and a state that was moved or restored has its own still. What is made can be
                              * marked with it (see host->instance_alive()). Null in validate() */
    const char
        *listen_urls; /* where the daemon listens, as a JSON array of URLs with addresses of its machine:
                              * ["http://127.0.0.1:3000", "https://[::]:3001"]. Left out are unix sockets and ports that
                              * the kernel chooses. Null: not told */
    /* 1.2 ends here */
};

/* A sandbox to start. Everything in it was made by the host. */
struct sbx_start {
    uint32_t size;
    uint32_t again;          /* 1: an earlier start of this id was cut off by a crash. Whatever
                                 * it left behind is to be removed or taken over first. */
    const char *sandbox_id;  /* letters, digits, '-', '_' and '.'; at most 127 bytes */
    const char *session_key; /* the secret of this sandbox; for its environment, never for a log */
    const char *spec_id;
    const char *spec_json; /* object: id, command (array of strings or null), initial_env (object
                                 * of strings), working_dir (string or null); and since 1.1, each only where it was
                                 * asked for: ports (array of {name, container_port}: the ports to expose from inside,
                                 * instead of the backend's own), resource_factor (1, 2, 4 or 8: times the backend's
                                 * limits), runtime_class, run_as_user, run_as_group, fs_group (integers),
                                 * image_pull_policy ("Always", "IfNotPresent", "Never"); and since 1.2 entrypoint (array
                                 * of strings, may be empty: what the command is appended to. Absent: a command that
                                 * begins with '-' is appended to the template's own, any other replaces it) and
                                 * build (object: base_image, extra_deps (a shell command, or null), enable_browser and
                                 * force_rebuild (booleans): the template is to be made from that image, and the id is
                                 * only a name. What can't do so refuses it) */
    size_t spec_len;
    const char *owner;     /* user id; null where the daemon has no users */
    int64_t created_at_us; /* microseconds since 1970-01-01 UTC */
    uint64_t deadline_ms;  /* on host->now_ms()'s clock: give up by then */
};

/* A request for a sandbox's output. */
struct sbx_logs {
    uint32_t size;
    uint32_t tail;   /* at most so many newest lines first; 0: none of the past */
    uint32_t follow; /* 1: then go on with what comes, until cancelled */
    uint32_t reserved;
    const char *sandbox_id;
};

/* An image to build (1.2). */
struct sbx_build {
    uint32_t size;
    uint32_t flags;           /* SBX_BUILD_… bits */
    const char *build_id;     /* for messages: letters and digits */
    const char *image;        /* its name: "REGISTRY/NAME:TAG" */
    const char *const *tags;  /* more names of it; ends in null */
    const char *context_file; /* absolute path of a tar.gz with a Dockerfile at its root. Stays, unchanged,
                               * until the operation is complete */
    const char *owner;        /* user id; null where the daemon has no users */
    uint64_t deadline_ms;     /* on host->now_ms()'s clock: give up by then */
};
#define SBX_BUILD_PUSH 1u /* then push each of its names to its registry */

/* A sandbox can reach neither the files of this host nor its other processes: so a client may choose what runs in it. */
#define SBX_BACKEND_ISOLATES 1u

/* The operations of a plugin. A null optional one makes the call it serves a 501. */
struct sbx_backend_ops {
    uint32_t size;
    uint32_t flags; /* SBX_BACKEND_… bits */

    /* Mandatory. Checks options without side effects: nothing is opened, made or connected to. Called
     * for `--check`, at start and at each reload, before open(). Each thing wrong is told by
     * host->option_error(check, path, message), which names file, line and column to the operator; all
     * of them are told in one call. Returns 0, or -1 when it told at least one error. */
    int (*validate)(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config);

    /* Mandatory. Makes the backend ready, and may fail (nothing is left behind then, and close() is
     * not called). A technology that can't be reached at the moment is no failure: open, and tell it
     * with host->available(). May be called while an older instance of the same backend is still
     * open: both see the same sandboxes, and the older one is quiesced next. It ends within 10 s;
     * what is reported meanwhile is kept back until the instance is in use. */
    void (*open)(struct sbx_backend *backend, const struct sbx_backend_config *config, sbx_op op);

    /* Mandatory, and can't fail. The backend is being replaced or removed: stop reporting, watching
     * and retrying at once (what is reported all the same is dropped). Operations in flight go on, with
     * all the services that they need; no new ones are called, but for cancel() and stream_ready(). */
    void (*quiesce)(struct sbx_backend *backend);

    /* Mandatory, and can't fail. Called once, after quiesce(), when no operation is in flight and no
     * callback of work(), post() or the store is still to come. Frees all that open() made; timers,
     * watches and transfers of this backend that are still there are ended by the host, with a line in
     * the log; children live on, as sandboxes do. After it returns, no code of the plugin may run on
     * this backend's behalf: threads of its own have ended. */
    void (*close)(struct sbx_backend *backend);

    /* Mandatory. Makes and starts a sandbox. Success means that the thing was made and a report() of
     * its state was given; on failure nothing is left behind. Where that can't be known (SBX_ERR_UNAVAILABLE,
     * SBX_ERR_TIMEOUT), the host calls remove() until it succeeds. While it is on its way, report() with
     * SBX_STATE_STARTING and a detail tells clients what it waits for. */
    void (*start)(struct sbx_backend *backend, const struct sbx_start *start, sbx_op op);

    /* Mandatory. Freezes or stops a running sandbox; success when it is so already. The new state is
     * reported before completion. SBX_ERR_NOT_FOUND: there is no such thing any more. */
    void (*pause)(struct sbx_backend *backend, const char *sandbox_id, sbx_op op);

    /* Mandatory. Makes a paused, stopped or ended sandbox run again, with its key and its files;
     * success when it runs already. Reported and failing as pause(). */
    void (*resume)(struct sbx_backend *backend, const char *sandbox_id, sbx_op op);

    /* Mandatory. Ends a sandbox in whatever state it is, and removes all that belongs to it: success
     * means that nothing is left, also when there was nothing. Called again after a failure and after
     * a restart of the daemon, until it succeeds. */
    void (*remove)(struct sbx_backend *backend, const char *sandbox_id, sbx_op op);

    /* Mandatory. Gives one report() for each sandbox that exists, then completes. What the host knows
     * and the listing leaves out is taken as gone; so a listing during which a report was refused has
     * failed. It comes once the backend is open, after relist() and at times, also while other operations are
     * in flight: of their sandboxes it proves nothing. At most 65,536 reports may be on their way at once. */
    void (*list)(struct sbx_backend *backend, sbx_op op);

    /* Optional. Asks for the end of an operation in flight (see the top). Null: it just goes on. */
    void (*cancel)(struct sbx_backend *backend, sbx_op op);

    /* Optional. Writes a sandbox's output as UTF-8 or raw bytes with host->stream_write(), then
     * completes. After stream_write() answered SBX_STREAM_STOP nothing more may be written until
     * stream_ready() is called for that operation. */
    void (*logs)(struct sbx_backend *backend, const struct sbx_logs *logs, sbx_op op);

    /* Mandatory where logs or build is there. The stream takes more. */
    void (*stream_ready)(struct sbx_backend *backend, sbx_op op);

    /* Optional. Called when a sandbox's agent server first answered after a start or a resume,
     * before clients are told: is it this sandbox that answered, and not another program on its port?
     * Failure means no; the host goes on checking its health, and the plugin may meanwhile have
     * reported other URLs. Null: it is taken to be so. */
    void (*confirm)(struct sbx_backend *backend, const char *sandbox_id, sbx_op op);

    /* Optional. Facts of the technology (version, capacity) for `GET /api/v1/backends`, as a JSON
     * object given with host->result() before completion. */
    void (*describe)(struct sbx_backend *backend, sbx_op op);

    /* Optional. Ends a sandbox's program and keeps its files, so that resume() can start it again;
     * reported as SBX_STATE_STOPPED. Called for SBX_SHUTDOWN_STOP; null: pause() is called instead. */
    void (*stop)(struct sbx_backend *backend, const char *sandbox_id, sbx_op op);

    /* 1.0 ends here */

    /* Optional. Is there such an image (or template), here or where it would be fetched from? Answers with
     * host->result(): {"exists": bool, "upload_time": ISO 8601 text or null, "image_size_bytes": integer or null}. */
    void (*image)(struct sbx_backend *backend, const char *image, sbx_op op);

    /* 1.1 ends here */

    /* Optional. Builds an image from a context that a client sent. Success means that it is there under all its
     * names (and pushed, where that was asked for). A context that can't be built is SBX_ERR_REFUSED. The log of the
     * build goes to host->stream_write(), as in logs; stream_ready() is mandatory where build is there. */
    void (*build)(struct sbx_backend *backend, const struct sbx_build *build, sbx_op op);

    /* Optional. Checks a spec that names this backend (its own default spec too), as validate() checks options, whose
     * rules hold: no side effects, nothing that blocks. Called for `--check`, at start and at each reload, after a
     * validate() that succeeded. `path` of host->option_error() and option_warning() is then relative to the spec:
     * "working_dir", "command[0]", "" for all of it. start() must check the same: a request may bring what no spec has. */
    int (*check_spec)(const struct sbx_host *host, struct sbx_check *check,
                      const struct sbx_backend_config *config, const char *spec_json, size_t spec_len);

    /* 1.2 ends here */
};

/* What a plugin exports, as constant initialised data under the name `sandboxd_plugin`. The
 * host reads everything up to `ops` from the file, before any code of the plugin runs. Then it loads a
 * private copy of the file, on a thread of the pool: constructors run there, and $ORIGIN means nothing. */
struct sbx_plugin {
    uint64_t magic;          /* SBX_PLUGIN_MAGIC */
    uint32_t size;           /* sizeof(struct sbx_plugin) */
    uint16_t abi_major;      /* SBX_ABI_MAJOR */
    uint16_t abi_minor;      /* SBX_ABI_MINOR of the headers it was built with */
    uint16_t min_host_minor; /* the least minor of the host it can work with */
    uint16_t reserved;
    char name[32];                  /* lower-case letters, digits, '-'; ends in a zero byte */
    char version[32];               /* its own version, for people; ends in a zero byte */
    char health_check_path[64];     /* default of `health_check_path`; "": its sandboxes have no agent
                                 * server, and run once the backend says so */
    uint32_t default_max_sandboxes; /* default of `max_sandboxes`; 0: no limit */
    uint32_t reserved2;
    const struct sbx_backend_ops *ops;
    const char *default_spec_json; /* the spec that serves where the configuration has none, as in sbx_start;
                                    * null: there is none */
};

#if defined(__GNUC__)
#define SBX_EXPORT __attribute__((visibility("default")))
#else
#define SBX_EXPORT
#endif

/* Declared here so that a definition of another type does not compile. */
extern SBX_EXPORT const struct sbx_plugin sandboxd_plugin;

#ifdef __cplusplus
}
#endif

#endif
