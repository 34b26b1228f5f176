/* config/config.h: one checked, immutable configuration.
 *
 * config_load() turns a YAML file into a `struct config`, or into a list of everything that is wrong with
 * it. It has no side effects and may run on any thread. Afterwards a configuration never changes; it is
 * counted, and each request pins the one it began on (config_ref/config_unref, loop thread only).
 *
 * Everything in a configuration belongs to it. Texts are never NULL unless their comment says so.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum address_kind { ADDRESS_TCP, ADDRESS_UNIX };

struct config_address {
    enum address_kind kind;
    const char *text; /* as written: "127.0.0.1:3000", "[::1]:3000", "unix:/run/x.sock" */
    const char *host; /* TCP: an IPv4 or IPv6 address without brackets; localhost is 127.0.0.1 */
    uint16_t port;    /* TCP; 0 takes any free one */
    const char *path; /* UNIX: absolute, at most 107 bytes (sun_path, unix(7)) */
};

struct config_key {
    const char *user;
    uint8_t sha256[32]; /* of the API key: the key itself is not kept */
    bool admin;
};

enum over_limit { OVER_LIMIT_PAUSE_OLDEST, OVER_LIMIT_REJECT };

struct config_node; /* a place in the file that was read; see config_position() */

struct config_backend {
    const char *name;
    const char *plugin;       /* as written: a name, or a path with a slash */
    bool max_sandboxes_given; /* otherwise the plugin's own default counts */
    uint32_t max_sandboxes;   /* at least 1 when given */
    enum over_limit over_limit;
    bool health_path_given;        /* otherwise the plugin's own default counts */
    const char *health_check_path; /* given: NULL (null in the file: no checks) or "/…" */
    bool health_body_given;        /* otherwise the plugin's own default counts */
    const char
        *health_check_body; /* given: NULL (any body) or a JSON object of scalars, with a member at least */
    uint32_t health_interval_ms;
    uint32_t startup_timeout_ms;
    const char
        *options_json; /* the `options` as JSON object text; may hold secrets. NULL: they were refused */
    size_t options_len;
    const struct config_node *options; /* for config_option_position(); NULL: none in the file */
    uint8_t digest[32];    /* of the whole section, after ${NAME}: equal means unchanged. Neither the order
                         * of keys nor comments count */
    unsigned line, column; /* of the backend's key, for errors about all of it */
};

struct config_pair {
    const char *name;
    const char *value;
};

/* What becomes of a command that comes with a request over the runtime API. */
enum own_command {
    OWN_COMMAND_BACKEND, /* taken where the backend isolates, or is one of runtime_api.own_commands; else refused */
    OWN_COMMAND_USE,
    OWN_COMMAND_REFUSE,
    OWN_COMMAND_IGNORE /* the spec's runs; its working_dir and initial_env go before the request's */
};

struct config_spec {
    const char *id;
    enum own_command own_command;
    const char *backend;  /* a name in `backends`; default_backend filled in */
    const char **command; /* NULL: the backend's own */
    size_t command_len;
    const char **entrypoint; /* NULL: none given; may be empty */
    size_t entrypoint_len;
    const struct config_pair *initial_env;
    size_t initial_env_len;
    const char *working_dir; /* NULL: none given */
    const char *base_image;  /* of `build`; NULL: there is no such section */
    const char *extra_deps;  /* NULL: none */
    bool enable_browser, force_rebuild;
    const char *json; /* the spec as the ABI's spec_json */
    size_t json_len;
};

struct config_callback {
    const char *url;
    const char *secret; /* NULL: not signed */
};

/* What the operator gives to sandboxes. */
struct config_secret {
    const char *name;
    const char *value;       /* never shown, but to the sandboxes that it is for */
    const char *description; /* NULL: none */
    const char **users;      /* whose sandboxes; none: of all */
    size_t users_len;
    const char **specs; /* patterns with * for the id of the spec; none: of all */
    size_t specs_len;
};

/* A model that users' agents may use. */
struct config_llm {
    const char *model;
    const char *api_key;  /* NULL: none; a secret */
    const char *base_url; /* NULL: the model's own */
    const char *profile;  /* NULL: the user's own model, else one under that name */
    const char **users;   /* none: for all */
    size_t users_len;
};
/* Is what has these users for that one? NULL: where there are no keys. */
bool config_is_for_user(const char *const *users, size_t users_len, const char *user);

struct config {
    const char *file; /* as given, for messages */
    uint64_t number;  /* generation; set by the reload transaction when it is published */
    unsigned refs;

    const struct config_address *listen;
    size_t listen_len;
    const char *listen_urls;        /* the ABI's, of `listen`; NULL where it came from no file */
    const char *tls_cert, *tls_key; /* NULL: plain HTTP */
    const char *public_url;         /* http:// or https://, no slash at its end. NULL: none */
    const char **hosts;             /* names that a Host may have beyond loopback; "*.NAME": all below it */
    size_t hosts_len;
    const char **cors_origins; /* of web pages that may call this server, as browsers send them */
    size_t cors_origins_len;
    uint32_t max_connections;
    uint64_t max_body;
    uint32_t header_timeout_ms;
    uint32_t drain_timeout_ms;

