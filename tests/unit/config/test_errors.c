/* Every wrong file is told what is wrong, where, and what would be right: exact texts and positions. */
#include "config/load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKEND "backends: {local: {plugin: process}}\n"                          /* line 1 of most files */
#define HASH_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" /* of "a" */

struct row {
    const char *text;
    const char *told; /* all problems, one a line */
};

static void check_rows(const struct row *rows, size_t count)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct config_problems problems;
        char told[4096] = "";
        config_problems_init(&problems);
        struct config *config =
            config_parse("f", rows[i].text, strlen(rows[i].text), CONFIG_MEMORY, &problems);
        for (size_t at = 0; at < problems.len; at++) {
            size_t used = strlen(told);
            config_problem_format("f", &problems.list[at], told + used, sizeof told - used);
            used = strlen(told);
            if (at + 1 < problems.len)
                snprintf(told + used, sizeof told - used, "\n");
        }
        if (strcmp(told, rows[i].told) != 0 || (config != NULL) != (problems.errors == 0)) {
            print_error("for the file\n%s\nexpected\n%s\ngot\n%s\n\n", rows[i].text, rows[i].told, told);
            wrong++;
        }
        config_unref(config);
        config_problems_finish(&problems);
    }
    assert_int_equal(wrong, 0);
}
#define CHECK(rows) check_rows(rows, sizeof rows / sizeof *rows)

static void yaml_that_is_none_is_refused_with_its_position(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", "f: there is nothing in it"},
        {"# only a comment\n", "f: there is nothing in it"},
        {"---\n...\n", "f: there is nothing in it"},
        {"null", "f: there is nothing in it"},
        {"just text", "f: must be a mapping of keys, got text"},
        {"- a\n- b\n", "f: must be a mapping of keys, got a list"},
        {"12", "f: must be a mapping of keys, got a number"},
        {BACKEND "---\na: 1\n", "f:2:1: a second document begins here: only one is allowed"},
        {BACKEND "log: {level: info\n", "f:3:1: this is not valid YAML: did not find expected ',' or '}' "
                                        "while parsing a flow mapping that begins "
                                        "in line 2"},
        {"backends:\n\tlocal: 1\n", "f:2:1: this is not valid YAML: found character that cannot start any "
                                    "token (a tab can't indent: use spaces)"},
        {"# gr\xc3\xbc\xc3\x9f\nbackends:\n\tlocal: 1\n",
         "f:3:1: this is not valid YAML: found character that cannot start any token (a tab "
         "can't indent: use spaces)"},
        {"a: b: c\n",
         "f:1:5: this is not valid YAML: mapping values are not allowed in this context (a line is "
         "indented wrongly, or a text with \": \" in it needs quotes)"},
        {"a:\n  b: 1\n c: 2\n",
         "f:3:2: this is not valid YAML: did not find expected key while parsing a block "
         "mapping that begins in line 1 (keys of one mapping are indented alike)"},
        {"{a: 1}: 2\n", "f:1:1: a key must be text; a value that begins with { or [ needs quotes"},
        {"? [a]\n: 2\n", "f:1:3: a key must be text; a value that begins with { or [ needs quotes"},
        {": 2\n",
         "f:1:1: this is not valid YAML: did not find expected key (keys of one mapping are indented "
         "alike)"},
        {"\"\": 2\n", "f:1:1: a key is missing before the \":\""},
        {"\"a\\0b\": 2\n", "f:1:1: a key has a zero byte"},
        {"*a : 2\n",
         "f:1:1: aliases are not supported: write the value again (a text that begins with \"*\" needs "
         "quotes)"},
        {"a: [*]\n",
         "f:1:6: this is not valid YAML: did not find expected alphabetic or numeric character (a text "
         "that begins with \"*\" needs quotes)"},
        {"&a b: 2\n", "f:1:1: anchors and tags are not supported"},
        {"a: \x01\n", "f:1:4: this is not text: it has a control character"},
        {"a: 1\nb: \xff\n", "f:2:4: this is not UTF-8 text"},
        {"\xff\xfe"
         "a",
         "f:1:1: this is not UTF-8 text"},
        {"a: \xc0\xaf\n", "f:1:4: this is not UTF-8 text"},
        {"a: \xed\xa0\x80\n", "f:1:4: this is not UTF-8 text"},
        {"a: \xf4\x90\x80\x80\n", "f:1:4: this is not UTF-8 text"},
        {"%YAML 3.0\n---\na: 1\n", "f:1:1: this is not valid YAML: found incompatible YAML document"},
    };
    CHECK(rows);
}

