/* sandboxd/host.h: what the daemon offers to a plugin.
 *
 * Part of the public backend ABI; read backend.h first, it has the rules on versions, threads and
 * completion. All services are functions of one constant table, `struct sbx_host`. Each takes the
 * backend on whose behalf it acts, and may be called from open() until close() returns.
 *
 * Unless its comment says otherwise, a service is called on the loop thread only, never blocks, and
 * copies what it is given. Callbacks come on the loop thread, never from inside the call that asked
 * for them. Handles are numbers that are never used twice: a call with one that has ended does
 * nothing, so a plugin need not track races between an ending and its own cancel.
 */
#ifndef SANDBOXD_HOST_H
#define SANDBOXD_HOST_H

#include <sandboxd/error.h>
#include <sandboxd/json.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SBX_ABI_MAJOR 1
#define SBX_ABI_MINOR 2

/* Is `member` of `*table` there: covered by the size that its maker gave, and not null? */
#define SBX_HAS(table, member)                                                                               \
    ((table)->size >= offsetof(__typeof__(*(table)), member) + sizeof((table)->member) &&                    \
     (table)->member != NULL)

struct sbx_backend;
struct sbx_check; /* one run of validate(); the host's own */

typedef uint64_t sbx_op;       /* an operation in flight; 0 is none */
typedef uint64_t sbx_timer;    /* 0 is none */
typedef uint64_t sbx_watch;    /* 0 is none */
typedef uint64_t sbx_child;    /* 0 is none */
typedef uint64_t sbx_transfer; /* an HTTP request under way; 0 is none */

enum sbx_log_level { SBX_LOG_ERROR = 0, SBX_LOG_WARN = 1, SBX_LOG_INFO = 2, SBX_LOG_DEBUG = 3 };

/* ---- what a backend sees of a sandbox ------------------------------------------------------- */

enum sbx_state {
    SBX_STATE_STARTING = 1, /* being made; not running yet */
    SBX_STATE_RUNNING = 2,  /* its program runs (whether it answers is for the host to find out) */
    SBX_STATE_PAUSED = 3,   /* frozen, can be resumed with its memory */
    SBX_STATE_STOPPED = 4,  /* stopped on purpose, by us or by somebody; can be resumed, clients see PAUSED */
    SBX_STATE_ENDED = 5,  /* its program ended by itself, or never began; can be resumed, clients see ERROR */
    SBX_STATE_FAILED = 6, /* broken in another way; clients see ERROR */
    SBX_STATE_GONE = 7    /* nothing is left of it; clients see MISSING */
};

/* Without a size, and as it is for good: it stands in arrays. */
struct sbx_url {
    const char *name; /* AGENT_SERVER, VSCODE, WORKER_1, …: letters, digits, '_' and '-', at most 63. The
                       * agent server must be among them where the backend has a health check path */
    const char *url;  /* as a client reaches it; no trailing slash */
    int32_t port;     /* that the program listens on inside (until 1.1: on the host); 0: none of its own */
    uint32_t reserved;
};

/* `session_key` is the sandbox's key from now on, also where the host has a record: the technology chooses keys. */
#define SBX_OBSERVED_KEY 1u
/* ENDED, FAILED: nothing ever ran in it, so that it holds nothing of anybody's. A start of the same session over the
 * runtime API makes another one in its place, where a resume would only fail again. */
#define SBX_OBSERVED_UNUSED 2u
/* RUNNING, since 1.2: nothing of it can be reached from outside, so that there is no agent server to ask: it runs once
 * the backend says so, whatever health check path there is. */
#define SBX_OBSERVED_UNREACHED 4u

/* One sandbox as it is now. The host copies it. Nonsense (an unknown state, an id of another form, texts
 * over 4 KiB or not in UTF-8, more than 16 URLs) is refused with a line in the log, and changes nothing. */
struct sbx_observation {
    uint32_t size;
    uint32_t state; /* enum sbx_state */
    const char *sandbox_id;
    const char *detail; /* null, or a sentence for `status_detail` */
    const struct sbx_url *urls;
    /* Looked at in RUNNING; since 1.1 also in STARTING, PAUSED and STOPPED, where it is known then already where it
     * will be. */
    uint32_t urls_count;
    int32_t exit_code;             /* ENDED: of the program, or 128 + signal; -1: not known */
    const struct sbx_error *error; /* ENDED, FAILED: why; null: the host says EXITED itself */
    const char *log_tail;          /* ENDED, FAILED: the last lines of its output, of any bytes (what is
                                    * not UTF-8 is replaced); may be null */
    uint64_t incarnation;          /* another value each time its program was started anew: a new value makes
                              * the host check its health anew. So it must be the same in a newer
                              * instance and after a restart of the daemon: when the program
                              * began, and no counter of this instance's */
    /* For a sandbox of which the host has no record (somebody else made it, or the host's
     * state was lost): all may be null or 0, and are looked at then only. */
    const char *owner;
    const char *spec_id;
    const char *session_key;
    int64_t created_at_us;
    /* 1.0 ends here */

