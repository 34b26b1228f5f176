/* kwargs_rules.c: what the engine takes as the value of each setting (Engine API, ContainerCreate): its type, its range and the
 * members of a mapping. A table alone and the walk through it; what depends on other settings, on the kernel or on the
 * engine's machine is left to the engine.
 */
#include "operations/create_parts.h"
#include "options/kwargs_path.h"
#include "options/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { RULE_PATH_SIZE = 400 };

enum shape {
    TEXT,
    CHOICE, /* a text, one of `choices` or empty */
    FLAG,
    NUMBER, /* `min` to `max`, or `floor` to 0 */
    TEXTS,
    LIST, /* of what is not looked at */
    TEXT_MAP,
    MAPPING, /* of `members`, as the next; NULL: not looked at */
    MAPPINGS /* a list of them */
};

struct rule {
    const char *name; /* the engine's; NULL: the end */
    enum shape shape;
    bool due; /* neither null nor absent */
    int64_t min, max, floor;
    const char *const *choices;
    const struct rule *members;
};

struct walk {
    struct options_reader *reader;
    const struct sbx_json_api *json;
};

/* ---- the table ---- */

#define AT_LEAST(from) .shape = NUMBER, .min = (from), .max = INT64_MAX
#define BETWEEN(from, to) .shape = NUMBER, .min = (from), .max = (to)
#define ANY_NUMBER .shape = NUMBER, .min = INT64_MIN, .max = INT64_MAX
#define NANOSECONDS AT_LEAST(1000000) /* of a health check: 1 ms, or 0 for the image's */

static const char *const limits[] = {"core",     "cpu",        "data",   "fsize", "locks", "memlock",
                                     "msgqueue", "nice",       "nofile", "nproc", "rss",   "rtprio",
                                     "rttime",   "sigpending", "stack",  NULL};
static const struct rule ulimit[] = {{"Name", .shape = CHOICE, .choices = limits, .due = true},
                                     {"Soft", AT_LEAST(-1)},
                                     {"Hard", AT_LEAST(-1)},
                                     {0}};
static const char *const policies[] = {"no", "always", "unless-stopped", "on-failure", NULL};
static const struct rule restart[] = {
    {"Name", .shape = CHOICE, .choices = policies}, {"MaximumRetryCount", AT_LEAST(0)}, {0}};
static const struct rule log_config[] = {{"Type", .shape = TEXT}, {"Config", .shape = TEXT_MAP}, {0}};
static const struct rule weight[] = {{"Path", .shape = TEXT}, {"Weight", BETWEEN(10, 1000)}, {0}};
static const struct rule rate[] = {{"Path", .shape = TEXT}, {"Rate", AT_LEAST(0)}, {0}};
static const struct rule device[] = {{"PathOnHost", .shape = TEXT},
                                     {"PathInContainer", .shape = TEXT},
                                     {"CgroupPermissions", .shape = TEXT},
                                     {0}};
static const struct rule request[] = {{"Driver", .shape = TEXT},      {"Count", ANY_NUMBER},
                                      {"DeviceIDs", .shape = TEXTS},  {"Capabilities", .shape = LIST},
                                      {"Options", .shape = TEXT_MAP}, {0}};
static const struct rule health[] = {{"Test", .shape = TEXTS},
                                     {"Interval", NANOSECONDS},
                                     {"Timeout", NANOSECONDS},
                                     {"StartPeriod", NANOSECONDS},
                                     {"StartInterval", NANOSECONDS},
                                     {"Retries", AT_LEAST(0)},
                                     {0}};

