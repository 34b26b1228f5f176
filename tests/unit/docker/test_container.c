/* test_container.c: facts of a container from the engine's JSON. The bodies are Docker Engine 20.10's own, shortened to
 * what is looked at. */
#include "containers/container.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ID "14cb33fb4013b65518b7cf2e29efac9e492a253f83a1acb4988a7d0e5a4ef078"
#define NEVER "0001-01-01T00:00:00Z"
#define STATE(status, code, error, started, finished)                                                        \
    "{\"Status\":\"" status "\",\"OOMKilled\":false,\"ExitCode\":" code ",\"Error\":\"" error                \
    "\",\"StartedAt\":\"" started "\",\"FinishedAt\":\"" finished "\"}"
#define RUNNING STATE("running", "0", "", "2026-11-21T11:25:19.964542104Z", NEVER)
#define EXITED STATE("exited", "143", "", "2026-11-21T11:25:19.964542104Z", "2026-11-21T11:25:21.557546708Z")
#define INSPECT(state, host, config, network)                                                                \
    "{\"Id\":\"" ID                                                                                          \
    "\",\"Created\":\"2026-11-21T11:25:19.744315246Z\",\"Name\":\"/oh-run\",\"State\":" state                \
    ",\"HostConfig\":{" host "},\"Config\":{\"Image\":\"t:1\"" config "},\"NetworkSettings\":{" network "}}"
#define BINDINGS                                                                                             \
    "\"PortBindings\":{\"8000/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"34567\"}],\"8001/"             \
    "tcp\":[{\"HostIp\":"                                                                                    \
    "\"127.0.0.1\",\"HostPort\":\"\"}],\"53/udp\":[{\"HostPort\":\"53\"}]},\"Memory\":67108864"
#define PUBLISHED                                                                                            \
    "\"Ports\":{\"8000/"                                                                                     \
    "tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"34567\"},{\"HostIp\":\"::1\",\"HostPort\":"             \
    "\"34567\"}],\"8001/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"32768\"}],\"9000/tcp\":null},"       \
    "\"Networks\":{\"bridge\":{\"EndpointID\":\"7a2e1f877905\"}}"
#define LABELS                                                                                               \
    ",\"Env\":[\"OH_SESSION_API_KEYS_0=the-key\",\"A\",\"OH_SESSION_API_KEYS_0=other\"],\"WorkingDir\":\"/"  \
    "w\","                                                                                                   \
    "\"Labels\":{\"sandbox_spec_id\":\"a/spec\",\"sandboxd.backend\":\"local\",\"sandboxd.created_at\":"     \
    "\"1700000000000001\",\"sandboxd.owner\":\"al\"}"

static struct facts facts;

static int read_facts(const char *text)
{
    const struct sbx_json_api *json = json_table();
    struct sbx_error error = {0};
    sbx_json *value = json->parse(text, strlen(text), NULL);
    assert_non_null(value);
    facts_finish(&facts);
    int result = facts_from_inspect(&facts, json, value, &error);
    assert_true((result == 0) == (error.kind == 0));
    json->free(value);
    return result;
}

static int forget(void **state)
{
    (void)state;
    facts_finish(&facts);
    return 0;
}

static void assert_port(uint32_t index, unsigned container_port, unsigned host_port)
{
    assert_true(index < facts.ports_len);
    assert_int_equal(facts.ports[index].container_port, container_port);
    assert_int_equal(facts.ports[index].host_port, host_port);
}

static void a_running_container_has_its_labels_key_and_published_ports(void **state)
{
    (void)state;
    assert_int_equal(read_facts(INSPECT(RUNNING, BINDINGS, LABELS, PUBLISHED)), 0);
    assert_string_equal(facts.id, ID);
    assert_string_equal(facts.name, "oh-run");
    assert_int_equal(facts.state, CONTAINER_RUNNING);
    assert_string_equal(facts.status, "running");
    assert_string_equal(facts.spec_id, "a/spec");
    assert_string_equal(facts.backend, "local");
    assert_string_equal(facts.owner, "al");
    assert_string_equal(facts.session_key, "the-key");
    assert_string_equal(facts.working_dir, "/w");
    assert_true(facts.created_at_us == 1700000000000001);
    assert_true(facts.started_at_ns == UINT64_C(1795260319964542104));
    assert_true(facts.finished_at_ns == 0);
    assert_true(facts.memory_limit == 67108864);
    assert_false(facts.host_network);
    assert_true(facts.run != 0);
    assert_int_equal(facts.ports_len, 2);
    assert_port(0, 8000, 34567);
    assert_port(1, 8001, 32768);
}

