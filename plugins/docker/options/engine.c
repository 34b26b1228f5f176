/* engine.c: where the engine is, and how it is spoken to: `host` and `tls`, with the defaults that the docker
 * client takes from the environment. Looks whether files are there; connects to nothing.
 */
#include "options/parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_DEFAULT "unix:///var/run/docker.sock"

/* An empty variable is as good as none, as the docker client has it. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *path_of(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (!path)
        abort();
    snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static bool is_port(const char *text)
{
    char *end;
    if (*text < '1' || *text > '9' || strlen(text) > 5)
        return false;
    return strtoul(text, &end, 10) <= UINT16_MAX && *end == '\0';
}

/* HOST:PORT or [IPV6]:PORT */
static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || colon - text > 255 || !is_port(colon + 1))
        return false;
    size_t len = (size_t)(colon - text);
    if (*text == '[')
        return len > 2 && colon[-1] == ']' && strspn(text + 1, "0123456789abcdefABCDEF:.") == len - 2;
    for (size_t i = 0; i < len; i++)
        if (strchr(":/?#@[]%\\", text[i]) || (unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
            return false;
    return true;
}

/* docker-py's form of the same: http+unix:///PATH, http+unix://PATH without its first slash, or with %2F for each. */
static void spell_unix(struct options *options)
{
    static const char before[] = "http+unix://";
    if (strncmp(options->host, before, sizeof before - 1) != 0 || !options->host[sizeof before - 1])
        return;
    const char *from = options->host + sizeof before - 1;
    size_t size = strlen(from) + sizeof "unix:///";
    char *text = malloc(size);
    if (!text)
        abort();
    bool encoded = strncasecmp(from, "%2F", 3) == 0;
    size_t len = (size_t)snprintf(text, size, "unix://%s", *from == '/' || encoded ? "" : "/");
    for (; *from; from++) {
        bool slash = encoded && strncasecmp(from, "%2F", 3) == 0;
        text[len++] = slash ? '/' : *from;
        from += slash ? 2 : 0;
    }
    text[len] = '\0';
    free(options->host);
    options->host = text;
}

static void read_host(struct options_reader *reader)
{
    struct options *options = reader->options;
    const char *from = "";
    if (!options->host) {
        const char *given = variable("DOCKER_HOST");
        from = given ? " (from $DOCKER_HOST)" : "";
        option_copy(&options->host, given ? given : HOST_DEFAULT);
    }
    spell_unix(options);
    const char *host = options->host;
    if (strncmp(host, "unix:///", 8) == 0) {
        if (strlen(host + 7) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
            option_complain(&reader->base, "host", "the path of a socket has at most %zu bytes%s",
                            sizeof((struct sockaddr_un *)NULL)->sun_path - 1, from);
    } else if (strncmp(host, "tcp://", 6) != 0 || !is_address(host + 6)) {
        option_complain(&reader->base, "host", "must be unix:///PATH or tcp://HOST:PORT%s", from);
    }
}

static void check_file(struct options_reader *reader, const char *option, const char *path)
{
    if (path && access(path, R_OK) != 0)
        option_complain(&reader->base, option, "%.300s can't be read: %s", path, strerror(errno));
}

/* Either of $DOCKER_CERT_PATH and $DOCKER_TLS_VERIFY asks for it. The files are those of the former; in the client's own folder only those that are there. */
static void tls_from_environment(struct options_reader *reader)
{
    struct options *options = reader->options;
    const char *given = variable("DOCKER_CERT_PATH");
    if (!given && !variable("DOCKER_TLS_VERIFY"))
        return;
    options->tls = true;
    const char *folder = given ? given : options->docker_config;
    if (!folder)
        return;
    static const char *const names[] = {"ca.pem", "cert.pem", "key.pem"};
    char **const files[] = {&options->tls_ca, &options->tls_cert, &options->tls_key};
    for (unsigned i = 0; i < 3; i++) {
        char *path = path_of(folder, names[i]);
        if (access(path, R_OK) == 0)
            *files[i] = path;
        else {
            if (given)
                option_complain(&reader->base, "tls", "%.300s (from $DOCKER_CERT_PATH) can't be read: %s",
                                path, strerror(errno));
            free(path);
        }
    }
}

void options_read_engine(struct options_reader *reader, const sbx_json *tls)
{
    struct options *options = reader->options;
    const char *config = variable("DOCKER_CONFIG"), *home = variable("HOME");
    if (config)
        option_copy(&options->docker_config, config);
    else if (home)
        options->docker_config = path_of(home, ".docker");
    read_host(reader);
    bool tcp = strncmp(options->host, "tcp://", 6) == 0;
    if (tls && !tcp) {
        option_complain(&reader->base, "tls", "is for a host of the form tcp://HOST:PORT");
    } else if (tls) {
        options->tls = true;
        check_file(reader, "tls.ca", options->tls_ca);
        check_file(reader, "tls.cert", options->tls_cert);
        check_file(reader, "tls.key", options->tls_key);
    } else if (tcp) {
        tls_from_environment(reader);
    }
    if (!options->tls_cert != !options->tls_key)
        option_complain(&reader->base, "tls", "cert and key go together: a client has both or none");
}

/* ---- an engine elsewhere ---- */

static bool is_loopback(const char *host)
{
    return strncmp(host, "localhost", 9) == 0 || strncmp(host, "127.", 4) == 0 ||
           strncmp(host, "[::1]", 5) == 0 || strcmp(host, "::1") == 0;
}

bool options_engine_is_far(const struct options *options)
{
    return strncmp(options->host, "tcp://", 6) == 0 && !is_loopback(options->host + 6);
}

void options_check_distance(struct options_reader *reader)
{
    const struct options *options = reader->options;
    const char *host = options->host, *pattern = strstr(options->container_url_pattern, "://");
    if (!options_engine_is_far(options))
        return;
    if (!options->tls)
        option_warn(
            &reader->base, "host",
            "is spoken to without TLS: who reaches %s is root on its machine; set tls, and have the engine "
            "ask for certificates (dockerd --tlsverify)",
            host);
    if (pattern && is_loopback(pattern + 3))
        option_warn(&reader->base, "container_url_pattern",
                    "is this machine, and sandboxes run where the engine is, at %s: it must have the address "
                    "at which clients and this daemon reach that",
                    host);
    if (!options->host_network && is_loopback(options->bind_address))
        option_warn(&reader->base, "bind_address",
                    "is the loopback of the engine's machine, at %s: nobody here can reach what is published "
                    "there",
                    host);
    for (uint32_t i = 0; i < options->mounts_len; i++)
        if (options->mounts[i].kind == MOUNT_OVERLAY) {
            option_warn(&reader->base, "overlay_base",
                        "is made by this daemon and mounted by the engine at %s: both must see it under the "
                        "same path",
                        host);
            break;
        }
}
