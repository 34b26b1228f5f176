/* mounts.c: `mounts`: folders of the host, named volumes and overlays, each in the form that the engine takes.
 *
 * A bind is "SOURCE:TARGET:MODE" (Engine API 1.41, HostConfig.Binds), so no path in one may hold a colon. The layers
 * of an overlay are in one text too, divided by ':' and ',' with '\' to escape (the kernel's
 * filesystems/overlayfs), and the engine's volume driver takes none of them quoted: they are refused.
 */
#include "operations/create.h"
#include "options/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ID "{id}"
enum { PATH_LEN_MAX = 1024 }; /* three of them, for an overlay, fit into the page that mount(2) takes */

/* The modes of a bind; of each group at most one. */
static const struct mode {
    const char *name;
    unsigned group;
    bool folders, volumes;
} modes[] = {
    {"rw", 1, true, true},          {"ro", 1, true, true},        {"z", 2, true, true},
    {"Z", 2, true, true},           {"nocopy", 4, false, true},   {"shared", 8, true, false},
    {"slave", 8, true, false},      {"private", 8, true, false},  {"rshared", 8, true, false},
    {"rslave", 8, true, false},     {"rprivate", 8, true, false}, {"consistent", 16, true, false},
    {"delegated", 16, true, false}, {"cached", 16, true, false},
};

static bool is_mode(const char *text, bool volume)
{
    unsigned groups = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        const struct mode *found = NULL;
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
            if (strlen(modes[i].name) == len && strncmp(modes[i].name, at, len) == 0)
                found = &modes[i];
        if (!found || (groups & found->group) || !(volume ? found->volumes : found->folders))
            return false;
        groups |= found->group;
        at += len;
        if (*at == '\0')
            return true;
    }
}

/* The shortest form of an absolute path: no "//", no "/./", no slash at its end. Why it has none, or NULL. */
static const char *shorten(char *path)
{
    if (*path != '/')
        return "must be an absolute path";
    if (strlen(path) > PATH_LEN_MAX)
        return "must be a path of at most 1024 bytes";
    char *to = path;
    for (const char *at = path; *at;) {
        at += strspn(at, "/");
        size_t len = strcspn(at, "/");
        if (len == 2 && strncmp(at, "..", 2) == 0)
            return "must be a path without \"..\"";
        if (len > 0 && !(len == 1 && *at == '.')) {
            *to++ = '/';
            memmove(to, at, len);
            to += len;
        }
        at += len;
    }
    if (to == path)
        to++; /* the root itself */
    *to = '\0';
    return NULL;
}

/* A name as the engine allows it, with "{id}" anywhere in it. */
static bool is_volume(const char *name)
{
    char text[256];
    size_t len = 0;
    for (const char *at = name; *at; len++) {
        bool id = strncmp(at, ID, strlen(ID)) == 0;
        if (len + 1 >= sizeof text)
            return false;
        text[len] = id ? 'i' : *at;
        at += id ? strlen(ID) : 1;
    }
    text[len] = '\0';
    return (len >= 2 || strcmp(name, ID) == 0) && options_is_name(text, "_.-", 128);
}

/* What there is to one mount, as it was written; then it moves to options->mounts. */
struct written {
    char *host_path, *container_path, *mode;
};
#define AT(member) offsetof(struct written, member)
static const struct option members[] = {
    {"host_path", OPTION_TEXT, AT(host_path), .text = NULL},
    {"container_path", OPTION_TEXT, AT(container_path), .text = NULL},
    {"mode", OPTION_TEXT, AT(mode), .text = "rw"},
};
static const struct option_table members_table = {"member", members, sizeof members / sizeof *members};

static void complain_of(struct options_reader *reader, const char *path, const char *member,
                        const char *message)
{
    char inner[OPTION_PATH_SIZE];
    snprintf(inner, sizeof inner, "%s.%s", path, member);
    option_complain(&reader->base, inner, "%s", message);
}

static const char has_colon[] =
    "can't have a ':' in it: the engine takes source, target and mode as one text divided by them";
static const char has_id[] =
    "can't have {id} in it, which is replaced in the names of volumes alone: all sandboxes would share it";

