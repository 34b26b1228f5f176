/* options.c: see options.h. The table of options, those with short rules of their own, and what follows from several;
 * the longer ones are in engine.c, mounts.c, ports.c and kwargs.c. Opens nothing.
 */
#include "options/options.h"

#include "options/parts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct options, member)
#define MIB (UINT64_C(1024) * 1024)

static const struct option tls[] = {
    {"ca", OPTION_PATH, AT(tls_ca), .text = NULL},
    {"cert", OPTION_PATH, AT(tls_cert), .text = NULL},
    {"key", OPTION_PATH, AT(tls_key), .text = NULL},
};
static const struct option_table tls_table = {"file", tls, sizeof tls / sizeof *tls};

static const struct option limits[] = {
    {"memory", OPTION_SIZE, AT(memory), .min = 6 * MIB, .max = INT64_MAX / 2}, /* the engine's own minimum */
    {"cpus", OPTION_CPUS, AT(nano_cpus), .min = 10, .max = 1024000},
    {"pids", OPTION_INTEGER, AT(pids), .max = 4194304, .number = 4096},
};
static const struct option_table limits_table = {"limit", limits, sizeof limits / sizeof *limits};

const char *const runtime_classes[RUNTIME_CLASSES] = {"sysbox-runc", "gvisor"};
static const struct option classes[] = {{.name = "sysbox-runc", .type = OPTION_OTHER},
                                        {.name = "gvisor", .type = OPTION_OTHER}};
static const struct option_table classes_table = {"runtime class", classes, RUNTIME_CLASSES};

static const struct option all[] = {
    {"host", OPTION_TEXT, AT(host), .text = NULL},
    {.name = "tls", .type = OPTION_MAPPING, .nested = &tls_table},
    {.name = "profile", .type = OPTION_OTHER},
    {"container_name_prefix", OPTION_TEXT, AT(container_name_prefix), .text = NULL},
    {"container_url_pattern", OPTION_TEXT, AT(container_url_pattern), .text = NULL},
    {"host_port", OPTION_INTEGER, AT(host_port), .max = UINT16_MAX},
    {"overlay_base", OPTION_PATH, AT(overlay_base), .text = NULL},
    {.name = "mounts", .type = OPTION_OTHER},
    {.name = "exposed_ports", .type = OPTION_OTHER},
    {.name = "port_ranges", .type = OPTION_OTHER},
    {"vscode_port", OPTION_INTEGER, AT(vscode_port), .max = UINT16_MAX, .number = 0},
    {.name = "port_numbers", .type = OPTION_OTHER},
    {"bind_address", OPTION_TEXT, AT(bind_address), .text = "127.0.0.1"},
    {"network", OPTION_TEXT, AT(network), .text = "bridge"},
    {.name = "gpus", .type = OPTION_OTHER},
    {"platform", OPTION_TEXT, AT(platform), .text = NULL},
    {"runtime", OPTION_TEXT, AT(runtime), .text = NULL},
    {.name = "runtime_classes", .type = OPTION_MAPPING, .nested = &classes_table},
    {.name = "limits", .type = OPTION_MAPPING, .nested = &limits_table},
    {.name = "pause_mode", .type = OPTION_OTHER},
    {.name = "pull_policy", .type = OPTION_OTHER},
    {"build_context", OPTION_PATH, AT(build_context), .text = NULL},
    {"stop_timeout", OPTION_DURATION, AT(stop_timeout_ms), .max = STOP_TIMEOUT_MAX_MS, .number = 10000},
    {.name = "extra_hosts", .type = OPTION_OTHER},
    {.name = "security", .type = OPTION_MAPPING, .nested = &security_table},
    {.name = "kwargs", .type = OPTION_OTHER},
    {.name = "on_shutdown", .type = OPTION_OTHER},
    {.name = "on_shutdown_scope", .type = OPTION_OTHER},
};
static const struct option_table table = {"option", all, sizeof all / sizeof *all};

bool options_is_name(const char *text, const char *others, size_t max)
{
    size_t len = strlen(text);
    if (len == 0 || len > max || !isalnum((unsigned char)*text))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(others, text[i]))
            return false;
    return true;
}

/* ---- names and addresses --------------------------------------------------------------------- */

