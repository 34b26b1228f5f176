/* What a right file becomes: values, defaults, options as JSON, digests, positions; and files that are no
 * configuration at all, refused quickly. */
#include "config/load.h"

#include "base/clock.h"
#include "config/arena.h"
#include "config/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKEND "backends: {local: {plugin: process}}\n"

static struct config *parse(const char *text)
{
    struct config_problems problems;
    config_problems_init(&problems);
    struct config *config = config_parse("f", text, strlen(text), CONFIG_MEMORY, &problems);
    if (!config)
        fail_msg("%s", problems.list[0].text);
    config_problems_finish(&problems);
    return config;
}

static void the_least_file_has_every_default(void **state)
{
    (void)state;
    struct config *config = parse(BACKEND);
    assert_string_equal(config->file, "f");
    assert_int_equal(config->refs, 1);
    assert_int_equal(config->listen_len, 1);
    assert_int_equal(config->listen[0].kind, ADDRESS_TCP);
    assert_string_equal(config->listen[0].text, "127.0.0.1:3000");
    assert_string_equal(config->listen[0].host, "127.0.0.1");
    assert_int_equal(config->listen[0].port, 3000);
    assert_null(config->tls_cert);
    assert_null(config->tls_key);
    assert_null(config->public_url);
    assert_int_equal(config->max_connections, 1024);
    assert_int_equal(config->max_body, 1048576);
    assert_int_equal(config->header_timeout_ms, 10000);
    assert_int_equal(config->drain_timeout_ms, 10000);
    assert_int_equal(config->keys_len, 0);
    assert_string_equal(config->state_dir, "/var/lib/sandboxd");
    assert_null(config->plugin_dir);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_false(config->log_json);
    assert_int_equal(config->backends_len, 1);
    const struct config_backend *backend = &config->backends[0];
    assert_string_equal(backend->name, "local");
    assert_string_equal(backend->plugin, "process");
    assert_false(backend->max_sandboxes_given);
    assert_int_equal(backend->over_limit, OVER_LIMIT_PAUSE_OLDEST);
    assert_false(backend->health_path_given);
    assert_int_equal(backend->health_interval_ms, 5000);
    assert_int_equal(backend->startup_timeout_ms, 120000);
    assert_string_equal(backend->options_json, "{}");
    assert_int_equal(backend->options_len, 2);
    assert_int_equal(backend->line, 1);
    assert_int_equal(backend->column, 12);
    assert_string_equal(config->default_backend, "local");
    assert_int_equal(config->specs_len, 0);
    assert_false(config->runtime_api_enabled);
    assert_int_equal(config->runtime_api_images_len, 0);
    assert_string_equal(config->runtime_api_backend, "local");
    assert_int_equal(config->own_commands_len, 0);
    assert_string_equal(config->runtime_api_registry_prefix, "ghcr.io/openhands");
    assert_true(config->events_retention_ms == UINT64_C(604800000));
    assert_int_equal(config->callbacks_len, 0);
    config_unref(config);
}

static void keys_without_a_value_count_as_left_out(void **state)
{
    (void)state;
    struct config *config =
        parse("server:\n  listen:\n  tls:\n  public_url: ''\n  max_body: ~\nauth:\nplugin_dir:\nlog:\n"
              "default_backend: null\nspecs:\nruntime_api:\nevents: {callbacks: }\n"
              "backends: {a: {plugin: p, max_sandboxes: , options: }}\n");
    assert_string_equal(config->listen[0].text, "127.0.0.1:3000");
    assert_int_equal(config->max_body, 1048576);
    assert_null(config->public_url);
    assert_string_equal(config->backends[0].options_json, "{}");
    config_unref(config);
}

