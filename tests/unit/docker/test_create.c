/* test_create.c: what a container is asked for: all that the options and the spec say is in the request, and what the
 * daemon can't do without is there whatever they say. And the folders of overlays.
 */
#include "containers/container.h"
#include "operations/create.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct sbx_error error;
static const uint16_t host_ports[] = {40001, 40002, 40003, 40004};

/* The answer's compact text; valid until the next. */
static const char *member(const sbx_json *body, const char *name, const char *inner)
{
    static char text[4096];
    const struct sbx_json_api *json = json_table();
    const sbx_json *value = json->get(body, name);
    if (inner)
        value = json->get(value, inner);
    snprintf(text, sizeof text, "%s", value ? json->text(value, NULL) : "absent");
    return text;
}

/* Of those options, spec and container ports (NULL: the options' own). Owned; NULL: refused. */
static sbx_json *create_with(const char *options_text, const char *spec_text, const uint16_t *inside)
{
    static struct sbx_host host = {.size = sizeof host};
    const struct sbx_json_api *json = host.json = json_table();
    struct sbx_backend_config config = {
        .size = sizeof config, .options_json = options_text, .options_len = strlen(options_text)};
    struct options options;
    uint16_t ports[OPTIONS_PORTS_MAX];
    error = (struct sbx_error){0};
    int parsed = options_parse(&options, &host, NULL, &config, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(parsed, 0);
    for (uint32_t i = 0; i < options.ports_len; i++)
        ports[i] = options.ports[i].container_port;
    sbx_json *spec = json->parse(spec_text, strlen(spec_text), NULL);
    assert_non_null(spec);
    const struct create_input input = {.backend_name = "boxes",
                                       .sandbox_id = "oh-agent-server-1",
                                       .session_key = "the-key",
                                       .owner = "alice",
                                       .spec_id = "agent:1",
                                       .created_at_us = 1700000000000001,
                                       .spec = spec,
                                       .container_ports = inside ? inside : ports,
                                       .host_ports = host_ports};
    sbx_json *body = create_body(json, &options, &input, &error);
    json->free(spec);
    options_finish(&options);
    return body;
}

static sbx_json *create(const char *options_text, const char *spec_text)
{
    return create_with(options_text, spec_text, NULL);
}

/* Does the environment have this entry, and no other of that name? */
static bool has_env(const sbx_json *body, const char *entry)
{
    const struct sbx_json_api *json = json_table();
    const sbx_json *env = json->get(body, "Env");
    size_t name = strcspn(entry, "=");
    unsigned same = 0, equal = 0;
    for (size_t i = 0; i < json->length(env); i++) {
        const char *text = json->string(json->at(env, i), "");
        same += strncmp(text, entry, name) == 0 && (text[name] == '=' || text[name] == '\0');
        equal += strcmp(text, entry) == 0;
    }
    return same == 1 && equal == 1;
}

static void a_sandbox_is_asked_for_with_all_that_it_needs(void **state)
{
    (void)state;
    sbx_json *body =
        create("{\"host_port\": 3000}",
               "{\"id\": \"agent:1\", \"command\": [\"agent\", \"--port={port}\", \"{port}{port}\"], "
               "\"initial_env\": {\"A\": \"1=2\"}, \"working_dir\": \"/work\"}");
    assert_non_null(body);
    assert_string_equal(member(body, "Image", NULL), "\"agent:1\"");
    assert_string_equal(member(body, "Entrypoint", NULL), "[\"agent\",\"--port=8000\",\"80008000\"]");
    assert_string_equal(member(body, "Cmd", NULL), "[]");
    assert_string_equal(member(body, "WorkingDir", NULL), "\"/work\"");
    assert_string_equal(member(body, "Env", NULL),
                        "[\"OH_WEBHOOKS_0_BASE_URL=http://host.docker.internal:3000/api/v1/webhooks\","
                        "\"A=1=2\",\"AGENT_SERVER=8000\",\"VSCODE=8001\",\"WORKER_1=8011\",\"WORKER_2=8012\","
                        "\"SANDBOX_ID=oh-agent-server-1\","
                        "\"OH_SESSION_API_KEYS_0=the-key\",\"SESSION_API_KEY=the-key\"]");
    assert_string_equal(member(body, "Labels", NULL),
                        "{\"sandboxd.backend\":\"boxes\",\"sandbox_spec_id\":\"agent:1\","
                        "\"sandboxd.created_at\":\"1700000000000001\",\"sandboxd.owner\":\"alice\","
                        "\"sandboxd.port.AGENT_SERVER\":\"8000\",\"sandboxd.port.VSCODE\":\"8001\","
                        "\"sandboxd.port.WORKER_1\":\"8011\",\"sandboxd.port.WORKER_2\":\"8012\"}");
    assert_string_equal(member(body, "ExposedPorts", NULL),
                        "{\"8000/tcp\":{},\"8001/tcp\":{},\"8011/tcp\":{},\"8012/tcp\":{}}");
    assert_string_equal(member(body, "HostConfig", "PortBindings"),
                        "{\"8000/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"40001\"}],"
                        "\"8001/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"40002\"}],"
                        "\"8011/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"40003\"}],"
                        "\"8012/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"40004\"}]}");
    assert_string_equal(member(body, "HostConfig", "Init"), "true");
    assert_string_equal(member(body, "HostConfig", "NetworkMode"), "\"bridge\"");
    assert_string_equal(member(body, "HostConfig", "SecurityOpt"), "absent");
    assert_string_equal(member(body, "HostConfig", "PidsLimit"), "4096");
    assert_string_equal(member(body, "HostConfig", "RestartPolicy"), "{\"Name\":\"no\"}");
    assert_string_equal(member(body, "HostConfig", "ExtraHosts"), "[\"host.docker.internal:host-gateway\"]");
    assert_string_equal(member(body, "HostConfig", "Memory"), "absent");
    assert_string_equal(member(body, "HostConfig", "DeviceRequests"), "absent");
    json_table()->free(body);
}

static void without_a_command_the_images_own_is_run(void **state)
{
    (void)state;
    sbx_json *body = create("{}", "{\"command\": null, \"initial_env\": {}, \"working_dir\": null}");
    assert_string_equal(member(body, "Cmd", NULL), "absent");
    assert_string_equal(member(body, "Entrypoint", NULL), "absent");
    assert_string_equal(member(body, "WorkingDir", NULL), "absent");
    json_table()->free(body);
}

static void a_command_is_appended_to_an_entry_point_or_replaces_it(void **state)
{
    (void)state;
    static const struct {
        const char *options, *spec, *entrypoint, *cmd;
    } cases[] = {
        {"{}", "{\"command\": [\"--port\", \"{port}\"]}", "absent", "[\"--port\",\"8000\"]"},
        {"{}", "{\"command\": [\"/agent\", \"-v\"]}", "[\"/agent\",\"-v\"]", "[]"},
        {"{}", "{\"command\": [\"/agent\"], \"entrypoint\": [\"/wrap\", \"{port}\"]}", "[\"/wrap\",\"8000\"]",
         "[\"/agent\"]"},
        {"{}", "{\"command\": [\"-v\"], \"entrypoint\": [\"/wrap\"]}", "[\"/wrap\"]", "[\"-v\"]"},
        {"{}", "{\"command\": [\"/agent\"], \"entrypoint\": []}", "[]", "[\"/agent\"]"},
        {"{}", "{\"command\": null, \"entrypoint\": [\"/agent\"]}", "[\"/agent\"]", "absent"},
        {"{}", "{\"command\": null, \"entrypoint\": []}", "[]", "absent"},
        {"{\"kwargs\": {\"Entrypoint\": [\"/mine\"]}}",
         "{\"command\": [\"/agent\"], \"entrypoint\": [\"/x\"]}", "[\"/mine\"]", "[\"/agent\"]"},
        {"{\"profile\": \"runtime\"}", "{\"command\": [\"/agent\"], \"entrypoint\": [\"/x\"]}", "[\"/x\"]",
         "[\"/agent\"]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sbx_json *body = create(cases[i].options, cases[i].spec);
        assert_non_null(body);
        assert_string_equal(member(body, "Entrypoint", NULL), cases[i].entrypoint);
        assert_string_equal(member(body, "Cmd", NULL), cases[i].cmd);
        json_table()->free(body);
    }
}

static void ports_are_told_as_they_are_inside_unless_the_hosts_are_asked_for(void **state)
{
    (void)state;
    sbx_json *body = create("{\"port_numbers\": \"host\"}", "{}");
    assert_true(has_env(body, "AGENT_SERVER=40001"));
    assert_true(has_env(body, "WORKER_1=40003"));
    json_table()->free(body);
    body = create("{\"port_numbers\": \"container\"}", "{}");
    assert_true(has_env(body, "WORKER_1=8011"));
    json_table()->free(body);
}

static void mounts_limits_and_devices_are_in_the_engines_words(void **state)
{
    (void)state;
    sbx_json *body = create(
        "{\"overlay_base\": \"/layers\", \"mounts\": [{\"host_path\": \"/srv\", \"container_path\": \"/a\", "
        "\"mode\": \"ro,z\"}, {\"host_path\": \"ws-{id}\", \"container_path\": \"/b\"}, {\"host_path\": "
        "\"/repo\", "
        "\"container_path\": \"/c\", \"mode\": \"overlay\"}], \"gpus\": \"0,1\", \"runtime\": \"runsc\", "
        "\"limits\": {\"memory\": \"64MiB\", \"cpus\": 0.5, \"pids\": 0}, \"extra_hosts\": [], \"network\": "
        "\"lan\"}",
        "{}");
    assert_string_equal(member(body, "HostConfig", "Binds"),
                        "[\"/srv:/a:ro,z\",\"ws-oh-agent-server-1:/b:rw\"]");
    assert_string_equal(
        member(body, "HostConfig", "Mounts"),
        "[{\"Type\":\"volume\",\"Target\":\"/c\",\"VolumeOptions\":{\"DriverConfig\":{\"Name\":"
        "\"local\",\"Options\":{\"type\":\"overlay\",\"device\":\"overlay\",\"o\":\"lowerdir=/repo,"
        "upperdir=/layers/oh-agent-server-1/2/upper,workdir=/layers/oh-agent-server-1/2"
        "/work\"}},\"Labels\":{\"sandboxd.backend\":\"boxes\",\"sandboxd.sandbox\":"
        "\"oh-agent-server-1\"}}}]");
    assert_string_equal(member(body, "HostConfig", "DeviceRequests"),
                        "[{\"Capabilities\":[[\"gpu\"]],\"DeviceIDs\":[\"0\",\"1\"]}]");
    assert_string_equal(member(body, "HostConfig", "Runtime"), "\"runsc\"");
    assert_string_equal(member(body, "HostConfig", "Memory"), "67108864");
    assert_string_equal(member(body, "HostConfig", "NanoCpus"), "500000000");
    assert_string_equal(member(body, "HostConfig", "PidsLimit"), "absent");
    assert_string_equal(member(body, "HostConfig", "ExtraHosts"), "[]");
    assert_string_equal(member(body, "HostConfig", "NetworkMode"), "\"lan\"");
    json_table()->free(body);
    body = create("{\"gpus\": \"all\"}", "{}");
    assert_string_equal(member(body, "HostConfig", "DeviceRequests"),
                        "[{\"Capabilities\":[[\"gpu\"]],\"Count\":-1}]");
    json_table()->free(body);
}

static void profile_runtime_has_its_fixed_environment_and_equal_ports(void **state)
{
    (void)state;
    sbx_json *body = create_with("{\"profile\": \"runtime\"}",
                                 "{\"command\": [\"run\", \"{port}\", \"--plugins\", \"a\", \"vscode\"], "
                                 "\"working_dir\": \"/elsewhere\", "
                                 "\"initial_env\": {\"PYTHONUNBUFFERED\": \"0\"}}",
                                 host_ports);
    assert_string_equal(member(body, "Entrypoint", NULL), "[]");
    assert_string_equal(member(body, "WorkingDir", NULL), "\"/openhands/code/\"");
    assert_string_equal(member(body, "Cmd", NULL), "[\"run\",\"40001\",\"--plugins\",\"a\",\"vscode\"]");
    static const char *const entries[] = {
        "port=40001",     "VSCODE_PORT=40002",           "APP_PORT_1=40003",  "APP_PORT_2=40004",
        "WORKER_2=40004", "PIP_BREAK_SYSTEM_PACKAGES=1", "PYTHONUNBUFFERED=0"};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        assert_true(has_env(body, entries[i]));
    const sbx_json *labels = json_table()->get(body, "Labels");
    assert_string_equal(member(labels, "sandboxd.port.VSCODE", NULL), "\"40002\"");
    assert_non_null(strstr(member(body, "HostConfig", "PortBindings"), "\"40003/tcp\":[{\"HostIp\""));
    json_table()->free(body);
}

static void profile_runtime_publishes_vscode_with_its_plugin_alone(void **state)
{
    (void)state;
    static const char *const commands[] = {"null", "[\"run\", \"vscode\"]", "[\"run\", \"--plugins\"]",
                                           "[\"run\", \"--plugins\", \"a\", \"--user\", \"vscode\"]"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char spec[128];
        snprintf(spec, sizeof spec, "{\"command\": %s}", commands[i]);
        sbx_json *body = create_with("{\"profile\": \"runtime\"}", spec, host_ports);
        assert_null(strstr(member(body, "HostConfig", "PortBindings"), "40002"));
        assert_true(has_env(body, "VSCODE_PORT=40002"));
        assert_string_equal(member(json_table()->get(body, "Labels"), "sandboxd.port.VSCODE", NULL),
                            "absent");
        json_table()->free(body);
    }
}

static void on_the_hosts_network_nothing_is_published(void **state)
{
    (void)state;
    sbx_json *body = create("{\"network\": \"host\"}", "{}");
    assert_string_equal(member(body, "HostConfig", "PortBindings"), "absent");
    assert_string_equal(member(body, "HostConfig", "NetworkMode"), "\"host\"");
    assert_non_null(strstr(member(body, "ExposedPorts", NULL), "8011"));
    json_table()->free(body);
}

static void keys_and_ports_can_not_be_replaced_by_a_spec(void **state)
{
    (void)state;
    sbx_json *body = create(
        "{}", "{\"initial_env\": {\"OH_SESSION_API_KEYS_0\": \"x\", \"SESSION_API_KEY\": \"x\", "
              "\"VSCODE\": \"1\", \"SANDBOX_ID\": \"x\", \"OH_WEBHOOKS_0_BASE_URL\": \"http://mine\"}}");
    assert_true(has_env(body, "OH_SESSION_API_KEYS_0=the-key"));
    assert_true(has_env(body, "SESSION_API_KEY=the-key"));
    assert_true(has_env(body, "VSCODE=8001"));
    assert_true(has_env(body, "SANDBOX_ID=oh-agent-server-1"));
    assert_true(has_env(body, "OH_WEBHOOKS_0_BASE_URL=http://mine"));
    json_table()->free(body);
}

static void kwargs_are_merged_in(void **state)
{
    (void)state;
    sbx_json *body =
        create("{\"kwargs\": {\"User\": \"1000\", \"Labels\": {\"team\": \"x\"}, \"Env\": [\"A=2\", "
               "\"B=3\", \"PATH\"], \"HostConfig\": {\"ShmSize\": 64, \"PidsLimit\": null, "
               "\"SecurityOpt\": [\"apparmor=x\"], \"RestartPolicy\": {\"MaximumRetryCount\": 1}, "
               "\"NetworkMode\": \"lan\", \"Ulimits\": [{\"Name\": \"nofile\"}]}}}",
               "{\"initial_env\": {\"A\": \"1\"}}");
    assert_string_equal(member(body, "User", NULL), "\"1000\"");
    assert_true(has_env(body, "A=2"));
    assert_true(has_env(body, "B=3"));
    assert_true(has_env(body, "PATH"));
    assert_string_equal(member(body, "HostConfig", "ShmSize"), "64");
    assert_string_equal(member(body, "HostConfig", "PidsLimit"), "null");
    assert_string_equal(member(body, "HostConfig", "SecurityOpt"), "[\"apparmor=x\"]");
    assert_string_equal(member(body, "HostConfig", "RestartPolicy"),
                        "{\"Name\":\"no\",\"MaximumRetryCount\":1}");
    assert_string_equal(member(body, "HostConfig", "NetworkMode"), "\"lan\"");
    assert_string_equal(member(body, "HostConfig", "Init"), "true");
    assert_string_equal(member(json_table()->get(body, "Labels"), "team", NULL), "\"x\"");
    json_table()->free(body);
}

static void kwargs_replace_neither_labels_nor_keys_in_any_spelling(void **state)
{
    (void)state;
    sbx_json *body = create("{\"kwargs\": {\"LABELS\": {\"sandboxd.owner\": \"eve\"}, \"env\": "
                            "[\"OH_SESSION_API_KEYS_0=x\", \"SESSION_API_KEY\"], \"hostconfig\": {\"binds\": "
                            "[\"a:/b\"]}, \"Labels\": {\"sandboxd.backend\": \"other\"}}}",
                            "{}");
    assert_true(has_env(body, "OH_SESSION_API_KEYS_0=the-key"));
    assert_true(has_env(body, "SESSION_API_KEY=the-key"));
    assert_string_equal(member(body, "LABELS", NULL), "absent");
    assert_string_equal(member(body, "env", NULL), "absent");
    assert_string_equal(member(body, "hostconfig", NULL), "absent");
    assert_string_equal(member(json_table()->get(body, "Labels"), LABEL_OWNER, NULL), "\"alice\"");
    assert_string_equal(member(json_table()->get(body, "Labels"), LABEL_BACKEND, NULL), "\"boxes\"");
    assert_string_equal(member(body, "HostConfig", "Binds"), "[\"a:/b\"]");
    json_table()->free(body);
}

static void a_spec_that_can_not_be_asked_for_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{}", "{\"command\": \"agent\"}",
         "the spec's command must be a list of texts, or null for the image's own"},
        {"{}", "{\"command\": [\"agent\", 3]}", "command[1] of the spec must be a text of less than 128 KiB"},
        {"{}", "{\"entrypoint\": \"agent\"}",
         "the spec's entrypoint must be a list of texts, or null for the image's own"},
        {"{}", "{\"entrypoint\": [false]}", "entrypoint[0] of the spec must be a text of less than 128 KiB"},
        {"{}", "{\"initial_env\": []}", "the spec's initial_env must be a mapping of names to texts"},
        {"{}", "{\"initial_env\": {\"A=B\": \"\"}}",
         "initial_env.A=B: a variable needs a name without '=', and a text"},
        {"{}", "{\"initial_env\": {\"A\": 1}}",
         "initial_env.A: a variable needs a name without '=', and a text"},
        {"{}", "{\"working_dir\": 1}", "the spec's working_dir must be a text"},
        {"{\"exposed_ports\": [{\"name\": \"WEB\", \"container_port\": 80}]}", "{\"command\": [\"{port}\"]}",
         "the spec's command has {port} in it, and no exposed port is called AGENT_SERVER"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(create(cases[i][0], cases[i][1]));
        assert_string_equal(error.message, cases[i][2]);
        assert_int_equal(error.kind, SBX_ERR_INVALID);
    }
}

/* ---- overlays -------------------------------------------------------------------------------- */

static char folder[64], base[96], lower[96];
static struct options options;

static int make_folders(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/overlay-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(base, sizeof base, "%s/some/base", folder);
    snprintf(lower, sizeof lower, "%s/lower", folder);
    assert_int_equal(mkdir(lower, 0700), 0);
    assert_int_equal(chmod(lower, 01775), 0);
    options = (struct options){.overlay_base = base, .mounts_len = 2};
    options.mounts[0] = (struct mount){.kind = MOUNT_FOLDER, .source = lower};
    options.mounts[1] = (struct mount){.kind = MOUNT_OVERLAY, .source = lower};
    error = (struct sbx_error){0};
    return 0;
}

static int remove_folders(void **state)
{
    (void)state;
    static const char *const paths[] = {"some/base/box", "some/base",      "some",
                                        "lower",         "elsewhere/kept", "elsewhere"};
    char path[160];
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, paths[i]);
        if (unlink(path) != 0)
            rmdir(path);
    }
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static mode_t mode_of(const char *below)
{
    char path[200];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, below);
    return lstat(path, &status) == 0 ? status.st_mode : 0;
}