static const struct rule container[] = {{"Hostname", .shape = TEXT},
                                        {"Domainname", .shape = TEXT},
                                        {"User", .shape = TEXT},
                                        {"AttachStdin", .shape = FLAG},
                                        {"AttachStdout", .shape = FLAG},
                                        {"AttachStderr", .shape = FLAG},
                                        {"ExposedPorts", .shape = MAPPING, .due = true},
                                        {"Tty", .shape = FLAG},
                                        {"OpenStdin", .shape = FLAG},
                                        {"StdinOnce", .shape = FLAG},
                                        {"Env", .shape = LIST, .due = true},
                                        {"Healthcheck", .shape = MAPPING, .members = health},
                                        {"ArgsEscaped", .shape = FLAG},
                                        {"Volumes", .shape = MAPPING},
                                        {"WorkingDir", .shape = TEXT},
                                        {"NetworkDisabled", .shape = FLAG},
                                        {"MacAddress", .shape = TEXT},
                                        {"OnBuild", .shape = TEXTS},
                                        {"Labels", .shape = TEXT_MAP, .due = true},
                                        {"StopSignal", .shape = TEXT},
                                        {"StopTimeout", ANY_NUMBER},
                                        {"NetworkingConfig", .shape = MAPPING, .due = true},
                                        {0}};

static const struct rule host_config[] = {{"Annotations", .shape = TEXT_MAP},
                                          {"AutoRemove", .shape = FLAG},
                                          {"Binds", .shape = TEXTS},
                                          {"BlkioDeviceReadBps", .shape = MAPPINGS, .members = rate},
                                          {"BlkioDeviceReadIOps", .shape = MAPPINGS, .members = rate},
                                          {"BlkioDeviceWriteBps", .shape = MAPPINGS, .members = rate},
                                          {"BlkioDeviceWriteIOps", .shape = MAPPINGS, .members = rate},
                                          {"BlkioWeight", BETWEEN(10, 1000)},
                                          {"BlkioWeightDevice", .shape = MAPPINGS, .members = weight},
                                          {"CapAdd", .shape = TEXTS},
                                          {"CapDrop", .shape = TEXTS},
                                          {"Cgroup", .shape = TEXT},
                                          {"CgroupParent", .shape = TEXT},
                                          {"CgroupnsMode", .shape = TEXT},
                                          {"ConsoleSize", .shape = LIST},
                                          {"ContainerIDFile", .shape = TEXT},
                                          {"CpuCount", AT_LEAST(0)},
                                          {"CpuPercent", AT_LEAST(0)},
                                          {"CpuPeriod", BETWEEN(1000, 1000000)},
                                          {"CpuQuota", AT_LEAST(1000), .floor = -1},
                                          {"CpuRealtimePeriod", AT_LEAST(0)},
                                          {"CpuRealtimeRuntime", AT_LEAST(-1)},
                                          {"CpuShares", AT_LEAST(0)},
                                          {"CpusetCpus", .shape = TEXT},
                                          {"CpusetMems", .shape = TEXT},
                                          {"DeviceCgroupRules", .shape = TEXTS},
                                          {"DeviceRequests", .shape = MAPPINGS, .members = request},
                                          {"Devices", .shape = MAPPINGS, .members = device},
                                          {"Dns", .shape = TEXTS},
                                          {"DnsOptions", .shape = TEXTS},
                                          {"DnsSearch", .shape = TEXTS},
                                          {"ExtraHosts", .shape = TEXTS},
                                          {"GroupAdd", .shape = TEXTS},
                                          {"IOMaximumBandwidth", AT_LEAST(0)},
                                          {"IOMaximumIOps", AT_LEAST(0)},
                                          {"Init", .shape = FLAG},
                                          {"IpcMode", .shape = TEXT},
                                          {"Isolation", .shape = TEXT},
                                          {"KernelMemory", AT_LEAST(0)},
                                          {"KernelMemoryTCP", AT_LEAST(0)},
                                          {"Links", .shape = TEXTS},
                                          {"LogConfig", .shape = MAPPING, .members = log_config},
                                          {"MaskedPaths", .shape = TEXTS},
                                          {"Memory", AT_LEAST(0)},
                                          {"MemoryReservation", AT_LEAST(0)},
                                          {"MemorySwap", AT_LEAST(-1)},
                                          {"MemorySwappiness", BETWEEN(0, 100)},
                                          {"Mounts", .shape = MAPPINGS},
                                          {"NanoCpus", AT_LEAST(0)},
                                          {"NetworkMode", .shape = TEXT},
                                          {"OomKillDisable", .shape = FLAG},
                                          {"OomScoreAdj", BETWEEN(-1000, 1000)},
                                          {"PidMode", .shape = TEXT},
                                          {"PidsLimit", ANY_NUMBER},
                                          {"PortBindings", .shape = MAPPING},
                                          {"Privileged", .shape = FLAG},
                                          {"PublishAllPorts", .shape = FLAG},
                                          {"ReadonlyPaths", .shape = TEXTS},
                                          {"ReadonlyRootfs", .shape = FLAG},
                                          {"RestartPolicy", .shape = MAPPING, .members = restart},
                                          {"Runtime", .shape = TEXT},
                                          {"SecurityOpt", .shape = TEXTS},
                                          {"ShmSize", AT_LEAST(0)},
                                          {"StorageOpt", .shape = TEXT_MAP},
                                          {"Sysctls", .shape = TEXT_MAP},
                                          {"Tmpfs", .shape = TEXT_MAP},
                                          {"UTSMode", .shape = TEXT},
                                          {"Ulimits", .shape = MAPPINGS, .members = ulimit},
                                          {"UsernsMode", .shape = TEXT},
                                          {"VolumeDriver", .shape = TEXT},
                                          {"VolumesFrom", .shape = TEXTS},
                                          {0}};

