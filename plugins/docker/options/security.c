/* security.c: `security`: what the operator takes from a sandbox's programs, or gives to them. Reads the file of a seccomp
 * profile, once. Without the option the engine does what it does by itself.
 */
#include "options/kwargs_path.h"
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

static void read_flag(struct options_reader *reader, const char *name, const sbx_json *value, bool *flag)
{
    const struct sbx_json_api *json = reader->base.host->json;
    char path[OPTION_PATH_SIZE];
    snprintf(path, sizeof path, "security.%s", name);
    if (value && json->type(value) != SBX_JSON_BOOL)
        option_complain(&reader->base, path, "must be true or false");
    *flag = json->boolean(value, 0);
}

static void read_capabilities(struct options_reader *reader, const struct capability_list *given, char **list,
                              uint32_t *len)
{
    const struct sbx_json_api *json = reader->base.host->json;
    if (given->value &&
        (json->type(given->value) != SBX_JSON_ARRAY || json->length(given->value) > OPTIONS_LIST_MAX)) {
        option_complain(&reader->base, given->path,
                        "must be a list of at most %d capabilities, such as [NET_RAW]", OPTIONS_LIST_MAX);
        return;
    }
    capabilities_check(reader, given);
    for (size_t i = 0; i < json->length(given->value); i++)
        option_copy(&list[(*len)++], json->string(json->at(given->value, i), ""));
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
    reader->security = value;
    unsigned before = base->errors;
    read_flag(reader, "no_new_privileges", option_given(base, value, "no_new_privileges"),
              &security->no_new_privileges);
    read_flag(reader, "read_only", option_given(base, value, "read_only"), &security->read_only);
    const struct capability_list drop = {"security.cap_drop", option_given(base, value, "cap_drop")};
    const struct capability_list more = {"security.cap_add", option_given(base, value, "cap_add")};
    read_capabilities(reader, &drop, security->cap_drop, &security->cap_drop_len);
    read_capabilities(reader, &more, security->cap_add, &security->cap_add_len);
    capabilities_refuse_both(reader, &more, &drop);
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

/* Does `security` have the member? A default that is written there is chosen too. */
static const sbx_json *chosen(const struct options_reader *reader, const char *member)
{
    return reader->security ? option_given(&reader->base, reader->security, member) : NULL;
}

static void refuse(struct options_reader *reader, const char *member, const char *inner, const char *what)
{
    char path[OPTION_PATH_SIZE];
    kwargs_path(path, sizeof path, reader->base.host->json, reader->kwargs, member, true, inner);
    option_complain(&reader->base, path, "%s: leave one of them out", what);
}

/* "seccomp=…", "apparmor:…", "no-new-privileges[:true]" */
static void check_option(struct options_reader *reader, size_t at, const char *text)
{
    static const char *const kinds[][2] = {
        {"seccomp", "seccomp"}, {"apparmor", "apparmor"}, {"no-new-privileges", "no_new_privileges"}};
    char inner[24], what[120];
    size_t len = strcspn(text, "=:");
    snprintf(inner, sizeof inner, "[%zu]", at);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (chosen(reader, kinds[i][1]) && len == strlen(kinds[i][0]) &&
            strncasecmp(text, kinds[i][0], len) == 0) {
            snprintf(what, sizeof what, "chooses %s, and so does security.%s", kinds[i][0], kinds[i][1]);
            refuse(reader, "SecurityOpt", inner, what);
        }
}

static void check_capabilities(struct options_reader *reader, const sbx_json *host)
{
    const struct sbx_json_api *json = reader->base.host->json;
    const struct capability_list drop = {"security.cap_drop", chosen(reader, "cap_drop")};
    const struct capability_list more = {"security.cap_add", chosen(reader, "cap_add")};
    char drop_path[OPTION_PATH_SIZE], more_path[OPTION_PATH_SIZE];
    const struct capability_list kwargs_drop = {drop_path, find(json, host, "CapDrop")};
    const struct capability_list kwargs_more = {more_path, find(json, host, "CapAdd")};
    kwargs_path(drop_path, sizeof drop_path, json, reader->kwargs, "CapDrop", true, "");
    kwargs_path(more_path, sizeof more_path, json, reader->kwargs, "CapAdd", true, "");
    capabilities_check(reader, &kwargs_drop);
    capabilities_check(reader, &kwargs_more);
    capabilities_refuse_both(reader, &kwargs_drop, &more);
    capabilities_refuse_both(reader, &kwargs_more, &drop);
    capabilities_refuse_both(reader, &kwargs_more, &kwargs_drop);
}

void options_check_security(struct options_reader *reader, const sbx_json *kwargs)
{
    const struct sbx_json_api *json = reader->base.host->json;
    const struct security *security = &reader->options->security;
    const sbx_json *host = find(json, kwargs, "HostConfig"), *list = find(json, host, "SecurityOpt");
    for (size_t i = 0; i < json->length(list); i++)
        check_option(reader, i, json->string(json->at(list, i), ""));
    if (chosen(reader, "read_only") && find(json, host, "ReadonlyRootfs"))
        refuse(reader, "ReadonlyRootfs", "", "chooses what security.read_only does, too");
    if (json->boolean(find(json, host, "Privileged"), 0) &&
        (security->cap_drop_len > 0 || chosen(reader, "seccomp") || chosen(reader, "apparmor")))
        refuse(reader, "Privileged", "", "takes away what security.cap_drop, seccomp and apparmor ask for");
    check_capabilities(reader, host);
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
