/* pull.c: images come from their registries (docker.h). Owns each pull and those who wait for it.
 *
 * A pull goes through its registry's credentials, the engine's stream (POST /images/create, Engine API 1.41,
 * ImageCreate) and, where that ends without saying how, a look whether the image is there. The engine gives a pull up
 * when the connection that asked for it is closed, and only then. */
#include "common/failure.h"
#include "docker.h"
#include "engine/refusal.h"
#include "images/credentials.h"
#include "images/image_name.h"
#include "images/pull_failure.h"
#include "images/pull_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SILENCE_MS = 60000,
    TELL_MS = 1000,
    PATH_SIZE = 8 * 1024,
    SENTENCE_SIZE = IMAGE_NAME_MAX + 128,
    PLATFORM_MAX = 64 /* options.c */
};

struct pull {
    struct pull *next; /* docker->pulls */
    struct docker *docker;
    char *image;
    struct image_name name;
    struct waiters waiters;
    struct credentials_lookup *lookup;
    bool with_credentials;
    struct engine_call *call;
    struct pull_progress progress;
    uint64_t begun_ms;   /* on now_ms()'s clock, as is the next */
    uint64_t told_ms;    /* 0: never */
    uint64_t told_steps; /* as many were there then */
    char told_sums[96];  /* in the log */
    sbx_timer timer;     /* for the next sentence, or of a bad name */
};

/* ---- a pull's end ---------------------------------------------------------------------------- */

static void pull_unlink(struct pull *pull)
{
    struct pull **at = &pull->docker->pulls;
    while (*at != pull)
        at = &(*at)->next;
    *at = pull->next;
}

static void pull_free(struct pull *pull)
{
    waiters_drop(&pull->waiters);
    pull_progress_finish(&pull->progress);
    free(pull->image);
    free(pull);
}

static void pull_stop(struct pull *pull)
{
    struct docker *docker = pull->docker;
    credentials_cancel(pull->lookup);
    pull->lookup = NULL;
    engine_cancel(pull->call);
    pull->call = NULL;
    docker->host->timer_cancel(docker->public, pull->timer);
    pull->timer = 0;
    pull_unlink(pull);
}

/* Whoever asks for the image from now on begins another pull, also from inside these calls. */
static void pull_end(struct pull *pull, const struct sbx_error *error)
{
    const struct docker *docker = pull->docker;
    pull_stop(pull);
    if (!error)
        docker->host->log(docker->public, SBX_LOG_INFO, NULL, "pulled %s in %" PRIu64 " ms", pull->image,
                          docker->host->now_ms() - pull->begun_ms);
    waiters_end(&pull->waiters, error);
    pull_free(pull);
}

static void pull_fail(struct pull *pull, const char *words)
{
    const struct pull_facts facts = {
        .image = pull->image, .registry = pull->name.registry, .with_credentials = pull->with_credentials};
    struct sbx_error error;
    pull_failure_of(&error, &facts, words);
    pull_end(pull, &error);
}

/* ---- what is told meanwhile ------------------------------------------------------------------ */

static void on_tell(void *arg);

static void tell_soon(struct pull *pull)
{
    struct docker *docker = pull->docker;
    if (pull->timer != 0)
        return;
    uint64_t next = pull->told_ms ? pull->told_ms + TELL_MS : 0, now = docker->host->now_ms();
    pull->timer =
        docker->host->timer_start(docker->public, next > now ? (next - now) * 1000 : 0, on_tell, pull);
}

/* Without anybody left the pull is given up. */
static void sweep(struct pull *pull)
{
    if (!waiters_sweep(&pull->waiters)) {
        pull_stop(pull);
        pull_free(pull);
    }
}

static void tell(struct pull *pull)
{
    const struct sbx_host *host = pull->docker->host;
    bool begins = pull->told_ms == 0, moved = begins || pull->progress.steps != pull->told_steps;
    char sums[sizeof pull->told_sums], text[SENTENCE_SIZE];
    pull_progress_text(&pull->progress, sums, sizeof sums);
    snprintf(text, sizeof text, "pulling %s%s", pull->image, sums);
    pull->told_ms = host->now_ms();
    pull->told_steps = pull->progress.steps;
    if (begins || strcmp(sums, pull->told_sums) != 0)
        host->log(pull->docker->public, SBX_LOG_INFO, NULL, "%s", text);
    memcpy(pull->told_sums, sums, sizeof sums);
    waiters_tell(&pull->waiters, text, moved);
    sweep(pull);
}

static void on_tell(void *arg)
{
    struct pull *pull = arg;
    pull->timer = 0;
    tell(pull);
}

/* ---- the engine's answer --------------------------------------------------------------------- */

static void on_checked(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)body;
    struct pull *pull = arg;
    pull->call = NULL;
    struct sbx_error failure;
    if (error && status == 404) {
        failure_set(&failure, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                    "the engine ended the pull of %.200s without saying why, and does not have the image",
                    pull->image);
        failure.retryable = 1;
        error = &failure;
    }
    pull_end(pull, error);
}

static void check_image(struct pull *pull)
{
    char name[3 * IMAGE_NAME_MAX + 1], path[sizeof name + 32];
    engine_encode(name, sizeof name, pull->image);
    snprintf(path, sizeof path, "/images/%s/json", name);
    const struct engine_request request = {.method = "GET", .path = path, .timeout_ms = CALL_TIMEOUT_MS};
    pull->call = engine_call(&pull->docker->engine, &request, on_checked, pull);
}