    const char *agent_url; /* RUNNING: the agent server's URL as this daemon reaches it, where that is not the
                            * one that clients use (the daemon runs in a container); null: it is */
    uint32_t flags;        /* SBX_OBSERVED_… bits */
    uint32_t reserved;
    /* 1.1 ends here */

    uint32_t
        restart_count; /* how often its technology has started its program again by itself, under this id; what
                             * never stays up is STARTING for a while, and ENDED then */
    uint32_t reserved2;
    /* 1.2 ends here */
};

enum sbx_on_shutdown {
    SBX_SHUTDOWN_KEEP = 0,
    SBX_SHUTDOWN_PAUSE = 1,
    SBX_SHUTDOWN_STOP = 2,
    SBX_SHUTDOWN_REMOVE = 3
};

enum sbx_shutdown_scope {
    SBX_SCOPE_OWN = 0, /* what this daemon made; of these a stop and a pause reach those that run */
    SBX_SCOPE_ALL = 1  /* what others made too, and a stop what is frozen */
};

/* ---- streams -------------------------------------------------------------------------------- */

enum sbx_stream { SBX_STREAM_GO = 0, SBX_STREAM_STOP = 1 };

/* ---- watched descriptors -------------------------------------------------------------------- */

enum sbx_io { SBX_IO_READ = 1, SBX_IO_WRITE = 2 };

typedef void (*sbx_callback)(void *arg);
typedef void (*sbx_io_callback)(int fd, uint32_t events, void *arg);

/* ---- child processes ------------------------------------------------------------------------ */

struct sbx_spawn {
    uint32_t size;
    uint32_t flags;          /* 0 in this version */
    const char *path;        /* absolute path of the program; no search, no shell */
    const char *const *argv; /* ends in null */
    const char *const *envp; /* ends in null; null: an empty environment */
    const char *working_dir; /* null: "/" */
    int32_t stdin_fd;        /* -1: /dev/null; otherwise borrowed for the call. The same for the next two */
    int32_t stdout_fd;
    int32_t stderr_fd;
    uint32_t pass_fds_count; /* borrowed descriptors that become 3, 4, … in the child */
    const int32_t *pass_fds;
};

/* The child has ended and was reaped. `code` is its exit code, or -1 when signal `signal` ended it. */
typedef void (*sbx_child_callback)(sbx_child child, int code, int signal, void *arg);

/* ---- HTTP client ---------------------------------------------------------------------------- */

struct sbx_http_request {
    uint32_t size;
    uint32_t max_body;          /* of the answer, for answers taken whole; 0: 1 MiB */
    const char *method;         /* "GET", … */
    const char *url;            /* http or https */
    const char *unix_socket;    /* null, or the path of the socket to speak over */
    const char *const *headers; /* "Name: value", ends in null; may be null */
    const void *body;           /* null: none */
    size_t body_len;
    uint32_t connect_timeout_ms; /* 0: 5 s */
    uint32_t timeout_ms;         /* for the whole call; 0: 30 s, or none for a streamed answer */
    uint32_t idle_timeout_ms;    /* streamed answers: without a byte for so long it fails; 0: never */
    uint32_t reserved;
    const char *ca_file;   /* TLS: trust these; null: the system's. Peers are always verified */
    const char *cert_file; /* TLS: client certificate and key; null: none */
    const char *key_file;
    /* 1.1 ends here */
    const char
        *body_file; /* instead of `body`: the path of a regular file, sent as it is and not to be changed
                            * before the end; null: none */
    /* 1.2 ends here */
};

/* The answer to a request. Exactly one of `done` calls comes for each request that was begun, and it
 * is the last call, unless the plugin cancels it: then there is none. */
struct sbx_http_handler {
    uint32_t size;
    uint32_t reserved;
    /* Optional. The status and headers are there, each header as "Name: value". Null: not wanted. */
    void (*head)(sbx_transfer transfer, int status, const char *const *headers, void *arg);
    /* Optional. A piece of the body; with it the answer is streamed and not collected. Answering
     * SBX_STREAM_STOP holds the rest back until http_resume(). */
    enum sbx_stream (*data)(sbx_transfer transfer, const void *bytes, size_t len, void *arg);
    /* Mandatory. `error` is null when a whole answer came (of any status). `body` is what was collected. */
    void (*done)(sbx_transfer transfer, const struct sbx_error *error, int status, const void *body,
                 size_t len, void *arg);
};

