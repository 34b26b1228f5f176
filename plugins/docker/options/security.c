/* security.c: `security`: what the operator takes from a sandbox's programs, or gives to them. Reads the file of a seccomp
 * profile, once. Without the option the engine does what it does by itself.
 */
#include "options/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROFILE_MAX = 1024 * 1024 }; /* bytes of a seccomp profile; the engine's own has 14,000 */

static const struct option members[] = {
    {.name = "no_new_privileges", .type = OPTION_OTHER}, {.name = "cap_drop", .type = OPTION_OTHER},
    {.name = "cap_add", .type = OPTION_OTHER},           {.name = "seccomp", .type = OPTION_OTHER},
    {.name = "apparmor", .type = OPTION_OTHER},          {.name = "read_only", .type = OPTION_OTHER},
};
const struct option_table security_table = {"member", members, sizeof members / sizeof *members};

/* capabilities(7), Linux 5.9 and later, without CAP_ */
static const char *const capabilities[] = {"AUDIT_CONTROL",   "AUDIT_READ",   "AUDIT_WRITE",
                                           "BLOCK_SUSPEND",   "BPF",          "CHECKPOINT_RESTORE",
                                           "CHOWN",           "DAC_OVERRIDE", "DAC_READ_SEARCH",
                                           "FOWNER",          "FSETID",       "IPC_LOCK",
                                           "IPC_OWNER",       "KILL",         "LEASE",
                                           "LINUX_IMMUTABLE", "MAC_ADMIN",    "MAC_OVERRIDE",
                                           "MKNOD",           "NET_ADMIN",    "NET_BIND_SERVICE",
                                           "NET_BROADCAST",   "NET_RAW",      "PERFMON",
                                           "SETFCAP",         "SETGID",       "SETPCAP",
                                           "SETUID",          "SYSLOG",       "SYS_ADMIN",
                                           "SYS_BOOT",        "SYS_CHROOT",   "SYS_MODULE",
                                           "SYS_NICE",        "SYS_PACCT",    "SYS_PTRACE",
                                           "SYS_RAWIO",       "SYS_RESOURCE", "SYS_TIME",
                                           "SYS_TTY_CONFIG",  "WAKE_ALARM",   "ALL"};

/* The engine takes them with and without CAP_, in any case. */
static bool is_capability(const char *text)
{
    text += strncasecmp(text, "CAP_", 4) == 0 ? 4 : 0;
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        if (strcasecmp(text, capabilities[i]) == 0)
            return true;
    return false;
}

static void read_flag(struct options_reader *reader, const char *name, const sbx_json *value, bool *flag)
{
    const struct sbx_json_api *json = reader->base.host->json;
    char path[OPTION_PATH_SIZE];
    snprintf(path, sizeof path, "security.%s", name);
    if (value && json->type(value) != SBX_JSON_BOOL)
        option_complain(&reader->base, path, "must be true or false");
    *flag = json->boolean(value, 0);
}

static void read_capabilities(struct options_reader *reader, const char *name, const sbx_json *value,
                              char **list, uint32_t *len)
{
    const struct sbx_json_api *json = reader->base.host->json;
    char path[OPTION_PATH_SIZE];
    snprintf(path, sizeof path, "security.%s", name);
    if (value && (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_LIST_MAX)) {
        option_complain(&reader->base, path, "must be a list of at most %d capabilities, such as [NET_RAW]",
                        OPTIONS_LIST_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const char *text = json->string(json->at(value, i), "");
        snprintf(path, sizeof path, "security.%s[%zu]", name, i);
        if (is_capability(text))
            option_copy(&list[(*len)++], text);
        else
            option_complain(&reader->base, path,
                            "must be ALL or a capability of capabilities(7), such as NET_RAW or CAP_NET_RAW");
    }
}

/* Owned; NULL with a complaint. What is no ordinary file is not waited for. */
static char *read_file(struct options_reader *reader, const char *file, size_t *len)
{
    struct stat info;
    char *text = NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) != 0) {
        option_complain(&reader->base, "security.seccomp", "%.300s can't be read: %s", file, strerror(errno));
    } else if (!S_ISREG(info.st_mode) || info.st_size > PROFILE_MAX) {
        option_complain(&reader->base, "security.seccomp", "%.300s must be an ordinary file of at most 1 MiB",
                        file);
    } else {
        size_t size = (size_t)info.st_size;
        if (!(text = malloc(size + 1)))
            abort();
        ssize_t got = 0;
        for (*len = 0; *len < size && (got = read(fd, text + *len, size - *len)) > 0;)
            *len += (size_t)got;
        if (got < 0) {
            option_complain(&reader->base, "security.seccomp", "%.300s can't be read: %s", file,
                            strerror(errno));
            free(text);
            text = NULL;
        }
    }
    if (fd >= 0)
        close(fd);
    return text;
}

