/* plugin/backend.h: one open instance of a plugin, as the sandbox service sees it.
 *
 * Turns the ABI's operations into calls with exactly one answer, whatever the plugin does: an operation
 * that the plugin lacks, never ends, ends twice or ends after its time is an error of that operation
 * and nothing else. Loop thread only.
 */
#ifndef PLUGIN_BACKEND_H
#define PLUGIN_BACKEND_H

#include <sandboxd/backend.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct backend_operation;

/* What comes out of instances, to the one who made the set (see set.h). Never called from inside a
 * backend_… call, and in order with the answers of operations. Nothing comes from an instance before it is
 * committed or asked for its first operation (what it said by then is kept back), nor after it is quiesced. An
 * observation was checked and is borrowed for the call. */
struct backend_events {
    void (*report)(void *arg, struct backend *backend, const struct sbx_observation *observation);
    void (*available)(void *arg, struct backend *backend); /* backend_unavailable() changed */
    void (*relist)(void *arg, struct backend *backend);
    void *arg;
};

/* The end of an operation; err is NULL on success. `result` is what describe or image gave, else NULL. */
typedef void (*backend_done)(void *arg, const struct sbx_error *err, const char *result, size_t len);
/* A piece of a log stream; answers false to be left alone until backend_stream_ready(). */
typedef bool (*backend_data)(void *arg, const void *bytes, size_t len);

/* Facts. Texts are valid as long as the backend. */
const char *backend_name(const struct backend *backend);
const char *backend_plugin_name(const struct backend *backend);
const char *backend_plugin_version(const struct backend *backend);
const char *backend_default_health_path(const struct backend *backend); /* NULL: no checks */
/* A JSON object whose members a good answer there has to have; NULL: any answer is good. */
const char *backend_default_health_body(const struct backend *backend);
/* Takes the access-log lines of its sandboxes' health checks out of a text of their output: how many bytes are left. From
 * any thread. */
size_t backend_drop_health_checks(const struct backend *backend, char *text, size_t len);
/* How often its agent servers are polled; 0: as events.polling_interval says. */
uint32_t backend_polling_ms(const struct backend *backend);
uint32_t backend_default_max_sandboxes(const struct backend *backend); /* 0: no limit */
/* The plugin's own spec as the ABI's spec_json, for a configuration without specs; NULL: it has none. */
const char *backend_default_spec(const struct backend *backend, size_t *len);
enum sbx_on_shutdown backend_on_shutdown(const struct backend *backend);
enum sbx_shutdown_scope backend_shutdown_scope(const struct backend *backend);
/* What the ids of its new sandboxes begin with; "": nothing. */
enum { BACKEND_ID_PREFIX_MAX = 63 };
const char *backend_id_prefix(const struct backend *backend);
bool backend_has_logs(const struct backend *backend);
bool backend_builds(const struct backend *backend); /* images */
/* A sandbox reaches neither the host's files nor its processes: a client may choose what runs in it. */
bool backend_isolates(const struct backend *backend);
/* Why the technology can't be reached; NULL: it can. */
const struct sbx_error *backend_unavailable(const struct backend *backend);
unsigned backend_in_flight(const struct backend *backend);

/* A backend lives until its set has let go of it and the last operation and reference has ended. */
struct backend *backend_ref(struct backend *backend);
void backend_unref(struct backend *backend);

/* Operations. Each is answered once, never before the call returns, after `timeout_ms` at the latest
 * (SBX_ERR_TIMEOUT, BACKEND_TIMEOUT; the plugin was asked to cancel a little earlier), counted for a start from
 * the last progress that the plugin told of. A quiesced backend answers SBX_ERR_UNAVAILABLE. The result can be kept to cancel the operation while it has not been
 * answered, and is invalid from then on. */
struct backend_operation *backend_start(struct backend *backend, const struct sbx_start *start,
                                        uint32_t timeout_ms, backend_done done, void *arg);
enum backend_verb { BACKEND_PAUSE, BACKEND_RESUME, BACKEND_STOP, BACKEND_REMOVE, BACKEND_CONFIRM };
struct backend_operation *backend_act(struct backend *backend, enum backend_verb verb, const char *sandbox_id,
                                      uint32_t timeout_ms, backend_done done, void *arg);
/* Fails also when a report was refused since it began: what the listing leaves out may be there. */
struct backend_operation *backend_list(struct backend *backend, uint32_t timeout_ms, backend_done done,
                                       void *arg);
struct backend_operation *backend_describe(struct backend *backend, uint32_t timeout_ms, backend_done done,
                                           void *arg);
/* Is there such an image? SBX_ERR_UNSUPPORTED where the plugin can't tell. */
struct backend_operation *backend_image(struct backend *backend, const char *image, uint32_t timeout_ms,
                                        backend_done done, void *arg);
/* Not bounded in time where it follows. */
struct backend_operation *backend_logs(struct backend *backend, const struct sbx_logs *logs,
                                       uint32_t timeout_ms, backend_data data, backend_done done, void *arg);
/* Builds an image; its log comes as that of a sandbox does. SBX_ERR_UNSUPPORTED where the plugin builds none. */
struct backend_operation *backend_build(struct backend *backend, const struct sbx_build *build,
                                        uint32_t timeout_ms, backend_data data, backend_done done, void *arg);
void backend_stream_ready(struct backend_operation *operation);
/* Asks for the end. With `forget` the answer is not delivered any more (its asker is going away). */
void backend_cancel(struct backend_operation *operation, bool forget);

#endif