static void every_value_goes_where_it_belongs(void **state)
{
    (void)state;
    setenv("TEST_KEY", "a", 1);
    struct config *config =
        parse("server:\n"
              "  listen: [0.0.0.0:80, \"[::]:81\", localhost:0, unix:/run/x.sock]\n"
              "  tls: {cert: c.pem, key: k.pem}\n"
              "  public_url: https://sandboxd.example/base//\n"
              "  hosts: [box, \"*.corp.example\"]\n"
              "  cors_origins: [\"https://app.example\"]\n"
              "  max_connections: 7\n"
              "  max_body: 64KiB\n"
              "  header_timeout: 500ms\n"
              "  drain_timeout: 0\n"
              "auth:\n"
              "  keys:\n"
              "  - {user: alice, key: \"${TEST_KEY}\"}\n"
              "  - {user: 007, role: admin,\n"
              "     sha256: \"3E23E8160039594A33894F6564E1B1348BBD7A0088D42C4ACB73EEAED59C009D\"}\n"
              "state_dir: /s\n"
              "plugin_dir: plugins\n"
              "log: {level: debug, format: json}\n"
              "backends:\n"
              "  a.b-c_1: {plugin: ./p.so, max_sandboxes: 5, over_limit: reject, health_check_path: null,\n"
              "            health_interval: 1, startup_timeout: 1m}\n"
              "  z: {plugin: p, health_check_path: /alive, health_check_body: {status: ok, n: 1, t: true,\n"
              "      s: \"1\", z: null}}\n"
              "  n: {plugin: p, health_check_body: null}\n"
              "  e: {plugin: p, health_check_body: {}}\n"
              "default_backend: z\n"
              "specs:\n"
              "- id: image:1\n"
              "  backend: a.b-c_1\n"
              "  command: [run, --port, \"{port}\", 5, '', true]\n"
              "  initial_env: {A: 1, B: true, C: \"null\", D: 0x10, E: '', F: \"$$x\", \"G H\": \"a\\nb\"}\n"
              "  working_dir: /w\n"
              "- id: image:2\n"
              "- {id: image:4, entrypoint: []}\n"
              "- {id: image:5, entrypoint: [/wrap, -v], command: [-x]}\n"
              "- {id: made, build: {base_image: debian:13, extra_deps: \"a\\nb\", enable_browser: false}}\n"
              "- {id: made:2, build: {base_image: debian, force_rebuild: true}}\n");
    assert_int_equal(config->listen_len, 4);
    assert_string_equal(config->listen[1].text, "[::]:81");
    assert_string_equal(config->listen[1].host, "::");
    assert_int_equal(config->listen[1].port, 81);
    assert_string_equal(config->listen[2].host, "127.0.0.1");
    assert_int_equal(config->listen[3].kind, ADDRESS_UNIX);
    assert_string_equal(config->listen[3].path, "/run/x.sock");
    assert_string_equal(config->listen_urls, "[\"https://0.0.0.0:80\",\"https://[::]:81\"]");
    assert_string_equal(config->tls_cert, "c.pem");
    assert_string_equal(config->tls_key, "k.pem");
    assert_string_equal(config->public_url, "https://sandboxd.example/base");
    assert_int_equal(config->hosts_len, 2);
    assert_string_equal(config->hosts[1], "*.corp.example");
    assert_int_equal(config->cors_origins_len, 1);
    assert_string_equal(config->cors_origins[0], "https://app.example");
    assert_int_equal(config->max_connections, 7);
    assert_int_equal(config->max_body, 65536);
    assert_int_equal(config->header_timeout_ms, 500);
    assert_int_equal(config->drain_timeout_ms, 0);
    assert_int_equal(config->keys_len, 2);
    assert_string_equal(config->keys[0].user, "alice");
    assert_int_equal(config->keys[0].sha256[0], 0xca); /* SHA-256 of "a" is ca97…48bb */
    assert_int_equal(config->keys[0].sha256[31], 0xbb);
    assert_false(config->keys[0].admin);
    assert_string_equal(config->keys[1].user, "007");
    assert_int_equal(config->keys[1].sha256[0], 0x3e);
    assert_true(config->keys[1].admin);
    assert_string_equal(config->state_dir, "/s");
    assert_string_equal(config->plugin_dir, "plugins");
    assert_int_equal(config->log_level, LOG_DEBUG);
    assert_true(config->log_json);
    const struct config_backend *backend = config_find_backend(config, "a.b-c_1");
    assert_string_equal(backend->plugin, "./p.so");
    assert_true(backend->max_sandboxes_given);
    assert_int_equal(backend->max_sandboxes, 5);
    assert_int_equal(backend->over_limit, OVER_LIMIT_REJECT);
    assert_true(backend->health_path_given);
    assert_null(backend->health_check_path);
    assert_int_equal(backend->health_interval_ms, 1000);
    assert_int_equal(backend->startup_timeout_ms, 60000);
    assert_string_equal(config_find_backend(config, "z")->health_check_path, "/alive");
    assert_string_equal(config_find_backend(config, "z")->health_check_body,
                        "{\"status\":\"ok\",\"n\":1,\"t\":true,\"s\":\"1\",\"z\":null}");
    assert_true(config_find_backend(config, "z")->health_body_given);
    assert_true(config_find_backend(config, "n")->health_body_given);
    assert_null(config_find_backend(config, "n")->health_check_body);
    assert_true(config_find_backend(config, "e")->health_body_given);
    assert_null(config_find_backend(config, "e")->health_check_body);
    assert_false(backend->health_body_given);
    assert_null(config_find_backend(config, "y"));
    const struct config_spec *spec = config_find_spec(config, "image:1");
    assert_string_equal(spec->backend, "a.b-c_1");
    assert_int_equal(spec->command_len, 6);
    assert_string_equal(spec->command[3], "5");
    assert_int_equal(spec->initial_env_len, 7);
    assert_string_equal(spec->initial_env[3].value, "0x10");
    assert_string_equal(
        spec->json, "{\"id\":\"image:1\",\"command\":[\"run\",\"--port\",\"{port}\",\"5\",\"\",\"true\"],"
                    "\"initial_env\":{\"A\":\"1\",\"B\":\"true\",\"C\":\"null\",\"D\":\"0x10\",\"E\":\"\","
                    "\"F\":\"$x\",\"G H\":\"a\\nb\"},\"working_dir\":\"/w\"}");
    assert_int_equal(spec->json_len, strlen(spec->json));
    assert_string_equal(config_find_spec(config, "image:2")->backend, "z");
    assert_string_equal(config_find_spec(config, "image:2")->json,
                        "{\"id\":\"image:2\",\"command\":null,\"initial_env\":{},\"working_dir\":null}");
    assert_string_equal(config_find_spec(config, "image:4")->json,
                        "{\"id\":\"image:4\",\"command\":null,\"entrypoint\":[],\"initial_env\":{},"
                        "\"working_dir\":null}");
    assert_string_equal(config_find_spec(config, "image:5")->json,
                        "{\"id\":\"image:5\",\"command\":[\"-x\"],\"entrypoint\":[\"/wrap\",\"-v\"],"
                        "\"initial_env\":{},\"working_dir\":null}");
    assert_string_equal(config_find_spec(config, "made")->json,
                        "{\"id\":\"made\",\"command\":null,\"build\":{\"base_image\":\"debian:13\","
                        "\"extra_deps\":\"a\\nb\",\"enable_browser\":false,\"force_rebuild\":false},"
                        "\"initial_env\":{},\"working_dir\":null}");
    assert_string_equal(config_find_spec(config, "made:2")->json,
                        "{\"id\":\"made:2\",\"command\":null,\"build\":{\"base_image\":\"debian\","
                        "\"extra_deps\":null,\"enable_browser\":true,\"force_rebuild\":true},"
                        "\"initial_env\":{},\"working_dir\":null}");
    assert_null(config_find_spec(config, "image:3"));
    config_unref(config);
}

