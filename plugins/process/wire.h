/* wire.h: what the plugin and the supervisor of a sandbox say to each other.
 *
 * A supervisor outlives the daemon that started it, so it may be of an older build than the plugin it
 * talks to: everything here only ever grows at the end, begins with its size, and keeps its meaning.
 *
 *   launch   the descriptors below, and in the first of them a struct wire_launch with its texts
 *   control  a unix socket of SOCK_SEQPACKET, one struct a message: requests in, statuses out. The
 *            plugin that launches has one end of a pair; later ones connect to WIRE_SOCKET_NAME
 *   exit     the last status, as a file WIRE_EXIT_NAME in the control directory
 */
#ifndef PROCESS_WIRE_H
#define PROCESS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_SOCKET_NAME "control"
#define WIRE_LOCK_NAME "lock"
#define WIRE_EXIT_NAME "exit"
#define WIRE_RECORD_NAME "record"
#define WIRE_LOG_PREFIX "log." /* and the position of its first byte, 16 hexadecimal digits */

enum {
    WIRE_MAGIC = 0x53425856,
    WIRE_VERSION = 1,
    WIRE_LAUNCH_MAX = 2 * 1024 * 1024,
    WIRE_GROUPS_MAX = 256,
    WIRE_CGROUPS_MAX = 4
};

/* Descriptors of a supervisor at its start. */
enum wire_fd {
    WIRE_FD_LAUNCH = 3,      /* a memory file with the launch: the session key is in there */
    WIRE_FD_CONTROL_DIR = 4, /* the control directory */
    WIRE_FD_WORKING_DIR = 5, /* where the program starts */
    WIRE_FD_LINK = 6,        /* the launching plugin's connection */
    WIRE_FD_LOCK = 7,        /* the lock file, locked (F_OFD_SETLK): held means that a supervisor lives */
    WIRE_FD_PORT = 8         /* the reservation of the port; held as long as the supervisor lives */
};

enum wire_launch_flags {
    WIRE_LAUNCH_RUN_AS = 1,  /* become uid, gid and groups, and gain no privileges again */
    WIRE_LAUNCH_CGROUP2 = 2, /* the first of the cgroups is of version 2: for freezing and killing */
    WIRE_LAUNCH_FREEZER1 = 4 /* the first is of version 1, in the freezer's hierarchy: for the same */
};

/* Followed by `groups` × uint32_t, then texts that each end in a zero byte: the arguments, the
 * environment ("NAME=value"), the directories of the cgroups. */
struct wire_launch {
    uint32_t magic;
    uint32_t version;
    uint32_t size; /* of this struct */
    uint32_t flags;
    uint32_t arguments;
    uint32_t environment;
    uint32_t groups;
    uint32_t cgroups;
    uint32_t uid;
    uint32_t gid;
    uint32_t port;
    uint32_t stop_timeout_ms; /* when it ends the tree without having been asked to */
    uint64_t files;           /* RLIMIT_NOFILE; 0: as it is */
    uint64_t log_size;
    uint64_t incarnation;
};

enum wire_request_type {
    WIRE_END = 1,     /* value: milliseconds from SIGTERM to SIGKILL. Not answered: the end is */
    WIRE_FREEZE = 2,  /* the whole tree; answered when it stands still */
    WIRE_THAW = 3,    /* answered */
    WIRE_CONFIRM = 4, /* who listens on the port? Answered with enum wire_port in `result` */
    WIRE_OUTPUT = 5   /* answered once there is output beyond position `value`; one a connection */
};

struct wire_request {
    uint32_t size;
    uint32_t type;
    uint32_t serial; /* comes back in the answer; not 0 */
    uint32_t flags;  /* WIRE_END: the enum wire_status_flags to be remembered with the exit; 0: the end is
                      * part of a removal or of another start, and need not be safe on disk */
    uint64_t value;
};

enum wire_port {
    WIRE_PORT_OURS = 0,
    WIRE_PORT_NOBODY = -1, /* nothing listens there */
    WIRE_PORT_FOREIGN = -2 /* a program that is no part of this sandbox has it */
};

enum wire_phase {
    WIRE_LAUNCHING = 0,
    WIRE_RUNNING = 1,
    WIRE_FROZEN = 2,
    WIRE_EXITED = 3, /* the program has ended; the rest of its tree may take until the connection ends */
    WIRE_FAILED = 4  /* it never began: `step` and `error` say why */
};

enum wire_status_flags {
    WIRE_ENDING = 1,           /* its end has been asked for */
    WIRE_STOPPED = 2,          /* on purpose */
    WIRE_FOREIGN_PORT = 4,     /* another program has its port: worth another try on another port */
    WIRE_OUT_OF_MEMORY = 8,    /* killed at its memory limit */
    WIRE_CONFIRMED = 16,       /* its port was confirmed in this run */
    WIRE_SUPERVISOR_LOST = 32, /* written by the plugin: the supervisor was killed, the exit is not known */
    WIRE_HALTED = 64,          /* WIRE_FROZEN, since a signal from outside stopped its program */
    WIRE_LEFT = 128            /* of a recorded exit: the rest of its tree has not ended yet */
};

/* What a launch that failed was about to do. */
enum wire_step {
    WIRE_STEP_NONE = 0,
    WIRE_STEP_PREPARE = 1, /* the supervisor's own pipe, socket, log or fork */
    WIRE_STEP_CGROUP = 2,
    WIRE_STEP_FILES = 3,
    WIRE_STEP_USER = 4,
    WIRE_STEP_DIRECTORY = 5,
    WIRE_STEP_EXEC = 6
};

/* Sent on connect, on each change of phase, and as each answer. */
struct wire_status {
    uint32_t size;
    uint32_t version;
    uint32_t answers; /* the request's serial; 0: none */
    int32_t result;   /* of the request: 0, an errno, or enum wire_port */
    uint32_t phase;
    uint32_t flags;
    int32_t supervisor;  /* pid */
    int32_t agent;       /* pid; 0: none */
    int32_t exit_code;   /* WIRE_EXITED; -1: a signal ended it */
    int32_t exit_signal; /* 0: none */
    uint32_t step;       /* WIRE_FAILED */
    int32_t error;       /* WIRE_FAILED: errno */
    uint64_t incarnation;
    uint64_t output;                        /* position after the last byte of output */
    uint64_t control_device, control_inode; /* the identity of its control directory; older ones end before */
};

/* What each status has, whichever build it is of. What an older one lacks is read as 0. */
#define WIRE_STATUS_LEAST offsetof(struct wire_status, control_device)

#endif