static void a_stopped_container_wants_its_own_ports_back(void **state)
{
    (void)state;
    assert_int_equal(read_facts(INSPECT(EXITED, BINDINGS, LABELS, "\"Ports\":{}")), 0);
    assert_int_equal(facts.state, CONTAINER_EXITED);
    assert_int_equal(facts.exit_code, 143);
    assert_true(facts.finished_at_ns == UINT64_C(1795260321557546708));
    assert_int_equal(facts.ports_len, 1); /* the other one is chosen by the engine at each start */
    assert_port(0, 8000, 34567);
}

static void on_the_hosts_network_a_port_is_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(read_facts(INSPECT(RUNNING, "\"NetworkMode\":\"host\"," BINDINGS,
                                        ",\"ExposedPorts\":{\"40001/tcp\":{},\"53/udp\":{}},\"Labels\":{"
                                        "\"sandboxd.port.AGENT_SERVER\":\"40000\"}",
                                        "\"Ports\":{}")),
                     0);
    assert_true(facts.host_network);
    assert_int_equal(facts.ports_len, 2);
    assert_port(0, 40000, 40000);
    assert_port(1, 40001, 40001);
}

static void labels_name_ports_and_wrong_ones_name_none(void **state)
{
    (void)state;
    assert_int_equal(
        read_facts(INSPECT(RUNNING, "",
                           ",\"Labels\":{\"sandboxd.port.A\":\"1\",\"sandboxd.port.B\":\"65536\","
                           "\"sandboxd.port.C\":\"\",\"sandboxd.port.D\":7,\"sandboxd.port.\":\"2\","
                           "\"sandboxd.port.E\":\"080x\",\"sandboxd.port.F\":\"65535\"}",
                           "")),
        0);
    assert_int_equal(facts.names_len, 2);
    assert_string_equal(facts.names[0].name, "A");
    assert_int_equal(facts.names[0].container_port, 1);
    assert_string_equal(facts.names[1].name, "F");
    assert_int_equal(facts.names[1].container_port, 65535);
}

static void the_second_seeds_ports_are_in_the_environment(void **state)
{
    (void)state;
    assert_int_equal(read_facts(INSPECT(
                         RUNNING, "", ",\"Env\":[\"port=30001\",\"VSCODE_PORT=40001\",\"transport=1\"]", "")),
                     0);
    assert_int_equal(facts.env_port, 30001);
    assert_int_equal(facts.env_vscode_port, 40001);
    assert_null(facts.session_key);
}

static void a_container_of_somebody_else_has_a_spec_and_a_time_all_the_same(void **state)
{
    (void)state;
    assert_int_equal(read_facts(INSPECT(RUNNING, "", ",\"Labels\":null,\"Env\":null", "")), 0);
    assert_string_equal(facts.spec_id, "t:1");
    assert_null(facts.backend);
    assert_null(facts.owner);
    assert_string_equal(facts.working_dir, "");
    assert_true(facts.created_at_us == 1795260319744315);
}

static void each_status_of_the_engine_is_a_state(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        enum container_state state;
    } cases[] = {{"created", CONTAINER_CREATED},   {"running", CONTAINER_RUNNING},
                 {"paused", CONTAINER_PAUSED},     {"restarting", CONTAINER_RESTARTING},
                 {"removing", CONTAINER_REMOVING}, {"exited", CONTAINER_EXITED},
                 {"dead", CONTAINER_DEAD},         {"stopping\\n", CONTAINER_UNKNOWN},
                 {"", CONTAINER_UNKNOWN}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"Id\":\"" ID "\",\"Name\":\"/x\",\"State\":{\"Status\":\"%s\"}}",
                 cases[i].status);
        assert_int_equal(read_facts(text), 0);
        assert_int_equal(facts.state, cases[i].state);
        assert_true(strlen(facts.status) <= strlen(cases[i].status) && !strchr(facts.status, '\n'));
    }
}

static void what_is_no_container_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_facts("[]"), -1);
    assert_int_equal(read_facts("{\"message\":\"x\"}"), -1);
    assert_int_equal(read_facts("{\"Id\":\"../x\",\"Name\":\"/x\",\"State\":{}}"), -1);
    assert_int_equal(read_facts("{\"Id\":\"" ID "\",\"Name\":\"/\",\"State\":{}}"), -1);
    assert_int_equal(read_facts("{\"Id\":\"" ID "\",\"Name\":\"/x\",\"State\":\"running\"}"), -1);
    assert_int_equal(read_facts("{\"Id\":\"" ID "\",\"Name\":\"/x\",\"State\":{}}"), 0);
    assert_int_equal(facts.exit_code, -1);
}

