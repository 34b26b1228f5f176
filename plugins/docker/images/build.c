/* build.c: images from contexts (docker.h). Owns each build from its beginning to the host's completion.
 *
 * The engine gets the context as the client sent it (POST /build, Engine API 1.41, ImageBuild: the builder of the
 * engine itself), then, where that is asked for, pushes each name (POST /images/NAME/push, ImagePush). It gives either up
 * when the connection that asked for it is closed. A build gets no credentials: what it may fetch is what anybody may. */
#include "common/failure.h"
#include "docker.h"
#include "engine/refusal.h"
#include "images/build_log.h"
#include "images/credentials.h"
#include "images/image_name.h"
#include "images/pull_failure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64, ENCODED_MAX = 3 * IMAGE_NAME_MAX + 1, QUERY_MAX = NAMES_MAX * (ENCODED_MAX + 8) };

struct building { /* docker->builds */
    struct building *next;
    struct docker *docker;
    sbx_op op;
    char *id;
    char *names[NAMES_MAX + 1]; /* ends in NULL */
    bool push;
    size_t pushed; /* of the names */
    bool with_credentials;
    struct image_name name; /* of the one at hand */
    struct build_log log;
    struct engine_call *call;
    struct credentials_lookup *lookup;
    sbx_timer timer; /* of a name that can't be */
};

static void building_end(struct building *building, const struct sbx_error *error)
{
    struct docker *docker = building->docker;
    struct building **at = &docker->builds;
    while (*at != building)
        at = &(*at)->next;
    *at = building->next;
    docker->host->timer_cancel(docker->public, building->timer);
    credentials_cancel(building->lookup);
    engine_cancel(building->call);
    sbx_op op = building->op;
    build_log_finish(&building->log);
    for (size_t i = 0; building->names[i]; i++)
        free(building->names[i]);
    free(building->id);
    free(building);
    docker->host->complete(docker->public, op, error);
}

/* ---- the engine's stream ---- */

/* Answers whether more may come. */
static enum sbx_stream write_text(struct building *building)
{
    const struct docker *docker = building->docker;
    struct bytes *text = &building->log.text;
    enum sbx_stream answer = SBX_STREAM_GO;
    if (text->len > 0)
        answer = docker->host->stream_write(docker->public, building->op, text->data, text->len);
    text->len = 0;
    return answer;
}

static enum sbx_stream on_data(void *arg, const void *bytes, size_t len)
{
    struct building *building = arg;
    if (build_log_feed(&building->log, bytes, len))
        return write_text(building);
    struct sbx_error error;
    failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                "what the engine says of the build makes no sense (a line of over %d KiB)",
                BUILD_LINE_MAX / 1024);
    building_end(building, &error);
    return SBX_STREAM_GO;
}

/* The words of the engine; NULL: it did not fail. With `error` the engine was lost, or refused at once. */
static const char *failure_words(const struct building *building, const struct sbx_error *error, int status)
{
    if (building->log.failed)
        return building->log.words;
    return error && status >= 400 && !refusal_is_unknown(error) ? error->message : NULL;
}

/* The end of the engine's stream. False: it did not go well, and the operation has ended. `explain` fills in what the
 * engine's words mean. */