static void options_become_json_by_the_core_schema(void **state)
{
    (void)state;
    setenv("TEST_PORT", "9000", 1);
    setenv("TEST_EMPTY", "", 1);
    setenv("TEST_YAML", "[a, b] # ${TEST_PORT}: $x", 1);
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        {"{}", "{}"},
        {"{a: 1, b: -2, c: 0x1f, d: 0o17, e: 0755}", "{\"a\":1,\"b\":-2,\"c\":31,\"d\":15,\"e\":755}"},
        {"{a: 18446744073709551615, b: -9223372036854775808}",
         "{\"a\":18446744073709551615,\"b\":-9223372036854775808}"},
        {"{a: 1.5, b: .5}", "{\"a\":1.5,\"b\":0.5}"},
        {"{a: true, b: False, c: yes, d: ~, e: , f: null}",
         "{\"a\":true,\"b\":false,\"c\":\"yes\",\"d\":null,\"e\":null,\"f\":null}"},
        {"{a: \"1\", b: 'true', c: \"\", d: \"\\u00fc\\n\\\"/\"}",
         "{\"a\":\"1\",\"b\":\"true\",\"c\":\"\",\"d\":\"ü\\n\\\"/\"}"},
        {"{a: [1, [x, {y: z}]], b: []}", "{\"a\":[1,[\"x\",{\"y\":\"z\"}]],\"b\":[]}"},
        {"\n      a: ${TEST_PORT}\n      b: \"${TEST_PORT}\"\n      c: x${TEST_PORT}",
         "{\"a\":9000,\"b\":\"9000\",\"c\":\"x9000\"}"},
        {"\n      a: ${TEST_EMPTY}\n      b: ${TEST_YAML}\n      $${a}: $$$$",
         "{\"a\":\"\",\"b\":\"[a, b] # ${TEST_PORT}: $x\",\"$${a}\":\"$$\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        snprintf(text, sizeof text, "backends:\n  a:\n    plugin: p\n    options: %s\n", rows[i].yaml);
        struct config *config = parse(text);
        assert_string_equal(config->backends[0].options_json, rows[i].json);
        assert_int_equal(config->backends[0].options_len, strlen(rows[i].json));
        config_unref(config);
    }
}

