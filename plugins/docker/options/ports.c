/* ports.c: `exposed_ports` and `port_ranges`: what is published of a container, and where on the host.
 */
#include "containers/container.h"
#include "options/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static const struct {
    const char *name, *description;
    uint16_t container_port;
    struct port_range range, wsl2; /* under the profile `runtime` */
} defaults[] = {
    {"AGENT_SERVER", "The agent server", 8000, {30000, 39999}, {30000, 34999}},
    {"VSCODE", "The VS Code server", 8001, {40000, 49999}, {35000, 39999}},
    {"WORKER_1", "The first application that the agent starts", 8011, {50000, 54999}, {40000, 44999}},
    {"WORKER_2", "The second application that the agent starts", 8012, {55000, 59999}, {45000, 49151}},
};
enum { DEFAULTS_LEN = sizeof defaults / sizeof *defaults };

/* Each port's name is an environment variable in the container; these are others. */
static const char *const taken_names[] = {ENV_SESSION_KEY,
                                          "SESSION_API_KEY",
                                          "SANDBOX_ID",
                                          "OH_WEBHOOKS_0_BASE_URL",
                                          "PATH",
                                          "port",
                                          "VSCODE_PORT",
                                          "APP_PORT_1",
                                          "APP_PORT_2",
                                          "PYTHONUNBUFFERED",
                                          "PIP_BREAK_SYSTEM_PACKAGES"};

static bool is_port_name(const char *name)
{
    for (size_t i = 0; i < sizeof taken_names / sizeof *taken_names; i++)
        if (strcmp(name, taken_names[i]) == 0)
            return false;
    return options_is_name(name, "_-", 63) && !(*name >= '0' && *name <= '9');
}

struct written {
    char *name, *description;
    uint64_t container_port;
};
#define AT(member) offsetof(struct written, member)
static const struct option members[] = {
    {"name", OPTION_TEXT, AT(name), .text = NULL},
    {"description", OPTION_TEXT, AT(description), .text = NULL},
    {"container_port", OPTION_INTEGER, AT(container_port), .min = 1, .max = UINT16_MAX, .number = 8000},
};
static const struct option_table members_table = {"member", members, sizeof members / sizeof *members};

static void add(struct options *options, const char *name, const char *description, uint16_t container_port)
{
    struct exposed_port *port = &options->ports[options->ports_len++];
    option_copy(&port->name, name);
    option_copy(&port->description, description);
    port->container_port = container_port;
}

static void check(struct options_reader *reader, const char *path, const struct written *written,
                  bool port_given)
{
    const struct options *options = reader->options;
    if (!is_port_name(written->name))
        option_complain(&reader->base, path,
                        "the name must be letters, digits, '_' and '-', at most 63, beginning with a letter, "
                        "and no variable that sandboxes are given besides");
    for (uint32_t i = 0; i < options->ports_len; i++) {
        if (strcmp(options->ports[i].name, written->name) == 0)
            option_complain(&reader->base, path, "another exposed port is called %.63s", written->name);
        if (options->profile != PROFILE_RUNTIME &&
            options->ports[i].container_port == written->container_port)
            option_complain(&reader->base, path, "%s has the container port %u already",
                            options->ports[i].name, (unsigned)written->container_port);
    }
    if (options->profile == PROFILE_RUNTIME && port_given)
        option_warn(
            &reader->base, path,
            "container_port has no effect under profile: runtime, where it is the same as on the host");
}

static void read_port(struct options_reader *reader, const char *path, const sbx_json *value)
{
    struct written written;
    unsigned before = reader->base.errors;
    option_defaults(&members_table, &written);
    option_read(&reader->base, path, value, &members_table, &written);
    if (reader->base.errors == before && !written.name)
        option_complain(&reader->base, path, "name is missing");
    if (written.name && reader->base.errors == before)
        check(reader, path, &written, option_given(&reader->base, value, "container_port") != NULL);
    if (written.name && reader->base.errors == before)
        add(reader->options, written.name, written.description ? written.description : "",
            (uint16_t)written.container_port);
    free(written.name);
    free(written.description);
}