static void read_source(struct options_reader *reader, const char *path, struct mount *mount, bool overlay)
{
    char *source = mount->source;
    bool named = strncmp(source, "volume:", 7) == 0;
    if (named)
        memmove(source, source + 7, strlen(source + 7) + 1);
    const char *why = NULL;
    if (!named && *source == '/') {
        mount->kind = overlay ? MOUNT_OVERLAY : MOUNT_FOLDER;
        why = shorten(source);
        if (!why && strstr(source, ID))
            why = has_id;
        else if (!why && overlay && strpbrk(source, ":,\\"))
            why = "the folder under an overlay can't have ':', ',' or '\\' in its path";
        else if (!why && !overlay && strchr(source, ':'))
            why = has_colon;
        else if (!why && overlay && !reader->options->overlay_base)
            why = "an overlay needs overlay_base, the folder for what sandboxes write";
    } else {
        mount->kind = MOUNT_VOLUME;
        if (overlay)
            why = "an overlay needs the absolute path of a folder on the host";
        else if (!is_volume(source))
            why = "must be an absolute path, or a volume's name: letters, digits, '_', '.', '-' and {id}, "
                  "at least two, the first a letter or a digit";
    }
    if (why)
        complain_of(reader, path, "host_path", why);
    else if (mount->kind == MOUNT_FOLDER && privileges_of_path(source))
        option_warn(&reader->base, path, "gives sandboxes %s", privileges_of_path(source));
}

static void read_target(struct options_reader *reader, const char *path, const struct mount *mount)
{
    const struct options *options = reader->options;
    const char *why = shorten(mount->target);
    if (!why && strcmp(mount->target, "/") == 0)
        why = "can't be the root of the container";
    else if (!why && strstr(mount->target, ID))
        why = "can't have {id} in it, which is replaced in the names of volumes alone";
    else if (!why && mount->kind != MOUNT_OVERLAY && strchr(mount->target, ':'))
        why = has_colon;
    for (uint32_t i = 0; !why && i < options->mounts_len; i++)
        if (strcmp(options->mounts[i].target, mount->target) == 0)
            why = "another mount has the same one";
    if (why)
        complain_of(reader, path, "container_path", why);
}

static void read_mount(struct options_reader *reader, const char *path, const sbx_json *value)
{
    struct written written;
    unsigned before = reader->base.errors;
    option_defaults(&members_table, &written);
    option_read(&reader->base, path, value, &members_table, &written);
    bool whole = written.host_path && written.container_path;
    if (!whole && reader->base.errors == before)
        option_complain(&reader->base, path, "%s is missing",
                        written.host_path ? "container_path" : "host_path");
    if (!whole || reader->base.errors != before) {
        free(written.host_path);
        free(written.container_path);
        free(written.mode);
        return;
    }
    struct mount mount = {
        .source = written.host_path, .target = written.container_path, .mode = written.mode};
    bool overlay = strcmp(mount.mode, "overlay") == 0;
    read_source(reader, path, &mount, overlay);
    read_target(reader, path, &mount);
    if (overlay)
        option_copy(&mount.mode, "");
    else if (!is_mode(mount.mode, mount.kind == MOUNT_VOLUME))
        complain_of(
            reader, path, "mode",
            mount.kind == MOUNT_VOLUME
                ? "must be rw or ro, for a volume also with z, Z or nocopy after a comma"
                : "must be rw, ro or overlay; rw and ro also with z or Z, a propagation (rslave, …) or a "
                  "consistency (cached, …) after a comma");
    reader->options->mounts[reader->options->mounts_len++] = mount;
}

/* What overlay.c refuses at each start. A warning only: a daemon that does not start serves no other sandbox either. */
static void check_base(struct options_reader *reader)
{
    const char *base = reader->options->overlay_base;
    struct stat status;
    if (lstat(base, &status) != 0)
        return; /* it is made */
    if (!S_ISDIR(status.st_mode))
        option_warn(&reader->base, "overlay_base", "%.300s is no folder: starts with an overlay will fail",
                    base);
    else if (status.st_mode & (S_IWGRP | S_IWOTH))
        option_warn(&reader->base, "overlay_base",
                    "%.300s may be written to by others: starts with an overlay will fail; give it mode 0700",
                    base);
}

void options_read_mounts(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    const char *base = reader->options->overlay_base;
    if (base && strpbrk(base, ":,\\"))
        option_complain(&reader->base, "overlay_base", "can't have ':', ',' or '\\' in it");
    else if (base && shorten(reader->options->overlay_base))
        option_complain(&reader->base, "overlay_base", "must be a path without \"..\"");
    else if (base && strcmp(base, "/") == 0)
        option_complain(&reader->base, "overlay_base", "must be a folder of its own");
    else if (base)
        check_base(reader);
    if (!value)
        return;
    if (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_MOUNTS_MAX) {
        option_complain(&reader->base, "mounts",
                        "must be a list of at most %d mappings of host_path, "
                        "container_path and mode",
                        OPTIONS_MOUNTS_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        char path[48];
        snprintf(path, sizeof path, "mounts[%zu]", i);
        if (json->type(json->at(value, i)) == SBX_JSON_OBJECT)
            read_mount(reader, path, json->at(value, i));
        else
            option_complain(&reader->base, path, "must be a mapping of host_path, container_path and mode");
    }
}