static void a_variable_may_be_a_number_with_or_without_quotes(void **state)
{
    (void)state;
    setenv("TEST_NUMBER", "42", 1);
    setenv("TEST_TRUE", "false", 1);
    struct config *config =
        parse("server:\n  max_connections: ${TEST_NUMBER}\n  drain_timeout: \"${TEST_NUMBER}s\"\n"
              "runtime_api: {enabled: \"${TEST_TRUE}\"}\n" BACKEND);
    assert_int_equal(config->max_connections, 42);
    assert_int_equal(config->drain_timeout_ms, 42000);
    config_unref(config);
    config = parse("server: {max_connections: \"${TEST_NUMBER}\"}\n" BACKEND);
    assert_int_equal(config->max_connections, 42);
    config_unref(config);
}

static void the_text_of_a_unix_path_has_107_bytes(void **state)
{
    (void)state;
    char path[110] = "/", text[256];
    memset(path + 1, 'p', 106);
    snprintf(text, sizeof text, "server: {listen: \"unix:%s\"}\n" BACKEND, path);
    struct config *config = parse(text);
    assert_string_equal(config->listen[0].path, path);
    config_unref(config);
    snprintf(text, sizeof text, "server: {listen: \"unix:%sp\"}\n" BACKEND, path);
    struct config_problems problems;
    config_problems_init(&problems);
    assert_null(config_parse("f", text, strlen(text), CONFIG_MEMORY, &problems));
    assert_non_null(strstr(problems.list[0].text, "must have a path of at most 107 bytes after \"unix:\""));
    config_problems_finish(&problems);
}

static const uint8_t *digest_of(struct config **config, const char *section)
{
    char text[512];
    snprintf(text, sizeof text, "# comment\nbackends:\n  a: %s\n", section);
    *config = parse(text);
    return (*config)->backends[0].digest;
}

static void a_digest_changes_with_the_content_only(void **state)
{
    (void)state;
    static const struct {
        const char *one, *two;
        bool same;
    } rows[] = {
        {"{plugin: p, options: {x: 1, y: [a, b]}}", "{options: {\n  y: [a, b], x: 1},\n plugin: p} # same",
         true},
        {"{plugin: p}", "{plugin: q}", false},
        {"{plugin: p, options: {x: 1}}", "{plugin: p, options: {x: \"1\"}}", false},
        {"{plugin: p, options: {x: [a, b]}}", "{plugin: p, options: {x: [b, a]}}", false},
        {"{plugin: p, options: {x: [a, b]}}", "{plugin: p, options: {x: [ab]}}", false},
        {"{plugin: p, options: {x: {y: z}}}", "{plugin: p, options: {x: {}, y: z}}", false},
        {"{plugin: p, max_sandboxes: 4}", "{plugin: p, max_sandboxes: 5}", false},
        {"{plugin: p, options: {x: \"v\"}}", "{plugin: p, options: {x: \"${TEST_V}\"}}", true},
        {"{plugin: p, options: {x: \"w\"}}", "{plugin: p, options: {x: \"${TEST_V}\"}}", false},
    };
    setenv("TEST_V", "v", 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config *one, *two;
        bool same = memcmp(digest_of(&one, rows[i].one), digest_of(&two, rows[i].two), 32) == 0;
        if (same != rows[i].same)
            fail_msg("%s and %s", rows[i].one, rows[i].two);
        config_unref(one);
        config_unref(two);
    }
}

