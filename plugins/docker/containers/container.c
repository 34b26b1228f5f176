/* container.c: see container.h. Judges nothing: what follows from a state is report.c's and ending.c's. */
#include "containers/container.h"

#include "common/failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ID_MAX = 127,      /* of a sandbox's id (backend.h) */
    OWNER_MAX = 255,   /* the host takes no longer ones, of owners and of keys */
    MEMBERS_MAX = 1024 /* that are looked at of an object: finding number n costs n */
};

/* ---- texts ---- */

static char *copy(const char *text, size_t len)
{
    char *made = strndup(text, len);
    if (!made)
        abort(); /* bounded by FACTS_TEXT_MAX */
    return made;
}

/* NULL, "" and what is too long are not there. */
static char *text_or(const char *text, size_t max, const char *fallback)
{
    size_t len = text ? strnlen(text, max + 1) : 0;
    if (len > 0 && len <= max)
        return copy(text, len);
    return fallback ? copy(fallback, strlen(fallback)) : NULL;
}

/* The beginning of a text in UTF-8, cut between two characters. */
static char *text_cut(const char *text)
{
    size_t len = strnlen(text, FACTS_TEXT_MAX + 1);
    if (len > FACTS_TEXT_MAX)
        for (len = FACTS_TEXT_MAX; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
            len--;
    return copy(text, len);
}

bool container_is_engine_id(const char *text)
{
    return strnlen(text, ENGINE_ID_SIZE) == ENGINE_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == ENGINE_ID_SIZE - 1;
}

static bool is_sandbox_id(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return len > 0 && len <= ID_MAX && name[len] == '\0';
}

bool container_is_ours(const struct options *options, const char *backend_name, const char *name,
                       const char *backend_label)
{
    /* The prefix in any case: the backends of two daemons on one engine may well have the same name. */
    return is_sandbox_id(name) &&
           strncmp(name, options->container_name_prefix, strlen(options->container_name_prefix)) == 0 &&
           (!backend_label || strcmp(backend_label, backend_name) == 0);
}

/* ---- numbers and times ---- */

/* 0: none. */
static uint16_t port_of(const char *text, size_t len)
{
    uint32_t port = 0;
    if (len == 0 || len > 5)
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool digits(const char **text, int count, int *value)
{
    *value = 0;
    for (; count > 0; count--, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *value = *value * 10 + (**text - '0');
    }
    return true;
}

static bool sign(const char **text, char wanted)
{
    return *(*text)++ == wanted;
}

uint64_t container_time_ns(const char *text)
{
    struct tm tm = {0};
    const char *at = text;
    int year, month, hours = 0, minutes = 0;
    if (strnlen(text, 64) > 40 || !digits(&at, 4, &year) || !sign(&at, '-') || !digits(&at, 2, &month) ||
        !sign(&at, '-') || !digits(&at, 2, &tm.tm_mday) || !sign(&at, 'T') || !digits(&at, 2, &tm.tm_hour) ||
        !sign(&at, ':') || !digits(&at, 2, &tm.tm_min) || !sign(&at, ':') || !digits(&at, 2, &tm.tm_sec))
        return 0;
    uint64_t fraction = 0, unit = 100000000;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
            fraction += (uint64_t)(*at - '0') * unit;
    char zone = *at++;
    if (zone == '+' || zone == '-') {
        if (!digits(&at, 2, &hours) || !sign(&at, ':') || !digits(&at, 2, &minutes))
            return 0;
    } else if (zone != 'Z') {
        return 0;
    }
    if (*at || year < 1970 || year > 2500 || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || hours > 23 || minutes > 59)
        return 0;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    int64_t offset = (int64_t)hours * 3600 + (int64_t)minutes * 60;
    int64_t seconds = (int64_t)timegm(&tm) - (zone == '-' ? -offset : offset);
    return seconds >= 0 ? (uint64_t)seconds * 1000000000 + fraction : 0;
}

/* ---- states ---- */

static enum container_state state_of(const char *status)
{
    static const struct {
        const char *status;
        enum container_state state;
    } states[] = {{"created", CONTAINER_CREATED},   {"running", CONTAINER_RUNNING},
                  {"paused", CONTAINER_PAUSED},     {"restarting", CONTAINER_RESTARTING},
                  {"removing", CONTAINER_REMOVING}, {"exited", CONTAINER_EXITED},
                  {"dead", CONTAINER_DEAD}};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(status, states[i].status) == 0)
            return states[i].state;
    return CONTAINER_UNKNOWN;
}

/* Each start makes new endpoints, of which the listing tells too, while it tells no time of the start. The order of
 * the networks is nobody's. */
static uint64_t run_of(const struct sbx_json_api *json, const struct sbx_json *object)
{
    const struct sbx_json *networks = json->get(json->get(object, "NetworkSettings"), "Networks"), *network;
    uint64_t sum = 0;
    for (size_t i = 0; i < MEMBERS_MAX && json->member(networks, i, &network); i++) {
        const char *endpoint = json->string(json->get(network, "EndpointID"), "");
        uint64_t hash = *endpoint ? UINT64_C(14695981039346656037) : 0;
        for (; *endpoint; endpoint++)
            hash = (hash ^ (unsigned char)*endpoint) * UINT64_C(1099511628211);
        sum += hash;
    }
    return sum;
}

/* ---- ports ---- */

static void add_port(struct facts *facts, uint16_t container_port, uint16_t host_port)
{
    if (container_port == 0 || host_port == 0)
        return;
    for (uint32_t i = 0; i < facts->ports_len; i++)
        if (facts->ports[i].container_port == container_port && facts->ports[i].host_port == host_port)
            return;
    if (facts->ports_len < FACTS_PORTS_MAX)
        facts->ports[facts->ports_len++] =
            (struct published_port){.container_port = container_port, .host_port = host_port};
}

/* "8000/tcp"; 0 for other protocols. */
static uint16_t tcp_port_of(const char *key)
{
    size_t len = strcspn(key, "/");
    return !key[len] || strcmp(key + len, "/tcp") == 0 ? port_of(key, len) : 0;
}

/* A map of ports to lists of {HostIp, HostPort} (ContainerInspect, "PortMap"). An empty HostPort is one that the
 * engine chooses at each start. */
static void read_port_map(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *map)
{
    const struct sbx_json *bindings;
    const char *key;
    for (size_t i = 0; i < MEMBERS_MAX && (key = json->member(map, i, &bindings)); i++)
        for (size_t k = 0, count = json->length(bindings); k < count && k < FACTS_PORTS_MAX; k++) {
            const char *host = json->string(json->get(json->at(bindings, k), "HostPort"), "");
            add_port(facts, tcp_port_of(key), port_of(host, strnlen(host, 6)));
        }
}

static void read_names(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *labels)
{
    const struct sbx_json *value;
    const char *key;
    for (size_t i = 0; i < MEMBERS_MAX && (key = json->member(labels, i, &value)); i++) {
        if (facts->names_len == FACTS_NAMES_MAX)
            return;
        if (strncmp(key, LABEL_PORT_PREFIX, sizeof LABEL_PORT_PREFIX - 1) != 0)
            continue;
        struct named_port *named = &facts->names[facts->names_len];
        const char *text = json->string(value, "");
        named->container_port = port_of(text, strnlen(text, 6));
        int len = snprintf(named->name, sizeof named->name, "%s", key + sizeof LABEL_PORT_PREFIX - 1);
        if (named->container_port != 0 && len > 0 && (size_t)len < sizeof named->name)
            facts->names_len++;
    }
}

static void read_ports(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *inspect)
{
    const struct sbx_json *config = json->get(inspect, "Config");
    const struct sbx_json *host_config = json->get(inspect, "HostConfig");
    bool runs = facts->state == CONTAINER_RUNNING || facts->state == CONTAINER_PAUSED ||
                facts->state == CONTAINER_RESTARTING;
    read_names(facts, json, json->get(config, "Labels"));
    facts->host_network = strcmp(json->string(json->get(host_config, "NetworkMode"), ""), "host") == 0;
    if (facts->host_network) { /* nothing is published there: each port is what it is */
        const struct sbx_json *exposed = json->get(config, "ExposedPorts");
        const char *key;
        for (uint32_t i = 0; i < facts->names_len; i++)
            add_port(facts, facts->names[i].container_port, facts->names[i].container_port);
        for (size_t i = 0; i < MEMBERS_MAX && (key = json->member(exposed, i, NULL)); i++)
            add_port(facts, tcp_port_of(key), tcp_port_of(key));
        add_port(facts, facts->env_port, facts->env_port);
        add_port(facts, facts->env_vscode_port, facts->env_vscode_port);
    } else if (runs) {
        read_port_map(facts, json, json->get(json->get(inspect, "NetworkSettings"), "Ports"));
    } else {
        read_port_map(facts, json, json->get(host_config, "PortBindings"));
    }
}

/* ---- the whole ---- */

/* The value when `entry` is NAME=VALUE, else NULL. */
static const char *value_of(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

static void read_env(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *env)
{
    for (size_t i = 0, count = json->length(env); i < count; i++) {
        const char *entry = json->string(json->at(env, i), ""), *value;
        if (!facts->session_key && (value = value_of(entry, ENV_SESSION_KEY)))
            facts->session_key = text_or(value, OWNER_MAX, NULL);
        else if (!facts->env_port && (value = value_of(entry, "port")))
            facts->env_port = port_of(value, strnlen(value, 6));
        else if (!facts->env_vscode_port && (value = value_of(entry, "VSCODE_PORT")))
            facts->env_vscode_port = port_of(value, strnlen(value, 6));
    }
}

static void read_state(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *state)
{
    const char *status = json->string(json->get(state, "Status"), "");
    int64_t code = json->integer(json->get(state, "ExitCode"), -1);
    facts->state = state_of(status);
    for (size_t i = 0; i < sizeof facts->status - 1 && status[i] > ' ' && status[i] < 0x7f; i++)
        facts->status[i] = status[i];
    facts->started_at_ns = container_time_ns(json->string(json->get(state, "StartedAt"), ""));
    facts->finished_at_ns = container_time_ns(json->string(json->get(state, "FinishedAt"), ""));
    facts->exit_code = code >= 0 && code <= 255 ? (int32_t)code : -1;
    facts->out_of_memory = json->boolean(json->get(state, "OOMKilled"), 0) != 0;
    facts->error = text_cut(json->string(json->get(state, "Error"), ""));
}

/* 0: there is none. */
static int64_t created_label(const struct sbx_json_api *json, const struct sbx_json *labels)
{
    const char *label = json->string(json->get(labels, LABEL_CREATED), "");
    bool sound = strspn(label, "0123456789") == strlen(label) && strlen(label) <= 18;
    return sound ? strtoll(label, NULL, 10) : 0;
}

const char *container_workspace(const struct sbx_json_api *json, const struct sbx_json *command)
{
    for (size_t i = 0, count = json->length(command); i + 1 < count; i++)
        if (strcmp(json->string(json->at(command, i), ""), "--working-dir") == 0)
            return json->string(json->at(command, i + 1), NULL);
    return NULL;
}

int facts_from_inspect(struct facts *facts, const struct sbx_json_api *json, const struct sbx_json *inspect,
                       struct sbx_error *err)
{
    const char *id = json->string(json->get(inspect, "Id"), "");
    const char *name = json->string(json->get(inspect, "Name"), "");
    const struct sbx_json *config = json->get(inspect, "Config"), *labels = json->get(config, "Labels");
    name += *name == '/';
    if (!container_is_engine_id(id) || !*name || strnlen(name, FACTS_TEXT_MAX + 1) > FACTS_TEXT_MAX ||
        json->type(json->get(inspect, "State")) != SBX_JSON_OBJECT)
        return failure_set(
            err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
            "the engine's answer describes no container: it has no Id of 64 hexadecimal digits, "
            "no Name or no State");
    *facts = (struct facts){.name = copy(name, strlen(name))};
    memcpy(facts->id, id, ENGINE_ID_SIZE);
    read_state(facts, json, json->get(inspect, "State"));
    read_env(facts, json, json->get(config, "Env"));
    read_ports(facts, json, inspect);
    const char *image = json->string(json->get(config, "Image"), NULL);
    facts->spec_id = text_or(json->string(json->get(labels, LABEL_SPEC), NULL), FACTS_TEXT_MAX, NULL);
    if (!facts->spec_id)
        facts->spec_id = text_or(image, FACTS_TEXT_MAX, "unknown");
    const char *backend = json->string(json->get(labels, LABEL_BACKEND), NULL);
    facts->backend = backend ? text_cut(backend) : NULL; /* cut or empty: still somebody else's */
    facts->instance = text_or(json->string(json->get(labels, LABEL_INSTANCE), NULL), OWNER_MAX, NULL);
    facts->owner = text_or(json->string(json->get(labels, LABEL_OWNER), NULL), OWNER_MAX, NULL);
    facts->working_dir = text_or(json->string(json->get(config, "WorkingDir"), NULL), FACTS_TEXT_MAX, "");
    facts->workspace = text_or(container_workspace(json, json->get(config, "Cmd")), FACTS_TEXT_MAX, NULL);
    facts->made_at_ns = container_time_ns(json->string(json->get(inspect, "Created"), ""));
    facts->created_at_us = created_label(json, labels);
    if (facts->created_at_us == 0)
        facts->created_at_us = (int64_t)(facts->made_at_ns / 1000);
    facts->tty = json->boolean(json->get(config, "Tty"), 0) != 0;
    int64_t memory = json->integer(json->get(json->get(inspect, "HostConfig"), "Memory"), 0);
    facts->memory_limit = memory > 0 ? (uint64_t)memory : 0;
    int64_t restarts = json->integer(json->get(inspect, "RestartCount"), 0);
    facts->restart_count = restarts > 0 && restarts < UINT32_MAX ? (uint32_t)restarts : 0;
    facts->run = run_of(json, inspect);
    return 0;
}

void facts_finish(struct facts *facts)
{
    if (facts->session_key)
        explicit_bzero(facts->session_key, strlen(facts->session_key));
    free(facts->name);
    free(facts->spec_id);
    free(facts->backend);
    free(facts->instance);
    free(facts->owner);
    free(facts->session_key);
    if (facts->vscode_token)
        explicit_bzero(facts->vscode_token, strlen(facts->vscode_token));
    free(facts->vscode_token);
    free(facts->workspace);
    free(facts->working_dir);
    free(facts->error);
    *facts = (struct facts){0};
}

/* A container has one name, and with links (ContainerCreate, "Links") others with two parts. */
static const char *name_of(const struct sbx_json_api *json, const struct sbx_json *names)
{
    for (size_t i = 0, count = json->length(names); i < count; i++) {
        const char *name = json->string(json->at(names, i), "");
        name += *name == '/';
        if (*name && !strchr(name, '/'))
            return name;
    }
    return NULL;
}

/* "Exited (137) 3 hours ago": the one place where a listing tells the code. */
static int32_t exit_code_of(const char *words)
{
    static const char exited[] = "Exited (";
    int code = 0, len = 0;
    if (strncmp(words, exited, sizeof exited - 1) != 0)
        return -1;
    for (words += sizeof exited - 1; len < 3 && *words >= '0' && *words <= '9'; words++, len++)
        code = code * 10 + (*words - '0');
    return len > 0 && *words == ')' && code <= 255 ? code : -1;
}

/* NULL: it is empty, or too long. */
static const char *short_text(const char *text, size_t max)
{
    return *text && strnlen(text, max + 1) <= max ? text : NULL;
}

bool listed_from(struct listed *listed, const struct sbx_json_api *json, const struct sbx_json *entry)
{
    const char *id = json->string(json->get(entry, "Id"), "");
    const char *name = name_of(json, json->get(entry, "Names"));
    if (!container_is_engine_id(id) || !name)
        return false;
    const struct sbx_json *labels = json->get(entry, "Labels");
    *listed = (struct listed){
        .id = id,
        .name = name,
        .state = state_of(json->string(json->get(entry, "State"), "")),
        .backend = json->string(json->get(labels, LABEL_BACKEND), NULL),
        .instance = json->string(json->get(labels, LABEL_INSTANCE), NULL),
        .run = run_of(json, entry),
        .exit_code = exit_code_of(json->string(json->get(entry, "Status"), "")),
        .owner = short_text(json->string(json->get(labels, LABEL_OWNER), ""), OWNER_MAX),
        .spec_id = short_text(json->string(json->get(labels, LABEL_SPEC), ""), FACTS_TEXT_MAX),
        .created_at_us = created_label(json, labels)};
    return true;
}
