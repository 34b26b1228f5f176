/* capabilities.c: lists of capabilities, of `security` and of `kwargs`: their names, and what contradicts itself in them.
 */
#include "options/parts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

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
static const char *short_name(const char *text)
{
    return text + (strncasecmp(text, "CAP_", 4) == 0 ? 4 : 0);
}

static bool is_capability(const char *text)
{
    if (strcasecmp(text, "CAP_ALL") == 0)
        return false; /* the engine has no such name */
    text = short_name(text);
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        if (strcasecmp(text, capabilities[i]) == 0)
            return true;
    return false;
}

static const char *text_at(const struct options_reader *reader, const sbx_json *list, size_t at)
{
    const struct sbx_json_api *json = reader->base.host->json;
    return json->string(json->at(list, at), "");
}

/* Has one of the first `count` that name? */
static bool has(const struct options_reader *reader, const sbx_json *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(short_name(text_at(reader, list, i)), short_name(name)) == 0)
            return true;
    return false;
}

static size_t length(const struct options_reader *reader, const struct capability_list *list)
{
    const struct sbx_json_api *json = reader->base.host->json;
    return json->type(list->value) == SBX_JSON_ARRAY ? json->length(list->value) : 0;
}

void capabilities_check(struct options_reader *reader, const struct capability_list *list)
{
    for (size_t i = 0; i < length(reader, list); i++) {
        const char *text = text_at(reader, list->value, i);
        char path[OPTION_PATH_SIZE + 24];
        snprintf(path, sizeof path, "%s[%zu]", list->path, i);
        if (!is_capability(text))
            option_complain(&reader->base, path,
                            "must be ALL or a capability of capabilities(7), such as NET_RAW or CAP_NET_RAW");
        else if (has(reader, list->value, i, text))
            option_complain(&reader->base, path, "%s stands in this list twice: leave one of them out", text);
    }
}

void capabilities_refuse_both(struct options_reader *reader, const struct capability_list *list,
                              const struct capability_list *other)
{
    for (size_t i = 0; i < length(reader, list); i++) {
        const char *text = text_at(reader, list->value, i);
        char path[OPTION_PATH_SIZE + 24];
        snprintf(path, sizeof path, "%s[%zu]", list->path, i);
        if (is_capability(text) && has(reader, other->value, length(reader, other), text))
            option_complain(
                &reader->base, path,
                "%s stands in %s too, and is given or taken away, not both: leave one of them out", text,
                other->path);
    }
}
