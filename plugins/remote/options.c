/* options.c: see options.h. Looks whether files are there; connects to nothing. No complaint repeats api_url or
 * api_key, which may hold secrets.
 */
#include "options.h"

#include "common/option_reader.h"
#include "urls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT(member) offsetof(struct options, member)

enum { API_URL_MAX = 1024, API_KEY_MAX = 4096, HOUR_MS = 3600000 };

static const struct option tls[] = {
    {"ca", OPTION_PATH, AT(tls_ca), .text = NULL},
    {"cert", OPTION_PATH, AT(tls_cert), .text = NULL},
    {"key", OPTION_PATH, AT(tls_key), .text = NULL},
};
static const struct option_table tls_table = {"file", tls, sizeof tls / sizeof *tls};

static const struct option all[] = {
    {"api_url", OPTION_TEXT, AT(api_url), .text = NULL},
    {"api_key", OPTION_TEXT, AT(api_key), .text = NULL},
    {"resource_factor", OPTION_INTEGER, AT(resource_factor), .min = 1, .max = 8, .number = 1},
    {.name = "runtime_class", .type = OPTION_OTHER},
    {"start_sandbox_timeout", OPTION_DURATION, AT(start_timeout_ms), .min = 1000, .max = HOUR_MS,
     .number = 120000},
    {"polling_interval", OPTION_DURATION, AT(polling_interval_ms), .min = 100, .max = 24 * HOUR_MS,
     .number = 0},
    {"refresh_interval", OPTION_DURATION, AT(refresh_interval_ms), .min = 100, .max = HOUR_MS,
     .number = 15000},
    {"max_in_flight", OPTION_INTEGER, AT(max_in_flight), .min = 1, .max = 256, .number = 16},
    {"timeout", OPTION_DURATION, AT(timeout_ms), .min = 100, .max = 600000, .number = 15000},
    {"run_as_user", OPTION_INTEGER, AT(run_as_user), .max = INT32_MAX, .number = 10001},
    {"run_as_group", OPTION_INTEGER, AT(run_as_group), .max = INT32_MAX, .number = 10001},
    {"fs_group", OPTION_INTEGER, AT(fs_group), .max = INT32_MAX, .number = 10001},
    {.name = "tls", .type = OPTION_MAPPING, .nested = &tls_table},
    {.name = "on_shutdown", .type = OPTION_OTHER},
};
static const struct option_table table = {"option", all, sizeof all / sizeof *all};

/* ---- where the API is ---- */