static enum sbx_stream on_data(void *arg, const void *bytes, size_t len)
{
    struct pull *pull = arg;
    if (pull_progress_feed(&pull->progress, bytes, len)) {
        if (pull->progress.steps != pull->told_steps)
            tell_soon(pull);
        return SBX_STREAM_GO;
    }
    struct sbx_error error;
    failure_set(
        &error, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
        "the pull of %.200s failed: what the engine says of it makes no sense (a line of over %d KiB)",
        pull->image, PULL_LINE_MAX / 1024);
    pull_end(pull, &error);
    return SBX_STREAM_GO;
}

static void on_done(void *arg, const struct sbx_error *error, int status)
{
    struct pull *pull = arg;
    pull->call = NULL;
    pull_progress_end(&pull->progress);
    struct sbx_error failure;
    if (pull->progress.failed) {
        pull_fail(pull, pull->progress.words);
    } else if (error && status >= 400 && !refusal_is_unknown(error)) {
        pull_fail(pull, error->message);
    } else if (error && error->kind == SBX_ERR_TIMEOUT) {
        failure_set(&failure, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
                    "the pull of %.200s from %.100s was given up: no progress for %d s", pull->image,
                    pull->name.registry, SILENCE_MS / 1000);
        failure.retryable = 1;
        pull_end(pull, &failure);
    } else if (error || pull->progress.succeeded) {
        pull_end(pull, error);
    } else {
        check_image(pull);
    }
}

/* ---- its beginning --------------------------------------------------------------------------- */

static void pull_ask(struct pull *pull, const char *header)
{
    static const struct engine_stream stream = {.data = on_data, .done = on_done};
    const char *platform = pull->docker->options.platform;
    char name[3 * IMAGE_NAME_MAX + 1], tag[3 * IMAGE_NAME_MAX + 1], on[3 * PLATFORM_MAX + 1] = "",
                                                                                          path[PATH_SIZE];
    engine_encode(name, sizeof name, pull->name.name);
    engine_encode(tag, sizeof tag, pull->name.tag);
    if (platform)
        engine_encode(on, sizeof on, platform);
    snprintf(path, sizeof path, "/images/create?fromImage=%s&tag=%s%s%s", name, tag, *on ? "&platform=" : "",
             on);
    const struct engine_request request = {
        .method = "POST", .path = path, .header = header, .timeout_ms = SILENCE_MS};
    pull->with_credentials = header != NULL;
    pull->call = engine_open(&pull->docker->engine, &request, &stream, pull);
}

static void on_credentials(void *arg, const char *header)
{
    struct pull *pull = arg;
    pull->lookup = NULL;
    pull_ask(pull, header);
}

static void on_bad_name(void *arg)
{
    struct pull *pull = arg;
    pull->timer = 0;
    struct sbx_error error;
    failure_set(
        &error, SBX_ERR_INVALID, SBX_CODE_IMAGE_NOT_FOUND,
        "the image %.200s can't be pulled: what is wanted is [REGISTRY/]NAME[:TAG] or [REGISTRY/]NAME@DIGEST "
        "in at most %d bytes",
        pull->image, IMAGE_NAME_MAX);
    pull_end(pull, &error);
}

static void pull_begin(struct pull *pull)
{
    struct docker *docker = pull->docker;
    const char *folder = docker->options.docker_config;
    if (!image_name_parse(&pull->name, pull->image)) {
        pull->timer = docker->host->timer_start(docker->public, 0, on_bad_name, pull);
        return;
    }
    tell_soon(pull);
    if (folder)
        pull->lookup = credentials_find(docker->public, folder, image_name_registry_key(&pull->name),
                                        on_credentials, pull);
    else
        pull_ask(pull, NULL);
}

static struct pull *pull_new(struct docker *docker, const char *image)
{
    struct pull *pull = calloc(1, sizeof *pull);
    if (!pull)
        abort();
    pull->docker = docker;
    pull->image = strdup(image);
    if (!pull->image)
        abort();
    pull->begun_ms = docker->host->now_ms();
    pull_progress_init(&pull->progress, docker->host->json);
    pull->next = docker->pulls;
    docker->pulls = pull;
    return pull;
}

/* ---- those who wait -------------------------------------------------------------------------- */

struct image_waiter *pull_join(struct docker *docker, const char *image, waiter_progress progress,
                               waiter_done done, void *arg)
{
    struct pull *pull = docker->pulls;
    while (pull && strcmp(pull->image, image) != 0)
        pull = pull->next;
    bool begins = !pull;
    if (begins)
        pull = pull_new(docker, image);
    struct image_waiter *waiter = waiters_add(&pull->waiters, pull, progress, done, arg);
    if (begins)
        pull_begin(pull);
    else
        tell_soon(pull);
    return waiter;
}

void pull_leave(struct image_waiter *waiter)
{
    struct pull *pull = waiter->work;
    waiter->left = true;
    if (!pull->waiters.calling)
        sweep(pull);
}

void pull_finish(struct docker *docker)
{
    for (struct pull *pull; (pull = docker->pulls);) {
        pull_stop(pull);
        pull_free(pull);
    }
}