static void positions_are_found_by_path(void **state)
{
    (void)state;
    struct config *config = parse("backends:\n"
                                  "  a:\n"
                                  "    plugin: p\n"
                                  "    options:\n"
                                  "      mounts:\n"
                                  "      - {from: x}\n"
                                  "      - {from: y,\n"
                                  "         mode: z}\n"
                                  "      a: {b: 1}\n"
                                  "      a.b: 2\n"
                                  "      a.b.c: {d: 3}\n"
                                  "  b: {plugin: p}\n"
                                  "default_backend: a\n"
                                  "server: {listen: [127.0.0.1:1, 127.0.0.1:2]}\n");
    static const struct {
        const char *path;
        unsigned line, column;
    } options[] = {
        {"", 4, 5},
        {"mounts", 5, 7},
        {"mounts[1]", 7, 9},
        {"mounts[1].mode", 8, 10},
        {"mounts[1].missing", 7, 9},
        {"mounts[2].mode", 5, 7},
        {"mounts[x", 5, 7},
        {"mounts[99999999999999999999]", 5, 7},
        {"missing.deep[3]", 4, 5},
        {"a.b", 10, 7},
        {"a.b.c.d", 11, 15},
        {"a.", 9, 7},
        {"..", 4, 5},
    };
    unsigned line, column;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        config_option_position(&config->backends[0], options[i].path, &line, &column);
        if (line != options[i].line || column != options[i].column)
            fail_msg("\"%s\" is at %u:%u", options[i].path, line, column);
    }
    config_option_position(&config->backends[1], "anything", &line, &column);
    assert_int_equal(line, 12);
    assert_int_equal(column, 3);
    config_position(config, "server.listen[1]", &line, &column);
    assert_int_equal(line, 14);
    assert_int_equal(column, 32);
    config_position(config, "server.tls.cert", &line, &column);
    assert_int_equal(line, 14);
    assert_int_equal(column, 1);
    config_position(config, "state_dir", &line, &column);
    assert_int_equal(line, 0);
    config_unref(config);
}

/* Files ------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/sandboxd-test-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *bytes, size_t len, mode_t mode)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, mode);
    assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    fchmod(fd, mode);
    close(fd);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"key", "huge", "pipe", "x.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    return rmdir(folder);
}

static void assert_refused(const char *file, const char *why)
{
    struct config_problems problems;
    config_problems_init(&problems);
    assert_null(config_load(file, &problems));
    assert_int_equal(problems.len, 1);
    assert_int_equal(problems.list[0].line, 0);
    assert_string_equal(problems.list[0].text, why);
    config_problems_finish(&problems);
}

static void what_is_no_readable_file_is_refused_without_waiting(void **state)
{
    (void)state;
    char *huge = calloc(1, CONFIG_MAX_FILE + 1);
    assert_non_null(huge);
    write_file("huge", huge, CONFIG_MAX_FILE + 1, 0600);
    free(huge);
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    assert_refused(path_of("nothing"), "there is no such file");
    assert_refused(folder, "it is a directory, and must be a regular file");
    assert_refused(path_of("pipe"), "it is not a regular file");
    assert_refused("/dev/zero", "it is not a regular file");
    assert_refused(path_of("huge"), "it is larger than 1024 KiB");
    write_file("x.yaml", "", 0, 0600);
    assert_refused(path_of("x.yaml"), "there is nothing in it");
}

static void a_file_is_loaded_by_its_path(void **state)
{
    (void)state;
    write_file("x.yaml", "\xef\xbb\xbf" BACKEND, 3 + strlen(BACKEND), 0600);
    struct config_problems problems;
    config_problems_init(&problems);
    struct config *config = config_load(path_of("x.yaml"), &problems);
    assert_non_null(config);
    assert_string_equal(config->file, path_of("x.yaml"));
    assert_int_equal(config->backends[0].column, 12);
    config_unref(config_ref(config));
    assert_int_equal(config->refs, 1);
    config_unref(config);
    config_problems_finish(&problems);
}

static void a_key_file_holds_a_key_and_at_most_a_line_break(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        mode_t mode;
        const char *told; /* NULL: nothing */
    } rows[] = {
        {"a", 0600, NULL},
        {"a\n", 0640, NULL},
        {"a\r\n", 0600, NULL},
        {"a\n", 0644,
         "auth.keys[0].key_file: every user of this machine can read the file: mode 0600 would be right"},
        {"", 0600, "auth.keys[0].key_file: the file is empty, and must hold a key"},
        {"\n", 0600, "auth.keys[0].key_file: the file is empty, and must hold a key"},
        {"a\nb\n", 0600,
         "auth.keys[0].key_file: the key in the file must be of ASCII letters, digits and signs, without "
         "spaces"},
    };
    char text[256];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file("key", rows[i].content, strlen(rows[i].content), rows[i].mode);
        snprintf(text, sizeof text, "auth: {keys: [{user: u, key_file: %s}]}\n" BACKEND, path_of("key"));
        struct config_problems problems;
        config_problems_init(&problems);
        struct config *config = config_parse("f", text, strlen(text), CONFIG_MEMORY, &problems);
        assert_int_equal(problems.len, rows[i].told ? 1 : 0);
        if (rows[i].told)
            assert_string_equal(problems.list[0].text, rows[i].told);
        assert_int_equal(config != NULL, problems.errors == 0);
        if (config)
            assert_int_equal(config->keys[0].sha256[0], 0xca);
        config_unref(config);
        config_problems_finish(&problems);
    }
}