static bool went_well(struct building *building, const struct sbx_error *error, int status,
                      void (*explain)(const struct building *building, const char *words,
                                      struct sbx_error *err))
{
    struct sbx_error failure;
    building->call = NULL;
    build_log_end(&building->log);
    write_text(building);
    const char *words = failure_words(building, error, status);
    if (!words && !error && building->log.has_result)
        return true;
    if (words)
        explain(building, words, &failure);
    else if (error)
        failure = *error;
    else
        failure_set(&failure, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the engine came to an end without saying how");
    if (refusal_is_unknown(&failure))
        watch_doubt(building->docker);
    building_end(building, &failure);
    return false;
}

/* ---- pushing ---- */

static void push_next(struct building *building);

static void explain_push(const struct building *building, const char *words, struct sbx_error *err)
{
    const struct pull_facts facts = {.image = building->names[building->pushed],
                                     .registry = building->name.registry,
                                     .with_credentials = building->with_credentials};
    push_failure_of(err, &facts, words);
}

static void on_pushed(void *arg, const struct sbx_error *error, int status)
{
    struct building *building = arg;
    if (!went_well(building, error, status, explain_push))
        return;
    building->pushed++;
    push_next(building);
}

static void on_credentials(void *arg, const char *header)
{
    static const char none[] = "X-Registry-Auth: e30="; /* {}: the engine wants one */
    static const struct engine_stream stream = {.data = on_data, .done = on_pushed};
    struct building *building = arg;
    char name[ENCODED_MAX], tag[ENCODED_MAX], path[2 * ENCODED_MAX + 32];
    building->lookup = NULL;
    building->with_credentials = header != NULL;
    engine_encode(name, sizeof name, building->name.name);
    engine_encode(tag, sizeof tag, building->name.tag);
    snprintf(path, sizeof path, "/images/%s/push?tag=%s", name, tag);
    const struct engine_request request = {.method = "POST", .path = path, .header = header ? header : none};
    building->call = engine_open(&building->docker->engine, &request, &stream, building);
}

static void push_next(struct building *building)
{
    struct docker *docker = building->docker;
    const char *image = building->names[building->pushed];
    if (!building->push || !image) {
        building_end(building, NULL);
        return;
    }
    image_name_parse(&building->name, image); /* the engine has just taken it */
    building->log.has_result = false;
    docker->host->log(docker->public, SBX_LOG_INFO, NULL, "build %s: pushing %s", building->id, image);
    if (docker->options.docker_config)
        building->lookup =
            credentials_find(docker->public, docker->options.docker_config,
                             image_name_registry_key(&building->name), on_credentials, building);
    else
        on_credentials(building, NULL);
}

static void explain_build(const struct building *building, const char *words, struct sbx_error *err)
{
    (void)building;
    build_failure_of(err, words);
}

static void on_built(void *arg, const struct sbx_error *error, int status)
{
    struct building *building = arg;
    if (went_well(building, error, status, explain_build))
        push_next(building);
}

/* ---- the operation ---- */

static void on_bad_name(void *arg)
{
    struct building *building = arg;
    struct sbx_error error;
    building->timer = 0;
    failure_set(&error, SBX_ERR_INVALID, SBX_CODE_BACKEND_REFUSED,
                "an image can't be built under these names: each must be [REGISTRY/]NAME[:TAG]");
    building_end(building, &error);
}

void build_add_options(struct bytes *path, const struct options *options)
{
    char encoded[ENCODED_MAX], limits[128];
    if (options->platform && engine_encode(encoded, sizeof encoded, options->platform)) {
        bytes_add_text(path, "&platform=");
        bytes_add_text(path, encoded);
    }
    if (options->memory > 0) {
        snprintf(limits, sizeof limits, "&memory=%" PRIu64 "&memswap=%" PRIu64, options->memory,
                 options->memory);
        bytes_add_text(path, limits);
    }
    if (options->nano_cpus > 0) {
        snprintf(limits, sizeof limits, "&cpuperiod=100000&cpuquota=%" PRIu64, options->nano_cpus / 10000);
        bytes_add_text(path, limits);
    }
}

static void ask_engine(struct building *building, const char *context_file)
{
    static const struct engine_stream stream = {.data = on_data, .done = on_built};
    struct docker *docker = building->docker;
    struct bytes path = {.max = QUERY_MAX};
    char encoded[ENCODED_MAX];
    bytes_add_text(&path, "/build?rm=1&forcerm=1");
    for (size_t i = 0; building->names[i]; i++) {
        if (!engine_encode(encoded, sizeof encoded, building->names[i]) ||
            !image_name_parse(&building->name, building->names[i]))
            path.failed = true;
        bytes_add_text(&path, "&t=");
        bytes_add_text(&path, encoded);
    }
    build_add_options(&path, &docker->options);
    bytes_add(&path, "", 1);
    if (path.failed) {
        building->timer = docker->host->timer_start(docker->public, 0, on_bad_name, building);
    } else {
        const struct engine_request request = {.method = "POST",
                                               .path = path.data,
                                               .header = "Content-Type: application/x-tar",
                                               .body_file = context_file};
        building->call = engine_open(&docker->engine, &request, &stream, building);
    }
    bytes_finish(&path);
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

void build_begin(struct docker *docker, const struct sbx_build *build, sbx_op op)
{
    struct building *building = calloc(1, sizeof *building);
    if (!building)
        abort();
    building->next = docker->builds;
    docker->builds = building;
    building->docker = docker;
    building->op = op;
    building->id = copy_text(build->build_id);
    building->push = (build->flags & SBX_BUILD_PUSH) != 0;
    building->names[0] = copy_text(build->image);
    for (size_t i = 0; build->tags && build->tags[i] && i + 1 < NAMES_MAX; i++)
        building->names[i + 1] = copy_text(build->tags[i]);
    build_log_init(&building->log, docker->host->json);
    ask_engine(building, build->context_file);
}

void build_ready(struct docker *docker, sbx_op op)
{
    for (struct building *building = docker->builds; building; building = building->next)
        if (building->op == op && building->call)
            engine_resume(building->call);
}

void build_cancel(struct docker *docker, sbx_op op)
{
    struct sbx_error error;
    failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                "it was given up before the image was built");
    for (struct building *building = docker->builds; building; building = building->next)
        if (building->op == op) {
            building_end(building, &error);
            return;
        }
}
