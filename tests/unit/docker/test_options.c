/* test_options.c: each option of the docker backend: what is taken, what is told about what is not, and what kwargs
 * are warned of.
 */
#include "options/options.h"
#include "options/parts.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char complaints[8192], warnings[8192];

static void add(char *to, size_t size, const char *path, const char *message)
{
    size_t used = strlen(to);
    snprintf(to + used, size - used, "%s: %s\n", path, message);
}

static void on_error(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    add(complaints, sizeof complaints, path, message);
}

static void on_warning(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    add(warnings, sizeof warnings, path, message);
}

static struct sbx_error first;
static const char *public_url;

static int parse_with(struct options *options, bool checking, const char *text)
{
    static struct sbx_host host = {
        .size = sizeof host, .option_error = on_error, .option_warning = on_warning};
    static char check;
    host.json = json_table();
    struct sbx_backend_config config = {.size = sizeof config,
                                        .max_sandboxes = 5,
                                        .options_json = text,
                                        .options_len = strlen(text),
                                        .public_url = public_url};
    complaints[0] = warnings[0] = '\0';
    return options_parse(options, &host, checking ? (struct sbx_check *)(void *)&check : NULL, &config,
                         &first);
}

static int parse(struct options *options, const char *text)
{
    return parse_with(options, true, text);
}

/* What it says in one sentence: good, and nothing to warn of. */
static void assert_good(struct options *options, const char *text)
{
    int result = parse(options, text);
    assert_string_equal(complaints, "");
    assert_string_equal(warnings, "");
    assert_int_equal(result, 0);
}

static int clean_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"DOCKER_HOST",      "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
                                        "DOCKER_HOST_ADDR", "DOCKER_CONFIG",     "HOME"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    public_url = NULL;
    return 0;
}

static void without_options_the_defaults_are_safe(void **state)
{
    (void)state;
    struct options options;
    assert_good(&options, "{}");
    assert_string_equal(options.host, "unix:///var/run/docker.sock");
    assert_false(options.tls);
    assert_string_equal(options.container_name_prefix, "oh-agent-server-");
    assert_string_equal(options.container_url_pattern, "http://localhost:{port}");
    assert_null(options.webhook_base);
    assert_int_equal(options.mounts_len, 0);
    assert_int_equal(options.ports_len, 4);
    assert_string_equal(options.ports[1].name, "VSCODE");
    assert_int_equal(options.ports[3].container_port, 8012);
    assert_int_equal(options.ports[0].first, 0);
    assert_string_equal(options.bind_address, "127.0.0.1");
    assert_string_equal(options.network, "bridge");
    assert_false(options.host_network);
    assert_true(!options.gpus_all && options.gpus_len == 0);
    assert_true(!options.platform && !options.runtime && !options.kwargs && !options.overlay_base);
    assert_true(options.memory == 0 && options.nano_cpus == 0);
    assert_int_equal(options.pids, 4096);
    assert_int_equal(options.pause_mode, PAUSE_FREEZE);
    assert_int_equal(options.pull_policy, PULL_MISSING);
    assert_int_equal(options.stop_timeout_ms, 10000);
    assert_int_equal(options.extra_hosts_len, 1);
    assert_string_equal(options.extra_hosts[0], "host.docker.internal:host-gateway");
    assert_int_equal(options.on_shutdown, SBX_SHUTDOWN_KEEP);
    assert_null(options.docker_config);
    assert_int_equal(options.profile, PROFILE_AGENT_SERVER);
    options_finish(&options);
}