static void what_yaml_has_and_this_file_has_not_is_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "state_dir: &x /a\nplugin_dir: *x\n",
         "f:2:1: state_dir: anchors are not supported: remove the \"&\" and its name\n"
         "f:3:1: plugin_dir: aliases are not supported: write the value again (a text that begins with \"*\" "
         "needs quotes)"},
        {BACKEND "state_dir: !!str /a\n",
         "f:2:1: state_dir: tags are not supported: remove the \"!\" and its name"},
        {BACKEND "specs: !foo []\n", "f:2:1: specs: tags are not supported: remove the \"!\" and its name"},
        {BACKEND "log: &x {level: loud}\n",
         "f:2:1: log: anchors are not supported: remove the \"&\" and its name\n"
         "f:2:10: log.level: must be error, warn, info or debug, got loud"},
        {BACKEND "log:\n  <<: {level: info}\n",
         "f:3:3: log.<<: unknown key; those known here are level and format"},
        {BACKEND "state_dir: \"/a\\0b\"\n", "f:2:1: state_dir: a zero byte is not allowed in a value"},
    };
    CHECK(rows);
}

static void unknown_and_duplicate_keys_are_errors(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "sever: {}\n", "f:2:1: sever: unknown key, did you mean server?"},
        {BACKEND "server:\n  max_conections: 5\n",
         "f:3:3: server.max_conections: unknown key, did you mean max_connections?"},
        {BACKEND "server:\n  lsiten: [x]\n", "f:3:3: server.lsiten: unknown key, did you mean listen?"},
        {BACKEND "max_body: 1MiB\n", "f:2:1: max_body: unknown key here, did you mean server.max_body?"},
        {BACKEND "log:\n  colour: red\n",
         "f:3:3: log.colour: unknown key; those known here are level and format"},
        {BACKEND "log: {level:info}\n", "f:2:7: log: level needs a space after its \":\""},
        {BACKEND "log:\n  level: info\n  level: warn\n", "f:4:3: log.level: is there twice, in line 3 too"},
        {BACKEND "log:\n  x: 1\n  x: 2\n",
         "f:3:3: log.x: unknown key; those known here are level and format\n"
         "f:4:3: log.x: is there twice, in line 3 too"},
        {"backends:\n  a: {plugin: p}\n  a: {plugin: p}\n",
         "f:3:3: backends.a: is there twice, in line 2 too"},
        {"backends:\n  a:\n    plugin: p\n    options:\n      x: {y: 1, y: 2}\n",
         "f:5:17: backends.a.options.x.y: is there twice, in line 5 too"},
    };
    CHECK(rows);
}

