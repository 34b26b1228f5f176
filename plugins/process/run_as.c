/* run_as.c: see run_as.h. Fills the members of `struct options` that are run_as's, and no others. */
#include "run_as.h"

#include "common/failure.h"
#include "common/option_reader.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool run_as_parse(struct options *options, const char *text)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    char user[256];
    if (len == 0 || len >= sizeof user || (colon && colon[1] == '\0'))
        return false;
    snprintf(user, sizeof user, "%.*s", (int)len, text);
    option_copy(&options->run_as_user, user);
    if (colon)
        option_copy(&options->run_as_group, colon + 1);
    options->run_as = true;
    return true;
}

#define WRONG(err, ...) failure_set(err, SBX_ERR_INVALID, "INVALID_OPTIONS", __VA_ARGS__)

/* `user` is "name" or a number. The supplementary groups are the user's own. */
static int find_user(struct options *options, struct sbx_error *err)
{
    struct passwd entry, *found = NULL;
    char texts[16384];
    const char *user = options->run_as_user;
    if (read_id(user, &options->uid))
        (void)getpwuid_r(options->uid, &entry, texts, sizeof texts, &found);
    else if ((void)getpwnam_r(user, &entry, texts, sizeof texts, &found), !found)
        return WRONG(err, "there is no user \"%.200s\"", user);
    if (!found && !options->run_as_group)
        return WRONG(err, "there is no user %.200s, so a group must be named too: %.200s:GROUP", user, user);
    option_copy(&options->user_home, found && *found->pw_dir ? found->pw_dir : "/");
    if (!found)
        return 0;
    option_copy(&options->user_name, found->pw_name);
    options->uid = found->pw_uid;
    if (!options->run_as_group)
        options->gid = found->pw_gid;
    gid_t groups[OPTIONS_GROUPS_MAX];
    int count = OPTIONS_GROUPS_MAX;
    if (getgrouplist(found->pw_name, options->gid, groups, &count) < 0)
        count = OPTIONS_GROUPS_MAX;
    options->groups_len = (uint32_t)count;
    for (int i = 0; i < count; i++)
        options->groups[i] = groups[i];
    return 0;
}

int run_as_find(struct options *options, struct sbx_error *err)
{
    const char *group = options->run_as_group;
    if (group && !read_id(group, &options->gid)) {
        struct group entry, *found = NULL;
        static const size_t size = 256 * 1024; /* a group may have many members */
        char *texts = malloc(size);
        if (!texts)
            abort();
        (void)getgrnam_r(group, &entry, texts, size, &found);
        options->gid = found ? found->gr_gid : 0;
        free(texts);
        if (!found)
            return WRONG(err, "there is no group \"%.200s\"", group);
    }
    if (find_user(options, err) != 0)
        return -1;
    if (options->groups_len == 0)
        options->groups[options->groups_len++] = options->gid;
    return 0;
}

/* Do all names of this kind ("passwd", "group") come from this machine itself? nsswitch.conf(5) says where from. */
static bool is_local(const char *kind)
{
    static const char *const local[] = {"files", "compat", "systemd", "db"};
    FILE *file = fopen("/etc/nsswitch.conf", "re");
    char line[512];
    bool all = true;
    size_t kind_len = strlen(kind);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, kind, kind_len) != 0 || line[kind_len] != ':')
            continue;
        char *next = NULL;
        for (char *word = strtok_r(line + kind_len + 1, " \t\n", &next); word && *word != '#';
             word = strtok_r(NULL, " \t\n", &next)) {
            bool known = *word == '['; /* an action, "[NOTFOUND=return]" */
            for (size_t i = 0; i < sizeof local / sizeof *local; i++)
                known |= strcmp(word, local[i]) == 0;
            all &= known;
        }
    }
    if (file)
        fclose(file);
    return all;
}

static bool in_passwd(const char *user)
{
    FILE *file = fopen("/etc/passwd", "re");
    const struct passwd *entry = NULL;
    uint32_t uid = UINT32_MAX;
    bool numeric = read_id(user, &uid);
    while (file && (entry = fgetpwent(file)))
        if (numeric ? entry->pw_uid == uid : strcmp(entry->pw_name, user) == 0)
            break;
    if (file)
        fclose(file);
    return entry != NULL;
}

static bool in_group(const char *group)
{
    uint32_t gid;
    if (!group || read_id(group, &gid))
        return true;
    FILE *file = fopen("/etc/group", "re");
    const struct group *entry = NULL;
    while (file && (entry = fgetgrent(file)) && strcmp(entry->gr_name, group) != 0)
        continue;
    if (file)
        fclose(file);
    return entry != NULL;
}

enum run_as_known run_as_check(struct options *options, struct sbx_error *err)
{
    if (is_local("passwd") && is_local("group"))
        return run_as_find(options, err) == 0 ? RUN_AS_KNOWN : RUN_AS_WRONG;
    return in_passwd(options->run_as_user) && in_group(options->run_as_group) ? RUN_AS_KNOWN
                                                                              : RUN_AS_ELSEWHERE;
}