static void every_option_is_taken(void **state)
{
    (void)state;
    struct options options;
    assert_good(
        &options,
        "{\"host\": \"tcp://[::1]:2376\", \"tls\": {\"ca\": \"/dev/null\", \"cert\": \"/dev/null\", "
        "\"key\": \"/dev/zero\"}, \"container_name_prefix\": \"box.\", \"container_url_pattern\": "
        "\"https://{port}.example.org/\", \"host_port\": 0, \"overlay_base\": \"/srv//layers/\", "
        "\"mounts\": [{\"host_path\": \"/srv//a/./b/\", \"container_path\": \"/a/\"}, {\"host_path\": "
        "\"data\", \"container_path\": \"/b\", \"mode\": \"ro,nocopy\"}, {\"host_path\": "
        "\"volume:w-{id}\", \"container_path\": \"/c\"}, {\"host_path\": \"/srv/repo\", "
        "\"container_path\": \"/d:e\", \"mode\": \"overlay\"}], \"exposed_ports\": [{\"name\": "
        "\"AGENT_SERVER\", \"description\": \"d\", \"container_port\": 8000}, {\"name\": \"WEB\", "
        "\"container_port\": 80}], "
        "\"port_ranges\": {\"WEB\": \"30000-30010\"}, \"bind_address\": \"::\", \"network\": \"lan\", "
        "\"gpus\": [0, \"GPU-3a\"], \"platform\": \"linux/arm64/v8\", \"runtime\": \"runsc\", "
        "\"limits\": {\"memory\": \"1GiB\", \"cpus\": 1.5, \"pids\": 0}, \"pause_mode\": \"stop\", "
        "\"pull_policy\": \"always\", \"stop_timeout\": \"45s\", \"extra_hosts\": [\"a:10.0.0.1\", "
        "\"b:::1\"], \"kwargs\": {\"HostConfig\": {\"ShmSize\": 1048576}}, \"on_shutdown\": \"pause\"}");
    assert_string_equal(options.host, "tcp://[::1]:2376");
    assert_true(options.tls);
    assert_string_equal(options.tls_key, "/dev/zero");
    assert_string_equal(options.container_name_prefix, "box.");
    assert_string_equal(options.container_url_pattern, "https://{port}.example.org");
    assert_null(options.webhook_base);
    assert_string_equal(options.overlay_base, "/srv/layers");
    assert_int_equal(options.mounts_len, 4);
    assert_int_equal(options.mounts[0].kind, MOUNT_FOLDER);
    assert_string_equal(options.mounts[0].source, "/srv/a/b");
    assert_string_equal(options.mounts[0].target, "/a");
    assert_string_equal(options.mounts[0].mode, "rw");
    assert_int_equal(options.mounts[1].kind, MOUNT_VOLUME);
    assert_string_equal(options.mounts[1].mode, "ro,nocopy");
    assert_int_equal(options.mounts[2].kind, MOUNT_VOLUME);
    assert_string_equal(options.mounts[2].source, "w-{id}");
    assert_int_equal(options.mounts[3].kind, MOUNT_OVERLAY);
    assert_string_equal(options.mounts[3].mode, "");
    assert_int_equal(options.ports_len, 2);
    assert_int_equal(options.ports[0].container_port, 8000);
    assert_int_equal(options.ports[1].first, 30000);
    assert_int_equal(options.ports[1].last, 30010);
    assert_string_equal(options.bind_address, "::");
    assert_string_equal(options.network, "lan");
    assert_int_equal(options.gpus_len, 2);
    assert_string_equal(options.gpus[0], "0");
    assert_string_equal(options.gpus[1], "GPU-3a");
    assert_string_equal(options.platform, "linux/arm64/v8");
    assert_string_equal(options.runtime, "runsc");
    assert_int_equal(options.memory, 1 << 30);
    assert_int_equal(options.nano_cpus, 1500000000);
    assert_int_equal(options.pids, 0);
    assert_int_equal(options.pause_mode, PAUSE_STOP);
    assert_int_equal(options.pull_policy, PULL_ALWAYS);
    assert_int_equal(options.stop_timeout_ms, 45000);
    assert_int_equal(options.extra_hosts_len, 2);
    assert_string_equal(options.kwargs, "{\"HostConfig\":{\"ShmSize\":1048576}}");
    assert_int_equal(options.on_shutdown, SBX_SHUTDOWN_PAUSE);
    options_finish(&options);
}

static void profile_runtime_has_names_and_ranges_of_its_own(void **state)
{
    (void)state;
    struct options options;
    assert_good(&options, "{\"profile\": \"runtime\", \"port_ranges\": {\"WORKER_1\": \"20000-20999\"}}");
    assert_int_equal(options.profile, PROFILE_RUNTIME);
    assert_string_equal(options.container_name_prefix, "openhands-runtime-");
    assert_true(options.ports[0].first == 30000 && options.ports[0].last == 39999);
    assert_true(options.ports[1].first == 40000 && options.ports[1].last == 49999);
    assert_true(options.ports[2].first == 20000 && options.ports[2].last == 20999);
    assert_true(options.ports[3].first == 55000 && options.ports[3].last == 59999);
    options_finish(&options);
}

static void below_wsl2_the_ranges_end_where_windows_takes_ports(void **state)
{
    (void)state;
    static const char *const releases[] = {"6.1.0-18-amd64", "5.15.153.1-microsoft-standard-WSL2"};
    static const uint16_t wanted[][4][2] = {{{30000, 39999}, {40000, 49999}, {50000, 54999}, {55000, 59999}},
                                            {{30000, 34999}, {35000, 39999}, {40000, 44999}, {45000, 49151}}};
    for (unsigned i = 0; i < 2; i++)
        for (unsigned at = 0; at < 4; at++) {
            struct port_range range = options_port_range(at, releases[i]);
            assert_int_equal(range.first, wanted[i][at][0]);
            assert_int_equal(range.last, wanted[i][at][1]);
        }
}

