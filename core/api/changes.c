/* api/changes.c: start, pause, resume and delete. Each asks the service, and holds its call until it answers. */
#include "api/errors.h"
#include "api/params.h"
#include "api/routes.h"

#include <stdio.h>
#include <string.h>

static void started(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    struct call *call = arg;
    if (err) {
        errors_reply_failure(call, err);
        return;
    }
    snprintf(call->id, sizeof call->id, "%s", sandbox->id);
    call_reply_sandbox(call, sandbox);
}

/* How long a start of this spec may be waited for. An unknown spec's own error comes from the service. */
static uint32_t longest_wait_ms(const struct call *call, const char *spec_id)
{
    const struct config *config = http_config(call->request);
    const struct config_spec *spec = service_spec_find(call->api->deps.service, config, spec_id);
    const struct config_backend *backend = spec ? config_find_backend(config, spec->backend) : NULL;
    return backend ? backend->startup_timeout_ms : UINT32_MAX;
}

void changes_start(struct call *call)
{
    struct params params = params_of(call);
    const char *spec_id = params_text(&params, "sandbox_spec_id");
    uint32_t wait_ms = params_duration_ms(&params, "wait", longest_wait_ms(call, spec_id));
    if (params_reject(&params))
        return;
    struct sbx_error err;
    struct sandbox_wait *wait = service_start(call->api->deps.service, http_config(call->request),
                                              &call->viewer, spec_id, wait_ms, started, call, &err);
    call_hold_wait(call, wait, &err);
}

static void done(void *arg, const struct sandbox *sandbox, const struct sbx_error *err)
{
    (void)sandbox;
    struct call *call = arg;
    if (err)
        errors_reply_failure(call, err);
    else
        call_reply_success(call);
}

void changes_pause(struct call *call)
{
    struct sbx_error err;
    call_hold_wait(call, service_pause(call->api->deps.service, &call->viewer, call->id, done, call, &err),
                   &err);
}

void changes_resume(struct call *call)
{
    struct sbx_error err;
    call_hold_wait(call, service_resume(call->api->deps.service, &call->viewer, call->id, done, call, &err),
                   &err);
}

/* The app server's published document wants the id a second time, as the parameter `sandbox_id`. */
void changes_delete(struct call *call)
{
    struct params params = params_of(call);
    const char *value;
    for (size_t i = 0; (value = http_query(call->request, "sandbox_id", i)); i++)
        if (strcmp(value, call->id) != 0)
            params_problem(&params, "value_error", "sandbox_id", "must be left out, or be the id in the path",
                           value);
    if (params_reject(&params))
        return;
    struct sbx_error err;
    call_hold_wait(call, service_delete(call->api->deps.service, &call->viewer, call->id, done, call, &err),
                   &err);
}