static void wrong_types_and_values_are_told_with_what_would_be_right(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* numbers */
        {BACKEND "server: {max_connections: 0}\n",
         "f:2:10: server.max_connections: must be at least 1, got 0"},
        {BACKEND "server: {max_connections: -7}\n",
         "f:2:10: server.max_connections: must be at least 1, got -7"},
        {BACKEND "server: {max_connections: 99999999999999999999}\n",
         "f:2:10: server.max_connections: must be at most 1000000, got 99999999999999999999"},
        {BACKEND "server: {max_connections: 1.5}\n",
         "f:2:10: server.max_connections: must be a whole number, got 1.5"},
        {BACKEND "server: {max_connections: \"5\"}\n",
         "f:2:10: server.max_connections: must be a whole number, got \"5\""},
        {BACKEND "server: {max_connections: many}\n",
         "f:2:10: server.max_connections: must be a whole number, got many"},
        {BACKEND "server: {max_connections: [5]}\n",
         "f:2:10: server.max_connections: must be a whole number, got a list"},
        {BACKEND "server: {max_connections: {a: 5}}\n",
         "f:2:10: server.max_connections: must be a whole number, got a mapping"},
        {BACKEND "server: {max_connections: true}\n",
         "f:2:10: server.max_connections: must be a whole number, got true"},
        /* sizes and durations */
        {BACKEND "server: {max_body: 1MB}\n",
         "f:2:10: server.max_body: must be a size such as 4096, 64KiB, 1MiB or 1GiB, got 1MB"},
        {BACKEND "server: {max_body: 12}\n", "f:2:10: server.max_body: must be at least 1KiB, got 12"},
        {BACKEND "server: {max_body: 1GiB}\n", "f:2:10: server.max_body: must be at most 256MiB, got 1GiB"},
        {BACKEND "server: {max_body: -1}\n", "f:2:10: server.max_body: must be at least 1KiB, got -1"},
        {BACKEND "server: {header_timeout: 1.5s}\n",
         "f:2:10: server.header_timeout: must be a duration such as 500ms, 5s, 2m, 1h or 7d, got 1.5s"},
        {BACKEND "server: {header_timeout: 10ms}\n",
         "f:2:10: server.header_timeout: must be at least 100ms, got 10ms"},
        {BACKEND "server: {header_timeout: 1h}\n",
         "f:2:10: server.header_timeout: must be at most 5m, got 1h"},
        {BACKEND "server: {drain_timeout: 2h}\n", "f:2:10: server.drain_timeout: must be at most 1h, got 2h"},
        {BACKEND "events: {retention: 1s}\n", "f:2:10: events.retention: must be at least 1m, got 1s"},
        /* booleans and choices */
        {BACKEND "runtime_api: {enabled: yes}\n",
         "f:2:15: runtime_api.enabled: must be true or false, got yes"},
        {BACKEND "runtime_api: {enabled: \"true\"}\n",
         "f:2:15: runtime_api.enabled: must be true or false, got \"true\""},
        {BACKEND "runtime_api: {backend: lokal}\n",
         "f:2:15: runtime_api.backend: must be the name of one of backends, perhaps local, got lokal"},
        {BACKEND "runtime_api: {own_commands: [local, x]}\n",
         "f:2:37: runtime_api.own_commands[1]: must be the name of one of backends, got x"},
        {BACKEND "runtime_api: {push: true}\n",
         "f:2:15: runtime_api.push: needs runtime_api.builds: true, since it is about images that are built "
         "here"},
        {BACKEND "runtime_api: {images: ubuntu}\n",
         "f:2:15: runtime_api.images: must be a list of texts, got ubuntu"},
        {BACKEND "runtime_api: {images: [a, '', ~]}\n",
         "f:2:27: runtime_api.images[1]: must not be empty\n"
         "f:2:31: runtime_api.images[2]: must be text (an empty one "
         "is \"\")"},
        {BACKEND "log: {level: Info, format: xml}\n",
         "f:2:7: log.level: must be error, warn, info or debug, got Info\n"
         "f:2:20: log.format: must be text or json, got xml"},
        /* texts */
        {BACKEND "state_dir: state\n", "f:2:1: state_dir: must be an absolute path, got state"},
        {BACKEND "state_dir: ''\n", "f:2:1: state_dir: must not be empty"},
        {BACKEND "state_dir: [/a]\n",
         "f:2:1: state_dir: must be text (one that has \"{\" or \"[\" in it needs quotes), got a list"},
        {BACKEND "state_dir: \"/a\\nb\"\n", "f:2:1: state_dir: must not have control characters in it"},
        {BACKEND "server: {public_url: sandboxd.example}\n",
         "f:2:10: server.public_url: must be a URL such as http://HOST:PORT/PATH or https://HOST/PATH, got "
         "sandboxd.example"},
        {BACKEND "server: {public_url: \"http://a/?x\"}\n",
         "f:2:10: server.public_url: must be a URL without \"?\", \"#\" and \"@\", got \"http://a/?x\""},
        {BACKEND "server: {public_url: \"http://me:hush@a/\"}\n",
         "f:2:10: server.public_url: must be a URL without \"?\", \"#\" and \"@\" (the value is not shown)"},
        {BACKEND "server: {public_url: \"http://a:0\"}\n",
         "f:2:10: server.public_url: must be a URL such as http://HOST:PORT/PATH or https://HOST/PATH, got "
         "\"http://a:0\""},
        {BACKEND "server: {public_url: \"http://[::1\"}\n",
         "f:2:10: server.public_url: must be a URL such as http://HOST:PORT/PATH or https://HOST/PATH, got "
         "\"http://[::1\""},
        {BACKEND "server: {hosts: [box, \"*.corp.example\", 192.0.2.7, \"fd00::7\", \"*\", \"http://a\", "
                 "\"a:80\"]}\n",
         "f:2:63: server.hosts[4]: must not allow every name, since a web page's could be among them: name "
         "the "
         "hosts, got \"*\"\n"
         "f:2:68: server.hosts[5]: must be a host name or an IP address without scheme and port, or "
         "*.example.com, "
         "got \"http://a\"\n"
         "f:2:80: server.hosts[6]: must be a host name or an IP address without scheme and port, or "
         "*.example.com, "
         "got \"a:80\""},
        {BACKEND "server: {cors_origins: [\"https://a.example\", \"http://[::1]:5173\", \"*\", \"null\"]}\n",
         "f:2:67: server.cors_origins[2]: must not be *, since every web page could then use this server: "
         "name each "
         "origin, got \"*\"\n"
         "f:2:72: server.cors_origins[3]: must not be null, which any web page can make its origin: name "
         "each origin, "
         "got \"null\""},
        {BACKEND "server: {cors_origins: [\"https://a/\", \"https://A\", \"https://a:443\", a.example]}\n",
         "f:2:25: server.cors_origins[0]: must be an origin alone, without a path, a slash at its end, \"@\" "
         "and "
         "\"*\", got \"https://a/\"\n"
         "f:2:39: server.cors_origins[1]: must be in lower case, as browsers send it, got \"https://A\"\n"
         "f:2:52: server.cors_origins[2]: must be without the port that is its scheme's own, as browsers "
         "send it, "
         "got \"https://a:443\"\n"
         "f:2:69: server.cors_origins[3]: must be an origin such as https://app.example.com or "
         "http://localhost:5173, "
         "got a.example"},
        {BACKEND "state_dir: "
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4zzzzz\n",
         "f:2:1: state_dir: must be an absolute path, got aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…"},
        /* sections */
        {BACKEND "server: yes\n", "f:2:1: server: must be a mapping of keys, got text"},
        {"backends:\n  local:\n    plugin:process\n",
         "f:2:3: backends.local: must be a mapping of keys, got text (a key needs a space after its \":\")"},
        {BACKEND "server: [1]\n", "f:2:1: server: must be a mapping of keys, got a list"},
        {BACKEND "specs: {id: a}\n", "f:2:1: specs: must be a list, got a mapping"},
        {BACKEND "specs: [a]\n", "f:2:9: specs[0]: must be a mapping of keys, got text"},
        {BACKEND "specs:\n  -\n", "f:3:4: specs[0]: must be a mapping of keys, got nothing"},
    };
    CHECK(rows);
}

