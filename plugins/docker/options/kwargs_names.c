/* kwargs_names.c: see kwargs_names.h. Tables alone; kwargs_values.c turns values into the engine's, kwargs.c reads the
 * option.
 */
#include "options/kwargs_names.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define CLIENT "says how a client waits for a container, and has no meaning here: leave it out"

static const struct kwarg names[] = {
    {"annotations", KWARG_TEXT_MAP, "Annotations", true, NULL},
    {"auto_remove", KWARG_BOOLEAN, "AutoRemove", true, NULL},
    {"blkio_weight", KWARG_INTEGER, "BlkioWeight", true, NULL},
    {"blkio_weight_device", KWARG_OBJECTS, "BlkioWeightDevice", true, NULL},
    {"cap_add", KWARG_TEXTS, "CapAdd", true, NULL},
    {"cap_drop", KWARG_TEXTS, "CapDrop", true, NULL},
    {"cgroup_parent", KWARG_TEXT, "CgroupParent", true, NULL},
    {"cgroupns", KWARG_TEXT, "CgroupnsMode", true, NULL},
    {"command", KWARG_REFUSED, "Cmd", false, "is the spec's: use specs[].command"},
    {"cpu_count", KWARG_INTEGER, "CpuCount", true, NULL},
    {"cpu_percent", KWARG_INTEGER, "CpuPercent", true, NULL},
    {"cpu_period", KWARG_INTEGER, "CpuPeriod", true, NULL},
    {"cpu_quota", KWARG_INTEGER, "CpuQuota", true, NULL},
    {"cpu_rt_period", KWARG_INTEGER, "CpuRealtimePeriod", true, NULL},
    {"cpu_rt_runtime", KWARG_INTEGER, "CpuRealtimeRuntime", true, NULL},
    {"cpu_shares", KWARG_INTEGER, "CpuShares", true, NULL},
    {"cpuset_cpus", KWARG_TEXT, "CpusetCpus", true, NULL},
    {"cpuset_mems", KWARG_TEXT, "CpusetMems", true, NULL},
    {"detach", KWARG_REFUSED, NULL, false, CLIENT},
    {"device_cgroup_rules", KWARG_TEXTS, "DeviceCgroupRules", true, NULL},
    {"device_read_bps", KWARG_OBJECTS, "BlkioDeviceReadBps", true, NULL},
    {"device_read_iops", KWARG_OBJECTS, "BlkioDeviceReadIOps", true, NULL},
    {"device_requests", KWARG_OBJECTS, "DeviceRequests", true, NULL},
    {"device_write_bps", KWARG_OBJECTS, "BlkioDeviceWriteBps", true, NULL},
    {"device_write_iops", KWARG_OBJECTS, "BlkioDeviceWriteIOps", true, NULL},
    {"devices", KWARG_DEVICES, "Devices", true, NULL},
    {"dns", KWARG_TEXTS, "Dns", true, NULL},
    {"dns_opt", KWARG_TEXTS, "DnsOptions", true, NULL},
    {"dns_search", KWARG_TEXTS, "DnsSearch", true, NULL},
    {"domainname", KWARG_TEXT, "Domainname", false, NULL},
    {"entrypoint", KWARG_REFUSED, "Entrypoint", false, "is the spec's: use specs[].entrypoint"},
    {"environment", KWARG_ENVIRONMENT, "Env", false, NULL},
    {"extra_hosts", KWARG_HOSTS, "ExtraHosts", true, NULL},
    {"group_add", KWARG_TEXTS, "GroupAdd", true, NULL},
    {"healthcheck", KWARG_HEALTH, "Healthcheck", false, NULL},
    {"hostname", KWARG_TEXT, "Hostname", false, NULL},
    {"image", KWARG_REFUSED, "Image", false, "can't be chosen here: the image is the id of the spec"},
    {"init", KWARG_BOOLEAN, "Init", true, NULL},
    {"init_path", KWARG_REFUSED, NULL, false, "is no setting of the engine's any more: leave it out"},
    {"ipc_mode", KWARG_TEXT, "IpcMode", true, NULL},
    {"isolation", KWARG_TEXT, "Isolation", true, NULL},
    {"kernel_memory", KWARG_BYTES, "KernelMemory", true, NULL},
    {"labels", KWARG_LABELS, "Labels", false, NULL},
    {"links", KWARG_REFUSED, "Links", true, "is not translated: the engine has it as HostConfig.Links"},
    {"log_config", KWARG_OBJECT, "LogConfig", true, NULL},
    {"lxc_conf", KWARG_REFUSED, NULL, false, "is no setting of the engine's any more: leave it out"},
    {"mac_address", KWARG_TEXT, "MacAddress", false, NULL},
    {"mem_limit", KWARG_BYTES, "Memory", true, NULL},
    {"mem_reservation", KWARG_BYTES, "MemoryReservation", true, NULL},
    {"mem_swappiness", KWARG_INTEGER, "MemorySwappiness", true, NULL},
    {"memswap_limit", KWARG_SWAP, "MemorySwap", true, NULL},
    {"mounts", KWARG_REFUSED, "Mounts", true,
     "is not translated: use the option mounts, or the engine's HostConfig.Mounts"},
    {"name", KWARG_REFUSED, NULL, false, "is the sandbox's id: use container_name_prefix for its beginning"},
    {"nano_cpus", KWARG_INTEGER, "NanoCpus", true, NULL},
    {"network", KWARG_REFUSED, "NetworkMode", true,
     "is an option of this backend: use network beside kwargs"},
    {"network_disabled", KWARG_BOOLEAN, "NetworkDisabled", false, NULL},
    {"network_mode", KWARG_TEXT, "NetworkMode", true, NULL},
    {"networking_config", KWARG_REFUSED, "NetworkingConfig", false,
     "is not translated: the engine has it as NetworkingConfig"},
    {"oom_kill_disable", KWARG_BOOLEAN, "OomKillDisable", true, NULL},
    {"oom_score_adj", KWARG_INTEGER, "OomScoreAdj", true, NULL},
    {"pid_mode", KWARG_TEXT, "PidMode", true, NULL},
    {"pids_limit", KWARG_INTEGER, "PidsLimit", true, NULL},
    {"platform", KWARG_REFUSED, NULL, false, "is an option of this backend: use platform beside kwargs"},
    {"ports", KWARG_REFUSED, "PortBindings", true,
     "are the daemon's to choose: use exposed_ports and port_ranges"},
    {"privileged", KWARG_BOOLEAN, "Privileged", true, NULL},
    {"publish_all_ports", KWARG_REFUSED, "PublishAllPorts", true,
     "is not translated: use exposed_ports, or the engine's HostConfig.PublishAllPorts"},
    {"read_only", KWARG_BOOLEAN, "ReadonlyRootfs", true, NULL},
    {"remove", KWARG_REFUSED, NULL, false, CLIENT},
    {"restart_policy", KWARG_OBJECT, "RestartPolicy", true, NULL},
    {"runtime", KWARG_TEXT, "Runtime", true, NULL},
    {"security_opt", KWARG_TEXTS, "SecurityOpt", true, NULL},
    {"shm_size", KWARG_BYTES, "ShmSize", true, NULL},
    {"stderr", KWARG_REFUSED, NULL, false, CLIENT},
    {"stdin_open", KWARG_BOOLEAN, "OpenStdin", false, NULL},
    {"stdout", KWARG_REFUSED, NULL, false, CLIENT},
    {"stop_signal", KWARG_TEXT, "StopSignal", false, NULL},
    {"storage_opt", KWARG_TEXT_MAP, "StorageOpt", true, NULL},
    {"stream", KWARG_REFUSED, NULL, false, CLIENT},
    {"sysctls", KWARG_TEXT_MAP, "Sysctls", true, NULL},
    {"tmpfs", KWARG_TMPFS, "Tmpfs", true, NULL},
    {"tty", KWARG_BOOLEAN, "Tty", false, NULL},
    {"ulimits", KWARG_OBJECTS, "Ulimits", true, NULL},
    {"use_config_proxy", KWARG_REFUSED, NULL, false, CLIENT},
    {"user", KWARG_TEXT, "User", false, NULL},
    {"userns_mode", KWARG_TEXT, "UsernsMode", true, NULL},
    {"uts_mode", KWARG_TEXT, "UTSMode", true, NULL},
    {"version", KWARG_REFUSED, NULL, false, CLIENT},
    {"volume_driver", KWARG_TEXT, "VolumeDriver", true, NULL},
    {"volumes", KWARG_REFUSED, "Binds", true, "is not translated: use the option mounts"},
    {"volumes_from", KWARG_REFUSED, "VolumesFrom", true,
     "is not translated: use the option mounts, or the engine's HostConfig.VolumesFrom"},
    {"working_dir", KWARG_TEXT, "WorkingDir", false, NULL},
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