/* ---- store ---------------------------------------------------------------------------------- */

/* A durable map of text keys to bytes, one for each backend name. `error` is null on success.
 * get: `value` is null when there is no such key. For list, called once with all the keys, in order.
 * A key has 1 to 512 bytes of UTF-8, a value at most 1 MiB. The callback may be null, and always comes: close()
 * is not called before. */
typedef void (*sbx_store_callback)(const struct sbx_error *error, const void *value, size_t len, void *arg);
typedef void (*sbx_store_list_callback)(const struct sbx_error *error, const char *const *keys, size_t count,
                                        void *arg);

/* ---- the table ------------------------------------------------------------------------------ */

struct sbx_host {
    uint32_t size;
    uint16_t abi_major;
    uint16_t abi_minor;
    const char *version; /* of the daemon */
    const struct sbx_json_api *json;

    /* Operations. complete() ends one; a second call for the same, or one with a number that was
     * never given out, is logged and ignored. `error` null: success. */
    void (*complete)(struct sbx_backend *backend, sbx_op op, const struct sbx_error *error);
    /* The JSON object that an operation answers with (describe), of at most 64 KiB; before its completion. */
    void (*result)(struct sbx_backend *backend, sbx_op op, const char *json, size_t len);
    /* Appends to the stream of a logs (or build) operation, at most 1 MiB at once. STOP: wait for stream_ready() before
     * the next; a write before that ends the stream with an error. */
    enum sbx_stream (*stream_write)(struct sbx_backend *backend, sbx_op op, const void *bytes, size_t len);

    /* The world. report(): a sandbox is in this state now; may be called at any time while the backend
     * is not quiesced, in an operation or outside. available(): null when the technology can be
     * reached, else why not (told to clients, /ready and the log); a backend begins as available.
     * relist(): reports may have been lost, the host is to call list() soon. on_shutdown(): what
     * becomes of running sandboxes when the daemon stops for good (not at a reload). */
    void (*report)(struct sbx_backend *backend, const struct sbx_observation *observation);
    void (*available)(struct sbx_backend *backend, const struct sbx_error *why_not);
    void (*relist)(struct sbx_backend *backend);
    void (*on_shutdown)(struct sbx_backend *backend, enum sbx_on_shutdown what);

    /* validate(): an error or a warning about the option at `path` (dots and [index], relative to
     * `options`, "" for the whole): "mounts[1].mode". The message says what would be right. */
    void (*option_error)(struct sbx_check *check, const char *path, const char *message);
    void (*option_warning)(struct sbx_check *check, const char *path, const char *message);

    /* Log, from any thread. `sandbox_id` may be null. One line; control characters are escaped. */
    void (*log)(struct sbx_backend *backend, enum sbx_log_level level, const char *sandbox_id,
                const char *format, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 4, 5)))