static void check_prefix(struct options_reader *reader)
{
    struct options *options = reader->options;
    if (!options->container_name_prefix)
        option_copy(&options->container_name_prefix,
                    options->profile == PROFILE_RUNTIME ? "openhands-runtime-" : "oh-agent-server-");
    if (!options_is_name(options->container_name_prefix, "_.-", 63))
        option_complain(
            &reader->base, "container_name_prefix",
            "must be at most 63 letters, digits, '_', '.' and '-', the first a letter or a digit");
}

/* In a URL: no space, nothing beyond ASCII, and of braces one "{port}". */
static bool is_pattern(const char *text)
{
    const char *port = strstr(text, "{port}");
    if (!port || strlen(text) > 512 ||
        (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0))
        return false;
    for (const char *at = text; *at; at++) {
        if (at == port)
            at += strlen("{port}");
        if (*at == '\0')
            break;
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || strchr("{}\"<>\\^`|", *at))
            return false;
    }
    return true;
}

static void check_pattern(struct options_reader *reader)
{
    char **pattern = &reader->options->container_url_pattern;
    const char *from = "";
    if (!*pattern) {
        const char *address = getenv("DOCKER_HOST_ADDR");
        char text[300];
        bool given = address && *address;
        snprintf(text, sizeof text, "http://%.250s:{port}", given ? address : "localhost");
        from = given ? " (its host is from $DOCKER_HOST_ADDR)" : "";
        option_copy(pattern, text);
    }
    for (size_t len = strlen(*pattern); len > 0 && (*pattern)[len - 1] == '/'; len--)
        (*pattern)[len - 1] = '\0';
    if (!is_pattern(*pattern))
        option_complain(&reader->base, "container_url_pattern",
                        "must be a URL with {port} in it once, such as http://localhost:{port}%s", from);
}

static void check_network(struct options_reader *reader, const sbx_json *root)
{
    struct options *options = reader->options;
    struct in6_addr address;
    if (inet_pton(AF_INET, options->bind_address, &address) != 1 &&
        inet_pton(AF_INET6, options->bind_address, &address) != 1)
        option_complain(&reader->base, "bind_address", "must be an IP address, such as 127.0.0.1 or 0.0.0.0");
    if (!options_is_name(options->network, "_.-", 128) || strcmp(options->network, "none") == 0)
        option_complain(&reader->base, "network", "must be bridge, host or the name of a network");
    options->host_network = strcmp(options->network, "host") == 0;
    if (options->host_network && option_given(&reader->base, root, "bind_address"))
        option_warn(&reader->base, "bind_address",
                    "has no effect with network: host: sandboxes listen where their programs say");
}

/* An empty text is one, here. */
static void read_classes(struct options_reader *reader, const sbx_json *value)
{
    static const char *const otherwise[RUNTIME_CLASSES] = {"sysbox-runc", "runsc"};
    const struct sbx_json_api *json = reader->base.host->json;
    for (unsigned i = 0; i < RUNTIME_CLASSES; i++) {
        const sbx_json *given = option_given(&reader->base, value, runtime_classes[i]);
        const char *text = given ? json->string(given, "?") : otherwise[i];
        char path[OPTION_PATH_SIZE];
        snprintf(path, sizeof path, "runtime_classes.%s", runtime_classes[i]);
        if (*text && !options_is_name(text, "/._-", 128))
            option_complain(&reader->base, path,
                            "must be the name of a runtime of the engine, such as runsc, or \"\" for the one "
                            "that sandboxes have without a class");
        option_copy(&reader->options->class_runtimes[i], text);
    }
}

static void check_texts(struct options_reader *reader)
{
    const struct options *options = reader->options;
    if (options->platform && !options_is_name(options->platform, "/._-", 64))
        option_complain(&reader->base, "platform", "must be like linux/amd64 or linux/arm64/v8");
    if (options->runtime && !options_is_name(options->runtime, "/._-", 128))
        option_complain(&reader->base, "runtime",
                        "must be the name of a runtime of the engine, such as runsc");
}

