/* options.h: the backend's `options:`, checked and in the units that the rest works with.
 *
 * docs/docker-backend.md says the same to operators.
 */
#ifndef DOCKER_OPTIONS_H
#define DOCKER_OPTIONS_H

#include <sandboxd/backend.h>
#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_MOUNTS_MAX = 64, OPTIONS_PORTS_MAX = 16, OPTIONS_LIST_MAX = 64 };
enum {
    STOP_TIMEOUT_MAX_MS = 45000
}; /* and HALT_GRACE_MS are less than the 60 s that the host gives a pause */

enum { RUNTIME_CLASSES = 2 };
extern const char *const runtime_classes[RUNTIME_CLASSES]; /* sysbox-runc, gvisor: as requests name them */

enum profile {
    PROFILE_AGENT_SERVER, /* images of the first seed: each exposed port has a container port of its own */
    PROFILE_RUNTIME       /* images of the second: container ports equal host ports, a fixed environment */
};
enum told_ports { TOLD_CONTAINER, TOLD_HOST }; /* whose number a port's variable and `exposed_urls` have */
enum pause_mode { PAUSE_FREEZE, PAUSE_STOP };
enum pull_policy { PULL_MISSING, PULL_NEVER, PULL_ALWAYS };
enum mount_kind { MOUNT_FOLDER, MOUNT_VOLUME, MOUNT_OVERLAY };

struct mount {
    enum mount_kind kind;
    char *source; /* absolute path; VOLUME: its name, in which "{id}" stands for the sandbox's id */
    char *target; /* absolute path in the container */
    char
        *mode; /* as the engine takes it after the second colon of a bind ("rw", "ro", "ro,z"); OVERLAY: "" */
};

struct exposed_port {
    char *name;        /* AGENT_SERVER, VSCODE, …: also an environment variable, by told_ports */
    char *description; /* for people; may be "" */
    uint16_t container_port;
    uint16_t first, last; /* the range to choose its host port from; 0: any free one */
};

/* `security`: what is taken from the programs of a sandbox, or given to them, beside what the engine does by itself. */
struct security {
    bool no_new_privileges, read_only;
    char *cap_drop[OPTIONS_LIST_MAX], *cap_add[OPTIONS_LIST_MAX];
    uint32_t cap_drop_len, cap_add_len;
    char *seccomp;  /* "unconfined", or a profile's JSON text; NULL: the engine's */
    char *apparmor; /* a profile's name; NULL: the engine's */
};

struct options {
    char *host; /* "unix:///path", "tcp://HOST:PORT" */
    bool tls;   /* tcp only; the three that follow may be NULL */
    char *tls_ca, *tls_cert, *tls_key;
    char *container_name_prefix;
    char *container_url_pattern; /* has "{port}" once, and no slash at its end */
    uint64_t host_port;          /* as given; 0 where it is not */
    char *webhook_base;          /* OH_WEBHOOKS_0_BASE_URL; NULL: none */
    struct mount mounts[OPTIONS_MOUNTS_MAX];
    uint32_t mounts_len;
    struct exposed_port ports[OPTIONS_PORTS_MAX];
    uint32_t ports_len;
    bool host_network; /* `network` is "host" */
    bool gpus_all;
    char *bind_address;           /* of published ports: an IP address */
    char *network;                /* "bridge", "host" or a network's name */
    char *gpus[OPTIONS_LIST_MAX]; /* ids, where it is not all */
    uint32_t gpus_len;
    char *platform, *runtime; /* NULL: the engine's */
    char *class_runtimes
        [RUNTIME_CLASSES]; /* the engine's, of each class that requests name; "": as if none was */
    uint64_t memory;       /* bytes; 0: no limit. The same for the next two */
    uint64_t nano_cpus;
    uint64_t pids;
    enum told_ports told_ports;
    enum pause_mode pause_mode;
    enum pull_policy pull_policy;
    uint64_t stop_timeout_ms;
    char *extra_hosts[OPTIONS_LIST_MAX];
    uint32_t extra_hosts_len;
    struct security security;
    char *kwargs; /* a JSON object's text, merged into the create request; NULL: none */
    enum sbx_on_shutdown on_shutdown;
    enum sbx_shutdown_scope shutdown_scope;
    enum profile profile;
    uint64_t vscode_port; /* on the host, of VSCODE; 0: one of its range */
    char *overlay_base; /* NULL: no mount is an overlay; may be set without one, for what earlier ones left */
    char *build_context; /* folder with the Dockerfile of images that specs have made; NULL: not known */
    char *docker_config; /* folder of config.json with the registries' credentials; NULL: there is none */
};

/* Fills `options`. Each thing wrong is told through `check`, all of them; with a NULL `check` the first is
 * left in `err` (may be NULL otherwise). -1 when there was one; options_finish() is due either way. */
int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err);
void options_finish(struct options *options);

#endif