static void an_overlay_has_folders_of_its_own_until_it_is_removed(void **state)
{
    (void)state;
    assert_int_equal(overlay_make(&options, "box", &error), 0);
    assert_int_equal(mode_of("some/base"), S_IFDIR | 0700);
    assert_int_equal(mode_of("some/base/box/0"), 0);
    assert_int_equal(mode_of("some/base/box/1/upper"), S_IFDIR | 01775); /* as the folder below */
    assert_int_equal(mode_of("some/base/box/1/work"), S_IFDIR | 0700);
    assert_int_equal(overlay_make(&options, "box", &error), -1); /* never layers that were written to */
    assert_int_equal(mode_of("some/base/box/1/work"), S_IFDIR | 0700);
    assert_int_equal(overlay_remove(&options, "box", &error), 0);
    assert_int_equal(mode_of("some/base/box"), 0);
    assert_int_equal(mode_of("lower"), S_IFDIR | 01775);
    assert_int_equal(overlay_remove(&options, "box", &error), 0);
}

static void what_can_not_be_made_leaves_nothing_behind(void **state)
{
    (void)state;
    options.mounts[1].source = (char *)(uintptr_t) "/nosuch/folder";
    assert_int_equal(overlay_make(&options, "box", &error), -1);
    assert_string_equal(
        error.message,
        "the folder /nosuch/folder, which an overlay is to be over: No such file or directory");
    assert_int_equal(mode_of("some/base/box"), 0);
}

