/* kwargs_names.c: see kwargs_names.h. Tables alone; kwargs_values.c turns values into the engine's, kwargs.c reads the
 * option.
 */
#include "options/kwargs_names.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define CLIENT "says how a client waits for a container, and has no meaning here: leave it out"

static const struct kwarg names[] = {
    {"annotations", "Annotations", NULL, KWARG_TEXT_MAP, true},
    {"auto_remove", "AutoRemove", NULL, KWARG_BOOLEAN, true},
    {"blkio_weight", "BlkioWeight", NULL, KWARG_INTEGER, true},
    {"blkio_weight_device", "BlkioWeightDevice", NULL, KWARG_OBJECTS, true},
    {"cap_add", "CapAdd", NULL, KWARG_TEXTS, true},
    {"cap_drop", "CapDrop", NULL, KWARG_TEXTS, true},
    {"cgroup_parent", "CgroupParent", NULL, KWARG_TEXT, true},
    {"cgroupns", "CgroupnsMode", NULL, KWARG_TEXT, true},
    {"command", "Cmd", "is the spec's: use specs[].command", KWARG_REFUSED, false},
    {"cpu_count", "CpuCount", NULL, KWARG_INTEGER, true},
    {"cpu_percent", "CpuPercent", NULL, KWARG_INTEGER, true},
    {"cpu_period", "CpuPeriod", NULL, KWARG_INTEGER, true},
    {"cpu_quota", "CpuQuota", NULL, KWARG_INTEGER, true},
    {"cpu_rt_period", "CpuRealtimePeriod", NULL, KWARG_INTEGER, true},
    {"cpu_rt_runtime", "CpuRealtimeRuntime", NULL, KWARG_INTEGER, true},
    {"cpu_shares", "CpuShares", NULL, KWARG_INTEGER, true},
    {"cpuset_cpus", "CpusetCpus", NULL, KWARG_TEXT, true},
    {"cpuset_mems", "CpusetMems", NULL, KWARG_TEXT, true},
    {"detach", NULL, CLIENT, KWARG_REFUSED, false},
    {"device_cgroup_rules", "DeviceCgroupRules", NULL, KWARG_TEXTS, true},
    {"device_read_bps", "BlkioDeviceReadBps", NULL, KWARG_OBJECTS, true},
    {"device_read_iops", "BlkioDeviceReadIOps", NULL, KWARG_OBJECTS, true},
    {"device_requests", "DeviceRequests", NULL, KWARG_OBJECTS, true},
    {"device_write_bps", "BlkioDeviceWriteBps", NULL, KWARG_OBJECTS, true},
    {"device_write_iops", "BlkioDeviceWriteIOps", NULL, KWARG_OBJECTS, true},
    {"devices", "Devices", NULL, KWARG_DEVICES, true},
    {"dns", "Dns", NULL, KWARG_TEXTS, true},
    {"dns_opt", "DnsOptions", NULL, KWARG_TEXTS, true},
    {"dns_search", "DnsSearch", NULL, KWARG_TEXTS, true},
    {"domainname", "Domainname", NULL, KWARG_TEXT, false},
    {"entrypoint", "Entrypoint", "is the spec's: use specs[].entrypoint", KWARG_REFUSED, false},
    {"environment", "Env", NULL, KWARG_ENVIRONMENT, false},
    {"extra_hosts", "ExtraHosts", NULL, KWARG_HOSTS, true},
    {"group_add", "GroupAdd", NULL, KWARG_TEXTS, true},
    {"healthcheck", "Healthcheck", NULL, KWARG_HEALTH, false},
    {"hostname", "Hostname", NULL, KWARG_TEXT, false},
    {"image", "Image", "can't be chosen here: the image is the id of the spec", KWARG_REFUSED, false},
    {"init", "Init", NULL, KWARG_BOOLEAN, true},
    {"init_path", NULL, "is no setting of the engine's any more: leave it out", KWARG_REFUSED, false},
    {"ipc_mode", "IpcMode", NULL, KWARG_TEXT, true},
    {"isolation", "Isolation", NULL, KWARG_TEXT, true},
    {"kernel_memory", "KernelMemory", NULL, KWARG_BYTES, true},
    {"labels", "Labels", NULL, KWARG_LABELS, false},
    {"links", "Links", "is not translated: the engine has it as HostConfig.Links", KWARG_REFUSED, true},
    {"log_config", "LogConfig", NULL, KWARG_OBJECT, true},
    {"lxc_conf", NULL, "is no setting of the engine's any more: leave it out", KWARG_REFUSED, false},
    {"mac_address", "MacAddress", NULL, KWARG_TEXT, false},
    {"mem_limit", "Memory", NULL, KWARG_BYTES, true},
    {"mem_reservation", "MemoryReservation", NULL, KWARG_BYTES, true},
    {"mem_swappiness", "MemorySwappiness", NULL, KWARG_INTEGER, true},
    {"memswap_limit", "MemorySwap", NULL, KWARG_SWAP, true},
    {"mounts", "Mounts", "is not translated: use the option mounts, or the engine's HostConfig.Mounts",
     KWARG_REFUSED, true},
    {"name", NULL, "is the sandbox's id: use container_name_prefix for its beginning", KWARG_REFUSED, false},
    {"nano_cpus", "NanoCpus", NULL, KWARG_INTEGER, true},
    {"network", "NetworkMode", "is an option of this backend: use network beside kwargs", KWARG_REFUSED,
     true},
    {"network_disabled", "NetworkDisabled", NULL, KWARG_BOOLEAN, false},
    {"network_mode", "NetworkMode", NULL, KWARG_TEXT, true},
    {"networking_config", "NetworkingConfig", "is not translated: the engine has it as NetworkingConfig",
     KWARG_REFUSED, false},
    {"oom_kill_disable", "OomKillDisable", NULL, KWARG_BOOLEAN, true},
    {"oom_score_adj", "OomScoreAdj", NULL, KWARG_INTEGER, true},
    {"pid_mode", "PidMode", NULL, KWARG_TEXT, true},
    {"pids_limit", "PidsLimit", NULL, KWARG_INTEGER, true},
    {"platform", NULL, "is an option of this backend: use platform beside kwargs", KWARG_REFUSED, false},
    {"ports", "PortBindings", "are the daemon's to choose: use exposed_ports and port_ranges", KWARG_REFUSED,
     true},
    {"privileged", "Privileged", NULL, KWARG_BOOLEAN, true},
    {"publish_all_ports", "PublishAllPorts",
     "is not translated: use exposed_ports, or the engine's HostConfig.PublishAllPorts", KWARG_REFUSED, true},
    {"read_only", "ReadonlyRootfs", NULL, KWARG_BOOLEAN, true},
    {"remove", NULL, CLIENT, KWARG_REFUSED, false},
    {"restart_policy", "RestartPolicy", NULL, KWARG_OBJECT, true},
    {"runtime", "Runtime", NULL, KWARG_TEXT, true},
    {"security_opt", "SecurityOpt", NULL, KWARG_TEXTS, true},
    {"shm_size", "ShmSize", NULL, KWARG_BYTES, true},
    {"stderr", NULL, CLIENT, KWARG_REFUSED, false},
    {"stdin_open", "OpenStdin", NULL, KWARG_BOOLEAN, false},
    {"stdout", NULL, CLIENT, KWARG_REFUSED, false},
    {"stop_signal", "StopSignal", NULL, KWARG_TEXT, false},
    {"storage_opt", "StorageOpt", NULL, KWARG_TEXT_MAP, true},
    {"stream", NULL, CLIENT, KWARG_REFUSED, false},
    {"sysctls", "Sysctls", NULL, KWARG_TEXT_MAP, true},
    {"tmpfs", "Tmpfs", NULL, KWARG_TMPFS, true},
    {"tty", "Tty", NULL, KWARG_BOOLEAN, false},
    {"ulimits", "Ulimits", NULL, KWARG_OBJECTS, true},
    {"use_config_proxy", NULL, CLIENT, KWARG_REFUSED, false},
    {"user", "User", NULL, KWARG_TEXT, false},
    {"userns_mode", "UsernsMode", NULL, KWARG_TEXT, true},
    {"uts_mode", "UTSMode", NULL, KWARG_TEXT, true},
    {"version", NULL, CLIENT, KWARG_REFUSED, false},
    {"volume_driver", "VolumeDriver", NULL, KWARG_TEXT, true},
    {"volumes", "Binds", "is not translated: use the option mounts", KWARG_REFUSED, true},
    {"volumes_from", "VolumesFrom",
     "is not translated: use the option mounts, or the engine's HostConfig.VolumesFrom", KWARG_REFUSED, true},
    {"working_dir", "WorkingDir", NULL, KWARG_TEXT, false},
};