static void members_of_wrong_types_and_sizes_are_as_good_as_none(void **state)
{
    (void)state;
    assert_int_equal(
        read_facts(
            "{\"Id\":\"" ID "\",\"Name\":\"x\",\"Created\":7,\"State\":{\"Status\":[],\"ExitCode\":1e30,"
            "\"Error\":{},\"StartedAt\":false},\"Config\":{\"Env\":{\"a\":1},\"Labels\":[1],\"Image\":9,"
            "\"ExposedPorts\":3},\"HostConfig\":{\"PortBindings\":{\"8000\":[{\"HostPort\":\"1\"},5,{"
            "\"HostPort\":2}],\"70000/tcp\":[{\"HostPort\":\"3\"}],\"/tcp\":[{\"HostPort\":\"4\"}]},"
            "\"Memory\":-1},\"NetworkSettings\":0}"),
        0);
    assert_string_equal(facts.spec_id, "unknown");
    assert_int_equal(facts.ports_len, 1);
    assert_port(0, 8000, 1);

    size_t size = 3 * FACTS_TEXT_MAX;
    char *text = malloc(size);
    assert_non_null(text);
    int len = snprintf(text, size,
                       "{\"Id\":\"" ID "\",\"Name\":\"x\",\"Config\":{\"Env\":["
                       "\"OH_SESSION_API_KEYS_0=%0300d\"]},\"State\":{\"Error\":\"a",
                       0);
    for (int i = 0; i < FACTS_TEXT_MAX; i++)
        len += snprintf(text + len, size - (size_t)len, "\xc3\xa9");
    snprintf(text + len, size - (size_t)len, "\"}}");
    assert_int_equal(read_facts(text), 0);
    free(text);
    assert_null(facts.session_key);
    assert_int_equal(strlen(facts.error), FACTS_TEXT_MAX - 1); /* between two characters */
}

static void ports_beyond_a_bound_are_left_out(void **state)
{
    (void)state;
    char text[16384];
    int len = snprintf(text, sizeof text,
                       "{\"Id\":\"" ID "\",\"Name\":\"x\",\"State\":{},\"HostConfig\":{"
                       "\"PortBindings\":{");
    for (int i = 0; i < 200; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, "%s\"%d/tcp\":[{\"HostPort\":\"%d\"}]",
                        i ? "," : "", i + 1, i + 1000);
    snprintf(text + len, sizeof text - (size_t)len, "}}}");
    assert_int_equal(read_facts(text), 0);
    assert_int_equal(facts.ports_len, FACTS_PORTS_MAX);
}

static void times_are_exact_and_nonsense_is_none(void **state)
{
    (void)state;
    assert_true(container_time_ns("1970-01-01T00:00:01Z") == UINT64_C(1000000000));
    assert_true(container_time_ns("2026-11-21T11:25:19.964542104Z") == UINT64_C(1795260319964542104));
    assert_true(container_time_ns("2026-11-21T11:25:19.5Z") == UINT64_C(1795260319500000000));
    assert_true(container_time_ns("2026-11-21T12:25:19+01:00") == UINT64_C(1795260319000000000));
    assert_true(container_time_ns("2026-11-21T09:55:19-01:30") == UINT64_C(1795260319000000000));
    assert_true(container_time_ns("1970-01-01T00:30:00+01:00") == 0);
    static const char *const wrong[] = {"",
                                        NEVER,
                                        "2026-11-21",
                                        "2026-11-21T11:25:19",
                                        "2026-13-21T11:25:19Z",
                                        "2026-11-21T11:25:19Zx",
                                        "2026-11-21T11:25:19+25:00",
                                        "9999-11-21T11:25:19Z",
                                        "2026-11-21 11:25:19Z",
                                        "2026-11-21T11:25:19.12345678901234567890123456789Z"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_true(container_time_ns(wrong[i]) == 0);
}

static bool read_listed(const char *text, char *name, size_t size, struct listed *listed)
{
    const struct sbx_json_api *json = json_table();
    sbx_json *value = json->parse(text, strlen(text), NULL);
    assert_non_null(value);
    bool sound = listed_from(listed, json, value);
    snprintf(name, size, "%s", sound ? listed->name : "");
    json->free(value);
    return sound;
}

static void a_listing_and_an_inspection_agree_on_the_run(void **state)
{
    (void)state;
    struct listed listed;
    char name[64];
    assert_int_equal(read_facts(INSPECT(RUNNING, BINDINGS, LABELS, PUBLISHED)), 0);
    assert_true(
        read_listed("{\"Id\":\"" ID "\",\"Names\":[\"/other/alias\",\"/oh-run\"],\"State\":\"running\","
                    "\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"EndpointID\":\"7a2e1f877905\"}}}}",
                    name, sizeof name, &listed));
    assert_string_equal(name, "oh-run"); /* and not the name that a link gives it */
    assert_int_equal(listed.state, CONTAINER_RUNNING);
    assert_true(listed.run == facts.run);
    assert_true(read_listed("{\"Id\":\"" ID
                            "\",\"Names\":[\"oh-run\"],\"State\":\"running\",\"NetworkSettings\":"
                            "{\"Networks\":{\"bridge\":{\"EndpointID\":\"32c0f2c3c776\"}}}}",
                            name, sizeof name, &listed));
    assert_true(listed.run != facts.run);
}

static void a_listing_tells_the_exit_code_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        int32_t code;
    } cases[] = {{"Exited (0) 2 hours ago", 0},     {"Exited (255) Less than a second ago", 255},
                 {"Exited (256) 1 second ago", -1}, {"Exited () 1 second ago", -1},
                 {"Exited (-1) 1 second ago", -1},  {"Exited (12", -1},
                 {"Up 3 minutes (Paused)", -1},     {"", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256], name[64];
        struct listed listed;
        snprintf(text, sizeof text, "{\"Id\":\"" ID "\",\"Names\":[\"/a\"],\"Status\":\"%s\"}",
                 cases[i].status);
        assert_true(read_listed(text, name, sizeof name, &listed));
        assert_int_equal(listed.exit_code, cases[i].code);
    }
}