/* ---- the walk ---- */

static const struct rule *find(const struct rule *rules, const char *name)
{
    for (; rules->name; rules++)
        if (strcasecmp(rules->name, name) == 0)
            return rules;
    return NULL;
}

static void complain(const struct walk *walk, const char *path, const char *what)
{
    option_complain(&walk->reader->base, path, "%s", what);
}

/* "Name, Soft, Hard" */
static void list_names(char *list, size_t size, const struct rule *rules, const char *const *names)
{
    list[0] = '\0';
    for (size_t i = 0; rules ? rules[i].name != NULL : names[i] != NULL; i++) {
        size_t len = strlen(list);
        snprintf(list + len, size - len, "%s%s", i > 0 ? ", " : "", rules ? rules[i].name : names[i]);
    }
}

static void check_number(const struct walk *walk, const struct rule *rule, const char *path,
                         const sbx_json *value)
{
    const struct sbx_json_api *json = walk->json;
    int64_t number = json->integer(value, 0);
    char what[160], range[80] = "";
    if (json->type(value) == SBX_JSON_INT &&
        ((number >= rule->min && number <= rule->max) || (number >= rule->floor && number <= 0)))
        return;
    if (rule->max < INT64_MAX)
        snprintf(range, sizeof range, " from %" PRId64 " to %" PRId64, rule->min, rule->max);
    else if (rule->min > INT64_MIN)
        snprintf(range, sizeof range, ", at least %" PRId64, rule->min);
    snprintf(what, sizeof what, "must be a whole number%s%s", range,
             rule->min <= 0    ? ""
             : rule->floor < 0 ? ", or 0, or -1 for no limit"
                               : ", or 0");
    complain(walk, path, what);
}

static void check_choice(const struct walk *walk, const struct rule *rule, const char *path,
                         const sbx_json *value)
{
    const char *text = walk->json->string(value, "?");
    char list[200];
    for (const char *const *choice = rule->choices; *choice; choice++)
        if (strcmp(*choice, text) == 0)
            return;
    if (*text == '\0' && !rule->due)
        return;
    list_names(list, sizeof list, NULL, rule->choices);
    option_complain(&walk->reader->base, path, "must be one of %s", list);
}

static void check_texts(const struct walk *walk, const char *path, const sbx_json *value)
{
    for (size_t i = 0; i < walk->json->length(value); i++) {
        char inner[RULE_PATH_SIZE];
        snprintf(inner, sizeof inner, "%.300s[%zu]", path, i);
        if (walk->json->type(walk->json->at(value, i)) != SBX_JSON_STRING)
            complain(walk, inner, "must be a text");
    }
}

static void check_text_map(const struct walk *walk, const char *path, const sbx_json *value)
{
    for (size_t i = 0; i < walk->json->length(value); i++) {
        const sbx_json *member;
        char inner[RULE_PATH_SIZE];
        snprintf(inner, sizeof inner, "%.250s.%.100s", path, walk->json->member(value, i, &member));
        if (walk->json->type(member) != SBX_JSON_STRING)
            complain(walk, inner, "must be a text");
    }
}

