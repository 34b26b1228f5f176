/* api/runtime.h: what the files of the runtime API share.
 *
 *   runtime.c         reads, and what the operator set         runtime_start.c   /start: from its body to a start
 *   runtime_change.c  pause, resume and stop                   runtime_render.c  a sandbox as a runtime
 *   runtime_build.c   /build and /build_status
 *
 * A sandbox is a runtime: its id is the `runtime_id`, and its session is what the client called it, or its id. */
#ifndef API_RUNTIME_H
#define API_RUNTIME_H

#include "api/call.h"
#include "api/params.h"
#include "base/buffer.h"

/* As JSON text, kept in the sandbox as render_sandbox() does. */
const char *runtime_text(const struct sandbox *sandbox, size_t *len);
/* As it will be once it was stopped. The caller's to free. */
struct json_object *runtime_stopped(const struct sandbox *sandbox);
/* Where its agent server is; NULL: not known yet. */
const char *runtime_url(const struct sandbox *sandbox);
void runtime_reply(struct call *call, const struct sandbox *sandbox);

/* The body as a JSON object, the caller's to free; NULL: it was answered 422. */
struct json_object *runtime_body(struct call *call);
/* Of the body. */
static inline struct params runtime_params(struct call *call)
{
    return (struct params){.call = call, .place = "body"};
}

/* What an image is started as: the configured spec of that id (NULL: there is none) on its backend, or else an
 * image that the caller has built, or one that runtime_api.images allows. False: it is not allowed, and that was answered. */
bool runtime_find_image(struct call *call, const char *image, const struct config_spec **spec,
                        const char **backend);
/* Does runtime_api.images allow it? */
bool runtime_image_allowed(const struct config *config, const char *image);
/* May the caller have an image of that name built? */
bool runtime_may_build(const struct call *call, const char *image);
/* Where the caller's images are to be: runtime_api.registry_prefix, with the user's name in it. */
void runtime_prefix(const struct call *call, struct buffer *out);
/* The open instance of a backend; NULL: there is none. */
struct backend *runtime_backend(const struct call *call, const char *name);

#endif