/* Bounds ------------------------------------------------------------------------------------------ */

/* `unit` again and again, up to `len` bytes. */
static char *repeat(const char *before, const char *unit, size_t len)
{
    char *text = malloc(len + strlen(unit) + strlen(before) + 1);
    assert_non_null(text);
    size_t at = strlen(before), step = strlen(unit);
    memcpy(text, before, at);
    for (; at < len; at += step)
        memcpy(text + at, unit, step);
    text[at] = '\0';
    return text;
}

static void hostile_files_are_refused_quickly(void **state)
{
    (void)state;
    setenv("TEST_LONG", "0123456789012345678901234567890123456789", 1);
    static const struct {
        const char *before, *unit, *told;
    } rows[] = {
        {"", "[", "this is nested too deeply: 32 levels are allowed"},
        {"", "- ", "this is nested too deeply: 32 levels are allowed"},
        {"", "{a: ", "this is nested too deeply: 32 levels are allowed"},
        {"", "? ", "a key must be text"},
        {"", "{", "a key must be text"},
        {"", "a: ", "mapping values are not allowed"},
        {"", "&a ", "did not find expected"},
        {"", "\"", "did not find expected"},
        {"a: [", "x,", "there are more than 20000 values in the file"},
        {"", "- x\n", "there are more than 20000 values in the file"},
        {"a: [&a x", ", *a", "there are more than"},
        {"a: \"", "${TEST_LONG}", "found unexpected end of stream"},
        {"", "a", "must be a mapping of keys, got text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = repeat(rows[i].before, rows[i].unit, CONFIG_MAX_FILE - 16);
        struct config_problems problems;
        config_problems_init(&problems);
        uint64_t began = clock_ms();
        assert_null(config_parse("f", text, strlen(text), CONFIG_MEMORY, &problems));
        uint64_t took = clock_ms() - began;
        bool found = false;
        for (size_t at = 0; at < problems.len; at++)
            found |= strstr(problems.list[at].text, rows[i].told) != NULL;
        if (!found)
            fail_msg("\"%s…\": %s", rows[i].unit, problems.list[0].text);
        /* Milliseconds, and generous to sanitizers on a busy machine. */
        if (took > 2000)
            fail_msg("\"%s…\" took %ju ms", rows[i].unit, (uintmax_t)took);
        config_problems_finish(&problems);
        free(text);
    }
}

static void what_variables_bring_is_bounded(void **state)
{
    (void)state;
    char value[4096];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    setenv("TEST_LONG", value, 1);
    char *text = repeat("a:\n", "- ${TEST_LONG}\n", 12000);
    struct config_problems problems;
    config_problems_init(&problems);
    assert_null(config_parse("f", text, strlen(text), CONFIG_MEMORY, &problems));
    assert_non_null(
        strstr(problems.list[1].text, "the texts of the file are too long after ${NAME} was replaced"));
    config_problems_finish(&problems);
    free(text);
}

static void as_deep_as_allowed_is_read(void **state)
{
    (void)state;
    char text[256] = "backends: {a: {plugin: p, options: {x: ";
    size_t used = strlen(text);
    memset(text + used, '[', 28);
    memset(text + used + 28, ']', 28);
    snprintf(text + used + 56, sizeof text - used - 56, "}}}\n");
    config_unref(parse(text));
    char deeper[256];
    snprintf(deeper, sizeof deeper, "%.*s[%.*s]%s", (int)used, text, 56, text + used, text + used + 56);
    struct config_problems problems;
    config_problems_init(&problems);
    assert_null(config_parse("f", deeper, strlen(deeper), CONFIG_MEMORY, &problems));
    assert_string_equal(problems.list[0].text, "this is nested too deeply: 32 levels are allowed");
    config_problems_finish(&problems);
}

static void an_arena_that_is_full_says_so(void **state)
{
    (void)state;
    struct config_arena *arena = arena_create(20000);
    assert_non_null(arena_alloc(arena, 100, 100));
    assert_string_equal(arena_copy(arena, "text and more", 4), "text");
    assert_false(arena_failed(arena));
    assert_null(arena_alloc(arena, SIZE_MAX / 2, 3));
    assert_true(arena_failed(arena));
    assert_null(arena_alloc(arena, 1, 20000));
    assert_non_null(arena_alloc(arena, 1, 8));
    arena_destroy(arena);
    arena_destroy(NULL);
}

/* With every amount of memory up to what the file needs: an error, and nothing worse. */
static void a_file_that_memory_runs_out_on_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "server: {listen: [127.0.0.1:0, \"[::1]:1\", unix:/x], public_url: http://a/}\n"
        "auth: {keys: [{user: a, key: b}]}\n"
        "backends: {a: {plugin: p, options: {a: [1, {b: c}]}}, b: {plugin: p}}\n"
        "default_backend: b\n"
        "specs: [{id: x, command: [y], initial_env: {A: 1}, working_dir: /}]\n"
        "runtime_api: {images: [\"*\"], backend: a, own_commands: [a], registry_prefix: r}\n"
        "events: {callbacks: [{url: http://a, secret: b}]}\n";
    size_t memory = 0;
    struct config *config = NULL;
    for (; !config; memory += 16) {
        struct config_problems problems;
        config_problems_init(&problems);
        config = config_parse("f", text, strlen(text), memory, &problems);
        assert_true(config || strstr(problems.list[problems.len - 1].text, "there is not enough memory"));
        config_problems_finish(&problems);
        assert_true(memory < CONFIG_MEMORY);
    }
    config_unref(config);
    assert_true(memory > 1000);
}

