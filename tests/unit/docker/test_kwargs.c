/* test_kwargs.c: `kwargs` under docker-py's names and under the engine's: what they come to, and what is said of those that
 * neither has.
 */
#include "option_world.h"

#include "options/kwargs_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static char *with_kwargs(const char *members)
{
    static char text[2048];
    snprintf(text, sizeof text, "{\"kwargs\": {%s}}", members);
    return text;
}

static void expect(const char *members, const char *wanted)
{
    struct options options;
    int result = parse_options(&options, with_kwargs(members));
    assert_string_equal(said.errors, "");
    assert_int_equal(result, 0);
    assert_string_equal(options.kwargs, wanted);
    options_finish(&options);
}

static void docker_pys_names_become_the_engines_with_their_units(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"mem_limit\": \"4g\"", "\"Memory\":4294967296"},
        {"\"mem_limit\": 6291456", "\"Memory\":6291456"},
        {"\"mem_reservation\": \"512MB\"", "\"MemoryReservation\":536870912"},
        {"\"shm_size\": \"1.5k\"", "\"ShmSize\":1536"},
        {"\"shm_size\": \"64b\"", "\"ShmSize\":64"},
        {"\"memswap_limit\": -1", "\"MemorySwap\":-1"},
        {"\"memswap_limit\": \"1t\"", "\"MemorySwap\":1099511627776"},
        {"\"cpu_shares\": 512", "\"CpuShares\":512"},
        {"\"cpuset_cpus\": \"0-2\"", "\"CpusetCpus\":\"0-2\""},
        {"\"cpuset_cpus\": 0", "\"CpusetCpus\":\"0\""},
        {"\"nano_cpus\": 1500000000", "\"NanoCpus\":1500000000"},
        {"\"cpu_period\": 100000, \"cpu_quota\": 50000", "\"CpuPeriod\":100000,\"CpuQuota\":50000"},
        {"\"cap_add\": [\"SYS_PTRACE\"]", "\"CapAdd\":[\"SYS_PTRACE\"]"},
        {"\"devices\": [\"/dev/fuse\", \"/dev/a:/dev/b\", \"/dev/a:r\", \"/dev/a:/dev/b:rw\"]",
         "\"Devices\":[{\"PathOnHost\":\"/dev/fuse\",\"PathInContainer\":\"/dev/fuse\",\"CgroupPermissions\":"
         "\"rwm\"},{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\",\"CgroupPermissions\":\"rwm\"},"
         "{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\",\"CgroupPermissions\":\"r\"},"
         "{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\",\"CgroupPermissions\":\"rw\"}]"},
        {"\"dns\": [\"1.1.1.1\"], \"dns_search\": [\"a.b\"], \"dns_opt\": [\"ndots:1\"]",
         "\"Dns\":[\"1.1.1.1\"],\"DnsSearch\":[\"a.b\"],\"DnsOptions\":[\"ndots:1\"]"},
        {"\"extra_hosts\": {\"db\": \"10.0.0.1\"}", "\"ExtraHosts\":[\"db:10.0.0.1\"]"},
        {"\"extra_hosts\": [\"db:10.0.0.1\"]", "\"ExtraHosts\":[\"db:10.0.0.1\"]"},
        {"\"group_add\": [\"audio\", 20]", "\"GroupAdd\":[\"audio\",\"20\"]"},
        {"\"init\": false, \"ipc_mode\": \"private\"", "\"Init\":false,\"IpcMode\":\"private\""},
        {"\"log_config\": {\"type\": \"local\", \"config\": {}}",
         "\"LogConfig\":{\"type\":\"local\",\"config\":{}}"},
        {"\"oom_kill_disable\": true, \"oom_score_adj\": -5", "\"OomKillDisable\":true,\"OomScoreAdj\":-5"},
        {"\"pids_limit\": 100, \"read_only\": true", "\"PidsLimit\":100,\"ReadonlyRootfs\":true"},
        {"\"runtime\": \"runsc\", \"userns_mode\": \"x\"", "\"Runtime\":\"runsc\",\"UsernsMode\":\"x\""},
        {"\"storage_opt\": {\"size\": \"10G\"}", "\"StorageOpt\":{\"size\":\"10G\"}"},
        {"\"sysctls\": {\"net.core.somaxconn\": 1024}", "\"Sysctls\":{\"net.core.somaxconn\":\"1024\"}"},
        {"\"tmpfs\": {\"/tmp\": \"size=1g\"}", "\"Tmpfs\":{\"/tmp\":\"size=1g\"}"},
        {"\"tmpfs\": [\"/tmp\"]", "\"Tmpfs\":{\"/tmp\":\"\"}"},
        {"\"ulimits\": [{\"Name\": \"nofile\", \"Soft\": 1, \"Hard\": 2}]",
         "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2}]"},
        {"\"security_opt\": [\"apparmor=x\"]", "\"SecurityOpt\":[\"apparmor=x\"]"},
        {"\"mem_limit\": null, \"shm_size\": 1", "\"ShmSize\":1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[1024];
        snprintf(wanted, sizeof wanted, "{\"HostConfig\":{%s}}", cases[i][1]);
        expect(cases[i][0], wanted);
    }
    expect(
        "\"hostname\": \"h\", \"domainname\": \"d\", \"user\": 1000, \"working_dir\": \"/w\", \"tty\": true",
        "{\"Hostname\":\"h\",\"Domainname\":\"d\",\"User\":\"1000\",\"WorkingDir\":\"/w\",\"Tty\":true}");
    expect("\"environment\": {\"A\": 1, \"B\": null}, \"labels\": [\"x\"]",
           "{\"Env\":[\"A=1\",\"B\"],\"Labels\":{\"x\":\"\"}}");
    expect("\"healthcheck\": {\"test\": \"true\", \"start_period\": 1000000}",
           "{\"Healthcheck\":{\"test\":[\"CMD-SHELL\",\"true\"],\"StartPeriod\":1000000}}");
    expect("\"shm_size\": 1, \"HostConfig\": {\"PidMode\": \"\"}",
           "{\"HostConfig\":{\"PidMode\":\"\",\"ShmSize\":1}}");
}

