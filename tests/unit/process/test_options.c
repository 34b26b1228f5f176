/* test_options.c: each option of the process backend: what is taken, and what is told about what is not.
 */
#include "options.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char complaints[4096];

static void on_error(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    size_t used = strlen(complaints);
    snprintf(complaints + used, sizeof complaints - used, "%s: %s\n", path, message);
}

static int parse(struct options *options, const char *text)
{
    static struct sbx_host host = {.size = sizeof host, .option_error = on_error};
    static char check;
    host.json = json_table();
    struct sbx_backend_config config = {
        .size = sizeof config, .options_json = text, .options_len = strlen(text)};
    complaints[0] = '\0';
    return options_parse(options, &host, (struct sbx_check *)(void *)&check, &config, NULL);
}

static void without_options_the_defaults_hold(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "{}"), 0);
    assert_string_equal(options.base_working_dir, "/tmp/openhands-sandboxes");
    assert_int_equal(options.base_port, 8000);
    assert_string_equal(options.python_executable, "python3");
    assert_string_equal(options.agent_server_module, "openhands.agent_server");
    assert_int_equal(options.on_shutdown, SBX_SHUTDOWN_KEEP);
    assert_int_equal(options.stop_timeout_ms, 10000);
    assert_int_equal(options.log_size, 1048576);
    assert_false(options.run_as);
    assert_true(options.memory == 0 && options.cpu_milli == 0 && options.pids == 0 && options.files == 0);
    options_finish(&options);
    assert_int_equal(parse(&options, "{\"base_port\": null, \"limits\": null, \"run_as\": null}"), 0);
    assert_int_equal(options.base_port, 8000);
    options_finish(&options);
}

static void every_option_is_taken(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(
        parse(&options,
              "{\"base_working_dir\": \"/srv/boxes\", \"base_port\": 9000, \"python_executable\": \"/p\", "
              "\"agent_server_module\": \"m\", \"on_shutdown\": \"remove\", \"stop_timeout\": \"500ms\", "
              "\"limits\": {\"memory\": \"1.5GiB\", \"cpu\": 1.5, \"pids\": 100, \"files\": 64}, "
              "\"log_size\": \"64KiB\", \"pass_env\": [\"A\", \"B\"]}"),
        0);
    assert_string_equal(options.base_working_dir, "/srv/boxes");
    assert_int_equal(options.base_port, 9000);
    assert_string_equal(options.python_executable, "/p");
    assert_string_equal(options.agent_server_module, "m");
    assert_int_equal(options.on_shutdown, SBX_SHUTDOWN_REMOVE);
    assert_int_equal(options.stop_timeout_ms, 500);
    assert_int_equal(options.memory, 1610612736);
    assert_int_equal(options.cpu_milli, 1500);
    assert_int_equal(options.pids, 100);
    assert_int_equal(options.files, 64);
    assert_int_equal(options.log_size, 65536);
    assert_int_equal(options.pass_env_len, 2);
    assert_string_equal(options.pass_env[1], "B");
    options_finish(&options);
}

static void durations_and_sizes_have_units_or_are_bare(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t stop_timeout_ms, log_size;
    } cases[] = {
        {"{\"stop_timeout\": 3, \"log_size\": 8192}", 3000, 8192},
        {"{\"stop_timeout\": 0.25, \"log_size\": \"8192\"}", 250, 8192},
        {"{\"stop_timeout\": \"2m\", \"log_size\": \"1MiB\"}", 120000, 1048576},
        {"{\"stop_timeout\": \"1h\", \"log_size\": \"1GiB\"}", 3600000, 1073741824},
        {"{\"stop_timeout\": \"0\", \"log_size\": \"4KiB\"}", 0, 4096},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse(&options, cases[i].text), 0);
        assert_int_equal(options.stop_timeout_ms, cases[i].stop_timeout_ms);
        assert_int_equal(options.log_size, cases[i].log_size);
        options_finish(&options);
    }
}

