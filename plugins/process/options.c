/* options.c: see options.h. Reads user and group names; makes and opens nothing. */
#include "options.h"

#include "common/failure.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reader {
    struct options *options;
    const struct sbx_host *host;
    struct sbx_check *check;
    struct sbx_error *err;
    unsigned errors;
};

static void complain(struct reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void complain(struct reader *reader, const char *path, const char *format, ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (reader->check)
        reader->host->option_error(reader->check, path, message);
    else if (reader->errors == 0)
        failure_set(reader->err, SBX_ERR_INVALID, "INVALID_OPTIONS", "%s: %s", path, message);
    reader->errors++;
}

/* ---- one type each: the value, or a complaint ------------------------------------------------ */

enum type { TYPE_TEXT, TYPE_PATH, TYPE_INTEGER, TYPE_SIZE, TYPE_DURATION, TYPE_CPUS };

struct option {
    const char *path;
    enum type type;
    size_t offset; /* of char * or uint64_t in struct options */
    uint64_t min, max;
    const char *otherwise; /* default of a text; NULL: the number below */
    uint64_t number;
};

#define MIB (UINT64_C(1024) * 1024)
#define AT(member) offsetof(struct options, member)
static const struct option table[] = {
    {"base_working_dir", TYPE_PATH, AT(base_working_dir), 0, 0, "/tmp/openhands-sandboxes", 0},
    {"base_port", TYPE_INTEGER, AT(base_port), 1, 65535, NULL, 8000},
    {"python_executable", TYPE_TEXT, AT(python_executable), 0, 0, "python3", 0},
    {"agent_server_module", TYPE_TEXT, AT(agent_server_module), 0, 0, "openhands.agent_server", 0},
    {"stop_timeout", TYPE_DURATION, AT(stop_timeout_ms), 0, 3600000, NULL, 10000},
    {"log_size", TYPE_SIZE, AT(log_size), 4096, 1024 * MIB, NULL, MIB},
    {"limits.memory", TYPE_SIZE, AT(memory), MIB, UINT64_MAX / 2, NULL, 0},
    {"limits.cpu", TYPE_CPUS, AT(cpu_milli), 10, 1024000, NULL, 0},
    {"limits.pids", TYPE_INTEGER, AT(pids), 1, 4194304, NULL, 0},
    {"limits.files", TYPE_INTEGER, AT(files), 16, 1048576, NULL, 0},
};
/* Those read by functions of their own, further down. */
static const char *const others[] = {"on_shutdown", "run_as", "pass_env", "limits"};
enum { TABLE_LEN = sizeof table / sizeof *table, OTHERS_LEN = sizeof others / sizeof *others };

static void copy_text(char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
    if (!*to)
        abort();
}

/* A decimal number with one of the units, as in "64KiB"; a bare one counts in `units[0]`. */
struct unit {
    const char *name;
    double factor;
};

static bool read_measure(const struct sbx_json_api *json, const sbx_json *value, const struct unit *units,
                         double *result)
{
    enum sbx_json_type type = json->type(value);
    if (type == SBX_JSON_INT || type == SBX_JSON_DOUBLE) {
        *result = json->number(value, -1) * units[0].factor;
        return *result >= 0;
    }
    const char *text = json->string(value, "");
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    double number = strtod(text, &end);
    if (!isfinite(number) || memchr(text, 'x', (size_t)(end - text)) ||
        memchr(text, 'X', (size_t)(end - text)))
        return false;
    for (; units->name; units++)
        if (strcmp(end, units->name) == 0) {
            *result = number * units->factor;
            return true;
        }
    return false;
}

static const struct unit sizes[] = {
    {"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776}, {NULL, 0}};
static const struct unit durations[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit cpus[] = {{"", 1000}, {NULL, 0}};

static void read_text(struct reader *reader, const struct option *option, const sbx_json *value)
{
    const char *text = reader->host->json->string(value, NULL);
    if (option->type == TYPE_PATH && (!text || *text != '/' || strlen(text) > 1024))
        complain(reader, option->path, "must be an absolute path of at most 1024 bytes");
    else if (!text || *text == '\0')
        complain(reader, option->path, "must be a text that is not empty");
    else
        copy_text((char **)(void *)((char *)reader->options + option->offset), text);
}

static void read_number(struct reader *reader, const struct option *option, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->host->json;
    uint64_t *to = (uint64_t *)(void *)((char *)reader->options + option->offset);
    double number = -1;
    bool ok = false;
    const char *what;
    char range[120] = "";
    switch (option->type) {
    case TYPE_SIZE:
        ok = read_measure(json, value, sizes, &number);
        what = "a size such as 64KiB or 1MiB";
        snprintf(range, sizeof range,
                 option->max <= 1024 * MIB ? ", from %lu bytes to %lu" : ", at least %lu bytes",
                 (unsigned long)option->min, (unsigned long)option->max);
        break;
    case TYPE_DURATION:
        ok = read_measure(json, value, durations, &number);
        what = "a duration such as 500ms or 10s";
        snprintf(range, sizeof range, ", at most %lus", (unsigned long)option->max / 1000);
        break;
    case TYPE_CPUS:
        ok = read_measure(json, value, cpus, &number);
        what = "a number of processors such as 1.5";
        snprintf(range, sizeof range, ", from %g to %g", (double)option->min / 1000,
                 (double)option->max / 1000);
        break;
    default:
        ok = json->type(value) == SBX_JSON_INT;
        number = json->number(value, -1);
        what = "a whole number";
        snprintf(range, sizeof range, " from %lu to %lu", (unsigned long)option->min,
                 (unsigned long)option->max);
        break;
    }
    if (!ok || number < (double)option->min || number > (double)option->max)
        complain(reader, option->path, "must be %s%s", what, range);
    else
        *to = (uint64_t)(number + 0.5);
}

/* ---- options with rules of their own --------------------------------------------------------- */

static void read_on_shutdown(struct reader *reader, const sbx_json *value)
{
    static const char *const names[] = {"keep", "pause", "stop", "remove"};
    const char *text = reader->host->json->string(value, "");
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            reader->options->on_shutdown = (enum sbx_on_shutdown)i;
            return;
        }
    complain(reader, "on_shutdown", "must be keep, pause, stop or remove");
}

static void read_pass_env(struct reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->host->json;
    if (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_NAMES_MAX) {
        complain(reader, "pass_env", "must be a list of at most %d names of environment variables",
                 OPTIONS_NAMES_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const char *name = json->string(json->at(value, i), "");
        if (*name == '\0' || strchr(name, '=')) {
            char path[32];
            snprintf(path, sizeof path, "pass_env[%zu]", i);
            complain(reader, path, "must be the name of an environment variable");
        } else {
            copy_text(&reader->options->pass_env[reader->options->pass_env_len++], name);
        }
    }
}

static bool read_id(const char *text, uint32_t *id)
{
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*end || errno != 0 || number >= UINT32_MAX)
        return false;
    *id = (uint32_t)number;
    return true;
}

/* `user` is "name" or a number. The supplementary groups are the user's own. */
static bool find_user(struct reader *reader, const char *user, bool group_given)
{
    struct options *options = reader->options;
    struct passwd entry, *found = NULL;
    char texts[4096];
    if (read_id(user, &options->uid))
        (void)getpwuid_r(options->uid, &entry, texts, sizeof texts, &found);
    else if ((void)getpwnam_r(user, &entry, texts, sizeof texts, &found), !found) {
        complain(reader, "run_as", "there is no user \"%s\"", user);
        return false;
    }
    if (!found && !group_given) {
        complain(reader, "run_as", "there is no user %s, so a group must be named too: %s:GROUP", user, user);
        return false;
    }
    if (!found)
        return true;
    options->uid = found->pw_uid;
    if (!group_given)
        options->gid = found->pw_gid;
    gid_t groups[OPTIONS_GROUPS_MAX];
    int count = OPTIONS_GROUPS_MAX;
    if (getgrouplist(found->pw_name, options->gid, groups, &count) < 0)
        count = OPTIONS_GROUPS_MAX;
    options->groups_len = (uint32_t)count;
    for (int i = 0; i < count; i++)
        options->groups[i] = groups[i];
    return true;
}

static void read_run_as(struct reader *reader, const sbx_json *value)
{
    struct options *options = reader->options;
    const char *text = reader->host->json->string(value, "");
    char user[256];
    int len = snprintf(user, sizeof user, "%s", text);
    char *colon = strchr(user, ':');
    if (colon)
        *colon = '\0';
    const char *group = colon ? colon + 1 : NULL;
    if (*user == '\0' || len < 0 || (size_t)len >= sizeof user || (group && *group == '\0')) {
        complain(reader, "run_as", "must be a user, or user:group");
        return;
    }
    if (geteuid() != 0) {
        complain(reader, "run_as", "only a daemon that runs as root can run sandboxes as another user");
        return;
    }
    if (group && !read_id(group, &options->gid)) {
        struct group entry, *found = NULL;
        char texts[8192];
        (void)getgrnam_r(group, &entry, texts, sizeof texts, &found);
        if (!found) {
            complain(reader, "run_as", "there is no group \"%s\"", group);
            return;
        }
        options->gid = found->gr_gid;
    }
    options->run_as = find_user(reader, user, group != NULL);
    if (options->run_as && options->groups_len == 0)
        options->groups[options->groups_len++] = options->gid;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void check_names(struct reader *reader, const sbx_json *object, const char *prefix)
{
    const struct sbx_json_api *json = reader->host->json;
    for (size_t i = 0; i < json->length(object); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%.64s", prefix, json->member(object, i, NULL));
        bool known = false;
        for (unsigned at = 0; at < TABLE_LEN; at++)
            known |= strcmp(table[at].path, path) == 0 && (*prefix != '\0' || !strchr(path, '.'));
        for (unsigned at = 0; *prefix == '\0' && at < OTHERS_LEN; at++)
            known |= strcmp(others[at], path) == 0;
        if (!known && *prefix)
            complain(reader, path, "unknown limit; there are memory, cpu, pids and files");
        else if (!known)
            complain(reader, path,
                     "unknown option; there are base_working_dir, base_port, python_executable, "
                     "agent_server_module, on_shutdown, stop_timeout, run_as, limits, log_size and pass_env");
    }
}

/* A null is as good as nothing: in YAML it is what an empty value is. */
static const sbx_json *given(const struct sbx_json_api *json, const sbx_json *object, const char *key)
{
    const sbx_json *value = json->get(object, key);
    return json->type(value) == SBX_JSON_NULL ? NULL : value;
}

int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err)
{
    const struct sbx_json_api *json = host->json;
    struct reader reader = {.options = options, .host = host, .check = check, .err = err};
    *options = (struct options){.on_shutdown = SBX_SHUTDOWN_KEEP};
    for (unsigned i = 0; i < TABLE_LEN; i++) {
        void *to = (char *)options + table[i].offset;
        if (table[i].otherwise)
            copy_text(to, table[i].otherwise);
        else
            *(uint64_t *)to = table[i].number;
    }
    const char *why = "";
    sbx_json *root = json->parse(config->options_json, config->options_len, &why);
    if (json->type(root) != SBX_JSON_OBJECT) {
        complain(&reader, "", "must be a mapping of options");
        json->free(root);
        return -1;
    }
    const sbx_json *limits = given(json, root, "limits");
    check_names(&reader, root, "");
    if (limits && json->type(limits) != SBX_JSON_OBJECT)
        complain(&reader, "limits", "must be a mapping of memory, cpu, pids and files");
    else
        check_names(&reader, limits, "limits.");
    for (unsigned i = 0; i < TABLE_LEN; i++) {
        bool limit = strncmp(table[i].path, "limits.", 7) == 0;
        const sbx_json *value = given(json, limit ? limits : root, table[i].path + (limit ? 7 : 0));
        if (!value)
            continue;
        if (table[i].type == TYPE_TEXT || table[i].type == TYPE_PATH)
            read_text(&reader, &table[i], value);
        else
            read_number(&reader, &table[i], value);
    }
    const sbx_json *value;
    if ((value = given(json, root, "on_shutdown")))
        read_on_shutdown(&reader, value);
    if ((value = given(json, root, "run_as")))
        read_run_as(&reader, value);
    if ((value = given(json, root, "pass_env")))
        read_pass_env(&reader, value);
    json->free(root);
    return reader.errors == 0 ? 0 : -1;
}

void options_finish(struct options *options)
{
    free(options->base_working_dir);
    free(options->python_executable);
    free(options->agent_server_module);
    for (uint32_t i = 0; i < options->pass_env_len; i++)
        free(options->pass_env[i]);
    *options = (struct options){0};
}
