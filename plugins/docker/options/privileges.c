/* privileges.c: what in `kwargs` takes the wall between a sandbox and its host away. Only warns: an operator may want
 * just that. Names are compared without regard to case, as the engine reads them.
 */
#include "operations/create_parts.h"
#include "options/kwargs_path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PATH_SIZE = 160 };

struct warner {
    const struct sbx_host *host;
    const struct sbx_json *given; /* the option as it is written */
    const struct sbx_json_api *json;
    struct sbx_check *check;
};

static void warn(const struct warner *warner, const char *member, const char *inner, const char *what)
{
    char path[PATH_SIZE], message[256];
    kwargs_path(path, sizeof path, warner->json, warner->given, member, true, inner);
    snprintf(message, sizeof message, "gives sandboxes %s", what);
    warner->host->option_warning(warner->check, path, message);
}

const char *privileges_of_path(const char *path)
{
    static const char *const sockets[] = {"docker.sock", "containerd.sock", "podman.sock", "crio.sock"};
    static const char *const folders[] = {"/run", "/var", "/var/run", "/var/lib", "/var/lib/docker"};
    const char *slash = strrchr(path, '/');
    if (path[strspn(path, "/")] == '\0')
        return "the whole file system of the host";
    for (size_t i = 0; slash && i < sizeof sockets / sizeof *sockets; i++)
        if (strcmp(slash + 1, sockets[i]) == 0)
            return "the engine, and with it the host";
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0 &&
            path[strlen(folders[i]) + strspn(path + strlen(folders[i]), "/")] == '\0')
            return "the engine's socket or its files, and with them the host";
    return NULL;
}

/* ---- members of HostConfig ------------------------------------------------------------------- */

static void check_flag(const struct warner *warner, const char *member, const sbx_json *value,
                       const char *what)
{
    if (warner->json->boolean(value, 0))
        warn(warner, member, "", what);
}

static void check_list(const struct warner *warner, const char *member, const sbx_json *value,
                       const char *what)
{
    if (warner->json->type(value) == SBX_JSON_ARRAY && warner->json->length(value) > 0)
        warn(warner, member, "", what);
}

static void check_namespace(const struct warner *warner, const char *member, const sbx_json *value,
                            const char *what)
{
    if (strcmp(warner->json->string(value, ""), "host") == 0)
        warn(warner, member, "", what);
}

/* As an empty list: nothing is hidden any more. */
static void check_emptied(const struct warner *warner, const char *member, const sbx_json *value,
                          const char *what)
{
    if (warner->json->type(value) == SBX_JSON_ARRAY && warner->json->length(value) == 0)
        warn(warner, member, "", what);
}

static void check_security(const struct warner *warner, const char *member, const sbx_json *value,
                           const char *what)
{
    for (size_t i = 0; i < warner->json->length(value); i++) {
        const char *text = warner->json->string(warner->json->at(value, i), "");
        char inner[32];
        snprintf(inner, sizeof inner, "[%zu]", i);
        if (strcasestr(text, "unconfined") || strcasestr(text, "disable"))
            warn(warner, member, inner, what);
    }
}

/* "SOURCE:TARGET[:MODE]" */
static void check_binds(const struct warner *warner, const char *member, const sbx_json *value,
                        const char *what)
{
    (void)what;
    for (size_t i = 0; i < warner->json->length(value); i++) {
        const char *text = warner->json->string(warner->json->at(value, i), "");
        char inner[32], source[256];
        snprintf(inner, sizeof inner, "[%zu]", i);
        snprintf(source, sizeof source, "%.*s", (int)strcspn(text, ":"), text);
        if (*source && privileges_of_path(source))
            warn(warner, member, inner, privileges_of_path(source));
    }
}

static const sbx_json *find(const struct sbx_json_api *json, const sbx_json *object, const char *name)
{
    for (size_t i = 0; i < json->length(object) && json->type(object) == SBX_JSON_OBJECT; i++) {
        const sbx_json *value;
        if (strcasecmp(json->member(object, i, &value), name) == 0)
            return value;
    }
    return NULL;
}

static void check_mounts(const struct warner *warner, const char *member, const sbx_json *value,
                         const char *what)
{
    (void)what;
    for (size_t i = 0; i < warner->json->length(value); i++) {
        const sbx_json *mount = warner->json->at(value, i);
        const char *source = warner->json->string(find(warner->json, mount, "Source"), "");
        char inner[32];
        snprintf(inner, sizeof inner, "[%zu]", i);
        if (*source == '/' && privileges_of_path(source))
            warn(warner, member, inner, privileges_of_path(source));
    }
}

static void check_restart(const struct warner *warner, const char *member, const sbx_json *value,
                          const char *what)
{
    const char *policy = warner->json->string(find(warner->json, value, "Name"), "");
    if (*policy && strcmp(policy, "no") != 0)
        warn(warner, member, "", what);
}

static const struct {
    const char *name;
    void (*look)(const struct warner *warner, const char *member, const sbx_json *value, const char *what);
    const char *what;
} checks[] = {
    {"Privileged", check_flag, "the host: a privileged container is root on it"},
    {"CapAdd", check_list, "more rights than the engine's default ones"},
    {"Devices", check_list, "devices of the host"},
    {"DeviceCgroupRules", check_list, "devices of the host"},
    {"PidMode", check_namespace, "the host's processes"},
    {"IpcMode", check_namespace, "the host's shared memory"},
    {"UTSMode", check_namespace, "the host's name"},
    {"CgroupnsMode", check_namespace, "the view of all control groups of the host"},
    {"UsernsMode", check_namespace, "the host's user ids, where the engine would have mapped them"},
    {"NetworkMode", check_namespace,
     "the host's network, and no published ports: the option for that is network: host"},
    {"SecurityOpt", check_security, "the kernel without one of its guards"},
    {"MaskedPaths", check_emptied, "what the engine hides of /proc and /sys"},
    {"ReadonlyPaths", check_emptied, "what the engine protects of /proc and /sys"},
    {"Binds", check_binds, NULL},
    {"Mounts", check_mounts, NULL},
    {"RestartPolicy", check_restart,
     "another run by the engine when they end, or when it starts, also those that are paused by a stop"},
    {"AutoRemove", check_flag, "no trace: an ended one vanishes with its log, and can't be resumed"},
};

void privileges_warn(const struct sbx_host *host, struct sbx_check *check, const struct sbx_json *request,
                     const struct sbx_json *given)
{
    const struct warner warner = {.host = host, .given = given, .json = host->json, .check = check};
    const sbx_json *config = host->json->get(request, "HostConfig");
    for (size_t i = 0; i < host->json->length(config); i++) {
        const sbx_json *value;
        const char *name = host->json->member(config, i, &value);
        for (size_t k = 0; k < sizeof checks / sizeof *checks; k++)
            if (strcasecmp(checks[k].name, name) == 0)
                checks[k].look(&warner, name, value, checks[k].what);
    }
}