static void docker_pys_form_of_a_sockets_url_is_taken(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"http+unix:///run/docker.sock", "unix:///run/docker.sock"},
        {"http+unix://run/docker.sock", "unix:///run/docker.sock"},
        {"http+unix://%2Frun%2fdocker.sock", "unix:///run/docker.sock"},
    };
    struct options options;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("DOCKER_HOST", cases[i][0], 1);
        assert_good(&options, "{}");
        assert_string_equal(options.host, cases[i][1]);
        options_finish(&options);
    }
    setenv("DOCKER_HOST", "http+unix://", 1);
    assert_int_equal(parse(&options, "{}"), -1);
    options_finish(&options);
}

static void the_environment_gives_the_defaults_that_the_docker_client_has(void **state)
{
    (void)state;
    struct options options;
    char folder[] = "/tmp/options-XXXXXX", path[64];
    static const char *const files[] = {"ca.pem", "cert.pem", "key.pem"};
    assert_non_null(mkdtemp(folder));
    setenv("HOME", "/home/me", 1);
    setenv("DOCKER_HOST", "tcp://engine:2376", 1);
    setenv("DOCKER_HOST_ADDR", "box.example.org", 1);
    assert_int_equal(parse(&options, "{\"bind_address\": \"0.0.0.0\"}"), 0);
    assert_string_equal(complaints, "");
    assert_string_equal(options.host, "tcp://engine:2376");
    assert_string_equal(options.container_url_pattern, "http://box.example.org:{port}");
    assert_string_equal(options.docker_config, "/home/me/.docker");
    assert_false(options.tls);
    options_finish(&options);

    setenv("DOCKER_CONFIG", "/etc/docker-client", 1);
    setenv("DOCKER_TLS_VERIFY", "1", 1);
    setenv("DOCKER_CERT_PATH", folder, 1);
    assert_int_equal(parse(&options, "{}"), -1);
    assert_non_null(strstr(complaints, "/key.pem (from $DOCKER_CERT_PATH) can't be read"));
    options_finish(&options);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        fclose(fopen(path, "w"));
    }
    assert_good(&options, "{\"bind_address\": \"0.0.0.0\"}");
    assert_string_equal(options.docker_config, "/etc/docker-client");
    assert_true(options.tls);
    assert_string_equal(options.tls_key, path);
    options_finish(&options);
    unsetenv("DOCKER_TLS_VERIFY"); /* the files alone are enough, and peers are checked all the same */
    assert_good(&options, "{\"bind_address\": \"0.0.0.0\"}");
    assert_true(options.tls);
    assert_string_equal(options.tls_key, path);
    options_finish(&options);
    assert_good(&options, "{\"host\": \"unix:///run/docker.sock\"}");
    assert_false(options.tls);
    options_finish(&options);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);

    setenv("DOCKER_HOST", "ssh://engine", 1);
    assert_int_equal(parse(&options, "{}"), -1);
    assert_string_equal(complaints, "host: must be unix:///PATH or tcp://HOST:PORT (from $DOCKER_HOST)\n");
    options_finish(&options);
}

static void sandboxes_are_told_the_public_url_or_the_port_on_the_host(void **state)
{
    (void)state;
    struct options options;
    assert_good(&options, "{\"host_port\": 8443}");
    assert_string_equal(options.webhook_base, "http://host.docker.internal:8443/api/v1/webhooks");
    options_finish(&options);
    public_url = "https://sandboxes.example.org";
    assert_good(&options, "{\"host_port\": 0}");
    assert_string_equal(options.webhook_base, "https://sandboxes.example.org/api/v1/webhooks");
    options_finish(&options);
}

static void gpus_are_all_or_ids(void **state)
{
    (void)state;
    struct options options;
    assert_good(&options, "{\"gpus\": \"all\"}");
    assert_true(options.gpus_all && options.gpus_len == 0);
    options_finish(&options);
    assert_good(&options, "{\"gpus\": \"0, GPU-1\"}");
    assert_int_equal(options.gpus_len, 2);
    assert_string_equal(options.gpus[1], "GPU-1");
    options_finish(&options);
    assert_good(&options, "{\"gpus\": 3}");
    assert_string_equal(options.gpus[0], "3");
    options_finish(&options);
}

#define MOUNT(host_path, container_path, mode)                                                               \
    "{\"mounts\": [{\"host_path\": \"" host_path "\", \"container_path\": \"" container_path                 \
    "\", \"mode\": \"" mode "\"}]}"