/* What is installed beside the plugin. */
static void default_context(struct options *options, const struct sbx_backend_config *config)
{
    const char *slash = config->plugin_path ? strrchr(config->plugin_path, '/') : NULL;
    char path[4096];
    if (options->build_context || !slash)
        return;
    int len = snprintf(path, sizeof path, "%.*s/runtime-image", (int)(slash - config->plugin_path),
                       config->plugin_path);
    if (len > 0 && len < (int)sizeof path)
        option_copy(&options->build_context, path);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void add_gpu(struct options_reader *reader, const char *path, const char *id, size_t len)
{
    struct options *options = reader->options;
    char text[130];
    snprintf(text, sizeof text, "%.*s", len < sizeof text ? (int)len : (int)sizeof text - 1, id);
    if (!options_is_name(text, "_.:-", 128) || strcmp(text, "all") == 0 ||
        options->gpus_len == OPTIONS_LIST_MAX)
        option_complain(&reader->base, path, "must be all, or at most %d ids such as 0 or GPU-3a23c669",
                        OPTIONS_LIST_MAX);
    else
        option_copy(&options->gpus[options->gpus_len++], text);
}

static void read_gpu(struct options_reader *reader, const char *path, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)json->integer(value, -1));
    const char *text = json->type(value) == SBX_JSON_INT ? number : json->string(value, "");
    add_gpu(reader, path, text, strlen(text));
}

static void read_gpus(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    const char *text = json->string(value, NULL);
    if (json->type(value) == SBX_JSON_ARRAY && json->length(value) > 0) {
        for (size_t i = 0; i < json->length(value); i++) {
            char path[48];
            snprintf(path, sizeof path, "gpus[%zu]", i);
            read_gpu(reader, path, json->at(value, i));
        }
    } else if (!text) {
        read_gpu(reader, "gpus", value);
    } else if (strcmp(text, "all") == 0) {
        reader->options->gpus_all = true;
    } else {
        for (const char *at = text;; at++) {
            at += strspn(at, " ");
            size_t len = strcspn(at, ", ");
            add_gpu(reader, "gpus", at, len);
            at += len + strspn(at + len, " ");
            if (*at != ',')
                break;
        }
    }
}