static void listeners_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "server: {listen: []}\n", "f:2:10: server.listen: must have at least one address"},
        {BACKEND "server: {listen: {a: 1}}\n",
         "f:2:10: server.listen: must be a list of addresses, got a mapping"},
        {BACKEND "server: {listen: 3000}\n",
         "f:2:10: server.listen: must be HOST:PORT, [IPV6]:PORT or unix:/PATH, got 3000"},
        {BACKEND "server: {listen: [\":3000\"]}\n",
         "f:2:19: server.listen[0]: must be HOST:PORT, [IPV6]:PORT or unix:/PATH, got \":3000\""},
        {BACKEND "server: {listen: [\"::1:3000\"]}\n",
         "f:2:19: server.listen[0]: must have an IPv6 address in brackets: [IPV6]:PORT, got \"::1:3000\""},
        {BACKEND "server: {listen: [\"[::1]3000\"]}\n",
         "f:2:19: server.listen[0]: must be HOST:PORT, [IPV6]:PORT or unix:/PATH, got \"[::1]3000\""},
        {BACKEND "server: {listen: [\"[]:3000\"]}\n",
         "f:2:19: server.listen[0]: must be HOST:PORT, [IPV6]:PORT or unix:/PATH, got \"[]:3000\""},
        {BACKEND "server: {listen: [\"[1.2.3.4]:3000\"]}\n",
         "f:2:19: server.listen[0]: must have an IPv6 address between the brackets, got \"[1.2.3.4]:3000\""},
        {BACKEND "server: {listen: [example.org:80]}\n",
         "f:2:19: server.listen[0]: must have an IPv4 address or localhost before the port (0.0.0.0 is all "
         "of them), "
         "got example.org:80"},
        {BACKEND "server: {listen: [127.0.0.1:65536]}\n",
         "f:2:19: server.listen[0]: must end in a port from 0 to 65535, got 127.0.0.1:65536"},
        {BACKEND "server: {listen: [127.0.0.1:+1]}\n",
         "f:2:19: server.listen[0]: must end in a port from 0 to 65535, got 127.0.0.1:+1"},
        {BACKEND "server: {listen: [\"127.0.0.1:\"]}\n",
         "f:2:19: server.listen[0]: must end in a port from 0 to 65535, got \"127.0.0.1:\""},
        {BACKEND "server: {listen: [unix:x.sock]}\n",
         "f:2:19: server.listen[0]: must be an absolute path after \"unix:\", got unix:x.sock"},
        {BACKEND
         "server: {listen: [127.0.0.1:80, unix:/a, localhost:80, unix:/a, 127.0.0.1:0, 127.0.0.1:0]}\n",
         "f:2:42: server.listen[2]: is the same address as element [0]\n"
         "f:2:56: server.listen[3]: is the same address as element [1]"},
        {BACKEND "server:\n  listen: [127.0.0.1:80, 0.0.0.0:80, \"[::]:81\", \"[::1]:82\"]\n",
         "f:3:26: server.listen[1]: without auth.keys only 127.0.0.1, [::1] and unix: addresses may be "
         "listened on, "
         "since everybody who can connect could start programs: give auth.keys, or listen on 127.0.0.1:80\n"
         "f:3:38: server.listen[2]: without auth.keys only 127.0.0.1, [::1] and unix: addresses may be "
         "listened on, "
         "since everybody who can connect could start programs: give auth.keys, or listen on 127.0.0.1:81"},
        {BACKEND "server: {listen: 10.0.0.1:80}\nauth: {keys: []}\n",
         "f:2:10: server.listen: without auth.keys only 127.0.0.1, [::1] and unix: addresses may be listened "
         "on, "
         "since everybody who can connect could start programs: give auth.keys, or listen on 127.0.0.1:80"},
        {BACKEND "server: {tls: {cert: c.pem}}\n", "f:2:10: server.tls.key: is missing"},
        {BACKEND "server: {tls: {key: k.pem, cert: }}\n",
         "f:2:28: server.tls.cert: has no value, and needs one"},
    };
    CHECK(rows);
}