#endif
        ;

    /* Clock and randomness, from any thread. now_ms() never goes back; now_us() is the wall clock in
     * microseconds since 1970-01-01 UTC. random() fills from the kernel's generator. */
    uint64_t (*now_ms)(void);
    int64_t (*now_us)(void);
    void (*random)(void *bytes, size_t len);

    /* One call of `fired` after `delay_us` microseconds. */
    sbx_timer (*timer_start)(struct sbx_backend *backend, uint64_t delay_us, sbx_callback fired, void *arg);
    void (*timer_cancel)(struct sbx_backend *backend, sbx_timer timer);

    /* `ready` is called each time one of `events` (SBX_IO_ bits) holds for `fd`, level-triggered, until
     * it is cancelled. The descriptor stays the plugin's: cancel the watch, then close it. 0 on failure (it is
     * not open, or nothing that epoll(7) can watch, like a regular file). */
    sbx_watch (*watch_start)(struct sbx_backend *backend, int fd, uint32_t events, sbx_io_callback ready,
                             void *arg);
    void (*watch_cancel)(struct sbx_backend *backend, sbx_watch watch);

    /* Starts a child with no descriptors but those named, default signal handling, in its own session.
     * `ended` comes once, from its pidfd. Null `ended`: it is reaped, nobody is told. 0 on failure, with
     * `error` filled (COMMAND_NOT_FOUND: the program is not there, or may not be run). child_pid(): its pid
     * while it is not reaped, else 0. child_disown(): forget the callback; the child lives on and is reaped.
     * Children outlive the backend that started them, as if disowned. */
    sbx_child (*child_spawn)(struct sbx_backend *backend, const struct sbx_spawn *spawn,
                             sbx_child_callback ended, void *arg, struct sbx_error *error);
    pid_t (*child_pid)(struct sbx_backend *backend, sbx_child child);
    void (*child_signal)(struct sbx_backend *backend, sbx_child child, int signal);
    void (*child_disown)(struct sbx_backend *backend, sbx_child child);

    /* HTTP. 0 on failure (a wrong URL, over 1,024 under way), with `error` filled. No redirect is followed,
     * no proxy used. http_cancel(): no call of the handler comes any more. */
    sbx_transfer (*http_start)(struct sbx_backend *backend, const struct sbx_http_request *request,
                               const struct sbx_http_handler *handler, void *arg, struct sbx_error *error);
    void (*http_resume)(struct sbx_backend *backend, sbx_transfer transfer);
    void (*http_cancel)(struct sbx_backend *backend, sbx_transfer transfer);

    /* Store. put and delete are called back once they are on disk (synced). */
    void (*store_put)(struct sbx_backend *backend, const char *key, const void *value, size_t len,
                      sbx_store_callback done, void *arg);
    void (*store_get)(struct sbx_backend *backend, const char *key, sbx_store_callback done, void *arg);
    void (*store_delete)(struct sbx_backend *backend, const char *key, sbx_store_callback done, void *arg);
    void (*store_list)(struct sbx_backend *backend, const char *prefix, sbx_store_list_callback done,
                       void *arg);

    /* Runs `run` on a thread of the pool, then `done` on the loop thread. `done` always comes,
     * also when the backend is being closed: close() is not called before. */
    void (*work)(struct sbx_backend *backend, sbx_callback run, sbx_callback done, void *arg);

    /* Calls `call` on the loop thread soon. May be called from any thread, and is the only service
     * besides log, clock and random that may. close() is not called before. */
    void (*post)(struct sbx_backend *backend, sbx_callback call, void *arg);

    /* 1.0 ends here */

    /* In open() only: the ids of this backend's new sandboxes begin with `prefix` (a copy is kept), of at most 63
     * letters, digits, '-', '_' and '.', where its technology needs names with one. */
    void (*id_prefix)(struct sbx_backend *backend, const char *prefix);

    /* A start in flight gets on (bytes of an image arrive): its time begins anew, and so does the one that the host
     * gives it. To be called at most once a second, and for real progress only: it is what tells slow from stuck. */
    void (*progress)(struct sbx_backend *backend, sbx_op op);

    /* From any thread: would a line of that level be written? For what costs something to find out. */
    int (*log_enabled)(enum sbx_log_level level);

    /* 1.1 ends here */

    /* Does a daemon run on this machine, in our network namespace, whose state has that instance_id (backend.h)?
     * What bears its id is its own then. No is no proof that there is none elsewhere. */
    int (*instance_alive)(const char *instance_id);

    /* In open() only: how the host finds out that a sandbox of this backend is ready, where an option decides that.
     * `path`: as health_check_path of struct sbx_plugin, of at most 1,023 bytes, and counts in its place; null: that
     * one counts; "": no agent server. `body_json`: a JSON object of at most 16 members whose values are no objects
     * and no arrays. An answer is good when it is a JSON object that has all of them with the same values. Null: any
     * answer with a status of 2xx is good. Copies are kept. The operator's health_check_path and health_check_body
     * replace both; `body_json` is left out where the operator gives another path. */
    void (*health_check)(struct sbx_backend *backend, const char *path, const char *body_json);

    /* In open() only: how often the host polls the agent servers of this backend, in milliseconds, 100 to 86,400,000,
     * where they can't report by themselves. 0: as often as events.polling_interval says, as without this call. */
    void (*polling_interval)(struct sbx_backend *backend, uint32_t ms);

    /* From any thread: takes the access-log lines of the host's own health checks out of `text` (of a sandbox's output,
     * `len` bytes), and answers how many bytes are left. The host does so with each `log_tail`; this is for who makes
     * one, so that it can look further back where nothing else is in it. */
    size_t (*drop_health_checks)(struct sbx_backend *backend, char *text, size_t len);

    /* validate(): says in one line what the option at `path` comes to, where that asks for nothing: `--check` shows
     * it, the log has it as info. */
    void (*option_note)(struct sbx_check *check, const char *path, const char *message);

    /* Which sandboxes the on_shutdown() of a backend reaches; SBX_SCOPE_OWN where it is not called. */
    void (*on_shutdown_scope)(struct sbx_backend *backend, enum sbx_shutdown_scope scope);

    /* In open() only: the default spec of this backend, where an option decides it; as default_spec_json of struct
     * sbx_plugin, and counts in its place. A copy is kept. */
    void (*default_spec)(struct sbx_backend *backend, const char *spec_json);

    /* 1.2 ends here */
};

#ifdef __cplusplus
}
#endif

#endif