static void each_wrong_value_is_told_with_its_path_and_what_would_be_right(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", ": must be a mapping of options\n"},
        {"{\"colour\": 1}",
         "colour: unknown option; there are base_working_dir, base_port, python_executable, "
         "agent_server_module, on_shutdown, stop_timeout, run_as, limits, log_size, pass_env and "
         "shared_dirs\n"},
        {"{\"limits.memory\": 1}",
         "limits.memory: unknown option; there are base_working_dir, base_port, "
         "python_executable, agent_server_module, on_shutdown, stop_timeout, run_as, "
         "limits, log_size, pass_env and shared_dirs\n"},
        {"{\"base_working_dir\": \"relative\"}",
         "base_working_dir: must be an absolute path of at most 1024 bytes\n"},
        {"{\"base_working_dir\": 3}", "base_working_dir: must be an absolute path of at most 1024 bytes\n"},
        {"{\"base_port\": 0}", "base_port: must be a whole number from 1 to 65535\n"},
        {"{\"base_port\": 65536}", "base_port: must be a whole number from 1 to 65535\n"},
        {"{\"base_port\": 8000.5}", "base_port: must be a whole number from 1 to 65535\n"},
        {"{\"base_port\": \"8000\"}", "base_port: must be a whole number from 1 to 65535\n"},
        {"{\"python_executable\": \"\"}", "python_executable: must be a text that is not empty\n"},
        {"{\"on_shutdown\": \"kill\"}", "on_shutdown: must be keep, pause, stop or remove\n"},
        {"{\"stop_timeout\": \"10 s\"}",
         "stop_timeout: must be a duration such as 500ms or 10s, at most 3600s\n"},
        {"{\"stop_timeout\": -1}", "stop_timeout: must be a duration such as 500ms or 10s, at most 3600s\n"},
        {"{\"stop_timeout\": \"2h\"}",
         "stop_timeout: must be a duration such as 500ms or 10s, at most 3600s\n"},
        {"{\"log_size\": \"1KB\"}",
         "log_size: must be a size such as 64KiB or 1MiB, from 4096 bytes to 1073741824\n"},
        {"{\"log_size\": \"0x10000\"}",
         "log_size: must be a size such as 64KiB or 1MiB, from 4096 bytes to 1073741824\n"},
        {"{\"log_size\": 100}",
         "log_size: must be a size such as 64KiB or 1MiB, from 4096 bytes to 1073741824\n"},
        {"{\"limits\": 3}", "limits: must be a mapping of memory, cpu, pids and files\n"},
        {"{\"limits\": {\"disk\": 3}}",
         "limits.disk: unknown limit; there are memory, cpu, pids and files\n"},
        {"{\"limits\": {\"memory\": \"lots\"}}",
         "limits.memory: must be a size such as 64KiB or 1MiB, at least 1048576 bytes\n"},
        {"{\"limits\": {\"cpu\": 0}}",
         "limits.cpu: must be a number of processors such as 1.5, from 0.01 to 1024\n"},
        {"{\"limits\": {\"pids\": 0}}", "limits.pids: must be a whole number from 1 to 4194304\n"},
        {"{\"limits\": {\"files\": 3}}", "limits.files: must be a whole number from 16 to 1048576\n"},
        {"{\"pass_env\": \"A\"}", "pass_env: must be a list of at most 64 names of environment variables\n"},
        {"{\"pass_env\": [\"A\", \"B=C\"]}", "pass_env[1]: must be the name of an environment variable\n"},
        {"{\"pass_env\": [3]}", "pass_env[0]: must be the name of an environment variable\n"},
        {"{\"shared_dirs\": \"/a\"}", "shared_dirs: must be a list of at most 64 absolute paths\n"},
        {"{\"shared_dirs\": [\"/a\", \"b\"]}",
         "shared_dirs[1]: must be an absolute path of at most 1024 bytes\n"},
        {"{\"run_as\": \"\"}", "run_as: must be a user, or user:group\n"},
        {"{\"run_as\": \"nobody:\"}", "run_as: must be a user, or user:group\n"},
        {"{\"base_port\": 0, \"limits\": {\"pids\": -1}, \"on_shutdown\": 7}",
         "base_port: must be a whole number from 1 to 65535\nlimits.pids: must be a whole number from 1 to "
         "4194304\non_shutdown: must be keep, pause, stop or remove\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse(&options, cases[i][0]), -1);
        assert_string_equal(complaints, cases[i][1]);
        options_finish(&options);
    }
}

static void run_as_names_users_and_groups(void **state)
{
    (void)state;
    struct options options;
    if (geteuid() != 0) {
        assert_int_equal(parse(&options, "{\"run_as\": \"nobody\"}"), -1);
        assert_string_equal(complaints,
                            "run_as: only a daemon that runs as root can run sandboxes as another user\n");
        options_finish(&options);
        return;
    }
    static const struct {
        const char *text;
        uint32_t uid, gid;
    } good[] = {
        {"{\"run_as\": \"root\"}", 0, 0},
        {"{\"run_as\": \"nobody:0\"}", 65534, 0},
        {"{\"run_as\": \"4242:4343\"}", 4242, 4343},
        {"{\"run_as\": \"4242:root\"}", 4242, 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(parse(&options, good[i].text), 0);
        assert_true(options.run_as && options.groups_len > 0);
        assert_int_equal(options.uid, good[i].uid);
        assert_int_equal(options.gid, good[i].gid);
        options_finish(&options);
    }
    static const char *const bad[][2] = {
        {"{\"run_as\": \"nosuchuser\"}", "run_as: there is no user \"nosuchuser\"\n"},
        {"{\"run_as\": \"nobody:nosuchgroup\"}", "run_as: there is no group \"nosuchgroup\"\n"},
        {"{\"run_as\": \"4242\"}",
         "run_as: there is no user 4242, so a group must be named too: 4242:GROUP\n"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(&options, bad[i][0]), -1);
        assert_string_equal(complaints, bad[i][1]);
        options_finish(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_the_defaults_hold),
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(durations_and_sizes_have_units_or_are_bare),
        cmocka_unit_test(each_wrong_value_is_told_with_its_path_and_what_would_be_right),
        cmocka_unit_test(run_as_names_users_and_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