#define OVERLAY(host_path)                                                                                   \
    "{\"overlay_base\": \"/o\", \"mounts\": [{\"host_path\": \"" host_path                                   \
    "\", \"container_path\": \"/x\", \"mode\": \"overlay\"}]}"
#define DIVIDED                                                                                              \
    "can't have a ':' in it: the engine takes source, target and mode as one text divided by them\n"
#define NO_ID "can't have {id} in it, which is replaced in the names of volumes alone"
#define NO_VOLUME                                                                                            \
    "mounts[0].host_path: must be an absolute path, or a volume's name: letters, digits, '_', '.', '-' and " \
    "{id}, at least two, the first a letter or a digit\n"
#define FOLDER_MODES                                                                                           \
    "mounts[0].mode: must be rw, ro or overlay; rw and ro also with z or Z, a propagation (rslave, …) or a " \
    "consistency (cached, …) after a comma\n"
#define NAMES                                                                                                \
    "exposed_ports[0]: the name must be letters, digits, '_' and '-', at most 63, beginning with a letter, " \
    "and no variable that sandboxes are given besides\n"
#define RANGE "must be a range of ports from 1 to 65535, such as 30000-39999, the smaller one first\n"
#define GPUS "must be all, or at most 64 ids such as 0 or GPU-3a23c669\n"
#define PATTERN                                                                                              \
    "container_url_pattern: must be a URL with {port} in it once, such as http://localhost:{port}\n"
#define ENGINE "host: must be unix:///PATH or tcp://HOST:PORT\n"