static void entries_that_make_no_sense_are_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {"7",
                                        "[]",
                                        "{}",
                                        "{\"Id\":\"x\",\"Names\":[\"/a\"]}",
                                        "{\"Id\":\"" ID "\",\"Names\":null}",
                                        "{\"Id\":\"" ID "\",\"Names\":[\"/\",\"\",5,\"/a/b\"]}",
                                        "{\"Id\":7,\"Names\":[\"/a\"]}"};
    struct listed listed;
    char name[64];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(read_listed(wrong[i], name, sizeof name, &listed));
}

static void the_label_decides_whose_it_is_and_else_the_prefix(void **state)
{
    (void)state;
    static char prefix[] = "oh-";
    struct options options = {.container_name_prefix = prefix};
    assert_true(container_is_ours(&options, "local", "oh-x", NULL));
    assert_true(container_is_ours(&options, "local", "oh-x", "local"));
    assert_false(container_is_ours(&options, "local", "of-another-daemon", "local"));
    assert_false(container_is_ours(&options, "local", "oh-x", "gpu"));
    assert_false(container_is_ours(&options, "local", "oh-x", ""));
    assert_false(container_is_ours(&options, "local", "database", NULL));
    assert_false(container_is_ours(&options, "local", "oh-a/b", NULL));
    assert_false(container_is_ours(&options, "local", "", "local"));
    char name[200];
    snprintf(name, sizeof name, "oh-%0125d", 0);
    assert_false(container_is_ours(&options, "local", name, NULL)); /* no id of a sandbox is so long */
    name[127] = '\0';
    assert_true(container_is_ours(&options, "local", name, NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_container_has_its_labels_key_and_published_ports),
        cmocka_unit_test(a_stopped_container_wants_its_own_ports_back),
        cmocka_unit_test(on_the_hosts_network_a_port_is_what_it_is),
        cmocka_unit_test(labels_name_ports_and_wrong_ones_name_none),
        cmocka_unit_test(the_second_seeds_ports_are_in_the_environment),
        cmocka_unit_test(a_container_of_somebody_else_has_a_spec_and_a_time_all_the_same),
        cmocka_unit_test(each_status_of_the_engine_is_a_state),
        cmocka_unit_test(what_is_no_container_is_refused),
        cmocka_unit_test(members_of_wrong_types_and_sizes_are_as_good_as_none),
        cmocka_unit_test(ports_beyond_a_bound_are_left_out),
        cmocka_unit_test(times_are_exact_and_nonsense_is_none),
        cmocka_unit_test(a_listing_and_an_inspection_agree_on_the_run),
        cmocka_unit_test(a_listing_tells_the_exit_code_in_words),
        cmocka_unit_test(entries_that_make_no_sense_are_none),
        cmocka_unit_test(the_label_decides_whose_it_is_and_else_the_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