static void keys_are_checked_and_never_shown(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "auth:\n  keys:\n  - {user: a}\n",
         "f:4:5: auth.keys[0]: needs one of key, key_file and sha256"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key: x, sha256: " HASH_A "}\n",
         "f:4:5: auth.keys[0]: must have only one of key, key_file and sha256"},
        {BACKEND "auth:\n  keys:\n  - {key: hush}\n", "f:4:5: auth.keys[0].user: is missing"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key: ''}\n", "f:4:15: auth.keys[0].key: must not be empty"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key: hush hush}\n",
         "f:4:15: auth.keys[0].key: must be of ASCII letters, digits and signs, without spaces (the value is "
         "not "
         "shown)"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key: [hush]}\n",
         "f:4:15: auth.keys[0].key: must be text (one that has \"{\" or \"[\" in it needs quotes), got a "
         "list"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key:hush}\n",
         "f:4:5: auth.keys[0]: needs one of key, key_file and sha256\n"
         "f:4:15: auth.keys[0]: key needs a space after its \":\""},
        {BACKEND "auth:\n  keys:\n  - {user: a, key:x}\n",
         "f:4:5: auth.keys[0]: needs one of key, key_file and sha256\n"
         "f:4:15: auth.keys[0]: key needs a space after its \":\""},
        {BACKEND "auth:\n  keys:\n  - {user: a, hush}\n",
         "f:4:5: auth.keys[0]: needs one of key, key_file and sha256\n"
         "f:4:15: auth.keys[0]: unknown key; those known here are user, key, key_file, sha256 and role"},
        {BACKEND "auth:\n  keys:\n  - {user: a, kye: hush}\n",
         "f:4:5: auth.keys[0]: needs one of key, key_file and sha256\n"
         "f:4:15: auth.keys[0].kye: unknown key, did you mean key?"},
        {BACKEND "auth:\n  keys: hush\n", "f:3:3: auth.keys: must be a list (the value is not shown)"},
        {BACKEND "auth:\n  keys:\n  - {user: a, sha256: hush}\n",
         "f:4:15: auth.keys[0].sha256: must be the SHA-256 of the key: 64 hexadecimal digits (the value is "
         "not "
         "shown)"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key: a}\n  - {user: b, sha256: " HASH_A "}\n",
         "f:5:5: auth.keys[1]: is the same key as auth.keys[0]: each must be there once"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key: a, role: root}\n",
         "f:4:23: auth.keys[0].role: must be user or admin, got root"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key_file: /nowhere/key}\n",
         "f:4:15: auth.keys[0].key_file: the file can't be used: there is no such file"},
        {BACKEND "auth:\n  keys:\n  - {user: a, key_file: /dev/zero}\n",
         "f:4:15: auth.keys[0].key_file: the file can't be used: it is not a regular file"},
        {BACKEND "events: {callbacks: [{url: \"http://hush@\", secret: [hush]}]}\n",
         "f:2:23: events.callbacks[0].url: must be a URL such as http://HOST:PORT/PATH or https://HOST/PATH "
         "(the "
         "value is not shown)\n"
         "f:2:44: events.callbacks[0].secret: must be text (one that has \"{\" or \"[\" in it needs quotes), "
         "got a "
         "list"},
        {"backends: {local: {plugin: process, options: hush}}\n",
         "f:1:37: backends.local.options: must be a mapping of options (the value is not shown)"},
    };
    CHECK(rows);
}

