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
    expect("\"healthcheck\": {\"test\": \"true\", \"start_period\": 1}",
           "{\"Healthcheck\":{\"test\":[\"CMD-SHELL\",\"true\"],\"StartPeriod\":1}}");
    expect("\"shm_size\": 1, \"HostConfig\": {\"PidMode\": \"\"}",
           "{\"HostConfig\":{\"PidMode\":\"\",\"ShmSize\":1}}");
}

static void the_engines_names_go_on_working(void **state)
{
    (void)state;
    expect("\"hostname\": null, \"StopTimeout\": 3, \"hostconfig\": {\"shmsize\": 64, \"MaskedPaths\": null}",
           "{\"StopTimeout\":3,\"HostConfig\":{\"shmsize\":64,\"MaskedPaths\":null}}");
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
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        assert_int_equal(parse_options(&options, with_kwargs(cases[i][0])), -1);
        if (strncmp(said.errors, cases[i][1], strlen(cases[i][1])) != 0 ||
            strchr(said.errors, '\n') != strrchr(said.errors, '\n'))
            fail_msg("%s: %s", cases[i][0], said.errors);
        options_finish(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_pys_names_become_the_engines_with_their_units),
        cmocka_unit_test(the_engines_names_go_on_working),
        cmocka_unit_test(what_is_wrong_is_told_with_what_would_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
