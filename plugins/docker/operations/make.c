/* make.c: the steps of a start to a container that runs: its image, its overlay folders, its ports, the container
 * itself. Does not clean up: what fails goes to start_fail().
 */
#include "common/failure.h"
#include "engine/refusal.h"
#include "operations/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_RETRY_US = 200000,
    PULL_MAX_MS = 4 * 3600 * 1000 /* a registry that sends a byte a second gets on for ever */
};

/* ---- ports ---- */

void make_release_ports(struct starting *starting)
{
    if (starting->holds_ports)
        ports_release(starting->docker, starting->host_ports);
    starting->holds_ports = starting->has_ports = false;
}

/* Where it will be: clients of the runtime API wait for no more. */
static void tell(struct starting *starting, const char *detail)
{
    struct docker *docker = starting->docker;
    const struct sbx_json_api *json = docker->host->json;
    const char *folder = json->string(json->get(starting->spec, "working_dir"), "");
    struct facts facts = {
        .name = starting->name, .session_key = starting->session_key, .working_dir = (char *)folder};
    facts.workspace = (char *)container_workspace(json, json->get(starting->spec, "command"));
    for (uint32_t i = 0; i < docker->options.ports_len && starting->has_ports; i++) {
        uint16_t inside = starting->container_ports[i];
        facts.ports[i] = (struct published_port){inside, starting->host_ports[i]};
        facts.names[i].container_port = inside;
        snprintf(facts.names[i].name, sizeof facts.names[i].name, "%s", docker->options.ports[i].name);
        facts.ports_len = facts.names_len = i + 1;
    }
    report_starting(docker, &facts, detail);
}

/* An engine with much to do takes long for a container. Before that time nothing is told: until the engine has bound
 * them, ports may turn out to be taken. */
void make_is_slow(void *arg)
{
    struct starting *starting = arg;
    starting->slow_timer = 0;
    starting->slow = true;
    if (starting->has_ports && !starting->pull) /* a pull tells of them itself, with how far it is */
        tell(starting, NULL);
}

/* Other ports than those of the try before, if there are such. */
static int choose_ports(struct starting *starting, struct sbx_error *err)
{
    struct docker *docker = starting->docker;
    uint16_t chosen[OPTIONS_PORTS_MAX] = {0};
    int result = ports_choose(docker, starting->spec, starting->container_ports, chosen, err);
    bool held = starting->holds_ports;
    make_release_ports(starting);
    if (result != 0 && held)
        result = ports_choose(docker, starting->spec, starting->container_ports, chosen, err);
    if (result != 0)
        return -1;
    memcpy(starting->host_ports, chosen, sizeof chosen);
    starting->holds_ports = starting->has_ports = true;
    starting->tries++;
    if (starting->slow)
        tell(starting, NULL);
    return 0;
}

/* The container that could not have its ports goes, and another one asks for others. */
static void try_other_ports(struct starting *starting, const struct sbx_error *err)
{
    starting->has_ports = false;
    if (starting->tries >= TRIES_MAX) {
        failure_set(
            &starting->error, SBX_ERR_LIMIT, SBX_CODE_PORTS_EXHAUSTED,
            "each of %d choices of host ports was taken by another program; the engine said last: %.300s",
            TRIES_MAX, err->message);
        starting->error.retryable = 1;
        start_fail(starting, &starting->error);
        return;
    }
    start_clear(starting);
}

/* ---- running ---- */

static void looked(void *arg, const struct sbx_error *err, struct container *container)
{
    struct starting *starting = arg;
    if (start_given_up(starting))
        return;
    if (err) {
        start_fail(starting, err);
    } else if (!container) {
        failure_set(&starting->error, SBX_ERR_REFUSED, SBX_CODE_START_FAILED,
                    "the container was removed by somebody else while it started");
        start_fail(starting, &starting->error);
    } else {
        /* If it ended at once it is a sandbox all the same, and the report said why. */
        start_end(starting, NULL);
    }
}

void make_look(struct starting *starting)
{
    operation_look(starting->docker, starting->name, looked, starting);
}

static void ran(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)status;
    (void)body;
    struct starting *starting = arg;
    struct docker *docker = starting->docker;
    if (start_given_up(starting))
        return;
    if (!error) {
        start_log_begin(docker, starting->name, starting->session_key, starting->deadline_ms);
        make_look(starting);
    } else if (refusal_is_port_taken(error)) {
        try_other_ports(starting, error);
    } else if (refusal_is_not_found(error)) {
        looked(starting, NULL, NULL);
    } else {
        start_fail(starting, error);
    }
}