/* The engine takes a profile's text, and no path: the file is the daemon's, and not the engine's machine's. */
static void read_profile(struct options_reader *reader, const char *file)
{
    const struct sbx_json_api *json = reader->base.host->json;
    size_t len = 0;
    char *text = read_file(reader, file, &len);
    if (!text)
        return;
    sbx_json *profile = json->parse(text, len, NULL);
    if (json->type(profile) == SBX_JSON_OBJECT && json->string(json->get(profile, "defaultAction"), NULL))
        option_copy(&reader->options->security.seccomp, json->text(profile, NULL));
    else
        option_complain(&reader->base, "security.seccomp",
                        "%.300s must be a seccomp profile of the engine: a JSON object with a defaultAction",
                        file);
    json->free(profile);
    free(text);
}

static void read_seccomp(struct options_reader *reader, const sbx_json *value)
{
    const char *text = reader->base.host->json->string(value, "");
    if (!value || strcmp(text, "default") == 0)
        return;
    if (strcmp(text, "unconfined") == 0)
        option_copy(&reader->options->security.seccomp, text);
    else if (*text == '/')
        read_profile(reader, text);
    else
        option_complain(&reader->base, "security.seccomp",
                        "must be default, unconfined or the absolute path of a profile");
}

static void read_apparmor(struct options_reader *reader, const sbx_json *value)
{
    const char *text = reader->base.host->json->string(value, "");
    if (!value || strcmp(text, "default") == 0)
        return;
    if (options_is_name(text, "_.-/", 128))
        option_copy(&reader->options->security.apparmor, text);
    else
        option_complain(&reader->base, "security.apparmor",
                        "must be default, unconfined or the name of a profile that the engine's machine has "
                        "loaded");
}

/* ---- what it comes to ---- */

static void add(char *line, size_t size, const char *text)
{
    size_t len = strlen(line);
    snprintf(line + len, size - len, "%s", text);
}

static void add_list(char *line, size_t size, const char *what, char *const *list, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        add(line, size, i == 0 ? what : ", ");
        add(line, size, list[i]);
    }
}

static void tell(struct options_reader *reader)
{
    const struct security *security = &reader->options->security;
    char line[480] = "";
    add(line, sizeof line,
        security->no_new_privileges ? "set-user-ID programs (sudo) gain nothing"
                                    : "set-user-ID programs (sudo) work");
    add_list(line, sizeof line, "; without the capabilities ", security->cap_drop, security->cap_drop_len);
    add_list(line, sizeof line, "; with the capabilities ", security->cap_add, security->cap_add_len);
    add(line, sizeof line,
        !security->seccomp                             ? "; the engine's seccomp profile"
        : strcmp(security->seccomp, "unconfined") == 0 ? "; no seccomp profile"
                                                       : "; a seccomp profile of your own");
    add(line, sizeof line, "; AppArmor: ");
    add(line, sizeof line, security->apparmor ? security->apparmor : "the engine's");
    add(line, sizeof line,
        security->read_only ? "; the image can't be written to" : "; the image can be written to");
    option_note(&reader->base, "security", "%s", line);
}