static void the_engines_names_go_on_working(void **state)
{
    (void)state;
    expect("\"hostname\": null, \"StopTimeout\": 3, \"hostconfig\": {\"shmsize\": 64, \"MaskedPaths\": null}",
           "{\"StopTimeout\":3,\"HostConfig\":{\"shmsize\":64,\"MaskedPaths\":null}}");
}

/* Each alone, and in one line that begins so. */
static void expect_errors(const char *const (*cases)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct options options;
        assert_int_equal(parse_options(&options, with_kwargs(cases[i][0])), -1);
        if (strncmp(said.errors, cases[i][1], strlen(cases[i][1])) != 0 ||
            strchr(said.errors, '\n') != strrchr(said.errors, '\n'))
            fail_msg("%s: %s", cases[i][0], said.errors);
        options_finish(&options);
    }
}

static void what_is_wrong_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"nosuch\": 1", "kwargs.nosuch: neither docker-py nor the engine has such a setting;"},
        {"\"Shm_Size\": 1", "kwargs.Shm_Size: neither docker-py nor the engine has such a setting;"},
        {"\"ShmSize\": 1",
         "kwargs.ShmSize: is a member of HostConfig: the engine has it as HostConfig.ShmSize"},
        {"\"HostConfig\": {\"shm_size\": 1}",
         "kwargs.HostConfig.shm_size: is called ShmSize here, by the engine"},
        {"\"HostConfig\": {\"Nosuch\": 1}",
         "kwargs.HostConfig.Nosuch: neither docker-py nor the engine has such a setting of HostConfig;"},
        {"\"mem_limit\": \"4x\"", "kwargs.mem_limit: must be a number of bytes, or one with a unit"},
        {"\"mem_limit\": \"0x10\"", "kwargs.mem_limit: must be a number of bytes"},
        {"\"mem_limit\": \"1gbb\"", "kwargs.mem_limit: must be a number of bytes"},
        {"\"mem_limit\": \"99999999999t\"", "kwargs.mem_limit: must be a number of bytes"},
        {"\"mem_limit\": -1", "kwargs.mem_limit: must be a number of bytes"},
        {"\"cpu_shares\": \"512\"", "kwargs.cpu_shares: must be a whole number"},
        {"\"privileged\": \"yes\"", "kwargs.privileged: must be true or false"},
        {"\"cap_add\": \"KILL\"", "kwargs.cap_add: must be a list of texts"},
        {"\"devices\": [\"fuse\"]", "kwargs.devices: must be a list of devices such as /dev/fuse"},
        {"\"devices\": [\"/dev/a:/dev/b:rx\"]", "kwargs.devices: must be a list of devices"},
        {"\"devices\": [\"/dev/a:/dev/b:r:w\"]", "kwargs.devices: must be a list of devices"},
        {"\"environment\": [\"=1\"]", "kwargs.environment[0]: must be NAME=VALUE"},
        {"\"ulimits\": [\"nofile=1\"]", "kwargs.ulimits: must be a list of mappings"},
        {"\"volumes\": {}", "kwargs.volumes: is not translated: use the option mounts"},
        {"\"ports\": {}", "kwargs.ports: are the daemon's to choose: use exposed_ports"},
        {"\"command\": []", "kwargs.command: is the spec's: use specs[].command"},
        {"\"entrypoint\": []", "kwargs.entrypoint: is the spec's: use specs[].entrypoint"},
        {"\"name\": \"x\"", "kwargs.name: is the sandbox's id"},
        {"\"links\": {}", "kwargs.links: is not translated: the engine has it as HostConfig.Links"},
        {"\"detach\": true", "kwargs.detach: says how a client waits"},
        {"\"HostConfig\": [1]", "kwargs.HostConfig: must be a mapping"},
        {"\"shm_size\": 1, \"HostConfig\": {\"shmsize\": 2}",
         "kwargs.shm_size: is given twice: the engine has it as HostConfig.ShmSize, which is there too"},
    };
    expect_errors(cases, sizeof cases / sizeof *cases);
}

