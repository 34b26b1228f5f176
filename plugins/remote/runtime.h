/* runtime.h: a runtime as the API tells of it, read and checked.
 *
 * A runtime is an object with runtime_id, session_id, url, session_api_key, status, pod_status and more
 * (docs/remote-backend.md, "What is asked of the API"). Its state comes from pod_status, and where that
 * says nothing, from status.
 */
#ifndef REMOTE_RUNTIME_H
#define REMOTE_RUNTIME_H

#include <sandboxd/host.h>
#include <stdbool.h>
#include <stdint.h>

enum { RUNTIME_TEXT_MAX = 255 }; /* of an id and of a key */

/* Borrowed from the JSON that it was read from. */
struct runtime {
    const char *runtime_id;          /* never empty */
    const char *url;                 /* one that url_split() takes; NULL: none */
    const char *key;                 /* NULL: none, or not to be used */
    const char *status, *pod_status; /* as they came; "" where there is none */
    const char *detail;              /* status_detail; NULL: none */
    const char *code,
        *reason;      /* of an error that it is in, where the API says so itself (sandboxd); may be NULL */
    const char *logs; /* pod_logs; NULL: none */
    const char *worker[2]; /* of work_hosts; NULL: not there */
    enum sbx_state state;  /* STARTING, RUNNING, PAUSED, FAILED or GONE */
    bool ready;            /* pod_status says so */
    bool stopped;          /* status says so: it was ended, and stays so */
    bool crashed, out_of_memory;
    int64_t restart_count;
};

/* Reads `value` as the runtime of this session. -1 with `err`, which says what is wrong with it. */
int runtime_read(struct runtime *runtime, const struct sbx_json_api *json, const sbx_json *value,
                 const char *session_id, struct sbx_error *err);

/* Differs between any two runs of its program, as far as the API tells them apart, and is the same for the same run. */
uint64_t runtime_incarnation(const struct runtime *runtime);

#endif