static void the_runtime_api_is_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "runtime_api: {builds: true}\n",
         "f:2:1: warning: runtime_api: nothing of it is served without enabled: true"},
        {BACKEND "runtime_api: {enabled: true, registry_prefix: 'r.example:5000/{usr}'}\n",
         "f:2:30: runtime_api.registry_prefix: must have no placeholder but {user}, got "
         "\"r.example:5000/{usr}\""},
        {BACKEND "runtime_api: {enabled: true, registry_prefix: Bad/x}\n",
         "f:2:30: runtime_api.registry_prefix: must be the beginning of an image's name, such as "
         "ghcr.io/openhands: lower-case letters, digits, \".\", \"_\", \"-\", \"/\", \":\" and {user}, got "
         "Bad/x"},
        {BACKEND "runtime_api: {enabled: true, registry_prefix: 'r.example:5000/{user}'}\n", ""},
    };
    CHECK(rows);
}

static void secrets_are_checked_and_never_shown(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "secrets:\n- {name: A, value: hush}\n- {name: A, value: hush, users: [a]}\n",
         "f:4:4: secrets[1].name: is the same as that of secrets[0], which is for all sandboxes: of several "
         "the "
         "first counts\n"
         "f:4:26: secrets[1].users: without auth.keys there are no users: leave it out"},
        {BACKEND "secrets:\n- {name: A}\n", "f:3:3: secrets[0]: needs one of value and value_file"},
        {BACKEND "secrets:\n- {name: A, value: hush, value_file: /nowhere}\n",
         "f:3:3: secrets[0]: must have only one of value and value_file\n"
         "f:3:26: secrets[0].value_file: the file can't be used: there is no such file"},
        {BACKEND "secrets:\n- {name: A, value: ''}\n", "f:3:13: secrets[0].value: must not be empty"},
        {BACKEND "secrets:\n- {name: A, value: hush, users: [], specs: []}\n",
         "f:3:26: secrets[0].users: must not be empty: leave the key out for all, or remove the whole entry\n"
         "f:3:37: secrets[0].specs: must not be empty: leave the key out for all, or remove the whole entry"},
        {BACKEND "llms:\n- {model: m, users: []}\n",
         "f:3:14: llms[0].users: must not be empty: leave the key out for all, or remove the whole entry"},
        {BACKEND "secrets:\n- {name: 'a/b', value: hush}\n",
         "f:3:4: secrets[0].name: must be of letters, digits, \"_\", \"-\" and \".\", got \"a/b\""},
        {BACKEND "secrets:\n- {name: A, value: [hush]}\n",
         "f:3:13: secrets[0].value: must be text (one that has \"{\" or \"[\" in it needs quotes), got a "
         "list"},
        {BACKEND "secrets:\n- {name: A, hush: hush, value: hush}\n",
         "f:3:13: secrets[0]: unknown key; those known here are name, value, value_file, description, users "
         "and "
         "specs"},
        {BACKEND "secrets: hush\n", "f:2:1: secrets: must be a list (the value is not shown)"},
        {BACKEND "auth: {keys: [{user: a, key: x}]}\nsecrets:\n- {name: A, value: hush, users: [a, b]}\n",
         "f:4:37: warning: secrets[0].users[1]: no key of auth.keys is of the user 'b'"},
        {BACKEND "llms:\n- {api_key: hush, api_key_file: /nowhere, users: [a]}\n",
         "f:3:3: llms[0].model: is missing\n"
         "f:3:3: llms[0]: must have only one of api_key and api_key_file\n"
         "f:3:19: llms[0].api_key_file: the file can't be used: there is no such file\n"
         "f:3:43: llms[0].users: without auth.keys there are no users: leave it out"},
    };
    CHECK(rows);
}

