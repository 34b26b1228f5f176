/* create.h: the body of POST /containers/create (Engine API 1.41, ContainerCreate) for a sandbox. Pure.
 */
#ifndef DOCKER_CREATE_H
#define DOCKER_CREATE_H

#include "options/options.h"

/* On the volumes that hold a sandbox's overlays: its id. */
#define LABEL_SANDBOX "sandboxd.sandbox"

struct create_input {
    const char *backend_name;
    const char *instance_id; /* NULL: none */
    const char *sandbox_id;
    const char *session_key;
    const char *owner; /* NULL: nobody */
    const char *spec_id;
    const char *image; /* that was made for the spec; NULL: it is the spec's id */
    int64_t created_at_us;
    const struct sbx_json *spec; /* as in sbx_start */
    /* One for each of options->ports: inside, and on the host (equal with the host's network). */
    const uint16_t *container_ports, *host_ports;
};

/* Owned by the caller. NULL with err: what the spec says can't be asked for. */
struct sbx_json *create_body(const struct sbx_json_api *json, const struct options *options,
                             const struct create_input *input, struct sbx_error *err);

/* Does `{port}` stand in the command of the spec? Then the agent server listens where it is told to. */
bool create_command_takes_port(const struct sbx_json_api *json, const struct sbx_json *spec);

/* Is the port of that name published? Under `profile: runtime` VS Code's is only where the command names its plugin. */
bool create_publishes(const struct sbx_json_api *json, const struct options *options,
                      const struct sbx_json *spec, const char *name);

/* overlay.c: the private layers of mounts with mode `overlay`: OVERLAY_BASE/SANDBOX_ID/INDEX/{upper,work}. Both
 * block, and are run on the pool; they read `options` only, which does not change while an instance is open. */
int overlay_make(const struct options *options, const char *sandbox_id, struct sbx_error *err);
/* Success also where there is nothing. */
int overlay_remove(const struct options *options, const char *sandbox_id, struct sbx_error *err);
/* Owned text: lowerdir=…,upperdir=…,workdir=… for mount number `index`. */
char *overlay_mount_options(const struct options *options, const char *sandbox_id, uint32_t index);

/* privileges.c: warns of what in `request` gives sandboxes the host (Privileged, CapAdd, PidMode host, a bind of
 * the engine's socket, …), at its place in the configuration: `kwargs` as they are written in `given`. */
void privileges_warn(const struct sbx_host *host, struct sbx_check *check, const struct sbx_json *request,
                     const struct sbx_json *given);
/* What a bind of that path gives a sandbox ("the whole file system of the host"); NULL: nothing of the sort. */
const char *privileges_of_path(const char *path);

#endif
