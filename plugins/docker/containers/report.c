/* report.c: what the host is told of a container (struct sbx_observation); see docker.h. Asks the engine for nothing,
 * and does not judge why one ended (ending.c).
 */
#include "common/failure.h"
#include "docker.h"

#include <stdio.h>
#include <string.h>

enum {
    URLS_MAX = 16,      /* that the host takes */
    URL_SIZE = 2048,    /* the host takes 4 KiB */
    FOLDER_SIZE = 1024, /* percent-encoded; a longer one is left out */
    KEY_SIZE = 3 * 256,
    FIRST_RUN_S = 30 /* that a container may wait for its first start after it was made */
};

struct urls {
    struct sbx_url list[URLS_MAX];
    char text[URLS_MAX][URL_SIZE];
    uint32_t count;
    char agent[URL_SIZE]; /* as the daemon reaches it; "": as everybody does */
};

/* ---- which port is what ---- */

static uint16_t host_port_of(const struct facts *facts, uint16_t container_port)
{
    for (uint32_t i = 0; i < facts->ports_len; i++)
        if (facts->ports[i].container_port == container_port)
            return facts->ports[i].host_port;
    return 0;
}

/* Containers of the second seed have the ports of the agent server and of VS Code in their environment; what else
 * they publish is for the applications, in order. */
static uint16_t runtime_port(const struct facts *facts, const char *name)
{
    if (strcmp(name, "AGENT_SERVER") == 0)
        return facts->env_port;
    if (strcmp(name, "VSCODE") == 0)
        return facts->env_vscode_port;
    unsigned wanted = strcmp(name, "WORKER_1") == 0 ? 1 : strcmp(name, "WORKER_2") == 0 ? 2 : 0;
    uint16_t found = 0;
    for (; wanted > 0; wanted--) { /* each time the least one above the last */
        uint16_t next = 0;
        for (uint32_t i = 0; i < facts->ports_len; i++) {
            uint16_t port = facts->ports[i].container_port;
            if (port > found && port != facts->env_port && port != facts->env_vscode_port &&
                (next == 0 || port < next))
                next = port;
        }
        found = next;
        if (found == 0)
            break;
    }
    return found;
}

/* The port in the container that the option's port is now: as it was when the container was made. */
static uint16_t container_port_of(const struct docker *docker, const struct facts *facts,
                                  const struct exposed_port *port)
{
    for (uint32_t i = 0; i < facts->names_len; i++)
        if (strcmp(facts->names[i].name, port->name) == 0)
            return facts->names[i].container_port;
    if (docker->options.profile == PROFILE_RUNTIME && facts->names_len == 0 && facts->env_port != 0)
        return runtime_port(facts, port->name);
    return port->container_port;
}

/* ---- URLs ---- */

/* A slash stands for itself in a query (RFC 3986, section 3.4), and people read paths. */
static void keep_slashes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        bool slash = strncmp(from, "%2F", 3) == 0;
        *to = slash ? '/' : *from;
        from += slash ? 3 : 1;
    }
    *to = '\0';
}

/* VS Code's page takes its token and the folder to open from the query, as in the first seed. In the second its program
 * makes the token, and its command names the folder. */