static void an_api_key_is_not_kept(void **state)
{
    (void)state;
    struct config *config = parse("auth: {keys: [{user: a, key: hush}]}\n" BACKEND);
    const struct config_node *key = node_walk(config->root, "auth.keys[0].key");
    assert_int_equal(key->len, 4);
    assert_memory_equal(key->text, "\0\0\0\0", 4);
    config_unref(config);
}

static void slips_are_recognised(void **state)
{
    (void)state;
    static const char *const names[] = {"listen", "tls", "max_body", "public_url"};
    static const struct {
        const char *word, *meant;
    } rows[] = {
        {"lisen", "listen"},         {"lsiten", "listen"}, {"Listen", "listen"}, {"listeners", NULL},
        {"max-body", "max_body"},    {"tsl", "tls"},       {"xyz", NULL},        {"t", NULL},
        {"publicurl", "public_url"}, {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *meant = suggest(rows[i].word, names, 4, sizeof *names);
        if (meant != rows[i].meant && (!meant || !rows[i].meant || strcmp(meant, rows[i].meant) != 0))
            fail_msg("%s: %s", rows[i].word, meant ? meant : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_file_has_every_default),
        cmocka_unit_test(keys_without_a_value_count_as_left_out),
        cmocka_unit_test(every_value_goes_where_it_belongs),
        cmocka_unit_test(options_become_json_by_the_core_schema),
        cmocka_unit_test(a_variable_may_be_a_number_with_or_without_quotes),
        cmocka_unit_test(the_text_of_a_unix_path_has_107_bytes),
        cmocka_unit_test(a_digest_changes_with_the_content_only),
        cmocka_unit_test(positions_are_found_by_path),
        cmocka_unit_test(what_is_no_readable_file_is_refused_without_waiting),
        cmocka_unit_test(a_file_is_loaded_by_its_path),
        cmocka_unit_test(a_key_file_holds_a_key_and_at_most_a_line_break),
        cmocka_unit_test(hostile_files_are_refused_quickly),
        cmocka_unit_test(what_variables_bring_is_bounded),
        cmocka_unit_test(as_deep_as_allowed_is_read),
        cmocka_unit_test(an_arena_that_is_full_says_so),
        cmocka_unit_test(a_file_that_memory_runs_out_on_is_refused),
        cmocka_unit_test(an_api_key_is_not_kept),
        cmocka_unit_test(slips_are_recognised),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