static void each_wrong_value_is_told_with_its_path_and_what_would_be_right(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", ": must be a mapping of options\n"},
        {"{\"colour\": 1}",
         "colour: unknown option; there are host, tls, profile, container_name_prefix, "
         "container_url_pattern, "
         "host_port, overlay_base, mounts, exposed_ports, port_ranges, vscode_port, port_numbers, "
         "bind_address, network, "
         "gpus, "
         "platform, "
         "runtime, runtime_classes, limits, pause_mode, pull_policy, build_context, stop_timeout, "
         "extra_hosts, security, "
         "kwargs, on_shutdown "
         "and "
         "on_shutdown_scope\n"},
        {"{\"host\": \"http://engine:1\"}", ENGINE},
        {"{\"host\": \"tcp://engine\"}", ENGINE},
        {"{\"host\": \"tcp://engine:0\"}", ENGINE},
        {"{\"host\": \"tcp://engine:65536\"}", ENGINE},
        {"{\"host\": \"tcp://a@b:1\"}", ENGINE},
        {"{\"host\": \"tcp://::1:2375\"}", ENGINE},
        {"{\"host\": \"tcp://[::1:2375\"}", ENGINE},
        {"{\"host\": \"unix://run/docker.sock\"}", ENGINE},
        {"{\"host\": "
         "\"unix:///0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
         "2345678901234567890123456789\"}",
         "host: the path of a socket has at most 107 bytes\n"},
        {"{\"tls\": {}}", "tls: is for a host of the form tcp://HOST:PORT\n"},
        {"{\"tls\": true}", "tls: must be a mapping of ca, cert and key\n"
                            "tls: is for a host of the form tcp://HOST:PORT\n"},
        {"{\"host\": \"tcp://a:1\", \"tls\": {\"crt\": \"/a\"}}",
         "tls.crt: unknown file; there are ca, cert and key\n"},
        {"{\"host\": \"tcp://a:1\", \"tls\": {\"ca\": \"/nosuch\"}}",
         "tls.ca: /nosuch can't be read: No such file or directory\n"},
        {"{\"host\": \"tcp://a:1\", \"tls\": {\"cert\": \"/dev/null\"}}",
         "tls: cert and key go together: a client has both or none\n"},
        {"{\"profile\": \"runtimes\"}", "profile: must be agent-server or runtime\n"},
        {"{\"container_name_prefix\": \"-a\"}",
         "container_name_prefix: must be at most 63 letters, digits, '_', "
         "'.' and '-', the first a letter or a digit\n"},
        {"{\"container_name_prefix\": \"\"}", "container_name_prefix: must be a text that is not empty\n"},
        {"{\"container_url_pattern\": \"http://localhost:8000\"}", PATTERN},
        {"{\"container_url_pattern\": \"localhost:{port}\"}", PATTERN},
        {"{\"container_url_pattern\": \"http://{port}:{port}\"}", PATTERN},
        {"{\"container_url_pattern\": \"http://{host}:{port}\"}", PATTERN},
        {"{\"host_port\": 65536}", "host_port: must be a whole number from 0 to 65535\n"},
        {"{\"mounts\": {}}",
         "mounts: must be a list of at most 64 mappings of host_path, container_path and mode\n"},
        {"{\"mounts\": [3]}", "mounts[0]: must be a mapping of host_path, container_path and mode\n"},
        {"{\"mounts\": [{\"host_path\": \"/a\"}]}", "mounts[0]: container_path is missing\n"},
        {"{\"mounts\": [{\"path\": \"/a\"}]}",
         "mounts[0].path: unknown member; there are host_path, container_path and mode\n"},
        {MOUNT("/a:b", "/x", "rw"), "mounts[0].host_path: " DIVIDED},
        {MOUNT("/a", "/x:y", "rw"), "mounts[0].container_path: " DIVIDED},
        {MOUNT("/a", "x", "rw"), "mounts[0].container_path: must be an absolute path\n"},
        {MOUNT("/a", "//", "rw"), "mounts[0].container_path: can't be the root of the container\n"},
        {MOUNT("/a/../b", "/x", "rw"), "mounts[0].host_path: must be a path without \"..\"\n"},
        {MOUNT("/a/{id}", "/x", "rw"), "mounts[0].host_path: " NO_ID ": all sandboxes would share it\n"},
        {MOUNT("a-{id}", "/x/{id}", "rw"), "mounts[0].container_path: " NO_ID "\n"},
        {MOUNT("./a", "/x", "rw"), NO_VOLUME},
        {MOUNT("a/b", "/x", "rw"), NO_VOLUME},
        {MOUNT("a", "/x", "rw"), NO_VOLUME},
        {MOUNT("volume:", "/x", "rw"), NO_VOLUME},
        {MOUNT("volume:/a", "/x", "rw"), NO_VOLUME},
        {MOUNT("a{name}", "/x", "rw"), NO_VOLUME},
        {MOUNT("/a", "/x", "rw,ro"), FOLDER_MODES},
        {MOUNT("/a", "/x", "rw,"), FOLDER_MODES},
        {MOUNT("/a", "/x", "ro,overlay"), FOLDER_MODES},
        {MOUNT("/a", "/x", "nocopy"), FOLDER_MODES},
        {MOUNT("vol", "/x", "rslave"),
         "mounts[0].mode: must be rw or ro, for a volume also with z, Z or nocopy after a comma\n"},
        {MOUNT("/a", "/x", "overlay"),
         "mounts[0].host_path: an overlay needs overlay_base, the folder for what sandboxes write\n"},
        {OVERLAY("vol"), "mounts[0].host_path: an overlay needs the absolute path of a folder on the host\n"},
        {OVERLAY("/a,b"),
         "mounts[0].host_path: the folder under an overlay can't have ':', ',' or '\\' in its path\n"},
        {OVERLAY("/a\\\\b"),
         "mounts[0].host_path: the folder under an overlay can't have ':', ',' or '\\' in its path\n"},
        {"{\"overlay_base\": \"/a:b\"}", "overlay_base: can't have ':', ',' or '\\' in it\n"},
        {"{\"overlay_base\": \"o\"}", "overlay_base: must be an absolute path of at most 1024 bytes\n"},
        {"{\"overlay_base\": \"/\"}", "overlay_base: must be a folder of its own\n"},
        {"{\"mounts\": [{\"host_path\": \"/a\", \"container_path\": \"/x/\"}, {\"host_path\": \"/b\", "
         "\"container_path\": \"//x\"}]}",
         "mounts[1].container_path: another mount has the same one\n"},
        {"{\"exposed_ports\": [{\"container_port\": 80}]}", "exposed_ports[0]: name is missing\n"},
        {"{\"exposed_ports\": [{\"name\": \"1A\", \"container_port\": 80}]}", NAMES},
        {"{\"exposed_ports\": [{\"name\": \"A=B\", \"container_port\": 80}]}", NAMES},
        {"{\"exposed_ports\": [{\"name\": \"SESSION_API_KEY\", \"container_port\": 80}]}", NAMES},
        {"{\"exposed_ports\": [{\"name\": \"A\", \"container_port\": 0}]}",
         "exposed_ports[0].container_port: must be a whole number from 1 to 65535\n"},
        {"{\"exposed_ports\": [{\"name\": \"A\", \"container_port\": 81}, {\"name\": \"A\", "
         "\"container_port\": 80}]}",
         "exposed_ports[1]: another exposed port is called A\n"},
        {"{\"exposed_ports\": [{\"name\": \"A\"}, {\"name\": \"B\"}]}",
         "exposed_ports[1]: A has the container port 8000 already\n"},
        {"{\"exposed_ports\": [{\"name\": \"A\", \"container_port\": 80}, {\"name\": \"B\", "
         "\"container_port\": 80}]}",
         "exposed_ports[1]: A has the container port 80 already\n"},
        {"{\"port_ranges\": {\"WEB\": \"1-2\"}}", "port_ranges.WEB: no exposed port has this name; there are "
                                                  "AGENT_SERVER, VSCODE, WORKER_1, WORKER_2\n"},
        {"{\"port_ranges\": {\"VSCODE\": \"30000\"}}", "port_ranges.VSCODE: " RANGE},
        {"{\"port_ranges\": {\"VSCODE\": \"30010-30000\"}}", "port_ranges.VSCODE: " RANGE},
        {"{\"port_ranges\": {\"VSCODE\": \"0-10\"}}", "port_ranges.VSCODE: " RANGE},
        {"{\"port_ranges\": {\"VSCODE\": \"60000-65536\"}}", "port_ranges.VSCODE: " RANGE},
        {"{\"bind_address\": \"localhost\"}",
         "bind_address: must be an IP address, such as 127.0.0.1 or 0.0.0.0\n"},
        {"{\"network\": \"container:a\"}", "network: must be bridge, host or the name of a network\n"},
        {"{\"network\": \"none\"}", "network: must be bridge, host or the name of a network\n"},
        {"{\"gpus\": []}", "gpus: " GPUS},
        {"{\"gpus\": -1}", "gpus: " GPUS},
        {"{\"gpus\": \"0,,1\"}", "gpus: " GPUS},
        {"{\"gpus\": [\"all\", 0]}", "gpus[0]: " GPUS},
        {"{\"gpus\": [true]}", "gpus[0]: " GPUS},
        {"{\"platform\": \"linux amd64\"}", "platform: must be like linux/amd64 or linux/arm64/v8\n"},
        {"{\"runtime\": \"run\\nsc\"}",
         "runtime: must be the name of a runtime of the engine, such as runsc\n"},
        {"{\"limits\": {\"memory\": \"1MiB\"}}",
         "limits.memory: must be a size such as 64KiB or 1MiB, at least 6291456 bytes\n"},
        {"{\"runtime_classes\": {\"sysbox\": \"\"}}",
         "runtime_classes.sysbox: unknown runtime class; there are sysbox-runc and gvisor\n"},
        {"{\"runtime_classes\": {\"gvisor\": \"a b\"}}",
         "runtime_classes.gvisor: must be the name of a runtime of the engine, such as runsc, or \"\" for "
         "the one "
         "that sandboxes have without a class\n"},
        {"{\"limits\": {\"cpu\": 1}}", "limits.cpu: unknown limit; there are memory, cpus and pids\n"},
        {"{\"pause_mode\": \"sleep\"}", "pause_mode: must be freeze or stop\n"},
        {"{\"stop_timeout\": \"46s\"}",
         "stop_timeout: must be a duration such as 500ms or 10s, at most 45s\n"},
        {"{\"pull_policy\": 1}", "pull_policy: must be missing, never or always\n"},
        {"{\"on_shutdown\": \"kill\"}", "on_shutdown: must be keep, pause, stop or remove\n"},
        {"{\"extra_hosts\": [\"a\"]}",
         "extra_hosts[0]: must be NAME:ADDRESS, with an IP address or host-gateway, "
         "such as host.docker.internal:host-gateway\n"},
        {"{\"kwargs\": []}",
         "kwargs: must be a mapping of settings, under docker-py's names or the engine's\n"},
        {"{\"kwargs\": {\"image\": \"a\"}}",
         "kwargs.image: can't be chosen here: the image is the id of the spec\n"},
        {"{\"kwargs\": {\"Labels\": null}}", "kwargs.Labels: must be a mapping of names to texts\n"},
        {"{\"kwargs\": {\"env\": {}}}", "kwargs.env: must be a list\n"},
        {"{\"kwargs\": {\"Env\": [\"A=1\", \"=2\", 3]}}",
         "kwargs.Env[1]: must be NAME=VALUE\nkwargs.Env[2]: must be NAME=VALUE\n"},
        {"{\"host_port\": -1, \"mounts\": [{\"host_path\": \"/a:b\", \"container_path\": \"/\", \"mode\": "
         "\"w\"}], "
         "\"network\": \"a b\"}",
         "host_port: must be a whole number from 0 to 65535\nnetwork: must be bridge, host or the name of a "
         "network\nmounts[0].host_path: " DIVIDED
         "mounts[0].container_path: can't be the root of the container\n" FOLDER_MODES},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse(&options, cases[i][0]), -1);
        assert_string_equal(complaints, cases[i][1]);
        options_finish(&options);
    }
}

