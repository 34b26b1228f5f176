/* webhook.c: where sandboxes are told to report to: `host_port`, or what the daemon's own addresses say. Connects to
 * nothing.
 */
#include "options/parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/api/v1/webhooks"
#define HOST_NAME "host.docker.internal"

enum { HOST_SIZE = 256 };

/* One address that the daemon listens on. */
struct listener {
    bool tls;
    char host[HOST_SIZE]; /* an address; of IPv6 with its brackets */
    unsigned port;
    bool loopback, any;
};

/* "http://127.0.0.1:3000", "https://[::]:3001" */
static bool read_listener(struct listener *listener, const char *url)
{
    *listener = (struct listener){.tls = strncmp(url, "https://", 8) == 0};
    const char *host = strstr(url, "://"), *colon = strrchr(url, ':');
    if (!host || !colon || colon < host + 3 || colon - (host + 3) >= HOST_SIZE)
        return false;
    snprintf(listener->host, sizeof listener->host, "%.*s", (int)(colon - (host + 3)), host + 3);
    listener->port = (unsigned)strtoul(colon + 1, NULL, 10);
    char bare[HOST_SIZE];
    bool six = listener->host[0] == '[';
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(listener->host + six, "]"), listener->host + six);
    struct in_addr four;
    struct in6_addr address;
    if (inet_pton(AF_INET, bare, &four) == 1) {
        listener->any = four.s_addr == htonl(INADDR_ANY);
        listener->loopback = ntohl(four.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, bare, &address) == 1) {
        listener->any = IN6_IS_ADDR_UNSPECIFIED(&address);
        listener->loopback = IN6_IS_ADDR_LOOPBACK(&address);
    } else {
        return false;
    }
    return listener->port > 0 && listener->port <= UINT16_MAX;
}

/* ---- what a container reaches ---- */

static bool knows_this_machine(const struct options *options)
{
    if (options->host_network)
        return true;
    for (uint32_t i = 0; i < options->extra_hosts_len; i++)
        if (strncmp(options->extra_hosts[i], HOST_NAME ":", sizeof HOST_NAME) == 0)
            return true;
    return false;
}

/* Writes where a container reaches the listener. False: it does not, as far as can be said. */
static bool reach(const struct options *options, bool far, const struct listener *listener, char *url,
                  size_t size)
{
    const char *host = listener->host;
    if (listener->tls || (listener->loopback && (far || !options->host_network)))
        return false; /* its certificate is for another name than ours inside */
    if (listener->any) {
        if (far || !knows_this_machine(options))
            return false;
        host = options->host_network ? "127.0.0.1" : HOST_NAME;
    }
    snprintf(url, size, "http://%s:%u", host, listener->port);
    return true;
}

/* The next of the daemon's addresses; false: there is none. */
static bool next_listener(const struct options_reader *reader, const sbx_json *list, size_t *at,
                          struct listener *listener)
{
    const struct sbx_json_api *json = reader->base.host->json;
    while (*at < json->length(list))
        if (read_listener(listener, json->string(json->at(list, (*at)++), "")))
            return true;
    return false;
}

/* Does one of them take what is sent to that port of this machine? */
static bool is_listened_on(const struct options_reader *reader, const sbx_json *list, unsigned port)
{
    const struct options *options = reader->options;
    struct listener listener;
    for (size_t at = 0; next_listener(reader, list, &at, &listener);)
        if (listener.port == port && !listener.tls && (options->host_network || !listener.loopback))
            return true;
    return false;
}

/* ---- the option ---- */

static void set_base(struct options *options, const char *url)
{
    size_t size = strlen(url) + sizeof PATH;
    if (!(options->webhook_base = malloc(size)))
        abort();
    snprintf(options->webhook_base, size, "%s" PATH, url);
}

static void use_port(struct options_reader *reader, const sbx_json *list, bool far)
{
    struct options *options = reader->options;
    char url[64];
    snprintf(url, sizeof url, "http://%s:%u", options->host_network ? "127.0.0.1" : HOST_NAME,
             (unsigned)options->host_port);
    set_base(options, url);
    if (far)
        option_warn(&reader->base, "host_port",
                    "sandboxes are told to report to %s, which is the engine's machine for them and not this "
                    "one: use server.public_url, or 0",
                    url);
    else if (!knows_this_machine(options))
        option_warn(&reader->base, "host_port",
                    "sandboxes are told to report to %s, and extra_hosts does not name " HOST_NAME
                    ": add " HOST_NAME ":host-gateway to it",
                    url);
    else if (reader->base.host->json->type(list) == SBX_JSON_ARRAY &&
             !is_listened_on(reader, list, (unsigned)options->host_port))
        option_warn(&reader->base, "host_port",
                    "sandboxes are told to report to %s, and this daemon does not listen there: of "
                    "server.listen, one of plain HTTP must be reached from containers (0.0.0.0:%u, or the "
                    "address of the engine's bridge); leave host_port out, and they are told what is so",
                    url, (unsigned)options->host_port);
}

/* Seen from inside a container, "localhost" is the container. */
static void check_public_url(struct options_reader *reader, const char *public_url)
{
    const char *host = strstr(public_url, "://");
    if (!host || reader->options->host_network)
        return;
    host += 3;
    size_t len = strcspn(host, ":/");
    if ((len == 9 && strncmp(host, "localhost", 9) == 0) || strncmp(host, "127.", 4) == 0 ||
        strncmp(host, "[::1]", 5) == 0)
        option_warn(
            &reader->base, "",
            "sandboxes are told to report to server.public_url, %.200s, which is the container itself "
            "there: this machine is " HOST_NAME " for them",
            public_url);
}

void options_read_webhook(struct options_reader *reader, bool port_given)
{
    struct options *options = reader->options;
    const struct sbx_json_api *json = reader->base.host->json;
    const struct sbx_backend_config *config = reader->config;
    if (config->public_url) {
        set_base(options, config->public_url);
        check_public_url(reader, config->public_url);
        return;
    }
    bool far = options_engine_is_far(options);
    const char *text = SBX_HAS(config, listen_urls) ? config->listen_urls : NULL;
    sbx_json *list = text ? json->parse(text, strlen(text), NULL) : NULL;
    struct listener listener;
    char url[HOST_SIZE + 16];
    if (port_given && options->host_port > 0)
        use_port(reader, list, far);
    for (size_t at = 0; !port_given && !options->webhook_base && next_listener(reader, list, &at, &listener);)
        if (reach(options, far, &listener, url, sizeof url))
            set_base(options, url);
    json->free(list);
}