/* The engine's members that the table above does not have. */
static const char *const request_members[] = {"ArgsEscaped",  "AttachStderr", "AttachStdin", "AttachStdout",
                                              "ExposedPorts", "HostConfig",   "OnBuild",     "Shell",
                                              "StdinOnce",    "StopTimeout",  "Volumes"};
static const char *const host_members[] = {
    "Capabilities",  "Cgroup",          "ConsoleSize", "ContainerIDFile", "IOMaximumBandwidth",
    "IOMaximumIOps", "KernelMemoryTCP", "MaskedPaths", "ReadonlyPaths"};

const struct kwarg *kwarg_find(const char *name)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}

/* The first that is translated, else the first. */
const struct kwarg *kwarg_of_engine(const char *engine, bool host)
{
    const struct kwarg *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct kwarg *kwarg = &names[i];
        if (kwarg->engine && kwarg->host == host && strcasecmp(kwarg->engine, engine) == 0 &&
            (!found || (found->kind == KWARG_REFUSED && kwarg->kind != KWARG_REFUSED)))
            found = kwarg;
    }
    return found;
}

bool kwarg_engine_has(const char *name, bool host)
{
    const char *const *list = host ? host_members : request_members;
    size_t count =
        host ? sizeof host_members / sizeof *host_members : sizeof request_members / sizeof *request_members;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(list[i], name) == 0)
            return true;
    return kwarg_of_engine(name, host) != NULL;
}