void make_run(struct starting *starting)
{
    char path[128];
    snprintf(path, sizeof path, "/containers/%s/start", starting->id);
    start_call(starting, "POST", path, NULL, ran);
}

/* ---- the image ---- */

void make_leave_image(struct starting *starting)
{
    if (starting->pull && starting->builds)
        runtime_image_leave(starting->pull);
    else if (starting->pull)
        pull_leave(starting->pull);
    starting->pull = NULL;
}

static void pull_time_over(void *arg)
{
    struct starting *starting = arg;
    struct docker *docker = starting->docker;
    uint64_t now = docker->host->now_ms();
    starting->timer = 0;
    if (now < starting->deadline_ms) { /* it got on meanwhile */
        starting->timer = docker->host->timer_start(docker->public, (starting->deadline_ms - now) * 1000,
                                                    pull_time_over, starting);
        return;
    }
    make_leave_image(starting);
    if (now >= starting->pull_ends_ms)
        failure_set(&starting->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "the image %s'%.200s' has not come within %d hours",
                    starting->builds ? "built from " : "", starting->image, PULL_MAX_MS / 3600000);
    else
        failure_set(&starting->error, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "nothing came of the image %s'%.200s' for %llu s", starting->builds ? "built from " : "",
                    starting->image, (unsigned long long)(starting->span_ms / 1000));
    starting->error.retryable = 1;
    start_fail(starting, &starting->error);
}

static void pull_progress(void *arg, const char *detail)
{
    struct starting *starting = arg;
    struct docker *docker = starting->docker;
    uint64_t now = docker->host->now_ms();
    tell(starting, detail);
    if (now >= starting->pull_ends_ms)
        return;
    starting->deadline_ms = now + starting->span_ms;
    docker->host->progress(docker->public, starting->op);
}

static void pull_done(void *arg, const struct sbx_error *err)
{
    struct starting *starting = arg;
    if (!err && starting->builds && !(starting->built = strdup(runtime_image_name(starting->pull))))
        abort();
    starting->pull = NULL;
    start_stop_timer(starting);
    if (err) {
        start_fail(starting, err);
        return;
    }
    if (starting->slow) /* the last that was told may be from before that */
        tell(starting, NULL);
    make_go_on(starting);
}