static bool has_shape(const struct walk *walk, const struct rule *rule, const char *path,
                      const sbx_json *value)
{
    static const struct {
        enum sbx_json_type type;
        const char *must;
    } shapes[] = {
        [TEXT] = {SBX_JSON_STRING, "must be a text"},
        [FLAG] = {SBX_JSON_BOOL, "must be true or false"},
        [TEXTS] = {SBX_JSON_ARRAY, "must be a list of texts"},
        [LIST] = {SBX_JSON_ARRAY, "must be a list"},
        [TEXT_MAP] = {SBX_JSON_OBJECT, "must be a mapping of names to texts"},
        [MAPPING] = {SBX_JSON_OBJECT, "must be a mapping"},
        [MAPPINGS] = {SBX_JSON_ARRAY, "must be a list of mappings"},
    };
    if (rule->shape == NUMBER || rule->shape == CHOICE)
        return true; /* they tell it with what would be right */
    if (walk->json->type(value) == shapes[rule->shape].type)
        return true;
    complain(walk, path, shapes[rule->shape].must);
    return false;
}

static void check_value(const struct walk *walk, const struct rule *rule, const char *path,
                        const sbx_json *value);

static void check_mapping(const struct walk *walk, const struct rule *members, const char *path,
                          const sbx_json *value)
{
    const struct sbx_json_api *json = walk->json;
    char inner[RULE_PATH_SIZE], list[200];
    list_names(list, sizeof list, members, NULL);
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *member;
        const char *name = json->member(value, i, &member);
        const struct rule *rule = find(members, name);
        snprintf(inner, sizeof inner, "%.250s.%.100s", path, name);
        if (rule)
            check_value(walk, rule, inner, member);
        else
            option_complain(&walk->reader->base, inner, "unknown member; there are %s", list);
    }
    for (; members->name; members++)
        if (members->due && !create_same_member(json, value, members->name))
            option_complain(&walk->reader->base, path, "has no %s; its members are %s", members->name, list);
}

static void check_value(const struct walk *walk, const struct rule *rule, const char *path,
                        const sbx_json *value)
{
    const struct sbx_json_api *json = walk->json;
    if ((json->type(value) == SBX_JSON_NULL && !rule->due) || !has_shape(walk, rule, path, value))
        return;
    switch (rule->shape) {
    case NUMBER: check_number(walk, rule, path, value); break;
    case CHOICE: check_choice(walk, rule, path, value); break;
    case TEXTS: check_texts(walk, path, value); break;
    case TEXT_MAP: check_text_map(walk, path, value); break;
    case MAPPING:
        if (rule->members)
            check_mapping(walk, rule->members, path, value);
        break;
    case MAPPINGS:
        for (size_t i = 0; i < json->length(value); i++) {
            const struct rule item = {rule->name, .shape = MAPPING, .due = true, .members = rule->members};
            char inner[RULE_PATH_SIZE];
            snprintf(inner, sizeof inner, "%.300s[%zu]", path, i);
            check_value(walk, &item, inner, json->at(value, i));
        }
        break;
    default: break;
    }
}

static void check_members(const struct walk *walk, const struct rule *rules, bool host,
                          const sbx_json *object)
{
    for (size_t i = 0; i < walk->json->length(object); i++) {
        const sbx_json *value;
        const char *name = walk->json->member(object, i, &value);
        const struct rule *rule = find(rules, name);
        char path[OPTION_PATH_SIZE];
        kwargs_path(path, sizeof path, walk->json, walk->reader->kwargs, name, host, "");
        if (rule)
            check_value(walk, rule, path, value);
    }
}

void options_check_kwargs(struct options_reader *reader, const sbx_json *kwargs)
{
    const struct walk walk = {reader, reader->base.host->json};
    check_members(&walk, container, false, kwargs);
    check_members(&walk, host_config, true, walk.json->get(kwargs, "HostConfig"));
}