static void a_base_that_others_may_write_to_is_refused(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(overlay_make(&options, "box", &error), 0);
    assert_int_equal(overlay_remove(&options, "box", &error), 0);
    assert_int_equal(chmod(base, 0770), 0);
    assert_int_equal(overlay_make(&options, "box", &error), -1);
    snprintf(text, sizeof text, "overlay_base: %s may be written to by others; give it mode 0700", base);
    assert_string_equal(error.message, text);
}

static void no_link_is_followed(void **state)
{
    (void)state;
    char elsewhere[96], kept[128], link[160];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    snprintf(kept, sizeof kept, "%s/kept", elsewhere);
    snprintf(link, sizeof link, "%s/box", base);
    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(mkdir(kept, 0700), 0);
    assert_int_equal(overlay_make(&options, "other", &error), 0);
    assert_int_equal(overlay_remove(&options, "other", &error), 0);
    assert_int_equal(symlink(elsewhere, link), 0);
    assert_int_equal(overlay_make(&options, "box", &error), -1);
    assert_int_equal(overlay_remove(&options, "box", &error), 0);
    assert_int_equal(mode_of("some/base/box"), 0);
    assert_int_equal(mode_of("elsewhere/kept"), S_IFDIR | 0700);
    assert_int_equal(rmdir(base), 0);
    assert_int_equal(symlink(elsewhere, base), 0);
    assert_int_equal(overlay_make(&options, "box", &error), -1);
    assert_int_equal(overlay_remove(&options, "kept", &error), -1);
    assert_int_equal(mode_of("elsewhere/kept"), S_IFDIR | 0700);
}

