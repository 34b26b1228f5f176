/* sandboxd/error.h: how an operation says that, and why, it failed.
 *
 * Part of the public backend ABI (see backend.h). Plain C11; no library type crosses it.
 */
#ifndef SANDBOXD_ERROR_H
#define SANDBOXD_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What kind of failure it is. The host turns the kind into an HTTP status (in brackets).
 * Values are ABI: they are never renumbered, new ones are added at the end, and a value that
 * the host does not know is treated as SBX_ERR_INTERNAL.
 */
enum sbx_error_kind {
    SBX_ERR_NONE = 0,
    SBX_ERR_INVALID = 1,     /* the request or the options are wrong                     [400] */
    SBX_ERR_NOT_FOUND = 2,   /* what was named does not exist                            [404] */
    SBX_ERR_CONFLICT = 3,    /* not possible in the state it is in                       [409] */
    SBX_ERR_LIMIT = 4,       /* a quota or a resource is used up                         [429] */
    SBX_ERR_INTERNAL = 5,    /* a defect, or out of memory                               [500] */
    SBX_ERR_UNSUPPORTED = 6, /* the backend has no such operation                        [501] */
    SBX_ERR_REFUSED = 7,     /* the technology behind the backend said no                [502] */
    SBX_ERR_UNAVAILABLE = 8, /* it can't be reached now                                  [503] */
    SBX_ERR_TIMEOUT = 9,     /* it did not answer in time                                [504] */
    SBX_ERR_CANCELLED = 10   /* ended because the host asked for it (never seen by a client)   */
};

/* The stable, documented codes that clients compare with. A backend may use others of its own, in
 * the same form: capital letters, digits and underscores, at most 31 of them.
 */
#define SBX_CODE_IMAGE_NOT_FOUND "IMAGE_NOT_FOUND"     /* the image or template does not exist */
#define SBX_CODE_COMMAND_NOT_FOUND "COMMAND_NOT_FOUND" /* the program to run does not exist */
#define SBX_CODE_EXITED "EXITED"                       /* ended by itself; see the exit code */
#define SBX_CODE_CRASH_LOOP "CRASH_LOOP"           /* ends again and again, and is started again each time */
#define SBX_CODE_OUT_OF_MEMORY "OUT_OF_MEMORY"     /* killed at its memory limit */
#define SBX_CODE_HEALTH_TIMEOUT "HEALTH_TIMEOUT"   /* no healthy answer in startup_timeout */
#define SBX_CODE_UNHEALTHY "UNHEALTHY"             /* was running, stopped answering */
#define SBX_CODE_PORTS_EXHAUSTED "PORTS_EXHAUSTED" /* no free port in the range */
#define SBX_CODE_BACKEND_UNAVAILABLE "BACKEND_UNAVAILABLE" /* can't be reached */
#define SBX_CODE_BACKEND_REFUSED "BACKEND_REFUSED"         /* said no, with its own words */
#define SBX_CODE_BACKEND_TIMEOUT "BACKEND_TIMEOUT"         /* never ended the operation */
#define SBX_CODE_START_FAILED "START_FAILED"               /* could not be made, other reasons */
#define SBX_CODE_INTERNAL "INTERNAL"

/* One failure. Of fixed size and owned by whoever declares it, usually a local variable: nothing is
 * allocated, nothing is freed. A function that takes one leaves it untouched on success.
 * Both texts are UTF-8 and always end in a zero byte. `message` is a sentence for a person; it holds
 * no secret, since it goes to clients and to the log. Without a size, and as it is for good.
 */
struct sbx_error {
    int32_t kind;       /* enum sbx_error_kind */
    uint32_t retryable; /* 1: the same call may succeed later without anybody changing anything */
    char code[32];
    char message[472];
};

#ifdef __cplusplus
}
#endif

#endif