    const struct config_key *keys; /* none: everybody is the one local user */
    size_t keys_len;

    const char *state_dir;  /* absolute */
    const char *plugin_dir; /* NULL: where the build installed them */
    enum log_level log_level;
    bool log_json;

    const struct config_backend *backends; /* at least one */
    size_t backends_len;
    const char *default_backend;
    const struct config_spec *specs; /* may be none: the backends' built-in ones serve then */
    size_t specs_len;

    bool runtime_api_enabled;
    const char **runtime_api_images; /* patterns with * */
    size_t runtime_api_images_len;
    const char *runtime_api_backend; /* for images that no spec names; default_backend filled in */
    const char **own_commands;       /* backends that do not isolate, where a request may bring a command */
    size_t own_commands_len;
    const char *runtime_api_registry_prefix;
    bool runtime_api_builds;
    bool runtime_api_push;
    uint32_t runtime_api_max_builds; /* of one user, at once */
    uint32_t runtime_api_build_timeout_ms;
    uint64_t runtime_api_max_build_context; /* bytes */

    uint64_t events_retention_ms;
    uint64_t events_max_per_sandbox; /* bytes */
    uint32_t events_polling_interval_ms;
    const struct config_callback *callbacks;
    size_t callbacks_len;

    const struct config_secret *secrets; /* of several with one name the first that fits counts */
    size_t secrets_len;
    const struct config_llm *llms;
    size_t llms_len;

    const struct config_node *root; /* for config_position(); NULL where it came from no file */
    struct config_arena *arena;     /* everything above lives in it; wiped when it is freed */
};

/* Everything wrong (and everything dubious) in one run over a file, in the order of the file. */
struct config_problem {
    bool warning;
    bool note;             /* a warning of nothing: it tells what a value comes to */
    unsigned line, column; /* from 1; 0: about the file as a whole */
    char *text;            /* "path.to.key: must be …, got …" or a sentence */
};
struct config_problems {
    struct config_problem *list;
    size_t len;
    size_t errors; /* how many of them are not warnings */
};
void config_problems_init(struct config_problems *problems);
void config_problems_finish(struct config_problems *problems);
/* Adds "path: message"; `path` may be "". At most CONFIG_MAX_PROBLEMS are kept, then one that says so;
 * `errors` counts the others too. Control characters in it become '?'. */
void config_problem_add(struct config_problems *problems, bool warning, unsigned line, unsigned column,
                        const char *path, const char *format, ...) __attribute__((format(printf, 6, 7)));
void config_note_add(struct config_problems *problems, unsigned line, unsigned column, const char *path,
                     const char *text);
void config_problems_sort(struct config_problems *problems);
/* The level of its line in the log. */
enum log_level config_problem_level(const struct config_problem *problem);
/* "FILE:LINE:COLUMN: text", or "FILE: text" without a position; a warning has "warning: " before the
 * text, a note "note: ". Truncated to fit. */
void config_problem_format(const char *file, const struct config_problem *problem, char *out, size_t size);

/* Reads and checks a file. NULL when there is at least one error; problems (warnings too) are added to
 * `problems` either way. The result has one reference. */
struct config *config_load(const char *file, struct config_problems *problems);
/* As config_load(), but what could be read of a file with errors comes back too (NULL: nothing could), for the
 * checks that other layers have, so that one run tells all. What was refused is missing in it, also where it
 * must be there, so it is never put in force. */
struct config *config_load_to_check(const char *file, struct config_problems *problems);

struct config *config_ref(struct config *config);
void config_unref(struct config *config); /* NULL is allowed */

/* By name; NULL: there is none. */
const struct config_backend *config_find_backend(const struct config *config, const char *name);
const struct config_spec *config_find_spec(const struct config *config, const char *id);

/* The position of a path in the file, for a part that finds a value unusable when it prepares:
 * "server.listen[1]", "server.tls.cert". A path that is not in the file gets the position of its nearest
 * ancestor that is; 0, 0 where there is none. */
void config_position(const struct config *config, const char *path, unsigned *line, unsigned *column);

/* The position of a path in a backend's options ("mounts[1].mode"; "" is the options as a whole), in the
 * same way; the backend's own where it has none. */
void config_option_position(const struct config_backend *backend, const char *path, unsigned *line,
                            unsigned *column);

/* Backends, specs and so on in the file at once are bounded by these. */
enum {
    CONFIG_MAX_FILE = 1024 * 1024, /* bytes; and as many more that come from ${NAME} */
    CONFIG_MAX_DEPTH = 32,
    CONFIG_MAX_NODES = 20000,
    CONFIG_MAX_PROBLEMS = 100
};

#endif