static void an_id_that_is_no_name_is_refused(void **state)
{
    (void)state;
    static const char *const ids[] = {"", ".", "..", "a/b", "../lower", ".hidden"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(overlay_make(&options, ids[i], &error), -1);
        assert_int_equal(overlay_remove(&options, ids[i], &error), -1);
    }
}

/* ---- what the runtime API asks for ---- */

static void limits_users_and_the_runtime_are_as_the_spec_asks(void **state)
{
    (void)state;
    static const char limited[] =
        "{\"limits\": {\"memory\": \"64MiB\", \"cpus\": 1.5, \"pids\": 100}, \"runtime\": \"kata\"}";
    sbx_json *body =
        create(limited, "{\"id\": \"agent:1\", \"resource_factor\": 4, \"runtime_class\": \"gvisor\","
                        "\"run_as_user\": 1000, \"run_as_group\": 1001, \"fs_group\": 1002}");
    assert_string_equal(member(body, "HostConfig", "Memory"), "268435456");
    assert_string_equal(member(body, "HostConfig", "NanoCpus"), "6000000000");
    assert_string_equal(member(body, "HostConfig", "PidsLimit"), "400");
    assert_string_equal(member(body, "HostConfig", "Runtime"), "\"runsc\"");
    assert_string_equal(member(body, "HostConfig", "GroupAdd"), "[\"1002\"]");
    assert_string_equal(member(body, "User", NULL), "\"1000:1001\"");
    json_table()->free(body);
    body = create(limited, "{\"id\": \"agent:1\", \"runtime_class\": \"sysbox-runc\", \"run_as_group\": 7,"
                           "\"fs_group\": 8, \"resource_factor\": 1}");
    assert_string_equal(member(body, "HostConfig", "Memory"), "67108864");
    assert_string_equal(member(body, "HostConfig", "Runtime"), "\"sysbox-runc\"");
    assert_string_equal(member(body, "HostConfig", "GroupAdd"), "[\"7\",\"8\"]");
    assert_string_equal(member(body, "User", NULL), "absent");
    json_table()->free(body);
    body = create(limited, "{\"id\": \"agent:1\", \"run_as_user\": 0}");
    assert_string_equal(member(body, "HostConfig", "Runtime"), "\"kata\"");
    assert_string_equal(member(body, "HostConfig", "GroupAdd"), "absent");
    assert_string_equal(member(body, "User", NULL), "\"0\"");
    json_table()->free(body);
}