static void backends_and_specs_are_checked(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"log: {level: info}\n", "f: backends: is missing"},
        {"backends:\n", "f:1:1: backends: has no value, and needs one"},
        {"backends: {}\n", "f:1:1: backends: must have at least one backend"},
        {"backends: [process]\n", "f:1:1: backends: must be a mapping of names, got a list"},
        {"backends:\n  local:\n", "f:2:3: backends.local: must be a mapping of keys, got nothing"},
        {"backends:\n  local: {}\n", "f:2:3: backends.local.plugin: is missing"},
        {"backends:\n  local: {plugin: }\n", "f:2:11: backends.local.plugin: has no value, and needs one"},
        {"backends:\n  ../x: {plugin: p}\n", "f:2:3: backends.../x: a backend's name must be of letters, "
                                             "digits, \"-\", \"_\" and \".\", begin with a "
                                             "letter or digit, and be at most 63 long"},
        {"backends:\n  local: {plugin: docker.so}\n", "f:2:11: backends.local.plugin: must be the name of a "
                                                      "plugin without \".so\", or the path of a file, with a "
                                                      "slash in it, got docker.so"},
        {"backends:\n  local:\n    plugin: p\n    max_sandboxes: 0\n",
         "f:4:5: backends.local.max_sandboxes: must be at least 1, got 0"},
        {"backends:\n  local: {plugin: p, over_limit: wait, health_check_path: alive, health_interval: 0}\n",
         "f:2:22: backends.local.over_limit: must be pause_oldest or reject, got wait\n"
         "f:2:40: backends.local.health_check_path: must be the path of a URL, beginning with \"/\", or null "
         "for no "
         "checks, got alive\n"
         "f:2:66: backends.local.health_interval: must be at least 10ms, got 0"},
        {"backends:\n  local: {plugin: p, health_check_body: ok}\n",
         "f:2:22: backends.local.health_check_body: must be a mapping such as {status: ok}, or null, got ok"},
        {"backends:\n  local: {plugin: p, health_check_body: {a: {b: 1}, c: [1], d: .inf}}\n",
         "f:2:42: backends.local.health_check_body.a: must be text, a number, true, false or null, got a "
         "mapping\n"
         "f:2:53: backends.local.health_check_body.c: must be text, a number, true, false or null, got a "
         "list"},
        {"backends:\n  local: {plugin: p, health_check_body: {d: .inf}}\n",
         "f:2:42: backends.local.health_check_body.d: must be a finite number; quote it where text is meant"},
        {"backends:\n  local: {plugin: p, health_check_path: null, health_check_body: {a: 1}}\n",
         "f:2:47: backends.local.health_check_body: is never looked at, since health_check_path is null: "
         "leave "
         "one of the two out"},
        {"backends:\n  a: {plugin: p}\n  b: {plugin: p}\n",
         "f:1:1: default_backend: is missing: where there are several backends, it names one of them"},
        {"backends:\n  local: 5\ndefault_backend: loca\nspecs: [{id: a, backend: local}]\n",
         "f:2:3: backends.local: must be a mapping of keys, got a number\n"
         "f:3:1: default_backend: must be the name of one of backends, got loca"},
        {BACKEND "default_backend: locl\n",
         "f:2:1: default_backend: must be the name of one of backends, perhaps local, got locl"},
        {BACKEND "specs:\n- {id: a, backend: docker}\n",
         "f:3:11: specs[0].backend: must be the name of one of backends, got docker"},
        {BACKEND "specs:\n- {backend: local}\n- {id: ''}\n- {id: a}\n- {id: a}\n",
         "f:3:3: specs[0].id: is missing\n"
         "f:4:4: specs[1].id: must not be empty\n"
         "f:6:4: specs[3].id: is the same as that of specs[2]"},
        {BACKEND "specs:\n- {id: a, command: []}\n- {id: b, command: ['']}\n- {id: c, command: [x, {port}]}\n"
                 "- {id: d, command: x}\n",
         "f:3:11: specs[0].command: must have at least one element; leave it out for the backend's own\n"
         "f:4:21: specs[1].command[0]: must be a program, and not be empty\n"
         "f:5:24: specs[2].command[1]: must be text (one that has \"{\" or \"[\" in it needs quotes), got a "
         "mapping\n"
         "f:6:11: specs[3].command: must be a list of texts (the value is not shown)"},
        {BACKEND "specs:\n- id: a\n  initial_env: {A: , B: [x], C=D: 1}\n",
         "f:4:17: specs[0].initial_env.A: must be text (an empty one is \"\")\n"
         "f:4:22: specs[0].initial_env.B: must be text (one that has \"{\" or \"[\" in it needs quotes), got "
         "a list\n"
         "f:4:30: specs[0].initial_env: the name of an environment variable has no \"=\" in it: write NAME: "
         "VALUE"},
        {"backends: {a: {plugin: p, options: {x: .inf, y: 18446744073709551616, z: 1e999}}}\n",
         "f:1:37: backends.a.options.x: must be a finite number; quote it where text is meant\n"
         "f:1:46: backends.a.options.y: must be a number of at most 64 bits; quote it where text is meant\n"
         "f:1:71: backends.a.options.z: must be a finite number; quote it where text is meant"},
    };
    CHECK(rows);
}