static void values_are_such_as_the_engine_takes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"ulimits\": [{\"name\": \"nofile\", \"soft\": \"1\"}]",
         "kwargs.ulimits[0].soft: must be a whole number, at least -1"},
        {"\"ulimits\": [{\"name\": \"nofile\", \"max\": 1}]",
         "kwargs.ulimits[0].max: unknown member; there are Name, Soft, Hard"},
        {"\"ulimits\": [{\"name\": \"files\"}]", "kwargs.ulimits[0].name: must be one of core, cpu, data,"},
        {"\"ulimits\": [{\"soft\": 1}]", "kwargs.ulimits[0]: has no Name; its members are Name, Soft, Hard"},
        {"\"hostconfig\": {\"ulimits\": [5]}", "kwargs.hostconfig.ulimits[0]: must be a mapping"},
        {"\"HostConfig\": {\"Ulimits\": {}}", "kwargs.HostConfig.Ulimits: must be a list of mappings"},
        {"\"mem_swappiness\": 101", "kwargs.mem_swappiness: must be a whole number from 0 to 100"},
        {"\"mem_swappiness\": -1", "kwargs.mem_swappiness: must be a whole number from 0 to 100"},
        {"\"nano_cpus\": -1", "kwargs.nano_cpus: must be a whole number, at least 0"},
        {"\"cpu_shares\": -1", "kwargs.cpu_shares: must be a whole number, at least 0"},
        {"\"cpu_period\": 999", "kwargs.cpu_period: must be a whole number from 1000 to 1000000, or 0"},
        {"\"cpu_quota\": -2",
         "kwargs.cpu_quota: must be a whole number, at least 1000, or 0, or -1 for no limit"},
        {"\"blkio_weight\": 9", "kwargs.blkio_weight: must be a whole number from 10 to 1000, or 0"},
        {"\"blkio_weight\": 1001", "kwargs.blkio_weight: must be a whole number from 10 to 1000, or 0"},
        {"\"oom_score_adj\": 1001", "kwargs.oom_score_adj: must be a whole number from -1000 to 1000"},
        {"\"device_read_bps\": [{\"Path\": \"/dev/a\", \"Rate\": \"1m\"}]",
         "kwargs.device_read_bps[0].Rate: must be a whole number, at least 0"},
        {"\"restart_policy\": {\"Name\": \"sometimes\"}",
         "kwargs.restart_policy.Name: must be one of no, always, unless-stopped, on-failure"},
        {"\"restart_policy\": {\"Name\": 5}", "kwargs.restart_policy.Name: must be one of"},
        {"\"log_config\": {\"type\": \"local\", \"config\": {\"max-file\": 3}}",
         "kwargs.log_config.config.max-file: must be a text"},
        {"\"healthcheck\": {\"test\": 5}", "kwargs.healthcheck.test: must be a list of texts"},
        {"\"healthcheck\": {\"test\": [5]}", "kwargs.healthcheck.test[0]: must be a text"},
        {"\"healthcheck\": {\"interval\": 30}",
         "kwargs.healthcheck.interval: must be a whole number, at least 1000000, or 0"},
        {"\"HostConfig\": {\"Memory\": \"4g\"}",
         "kwargs.HostConfig.Memory: must be a whole number, at least 0"},
        {"\"HostConfig\": {\"ShmSize\": \"1.5g\"}", "kwargs.HostConfig.ShmSize: must be a whole number"},
        {"\"HostConfig\": {\"ShmSize\": 1.5}", "kwargs.HostConfig.ShmSize: must be a whole number"},
        {"\"HostConfig\": {\"MemorySwap\": -2}", "kwargs.HostConfig.MemorySwap: must be a whole number"},
        {"\"HostConfig\": {\"Tmpfs\": [\"/tmp\"]}",
         "kwargs.HostConfig.Tmpfs: must be a mapping of names to texts"},
        {"\"HostConfig\": {\"Tmpfs\": {\"/tmp\": 1}}", "kwargs.HostConfig.Tmpfs./tmp: must be a text"},
        {"\"HostConfig\": {\"PidMode\": true}", "kwargs.HostConfig.PidMode: must be a text"},
        {"\"HostConfig\": {\"CapAdd\": \"KILL\"}", "kwargs.HostConfig.CapAdd: must be a list of texts"},
        {"\"HostConfig\": {\"Privileged\": \"yes\"}", "kwargs.HostConfig.Privileged: must be true or false"},
        {"\"HostConfig\": {\"LogConfig\": \"local\"}", "kwargs.HostConfig.LogConfig: must be a mapping"},
        {"\"User\": 1000", "kwargs.User: must be a text"},
        {"\"Labels\": {\"a\": 1}", "kwargs.Labels.a: must be a text"},
        {"\"user\": [1]", "kwargs.user: must be a text"},
        {"\"StopTimeout\": \"3\"", "kwargs.StopTimeout: must be a whole number"},
    };
    expect_errors(cases, sizeof cases / sizeof *cases);
    expect(
        "\"HostConfig\": {\"CpuQuota\": -1, \"BlkioWeight\": 0, \"MemorySwappiness\": 100, \"Memory\": null, "
        "\"RestartPolicy\": {\"name\": \"\"}, \"Ulimits\": [{\"Name\": \"core\", \"Soft\": -1, \"Hard\": "
        "-1}]}",
        "{\"HostConfig\":{\"CpuQuota\":-1,\"BlkioWeight\":0,\"MemorySwappiness\":100,\"Memory\":null,"
        "\"RestartPolicy\":{\"name\":\"\"},\"Ulimits\":[{\"Name\":\"core\",\"Soft\":-1,\"Hard\":-1}]}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_pys_names_become_the_engines_with_their_units),
        cmocka_unit_test(the_engines_names_go_on_working),
        cmocka_unit_test(values_are_such_as_the_engine_takes),
        cmocka_unit_test(what_is_wrong_is_told_with_what_would_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