static void a_runtime_class_is_what_the_operator_says(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{}", "sysbox-runc", "\"sysbox-runc\""},
        {"{}", "gvisor", "\"runsc\""},
        {"{\"runtime_classes\": {\"sysbox-runc\": \"\"}}", "sysbox-runc", "absent"},
        {"{\"runtime_classes\": {\"sysbox-runc\": \"\"}}", "gvisor", "\"runsc\""},
        {"{\"runtime_classes\": {\"sysbox-runc\": \"\"}, \"runtime\": \"kata\"}", "sysbox-runc", "\"kata\""},
        {"{\"runtime_classes\": {\"gvisor\": \"my-runsc\"}}", "gvisor", "\"my-runsc\""},
        {"{\"runtime_classes\": {\"sysbox-runc\": \"gvisor\"}}", "sysbox-runc", "\"gvisor\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char spec[100];
        snprintf(spec, sizeof spec, "{\"id\": \"agent:1\", \"runtime_class\": \"%s\"}", cases[i][1]);
        sbx_json *body = create(cases[i][0], spec);
        assert_string_equal(member(body, "HostConfig", "Runtime"), cases[i][2]);
        json_table()->free(body);
    }
}

static void who_chose_the_ports_keeps_their_variables(void **state)
{
    (void)state;
    static const uint16_t inside[] = {60000, 60001, 12000, 12001};
    sbx_json *body = create_with("{}",
                                 "{\"id\": \"agent:1\", \"initial_env\": {\"WORKER_1\": \"12000\"},"
                                 "\"ports\": [{\"name\": \"WORKER_1\", \"container_port\": 12000}]}",
                                 inside);
    assert_true(has_env(body, "WORKER_1=12000"));
    assert_true(has_env(body, "WORKER_2=12001"));
    assert_string_equal(member(body, "Labels", "sandboxd.port.WORKER_1"), "\"12000\"");
    json_table()->free(body);
    body = create("{}", "{\"id\": \"agent:1\", \"initial_env\": {\"WORKER_1\": \"12000\"}}");
    assert_true(has_env(body, "WORKER_1=8011")); /* as ever */
    json_table()->free(body);
}