/* The spec's image_pull_policy, else the option. */
static enum pull_policy policy_of(const struct starting *starting)
{
    static const char *const names[] = {
        [PULL_MISSING] = "IfNotPresent", [PULL_NEVER] = "Never", [PULL_ALWAYS] = "Always"};
    const struct sbx_json_api *json = starting->docker->host->json;
    const char *asked = json->string(json->get(starting->spec, "image_pull_policy"), "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(asked, names[i]) == 0)
            return (enum pull_policy)i;
    return starting->docker->options.pull_policy;
}

/* Of the spec; NULL: its image is taken as it is. */
static const sbx_json *build_of(const struct starting *starting)
{
    const struct sbx_json_api *json = starting->docker->host->json;
    const sbx_json *build = json->get(starting->spec, "build");
    return json->type(build) == SBX_JSON_NULL ? NULL : build;
}

/* Pulls the image, or has it made. */
static void pull(struct starting *starting)
{
    struct docker *docker = starting->docker;
    const sbx_json *build = build_of(starting);
    if (!starting->has_ports && choose_ports(starting, &starting->error) != 0) {
        start_fail(starting, &starting->error);
        return;
    }
    uint64_t now = docker->host->now_ms();
    uint64_t left = starting->deadline_ms > now ? starting->deadline_ms - now : 0;
    starting->pulled = true;
    starting->pull_ends_ms = now + PULL_MAX_MS;
    starting->timer = docker->host->timer_start(docker->public, left * 1000, pull_time_over, starting);
    starting->builds = build != NULL;
    if (build) {
        const struct sbx_json_api *json = docker->host->json;
        starting->image = json->string(json->get(build, "base_image"), starting->image);
        starting->pull =
            runtime_image_join(docker, build, policy_of(starting), pull_progress, pull_done, starting);
    } else {
        starting->pull = pull_join(docker, starting->image, pull_progress, pull_done, starting);
    }
}

/* ---- creating ---- */

/* The name is taken: by a try that is half gone, by a start that a crash cut off and the engine has only now come to the
 * end of, or by this very one, where the host's client had to send it twice (client.h). Else by a stranger. */
static void name_taken(struct starting *starting, const struct sbx_error *error)
{
    struct docker *docker = starting->docker;
    starting->doubtful = true;
    if (++starting->name_tries < TRIES_MAX)
        starting->timer = docker->host->timer_start(docker->public, NAME_RETRY_US, start_find, starting);
    else
        start_fail(starting, error);
}

static void image_missing(struct starting *starting, const struct sbx_error *error)
{
    enum pull_policy policy = policy_of(starting);
    if (starting->built && !starting->built_again) { /* removed since it was looked for */
        free(starting->built);
        starting->built = NULL;
        starting->built_again = true;
        make_go_on(starting);
        return;
    }
    if (starting->built) {
        start_fail(starting, error);
        return;
    }
    if (policy != PULL_NEVER && !starting->pulled) {
        pull(starting);
        return;
    }
    if (policy == PULL_NEVER) {
        failure_set(&starting->error, (enum sbx_error_kind)error->kind, SBX_CODE_IMAGE_NOT_FOUND,
                    "the engine does not have the image '%.200s', and pull_policy is 'never': %.200s",
                    starting->image, error->message);
        error = &starting->error;
    }
    start_fail(starting, error);
}

static void created(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    struct starting *starting = arg;
    const struct sbx_json_api *json = starting->docker->host->json;
    const char *id = json->string(json->get(body, "Id"), "");
    size_t len = strlen(id);
    bool sound = len > 0 && len < sizeof starting->id && strspn(id, "0123456789abcdef") == len;
    starting->doubtful = error ? refusal_is_unknown(error) : !sound;
    if (!error && sound)
        memcpy(starting->id, id, len + 1);
    if (start_given_up(starting))
        return;
    if (!error && sound) {
        make_run(starting);
    } else if (!error) {
        failure_set(&starting->error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the engine's answer to the creation of the container names none");
        start_fail(starting, &starting->error);
    } else if (refusal_is_port_taken(error)) {
        try_other_ports(starting, error);
    } else if (status == 409) {
        name_taken(starting, error);
    } else if (strcmp(error->code, SBX_CODE_IMAGE_NOT_FOUND) == 0) {
        image_missing(starting, error);
    } else {
        start_fail(starting, error);
    }
}

static void create(struct starting *starting)
{
    struct docker *docker = starting->docker;
    const char *platform = docker->options.platform;
    char encoded[256], path[512];
    if (!starting->has_ports && choose_ports(starting, &starting->error) != 0) {
        start_fail(starting, &starting->error);
        return;
    }
    struct create_input input = {.backend_name = docker->public->name,
                                 .instance_id = docker->instance_id,
                                 .sandbox_id = starting->name,
                                 .session_key = starting->session_key,
                                 .owner = starting->owner,
                                 .spec_id = starting->spec_id,
                                 .image = starting->built,
                                 .created_at_us = starting->created_at_us,
                                 .spec = starting->spec,
                                 .container_ports = starting->container_ports,
                                 .host_ports = starting->host_ports};
    sbx_json *body = create_body(docker->host->json, &docker->options, &input, &starting->error);
    if (!body) {
        start_fail(starting, &starting->error);
        return;
    }
    bool chosen = platform && engine_encode(encoded, sizeof encoded, platform);
    snprintf(path, sizeof path, "/containers/create?name=%s%s%s", starting->name, chosen ? "&platform=" : "",
             chosen ? encoded : "");
    starting->doubtful = true;
    start_call(starting, "POST", path, body, created);
    docker->host->json->free(body);
}

/* ---- what a container needs before ---- */

/* On the pool. Layers that a try which was cut off has written to do not come again. */
static void overlay_run(void *arg)
{
    struct starting *starting = arg;
    const struct options *options = &starting->docker->options;
    starting->result = starting->again ? overlay_remove(options, starting->name, &starting->error) : 0;
    if (starting->result == 0)
        starting->result = overlay_make(options, starting->name, &starting->error);
}

static void overlay_done(void *arg)
{
    struct starting *starting = arg;
    starting->overlaid = true;
    if (start_given_up(starting))
        return;
    if (starting->result != 0)
        start_fail(starting, &starting->error);
    else
        make_go_on(starting);
}

void make_go_on(struct starting *starting)
{
    struct docker *docker = starting->docker;
    bool builds = build_of(starting) != NULL;
    if (builds ? !starting->built : policy_of(starting) == PULL_ALWAYS && !starting->pulled)
        pull(starting);
    else if (docker->options.overlay_base && !starting->overlaid)
        docker->host->work(docker->public, overlay_run, overlay_done, starting);
    else
        create(starting);
}