static void read_exposed(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    struct options *options = reader->options;
    if (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_PORTS_MAX) {
        option_complain(&reader->base, "exposed_ports",
                        "must be a list of at most %d mappings of name, description and container_port",
                        OPTIONS_PORTS_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        char path[48];
        snprintf(path, sizeof path, "exposed_ports[%zu]", i);
        if (json->type(json->at(value, i)) == SBX_JSON_OBJECT)
            read_port(reader, path, json->at(value, i));
        else
            option_complain(&reader->base, path, "must be a mapping of name, description and container_port");
    }
    bool agent = false;
    for (uint32_t i = 0; i < options->ports_len; i++)
        agent |= strcmp(options->ports[i].name, "AGENT_SERVER") == 0;
    if (options->ports_len == 0 && reader->base.errors == 0)
        option_warn(&reader->base, "exposed_ports",
                    "is empty: sandboxes have no URL, and are RUNNING without a health check");
    else if (!agent && reader->base.errors == 0)
        option_warn(
            &reader->base, "exposed_ports",
            "none is called AGENT_SERVER: no sandbox will be RUNNING unless health_check_path is null");
}

/* "30000-39999" */
static bool read_range(const char *text, uint16_t *first, uint16_t *last)
{
    char *end;
    if (*text < '1' || *text > '9' || strlen(text) > 11)
        return false;
    unsigned long low = strtoul(text, &end, 10);
    if (end[0] != '-' || end[1] < '1' || end[1] > '9')
        return false;
    unsigned long high = strtoul(end + 1, &end, 10);
    if (*end != '\0' || high > UINT16_MAX || low > high)
        return false;
    *first = (uint16_t)low;
    *last = (uint16_t)high;
    return true;
}

/* Once all are read: a range may be written before the one that it makes room for. */
static void check_ranges(struct options_reader *reader)
{
    const struct options *options = reader->options;
    unsigned wanted = reader->config->max_sandboxes;
    for (uint32_t i = 0; i < options->ports_len; i++) {
        const struct exposed_port *port = &options->ports[i];
        char path[OPTION_PATH_SIZE];
        unsigned count = port->last - port->first + 1u;
        snprintf(path, sizeof path, "port_ranges.%s", port->name);
        if (port->first > 0 && count < wanted)
            option_warn(&reader->base, path,
                        "holds %u ports, fewer than the %u sandboxes that one user may run", count, wanted);
        for (uint32_t at = 0; port->first > 0 && at < i; at++) {
            const struct exposed_port *other = &options->ports[at];
            if (other->first > 0 && other->first <= port->last && port->first <= other->last)
                option_warn(&reader->base, path, "overlaps the range of %s, %u-%u: they take from each other",
                            other->name, (unsigned)other->first, (unsigned)other->last);
        }
    }
}

/* "A, B, C" */
static void list_names(const struct options *options, char *list, size_t size)
{
    *list = '\0';
    for (uint32_t i = 0; i < options->ports_len; i++) {
        size_t len = strlen(list);
        snprintf(list + len, size - len, "%s%s", i == 0 ? "" : ", ", options->ports[i].name);
    }
}

static void read_ranges(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    struct options *options = reader->options;
    static const char wanted[] = "from 1 to 65535, such as 30000-39999, the smaller one first";
    if (json->type(value) != SBX_JSON_OBJECT) {
        option_complain(&reader->base, "port_ranges",
                        "must be a mapping of exposed ports' names to ranges %s", wanted);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const sbx_json *range;
        const char *name = json->member(value, i, &range);
        char path[OPTION_PATH_SIZE], names[300];
        snprintf(path, sizeof path, "port_ranges.%.100s", name);
        struct exposed_port *port = NULL;
        for (uint32_t at = 0; at < options->ports_len; at++)
            if (strcmp(options->ports[at].name, name) == 0)
                port = &options->ports[at];
        list_names(options, names, sizeof names);
        if (!port)
            option_complain(&reader->base, path, "no exposed port has this name; there are %s", names);
        else if (!read_range(json->string(range, ""), &port->first, &port->last))
            option_complain(&reader->base, path, "must be a range of ports %s", wanted);
    }
}

struct port_range options_port_range(unsigned index, const char *release)
{
    return strcasestr(release, "microsoft") ? defaults[index].wsl2 : defaults[index].range;
}

void options_read_ports(struct options_reader *reader, const sbx_json *exposed, const sbx_json *ranges)
{
    struct options *options = reader->options;
    struct utsname kernel;
    const char *release = uname(&kernel) == 0 ? kernel.release : "";
    if (exposed)
        read_exposed(reader, exposed);
    for (unsigned i = 0; !exposed && i < DEFAULTS_LEN; i++)
        add(options, defaults[i].name, defaults[i].description, defaults[i].container_port);
    for (uint32_t at = 0; options->profile == PROFILE_RUNTIME && at < options->ports_len; at++)
        for (unsigned i = 0; i < DEFAULTS_LEN; i++)
            if (strcmp(options->ports[at].name, defaults[i].name) == 0) {
                struct port_range range =
                    options_port_range(i, options_engine_is_far(options) ? "" : release);
                options->ports[at].first = range.first;
                options->ports[at].last = range.last;
            }
    if (ranges)
        read_ranges(reader, ranges);
    bool vscode = options->vscode_port == 0;
    for (uint32_t at = 0; options->vscode_port > 0 && at < options->ports_len; at++)
        if (strcmp(options->ports[at].name, "VSCODE") == 0) {
            options->ports[at].first = options->ports[at].last = (uint16_t)options->vscode_port;
            vscode = true;
        }
    if (!vscode)
        option_warn(&reader->base, "vscode_port", "has no effect: no exposed port is called VSCODE");
    check_ranges(reader);
}