int main(void)
{
    unsetenv("DOCKER_HOST");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_users_and_the_runtime_are_as_the_spec_asks),
        cmocka_unit_test(a_runtime_class_is_what_the_operator_says),
        cmocka_unit_test(who_chose_the_ports_keeps_their_variables),
        cmocka_unit_test(a_sandbox_is_asked_for_with_all_that_it_needs),
        cmocka_unit_test(without_a_command_the_images_own_is_run),
        cmocka_unit_test(a_command_is_appended_to_an_entry_point_or_replaces_it),
        cmocka_unit_test(ports_are_told_as_they_are_inside_unless_the_hosts_are_asked_for),
        cmocka_unit_test(mounts_limits_and_devices_are_in_the_engines_words),
        cmocka_unit_test(profile_runtime_has_its_fixed_environment_and_equal_ports),
        cmocka_unit_test(profile_runtime_publishes_vscode_with_its_plugin_alone),
        cmocka_unit_test(on_the_hosts_network_nothing_is_published),
        cmocka_unit_test(keys_and_ports_can_not_be_replaced_by_a_spec),
        cmocka_unit_test(kwargs_are_merged_in),
        cmocka_unit_test(kwargs_replace_neither_labels_nor_keys_in_any_spelling),
        cmocka_unit_test(a_spec_that_can_not_be_asked_for_is_refused_with_the_reason),
        cmocka_unit_test_setup_teardown(an_overlay_has_folders_of_its_own_until_it_is_removed, make_folders,
                                        remove_folders),
        cmocka_unit_test_setup_teardown(what_can_not_be_made_leaves_nothing_behind, make_folders,
                                        remove_folders),
        cmocka_unit_test_setup_teardown(a_base_that_others_may_write_to_is_refused, make_folders,
                                        remove_folders),
        cmocka_unit_test_setup_teardown(no_link_is_followed, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(an_id_that_is_no_name_is_refused, make_folders, remove_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