void options_read_security(struct options_reader *reader, const sbx_json *value)
{
    struct security *security = &reader->options->security;
    struct option_reader *base = &reader->base;
    if (!value || base->host->json->type(value) != SBX_JSON_OBJECT)
        return;
    unsigned before = base->errors;
    read_flag(reader, "no_new_privileges", option_given(base, value, "no_new_privileges"),
              &security->no_new_privileges);
    read_flag(reader, "read_only", option_given(base, value, "read_only"), &security->read_only);
    read_capabilities(reader, "cap_drop", option_given(base, value, "cap_drop"), security->cap_drop,
                      &security->cap_drop_len);
    read_capabilities(reader, "cap_add", option_given(base, value, "cap_add"), security->cap_add,
                      &security->cap_add_len);
    read_seccomp(reader, option_given(base, value, "seccomp"));
    read_apparmor(reader, option_given(base, value, "apparmor"));
    if (base->errors > before)
        return;
    tell(reader);
    if (security->cap_add_len > 0)
        option_warn(base, "security.cap_add", "gives sandboxes more rights than the engine's default ones");
    if (security->seccomp && strcmp(security->seccomp, "unconfined") == 0)
        option_warn(base, "security.seccomp", "gives sandboxes the kernel without one of its guards");
    if (security->apparmor && strcmp(security->apparmor, "unconfined") == 0)
        option_warn(base, "security.apparmor", "gives sandboxes the kernel without one of its guards");
}

/* ---- beside kwargs ---- */

static const sbx_json *find(const struct sbx_json_api *json, const sbx_json *object, const char *name)
{
    const sbx_json *found = NULL;
    for (size_t i = 0; json->type(object) == SBX_JSON_OBJECT && i < json->length(object); i++) {
        const sbx_json *value;
        if (strcasecmp(json->member(object, i, &value), name) == 0)
            found = value;
    }
    return found;
}

/* "seccomp=…", "apparmor:…", "no-new-privileges[:true]" */
static void check_option(struct options_reader *reader, const char *text)
{
    const struct security *security = &reader->options->security;
    const struct {
        const char *name, *member;
        bool chosen;
    } kinds[] = {{"seccomp", "seccomp", security->seccomp != NULL},
                 {"apparmor", "apparmor", security->apparmor != NULL},
                 {"no-new-privileges", "no_new_privileges", security->no_new_privileges}};
    size_t len = strcspn(text, "=:");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].chosen && len == strlen(kinds[i].name) && strncasecmp(text, kinds[i].name, len) == 0)
            option_complain(&reader->base, "kwargs",
                            "its security options choose %s, and so does security.%s: leave one of them out",
                            kinds[i].name, kinds[i].member);
}

void options_check_security(struct options_reader *reader, const sbx_json *kwargs)
{
    const struct sbx_json_api *json = reader->base.host->json;
    const struct security *security = &reader->options->security;
    const sbx_json *host = find(json, kwargs, "HostConfig"), *list = find(json, host, "SecurityOpt");
    for (size_t i = 0; i < json->length(list); i++)
        check_option(reader, json->string(json->at(list, i), ""));
    if (security->read_only && find(json, host, "ReadonlyRootfs"))
        option_complain(
            &reader->base, "kwargs",
            "it chooses ReadonlyRootfs (read_only), and so does security.read_only: leave one of them out");
    if (json->boolean(find(json, host, "Privileged"), 0) &&
        (security->cap_drop_len > 0 || security->seccomp || security->apparmor))
        option_complain(&reader->base, "kwargs",
                        "Privileged (privileged) takes away what security.cap_drop, seccomp and apparmor ask "
                        "for: leave one of them out");
}

void security_finish(struct security *security)
{
    for (uint32_t i = 0; i < security->cap_drop_len; i++)
        free(security->cap_drop[i]);
    for (uint32_t i = 0; i < security->cap_add_len; i++)
        free(security->cap_add[i]);
    free(security->seccomp);
    free(security->apparmor);
}