static void a_path_of_a_mount_is_bounded(void **state)
{
    (void)state;
    char text[2048], path[1026];
    struct options options;
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    for (unsigned over = 0; over < 2; over++) {
        snprintf(text, sizeof text, "{\"mounts\": [{\"host_path\": \"/%s\", \"container_path\": \"/x\"}]}",
                 path + 2 - over);
        assert_int_equal(parse(&options, text), over ? -1 : 0);
        assert_string_equal(complaints,
                            over ? "mounts[0].host_path: must be a path of at most 1024 bytes\n" : "");
        options_finish(&options);
    }
}

static void without_a_check_the_first_complaint_is_the_error(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse_with(&options, false, "{\"host_port\": -1, \"gpus\": []}"), -1);
    assert_string_equal(first.message, "host_port: must be a whole number from 0 to 65535");
    assert_string_equal(first.code, "INVALID_OPTIONS");
    options_finish(&options);
    assert_int_equal(parse_with(&options, false, "{\"kwargs\": {\"HostConfig\": {\"Privileged\": true}}}"),
                     0);
    assert_string_equal(warnings, "");
    options_finish(&options);
}

#define HOST_CONFIG(members) "{\"kwargs\": {\"HostConfig\": {" members "}}}"
#define GIVES "gives sandboxes "