static bool is_loopback(const struct url *url)
{
    char host[64];
    snprintf(host, sizeof host, "%.*s", url->host_len < sizeof host ? (int)url->host_len : 0, url->host);
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

/* Where what it is reached at is not this machine, neither are its sandboxes. */
static void check_reports(struct option_reader *reader, const char *public_url)
{
    struct url url;
    if (public_url && url_split(&url, public_url) && is_loopback(&url))
        option_warn(
            reader, "api_url",
            "is on another machine, where server.public_url leads nowhere: what agents report will not "
            "arrive; give an address of this machine, or none to have agents polled");
}

static void check_url(struct option_reader *reader, const sbx_json *root, struct options *options,
                      const char *public_url)
{
    struct url url;
    if (!option_given(reader, root, "api_url"))
        option_complain(reader, "api_url",
                        "is missing: the URL of the runtime API, such as https://runtime.example.com");
    if (!options->api_url)
        return;
    for (size_t len = strlen(options->api_url); len > 0 && options->api_url[len - 1] == '/'; len--)
        options->api_url[len - 1] = '\0';
    if (strlen(options->api_url) > API_URL_MAX || !url_split(&url, options->api_url) ||
        strpbrk(url.path, "?#")) {
        option_complain(
            reader, "api_url",
            "must be a URL of at most %d bytes like https://HOST[:PORT][/PATH], without a user, a query or "
            "a fragment",
            API_URL_MAX);
        return;
    }
    if (option_given(reader, root, "tls") && !url.tls)
        option_complain(reader, "tls", "is for an api_url of the form https://");
    bool loopback = is_loopback(&url);
    if (!url.tls && !loopback)
        option_warn(reader, "api_url",
                    "is http: who is on the way reads the API key and the keys of all sandboxes; use https");
    if (!option_given(reader, root, "api_key") && !loopback)
        option_warn(reader, "api_key", "is missing: the runtime API is asked without one");
    if (!loopback)
        check_reports(reader, public_url);
}

/* It becomes part of a header line. */
static void check_key(struct option_reader *reader, const struct options *options)
{
    const char *key = options->api_key;
    bool wrong = key && strlen(key) > API_KEY_MAX;
    for (; key && *key; key++)
        wrong |= *key <= ' ' || *key > '~';
    if (wrong)
        option_complain(reader, "api_key",
                        "must be at most %d letters, digits and signs of ASCII, without blanks", API_KEY_MAX);
}

/* ---- the rest ---- */

static void check_polling(struct option_reader *reader, const sbx_json *root, const char *public_url)
{
    if (public_url && option_given(reader, root, "polling_interval"))
        option_warn(reader, "polling_interval",
                    "is how often agent servers are asked for their events, and they report by themselves "
                    "to server.public_url: leave it out, or give refresh_interval, which is how often the "
                    "API is asked about sandboxes");
}

static void check_file(struct option_reader *reader, const char *option, const char *path)
{
    struct stat file;
    if (path && access(path, R_OK) != 0)
        option_complain(reader, option, "%.300s can't be read: %s", path, strerror(errno));
    else if (path && stat(path, &file) == 0 && S_ISDIR(file.st_mode))
        option_complain(reader, option, "%.300s is a folder, and must be a file", path);
}

static void check_tls(struct option_reader *reader, const sbx_json *files, const struct options *options)
{
    check_file(reader, "tls.ca", options->tls_ca);
    check_file(reader, "tls.cert", options->tls_cert);
    check_file(reader, "tls.key", options->tls_key);
    if (!option_given(reader, files, "cert") != !option_given(reader, files, "key"))
        option_complain(reader, "tls", "cert and key go together: a client has both or none");
}

static void read_choices(struct option_reader *reader, const sbx_json *root, struct options *options)
{
    static const char *const classes[] = {"gvisor", "sysbox", NULL};
    static const char *const shutdowns[] = {"keep", "pause", "stop", "remove", NULL};
    options->sysbox =
        option_choice(reader, "runtime_class", option_given(reader, root, "runtime_class"), classes, 0);
    options->on_shutdown = (enum sbx_on_shutdown)option_choice(
        reader, "on_shutdown", option_given(reader, root, "on_shutdown"), shutdowns, SBX_SHUTDOWN_KEEP);
}

static void set_webhook_base(struct options *options, const char *public_url)
{
    static const char path[] = "/api/v1/webhooks";
    if (!public_url || !*public_url)
        return;
    size_t len = strlen(public_url), size = len + sizeof path;
    while (len > 0 && public_url[len - 1] == '/')
        len--;
    if (!(options->webhook_base = malloc(size)))
        abort();
    snprintf(options->webhook_base, size, "%.*s%s", (int)len, public_url, path);
}

int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err)
{
    struct option_reader reader = {.host = host, .check = check, .err = err};
    *options = (struct options){0};
    option_defaults(&table, options);
    sbx_json *root = option_parse(&reader, config);
    if (!root)
        return -1;
    option_read(&reader, "", root, &table, options);
    check_url(&reader, root, options, config->public_url);
    check_key(&reader, options);
    check_tls(&reader, option_given(&reader, root, "tls"), options);
    if (options->resource_factor & (options->resource_factor - 1))
        option_complain(&reader, "resource_factor", "must be 1, 2, 4 or 8");
    read_choices(&reader, root, options);
    check_polling(&reader, root, config->public_url);
    set_webhook_base(options, config->public_url);
    host->json->free(root);
    return reader.errors == 0 ? 0 : -1;
}

void options_finish(struct options *options)
{
    if (options->api_key)
        explicit_bzero(options->api_key, strlen(options->api_key));
    char *const texts[] = {options->api_url,  options->api_key, options->tls_ca,
                           options->tls_cert, options->tls_key, options->webhook_base};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *options = (struct options){0};
}