static void add_page(const struct docker *docker, const struct facts *facts, char *text, size_t len)
{
    char key[KEY_SIZE], folder[FOLDER_SIZE];
    bool runtime = docker->options.profile == PROFILE_RUNTIME;
    const char *token = runtime ? facts->vscode_token : facts->session_key;
    const char *path = runtime && facts->workspace ? facts->workspace : facts->working_dir;
    bool has_key = token && engine_encode(key, sizeof key, token);
    bool has_folder = *path && engine_encode(folder, sizeof folder, path);
    if (has_folder)
        keep_slashes(folder);
    if (has_key || has_folder)
        snprintf(text + len, URL_SIZE - len, "/?%s%s%s%s%s", has_key ? "tkn=" : "", has_key ? key : "",
                 has_key && has_folder ? "&" : "", has_folder ? "folder=" : "", has_folder ? folder : "");
    explicit_bzero(key, sizeof key);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The host that a daemon in a container means by "localhost" is called host.docker.internal there. */
static void write_agent_url(char *to, const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return;
    host += 3;
    const char *end = host + (*host == '[' ? strcspn(host, "]") : strcspn(host, ":/"));
    end += *end == ']';
    size_t len = (size_t)(end - host);
    bool local = (len == 9 && has_prefix(host, "localhost")) || (len == 5 && has_prefix(host, "[::1]")) ||
                 (len == 7 && has_prefix(host, "0.0.0.0")) ||
                 (has_prefix(host, "127.") && strspn(host, "0123456789.") == len);
    if (local)
        snprintf(to, URL_SIZE, "%.*shost.docker.internal%s", (int)(host - url), url, end);
}

static void add_url(struct docker *docker, const struct facts *facts, const struct exposed_port *port,
                    struct urls *urls)
{
    uint16_t container_port = container_port_of(docker, facts, port);
    uint16_t host_port = host_port_of(facts, container_port);
    const char *pattern = docker->options.container_url_pattern, *place = strstr(pattern, "{port}");
    if (host_port == 0 || !place || urls->count == URLS_MAX)
        return;
    char *text = urls->text[urls->count];
    int len = snprintf(text, URL_SIZE, "%.*s%u%s", (int)(place - pattern), pattern, (unsigned)host_port,
                       place + strlen("{port}"));
    if (len < 0 || (size_t)len >= URL_SIZE - KEY_SIZE - FOLDER_SIZE - 32)
        return;
    if (strcmp(port->name, "VSCODE") == 0)
        add_page(docker, facts, text, (size_t)len);
    if (docker->inside_container && strcmp(port->name, "AGENT_SERVER") == 0)
        write_agent_url(urls->agent, text);
    urls->list[urls->count++] =
        (struct sbx_url){.name = port->name,
                         .url = text,
                         .port = docker->options.told_ports == TOLD_HOST ? host_port : container_port};
}

/* ---- reports ---- */

static struct sbx_observation observe(const struct container *container, enum sbx_state state)
{
    const struct facts *facts = &container->facts;
    return (struct sbx_observation){
        .size = sizeof(struct sbx_observation),
        .state = state,
        .sandbox_id = container->name,
        .exit_code = -1,
        .restart_count = facts->restart_count,
        .incarnation = facts->started_at_ns,
        .owner = facts->owner,
        .spec_id = facts->spec_id,
        .session_key = facts->session_key,
        .created_at_us = facts->created_at_us,
    };
}

static void report(struct docker *docker, const struct sbx_observation *observation)
{
    if (!docker->quiesced)
        docker->host->report(docker->public, observation);
}

static void add_urls(struct docker *docker, const struct facts *facts, struct urls *urls)
{
    urls->count = 0;
    urls->agent[0] = '\0';
    for (uint32_t i = 0; i < docker->options.ports_len; i++)
        add_url(docker, facts, &docker->options.ports[i], urls);
}

bool report_agent_url(struct docker *docker, const struct facts *facts, char *to, size_t size)
{
    struct urls urls;
    add_urls(docker, facts, &urls);
    const char *url = urls.agent[0] ? urls.agent : NULL;
    bool vscode = false;
    for (uint32_t i = 0; i < urls.count; i++) {
        vscode |= strcmp(urls.list[i].name, "VSCODE") == 0;
        if (!url && strcmp(urls.list[i].name, "AGENT_SERVER") == 0)
            url = urls.list[i].url;
    }
    int len = url && vscode ? snprintf(to, size, "%s", url) : -1;
    explicit_bzero(urls.text, sizeof urls.text[0] * urls.count);
    return len > 0 && (size_t)len < size;
}

/* Of what runs, or will run there again: it has its ports. */
static void report_reachable(struct docker *docker, const struct container *container, enum sbx_state state)
{
    struct urls urls;
    add_urls(docker, &container->facts, &urls);
    struct sbx_observation observation = observe(container, state);
    observation.urls = urls.list;
    observation.urls_count = urls.count;
    observation.agent_url = urls.agent[0] ? urls.agent : NULL;
    if (urls.count == 0 &&
        container->facts.names_len == 0) /* one of ours that has lost its ports is no such one */
        observation.flags |= SBX_OBSERVED_UNREACHED;
    report(docker, &observation);
    explicit_bzero(urls.text, sizeof urls.text[0] * urls.count);
}

static void report_broken(struct docker *docker, const struct container *container)
{
    const struct facts *facts = &container->facts;
    struct sbx_error error;
    if (facts->state == CONTAINER_DEAD)
        failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the engine could not remove its container, and calls it dead%s%.300s",
                    *facts->error ? ": " : "", facts->error);
    else
        failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the engine says that its container is '%s', which is no state that is known",
                    facts->status);
    struct sbx_observation observation = observe(container, SBX_STATE_FAILED);
    observation.error = &error;
    report(docker, &observation);
}