static void variables_are_told_by_name_and_not_by_value(void **state)
{
    (void)state;
    setenv("TEST_HUSH", "hush", 1);
    setenv("TEST_BINARY", "\xff", 1);
    unsetenv("TEST_UNSET");
    static const struct row rows[] = {
        {BACKEND "state_dir: /a/${TEST_UNSET}\n",
         "f:2:1: state_dir: the environment variable TEST_UNSET is not set"},
        {BACKEND "state_dir: ${TEST_BINARY}\n",
         "f:2:1: state_dir: the environment variable TEST_BINARY is not UTF-8 text"},
        {BACKEND "state_dir: ${TEST_HUSH}\n",
         "f:2:1: state_dir: must be an absolute path (the value is not shown)"},
        {BACKEND "log: {level: \"${TEST_HUSH}\"}\n",
         "f:2:7: log.level: must be error, warn, info or debug (the value is not shown)"},
        {BACKEND "server: {max_connections: \"${TEST_HUSH}\"}\n",
         "f:2:10: server.max_connections: must be a whole number (the value is not shown)"},
        {BACKEND "default_backend: ${TEST_HUSH}\n",
         "f:2:1: default_backend: must be the name of one of backends (the value is not shown)"},
        {BACKEND "state_dir: /a/$TEST_HUSH\n",
         "f:2:1: state_dir: \"$\" must be followed by \"{NAME}\"; for a dollar itself write \"$$\""},
        {BACKEND "state_dir: /a$\n", "f:2:1: state_dir: \"$\" must be followed by \"{NAME}\", which needs "
                                     "quotes between \"{\" and \"}\"; "
                                     "for a dollar itself write \"$$\""},
        {BACKEND "state_dir: ${}\n", "f:2:1: state_dir: between \"${\" and \"}\" stands the name of an "
                                     "environment variable: letters, digits and "
                                     "_"},
        {BACKEND "state_dir: ${TEST_HUSH:-x}\n", "f:2:1: state_dir: between \"${\" and \"}\" stands the name "
                                                 "of an environment variable: letters, digits and "
                                                 "_"},
        {BACKEND "state_dir: ${TEST_HUSH\n", "f:2:1: state_dir: between \"${\" and \"}\" stands the name of "
                                             "an environment variable: letters, digits and "
                                             "_"},
        {"backends: {a: {plugin: p, options: {x: [\"${TEST_UNSET}\"]}}}\n",
         "f:1:41: backends.a.options.x[0]: the environment variable TEST_UNSET is not set"},
    };
    CHECK(rows);
}

static void a_model_behind_one_for_all_is_refused(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "llms:\n- {model: m}\n- {model: n}\n",
         "f:4:3: llms[1]: has no profile, like llms[0], which is for all users: of several the first "
         "counts"},
        {BACKEND "llms:\n- {model: m}\n- {model: n, profile: p}\n- {model: o, profile: p}\n",
         "f:5:14: llms[2].profile: is the same as that of llms[1], which is for all users: of several the "
         "first counts"},
    };
    CHECK(rows);
}

static void a_callback_is_there_once(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {BACKEND "events: {callbacks: [{url: \"https://a/b?c\"}, {url: \"https://a/b\"}]}\n", ""},
        {BACKEND "events:\n  callbacks:\n  - {url: \"https://a/hush\"}\n  - {url: \"https://b\"}\n"
                 "  - {secret: s, url: \"https://a/hush\"}\n",
         "f:6:17: events.callbacks[2].url: is the same as that of events.callbacks[0]"},
    };
    CHECK(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_that_is_none_is_refused_with_its_position),
        cmocka_unit_test(what_yaml_has_and_this_file_has_not_is_refused),
        cmocka_unit_test(unknown_and_duplicate_keys_are_errors),
        cmocka_unit_test(wrong_types_and_values_are_told_with_what_would_be_right),
        cmocka_unit_test(listeners_are_checked),
        cmocka_unit_test(keys_are_checked_and_never_shown),
        cmocka_unit_test(the_runtime_api_is_checked),
        cmocka_unit_test(secrets_are_checked_and_never_shown),
        cmocka_unit_test(backends_and_specs_are_checked),
        cmocka_unit_test(variables_are_told_by_name_and_not_by_value),
        cmocka_unit_test(a_model_behind_one_for_all_is_refused),
        cmocka_unit_test(a_callback_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