static void what_may_surprise_is_warned_of(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"exposed_ports\": []}",
         "exposed_ports: is empty: sandboxes have no URL, and are RUNNING without a health check"},
        {"{\"profile\": \"runtime\", \"exposed_ports\": [{\"name\": \"AGENT_SERVER\", \"container_port\": "
         "1}]}",
         "exposed_ports[0]: container_port has no effect under profile: runtime"},
        {"{\"port_ranges\": {\"AGENT_SERVER\": \"30000-30003\"}}",
         "port_ranges.AGENT_SERVER: holds 4 ports, fewer than the 5 sandboxes that one user may run"},
        {"{\"port_ranges\": {\"AGENT_SERVER\": \"30000-30099\", \"VSCODE\": \"30099-30199\"}}",
         "port_ranges.VSCODE: overlaps the range of AGENT_SERVER, 30000-30099"},
        {"{\"network\": \"host\", \"bind_address\": \"0.0.0.0\"}", "bind_address: has no effect"},
        {"{\"overlay_base\": \"/dev/null\"}", "overlay_base: /dev/null is no folder"},
        {"{\"overlay_base\": \"/tmp\"}", "overlay_base: /tmp may be written to by others"},
        {MOUNT("/", "/x", "ro"), "mounts[0]: " GIVES "the whole file system of the host"},
        {MOUNT("/run/docker.sock", "/x", "ro"), "mounts[0]: " GIVES "the engine"},
        {"{\"kwargs\": {\"privileged\": true}}", "kwargs.privileged: " GIVES "the host"},
        {"{\"kwargs\": {\"security_opt\": [\"a\", \"apparmor=unconfined\"]}}", "kwargs.security_opt[1]: "},
        {"{\"kwargs\": {\"network_disabled\": true}}", "kwargs.network_disabled: leaves sandboxes without"},
        {HOST_CONFIG("\"Privileged\": true"), "kwargs.HostConfig.Privileged: " GIVES "the host"},
        {"{\"kwargs\": {\"hostconfig\": {\"privileged\": true}}}",
         "kwargs.hostconfig.privileged: " GIVES "the host"},
        {HOST_CONFIG("\"CapAdd\": [\"SYS_ADMIN\"]"), "kwargs.HostConfig.CapAdd: "},
        {HOST_CONFIG("\"Devices\": [{}]"), "kwargs.HostConfig.Devices: "},
        {HOST_CONFIG("\"PidMode\": \"host\""), "kwargs.HostConfig.PidMode: "},
        {HOST_CONFIG("\"IpcMode\": \"host\""), "kwargs.HostConfig.IpcMode: "},
        {HOST_CONFIG("\"UsernsMode\": \"host\""), "kwargs.HostConfig.UsernsMode: "},
        {HOST_CONFIG("\"NetworkMode\": \"host\""), "kwargs.HostConfig.NetworkMode: "},
        {HOST_CONFIG("\"SecurityOpt\": [\"a\", \"seccomp=unconfined\"]"),
         "kwargs.HostConfig.SecurityOpt[1]: "},
        {HOST_CONFIG("\"MaskedPaths\": []"), "kwargs.HostConfig.MaskedPaths: "},
        {HOST_CONFIG("\"Binds\": [\"/a:/b\", \"/var/run/docker.sock:/s\"]"), "kwargs.HostConfig.Binds[1]: "},
        {HOST_CONFIG("\"Mounts\": [{\"Type\": \"bind\", \"Source\": \"/\", \"Target\": \"/h\"}]"),
         "kwargs.HostConfig.Mounts[0]: " GIVES "the whole file system of the host"},
        {HOST_CONFIG("\"AutoRemove\": true"), "kwargs.HostConfig.AutoRemove: "},
        {HOST_CONFIG("\"RestartPolicy\": {\"Name\": \"always\"}"), "kwargs.HostConfig.RestartPolicy: "},
        {"{\"kwargs\": {\"NetworkDisabled\": true}}", "kwargs.NetworkDisabled: leaves sandboxes without"},
        {"{\"host\": \"tcp://engine:1\", \"tls\": {}, \"bind_address\": \"0.0.0.0\"}",
         "container_url_pattern: is this machine"},
        {"{\"host\": \"tcp://engine:1\", \"tls\": {}, \"container_url_pattern\": \"http://engine:{port}\"}",
         "bind_address: is the loopback of the engine's machine, at tcp://engine:1"},
        {"{\"host\": \"tcp://engine:1\", \"tls\": {}, \"container_url_pattern\": \"http://engine:{port}\", "
         "\"network\": "
         "\"host\", \"overlay_base\": \"/o\", \"mounts\": [{\"host_path\": \"/a\", \"container_path\": "
         "\"/x\", \"mode\": \"overlay\"}]}",
         "overlay_base: is made by this daemon"},
        {"{\"host\": \"tcp://engine:1\", \"container_url_pattern\": \"http://engine:{port}\", "
         "\"bind_address\": \"0.0.0.0\"}",
         "host: is spoken to without TLS"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse(&options, cases[i][0]), 0);
        assert_int_equal(strncmp(warnings, cases[i][1], strlen(cases[i][1])), 0);
        assert_ptr_equal(strchr(warnings, '\n'), warnings + strlen(warnings) - 1);
        options_finish(&options);
    }
}