/* "NAME:ADDRESS" (Engine API 1.41, HostConfig.ExtraHosts) */
static bool is_extra_host(const char *text)
{
    const char *colon = strchr(text, ':');
    struct in6_addr address;
    char name[256];
    if (!colon || (size_t)(colon - text) >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
    return options_is_name(name, "_.-", 255) &&
           (strcmp(colon + 1, "host-gateway") == 0 || inet_pton(AF_INET, colon + 1, &address) == 1 ||
            inet_pton(AF_INET6, colon + 1, &address) == 1);
}

static void read_extra_hosts(struct options_reader *reader, const sbx_json *value)
{
    const struct sbx_json_api *json = reader->base.host->json;
    struct options *options = reader->options;
    if (!value) {
        option_copy(&options->extra_hosts[options->extra_hosts_len++], "host.docker.internal:host-gateway");
        return;
    }
    if (json->type(value) != SBX_JSON_ARRAY || json->length(value) > OPTIONS_LIST_MAX) {
        option_complain(&reader->base, "extra_hosts", "must be a list of at most %d texts NAME:ADDRESS",
                        OPTIONS_LIST_MAX);
        return;
    }
    for (size_t i = 0; i < json->length(value); i++) {
        const char *text = json->string(json->at(value, i), "");
        char path[48];
        snprintf(path, sizeof path, "extra_hosts[%zu]", i);
        if (!is_extra_host(text))
            option_complain(&reader->base, path,
                            "must be NAME:ADDRESS, with an IP address or host-gateway, such as "
                            "host.docker.internal:host-gateway");
        else
            option_copy(&options->extra_hosts[options->extra_hosts_len++], text);
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void read_choices(struct options_reader *reader, const sbx_json *root)
{
    static const char *const profiles[] = {"agent-server", "runtime", NULL};
    static const char *const numbers[] = {"container", "host", NULL};
    static const char *const pauses[] = {"freeze", "stop", NULL};
    static const char *const pulls[] = {"missing", "never", "always", NULL};
    static const char *const shutdowns[] = {"keep", "pause", "stop", "remove", NULL};
    static const char *const scopes[] = {"own", "all", NULL};
    struct option_reader *base = &reader->base;
    struct options *options = reader->options;
    options->profile = (enum profile)option_choice(base, "profile", option_given(base, root, "profile"),
                                                   profiles, PROFILE_AGENT_SERVER);
    options->told_ports = (enum told_ports)option_choice(
        base, "port_numbers", option_given(base, root, "port_numbers"), numbers, TOLD_CONTAINER);
    options->pause_mode =
        (enum pause_mode)option_choice(base, "pause_mode", option_given(base, root, "pause_mode"), pauses,
                                       options->profile == PROFILE_RUNTIME ? PAUSE_STOP : PAUSE_FREEZE);
    options->pull_policy = (enum pull_policy)option_choice(
        base, "pull_policy", option_given(base, root, "pull_policy"), pulls, PULL_MISSING);
    options->on_shutdown = (enum sbx_on_shutdown)option_choice(
        base, "on_shutdown", option_given(base, root, "on_shutdown"), shutdowns, SBX_SHUTDOWN_KEEP);
    const sbx_json *scope = option_given(base, root, "on_shutdown_scope");
    unsigned before = base->errors;
    options->shutdown_scope =
        (enum sbx_shutdown_scope)option_choice(base, "on_shutdown_scope", scope, scopes, SBX_SCOPE_OWN);
    if (scope && base->errors == before && options->on_shutdown == SBX_SHUTDOWN_KEEP)
        option_warn(base, "on_shutdown_scope",
                    "has no effect without on_shutdown, which keeps all as they are");
}

int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err)
{
    struct options_reader reader = {
        .base = {.host = host, .check = check, .err = err}, .options = options, .config = config};
    *options = (struct options){0};
    option_defaults(&table, options);
    sbx_json *root = option_parse(&reader.base, config);
    if (!root)
        return -1;
    option_read(&reader.base, "", root, &table, options);
    options->nano_cpus *= 1000000; /* of thousandths */
    read_choices(&reader, root);
    default_context(options, config);
    options_read_engine(&reader, option_given(&reader.base, root, "tls"));
    check_prefix(&reader);
    check_pattern(&reader);
    check_network(&reader, root);
    check_texts(&reader);
    read_classes(&reader, option_given(&reader.base, root, "runtime_classes"));
    options_read_mounts(&reader, option_given(&reader.base, root, "mounts"));
    options_read_ports(&reader, option_given(&reader.base, root, "exposed_ports"),
                       option_given(&reader.base, root, "port_ranges"));
    options_check_distance(&reader);
    const sbx_json *value;
    if ((value = option_given(&reader.base, root, "gpus")))
        read_gpus(&reader, value);
    read_extra_hosts(&reader, option_given(&reader.base, root, "extra_hosts"));
    options_read_webhook(&reader, option_given(&reader.base, root, "host_port") != NULL);
    options_read_security(&reader, option_given(&reader.base, root, "security"));
    if ((value = option_given(&reader.base, root, "kwargs")))
        options_read_kwargs(&reader, value);
    host->json->free(root);
    return reader.base.errors == 0 ? 0 : -1;
}

void options_finish(struct options *options)
{
    char **const texts[] = {&options->host,
                            &options->tls_ca,
                            &options->tls_cert,
                            &options->tls_key,
                            &options->container_name_prefix,
                            &options->container_url_pattern,
                            &options->webhook_base,
                            &options->bind_address,
                            &options->network,
                            &options->platform,
                            &options->runtime,
                            &options->kwargs,
                            &options->overlay_base,
                            &options->build_context,
                            &options->docker_config};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(*texts[i]);
    for (uint32_t i = 0; i < options->mounts_len; i++) {
        free(options->mounts[i].source);
        free(options->mounts[i].target);
        free(options->mounts[i].mode);
    }
    for (uint32_t i = 0; i < options->ports_len; i++) {
        free(options->ports[i].name);
        free(options->ports[i].description);
    }
    for (uint32_t i = 0; i < options->gpus_len; i++)
        free(options->gpus[i]);
    for (uint32_t i = 0; i < options->extra_hosts_len; i++)
        free(options->extra_hosts[i]);
    for (unsigned i = 0; i < RUNTIME_CLASSES; i++)
        free(options->class_runtimes[i]);
    security_finish(&options->security);
    *options = (struct options){0};
}