void report_unread(struct docker *docker, const struct container *container, const struct sbx_error *why)
{
    struct sbx_error error;
    failure_set(&error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                "the engine has its container, and does not say how it is: %.400s", why->message);
    struct sbx_observation observation = observe(container, SBX_STATE_FAILED);
    observation.error = &error;
    report(docker, &observation);
}

/* Its end is what clients see if it never stays up. One incarnation: its runs are not watched each by itself. */
static void report_restarting(struct docker *docker, const struct container *container)
{
    char detail[160], code[48] = "";
    struct sbx_error error;
    struct sbx_observation observation = observe(container, SBX_STATE_STARTING);
    if (container->has_ended && container->last_exit >= 0) {
        observation.exit_code = container->last_exit;
        snprintf(code, sizeof code, ", the last time with exit code %d", container->last_exit);
    }
    snprintf(detail, sizeof detail,
             "its program has ended%s, and the engine starts it again (%u times so far)", code,
             (unsigned)container->facts.restart_count);
    failure_set(
        &error, SBX_ERR_REFUSED, SBX_CODE_CRASH_LOOP,
        "its program does not stay up: it has ended%s, and its restart policy had the engine start it again "
        "%u times",
        code, (unsigned)container->facts.restart_count);
    observation.detail = detail;
    observation.error = &error;
    observation.log_tail = container->last_tail;
    observation.incarnation = 0;
    report(docker, &observation);
}

void report_container(struct docker *docker, const struct container *container)
{
    if (restarts_unsettled(docker, container)) {
        report_restarting(docker, container);
        return;
    }
    struct sbx_observation observation = observe(container, SBX_STATE_STARTING);
    switch (container->facts.state) {
    case CONTAINER_RUNNING: report_reachable(docker, container, SBX_STATE_RUNNING); return;
    case CONTAINER_PAUSED: report_reachable(docker, container, SBX_STATE_PAUSED); return;
    case CONTAINER_REMOVING: report_gone(docker, container->name); return;
    case CONTAINER_DEAD:
    case CONTAINER_UNKNOWN: report_broken(docker, container); return;
    case CONTAINER_CREATED: observation.detail = "its container is made, and not started yet"; break;
    case CONTAINER_RESTARTING:     /* is never settled */
    case CONTAINER_EXITED: return; /* ending.c knows how */
    }
    report(docker, &observation);
}

void report_gone(struct docker *docker, const char *name)
{
    struct sbx_observation observation = {
        .size = sizeof observation, .state = SBX_STATE_GONE, .sandbox_id = name, .exit_code = -1};
    report(docker, &observation);
}

void report_starting(struct docker *docker, const struct facts *facts, const char *detail)
{
    struct urls urls;
    add_urls(docker, facts, &urls);
    struct sbx_observation observation = {.size = sizeof observation,
                                          .state = SBX_STATE_STARTING,
                                          .sandbox_id = facts->name,
                                          .detail = detail,
                                          .urls = urls.list,
                                          .urls_count = urls.count,
                                          .exit_code = -1};
    report(docker, &observation);
    explicit_bzero(urls.text, sizeof urls.text[0] * urls.count);
}

/* Did nothing ever run in it? Its init may have run, and found no program to start; by a later start than the first the
 * program may be gone that has left its files there. */
static bool never_ran(const struct facts *facts, const struct sbx_error *error)
{
    if (facts->started_at_ns == 0)
        return true;
    return *facts->error == '\0' && error && strcmp(error->code, SBX_CODE_COMMAND_NOT_FOUND) == 0 &&
           facts->started_at_ns < facts->made_at_ns + FIRST_RUN_S * UINT64_C(1000000000);
}

void report_end(struct docker *docker, const struct container *container, bool stopped,
                const struct sbx_error *error, const char *log_tail)
{
    if (stopped) {
        report_reachable(docker, container, SBX_STATE_STOPPED);
        return;
    }
    struct sbx_observation observation = observe(container, SBX_STATE_ENDED);
    /* Where it could not be started, the number is the engine's and no program's. */
    observation.exit_code = *container->facts.error ? -1 : container->facts.exit_code;
    observation.error = error;
    observation.log_tail = log_tail;
    observation.flags = never_ran(&container->facts, error) ? SBX_OBSERVED_UNUSED : 0;
    report(docker, &observation);
}