static void a_wrong_scope_is_told_once(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "{\"on_shutdown_scope\": \"wrong\"}"), -1);
    assert_string_equal(complaints, "on_shutdown_scope: must be own or all\n");
    assert_string_equal(warnings, "");
    options_finish(&options);
    assert_int_equal(parse(&options, "{\"on_shutdown_scope\": \"all\"}"), 0);
    assert_string_equal(warnings, "on_shutdown_scope: has no effect without on_shutdown, which keeps all as "
                                  "they are\n");
    options_finish(&options);
}

static void harmless_kwargs_are_not_warned_of(void **state)
{
    (void)state;
    struct options options;
    assert_good(&options,
                HOST_CONFIG("\"Privileged\": false, \"CapAdd\": [], \"CapDrop\": [\"ALL\"], \"PidMode\": "
                            "\"\", \"SecurityOpt\": [\"no-new-privileges:false\"], \"Binds\": [\"/a:/b\", "
                            "\"vol:/c\"], \"Mounts\": [{\"Type\": \"tmpfs\", \"Target\": \"/t\"}], "
                            "\"AutoRemove\": false, \"RestartPolicy\": {\"Name\": \"no\"}, \"MaskedPaths\": "
                            "[\"/proc/kcore\"]"));
    options_finish(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_options_the_defaults_are_safe, clean_environment),
        cmocka_unit_test_setup(every_option_is_taken, clean_environment),
        cmocka_unit_test_setup(profile_runtime_has_names_and_ranges_of_its_own, clean_environment),
        cmocka_unit_test(below_wsl2_the_ranges_end_where_windows_takes_ports),
        cmocka_unit_test_setup(docker_pys_form_of_a_sockets_url_is_taken, clean_environment),
        cmocka_unit_test_setup(the_environment_gives_the_defaults_that_the_docker_client_has,
                               clean_environment),
        cmocka_unit_test_setup(sandboxes_are_told_the_public_url_or_the_port_on_the_host, clean_environment),
        cmocka_unit_test_setup(gpus_are_all_or_ids, clean_environment),
        cmocka_unit_test_setup(each_wrong_value_is_told_with_its_path_and_what_would_be_right,
                               clean_environment),
        cmocka_unit_test_setup(a_path_of_a_mount_is_bounded, clean_environment),
        cmocka_unit_test_setup(without_a_check_the_first_complaint_is_the_error, clean_environment),
        cmocka_unit_test_setup(what_may_surprise_is_warned_of, clean_environment),
        cmocka_unit_test_setup(a_wrong_scope_is_told_once, clean_environment),
        cmocka_unit_test_setup(harmless_kwargs_are_not_warned_of, clean_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
