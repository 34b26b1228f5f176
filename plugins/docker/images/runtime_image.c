/* runtime_image.c: the image of a spec with `build`, made from its base image (docker.h). Owns each such work and those
 * who wait for it. Makes no container.
 *
 *   base image (pulled where the policy says so) ──▶ hash of all inputs ──▶ does the engine have that tag?
 *                                                                             └─ no: pack the context ──▶ build
 *
 * The tag is the hash of what the image is made of: the context's files, the base image's id, the arguments and the
 * platform (Engine API 1.41, ImageBuild). So nothing has to be remembered: what was built is found by its name, also by
 * the next daemon. The engine gives a build up when the connection that asked for it is closed. */
#include "common/failure.h"
#include "docker.h"
#include "engine/refusal.h"
#include "images/build_log.h"
#include "images/build_tail.h"
#include "images/context.h"
#include "images/image_name.h"
#include "images/pull_failure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPOSITORY "sandboxd-runtime"

enum {
    TELL_MS = 1000,
    SENTENCE_SIZE = IMAGE_NAME_MAX + BUILD_STEP_SIZE + 64,
    QUERY_MAX = 256 * 1024,
    ENCODED_MAX = 3 * IMAGE_NAME_MAX + 1,
    BASE_ID_MAX = 127,
    WORDS_MAX = 180
};

struct forced_image { /* docker->forced_images: as many as specs have such a `build` */
    struct forced_image *next;
    char key[];
};

struct runtime_image {
    struct runtime_image *next; /* docker->runtime_images */
    struct docker *docker;
    char *key;        /* `build` of the spec, as JSON text */
    sbx_json *build;  /* and parsed */
    const char *base; /* of `build` */
    enum pull_policy policy;
    struct waiters waiters;
    struct image_waiter *pull;
    bool pulled;
    struct engine_call *call;
    bool on_pool;  /* it is not freed meanwhile */
    bool given_up; /* nobody waits: it is freed when the pool is done */
    bool packs;    /* on the pool: writes the context to `context` */
    int context;   /* a file that has no name; -1: none */
    struct sha256 hash;
    int result; /* of the pool's part */
    struct sbx_error error;
    char base_id[BASE_ID_MAX + 1];
    char tag[sizeof REPOSITORY + SHA256_HEX_SIZE];
    struct build_log log;
    struct build_tail tail;
    char text[SENTENCE_SIZE]; /* what was told last */
    bool moved;               /* since then */
    uint64_t begun_ms, told_ms;
    sbx_timer timer; /* for the next sentence */
};

/* ---- its end ---- */

static void image_free(struct runtime_image *image)
{
    waiters_drop(&image->waiters);
    build_log_finish(&image->log);
    if (image->context >= 0)
        close(image->context);
    image->docker->host->json->free(image->build);
    explicit_bzero(image->key, strlen(image->key));
    free(image->key);
    free(image);
}

/* Whoever asks for it from now on begins anew. */
static void image_stop(struct runtime_image *image)
{
    struct docker *docker = image->docker;
    struct runtime_image **at = &docker->runtime_images;
    while (*at != image)
        at = &(*at)->next;
    *at = image->next;
    if (image->pull)
        pull_leave(image->pull);
    image->pull = NULL;
    engine_cancel(image->call);
    image->call = NULL;
    docker->host->timer_cancel(docker->public, image->timer);
    image->timer = 0;
}

static void image_end(struct runtime_image *image, const struct sbx_error *error)
{
    image_stop(image);
    waiters_end(&image->waiters, error);
    image_free(image);
}

static void image_sweep(struct runtime_image *image)
{
    if (waiters_sweep(&image->waiters))
        return;
    image_stop(image);
    if (image->on_pool)
        image->given_up = true;
    else
        image_free(image);
}

/* ---- what is told meanwhile ---- */

static void image_tell(struct runtime_image *image, const char *text)
{
    bool moved = image->moved;
    image->moved = false;
    image->told_ms = image->docker->host->now_ms();
    if (text != image->text)
        snprintf(image->text, sizeof image->text, "%s", text);
    waiters_tell(&image->waiters, image->text, moved);
    image_sweep(image);
}

static void on_tell(void *arg)
{
    struct runtime_image *image = arg;
    image->timer = 0;
    image_tell(image, image->text);
}

static void tell_soon(struct runtime_image *image)
{
    struct docker *docker = image->docker;
    if (image->timer != 0 || *image->text == '\0')
        return;
    uint64_t next = image->told_ms ? image->told_ms + TELL_MS : 0, now = docker->host->now_ms();
    image->timer =
        docker->host->timer_start(docker->public, next > now ? (next - now) * 1000 : 0, on_tell, image);
}

/* ---- building ---- */

static struct forced_image **forced_of(struct runtime_image *image)
{
    struct forced_image **at = &image->docker->forced_images;
    while (*at && strcmp((*at)->key, image->key) != 0)
        at = &(*at)->next;
    return at;
}

/* Does `force_rebuild` ask for a build although there is such an image? Once, for as long as the backend is open. */
static bool is_forced(struct runtime_image *image)
{
    const struct sbx_json_api *json = image->docker->host->json;
    return json->boolean(json->get(image->build, "force_rebuild"), 0) && !*forced_of(image);
}

static void note_forced(struct runtime_image *image)
{
    size_t size = strlen(image->key) + 1;
    struct forced_image *forced = is_forced(image) ? malloc(sizeof *forced + size) : NULL;
    if (!forced)
        return;
    forced->next = NULL;
    memcpy(forced->key, image->key, size);
    *forced_of(image) = forced;
}

static void take_output(struct runtime_image *image)
{
    struct bytes *text = &image->log.text;
    size_t words = image->log.failed ? strlen(image->log.words) + 1 : 0;
    if (words > 0 && text->len >= words &&
        memcmp(text->data + text->len - words, image->log.words, words - 1) == 0)
        text->len -= words; /* they are told as the reason, and not as output too */
    if (text->len == 0)
        return;
    build_tail_add(&image->tail, text->data, text->len);
    text->len = 0;
    image->moved = true;
    snprintf(image->text, sizeof image->text, "building the image from %s%s%s", image->base,
             *image->tail.step ? ": " : "", image->tail.step);
    tell_soon(image);
}

static enum sbx_stream on_data(void *arg, const void *bytes, size_t len)
{
    struct runtime_image *image = arg;
    if (build_log_feed(&image->log, bytes, len)) {
        take_output(image);
        return SBX_STREAM_GO;
    }
    struct sbx_error error;
    failure_set(&error, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                "what the engine says of the build makes no sense (a line of over %d KiB)",
                BUILD_LINE_MAX / 1024);
    image_end(image, &error);
    return SBX_STREAM_GO;
}

/* The words of the engine, and the end of what the step said: of a command that fails the engine tells its code alone. */
static void explain(const struct runtime_image *image, const char *words, struct sbx_error *err)
{
    char tail[200], text[WORDS_MAX + sizeof tail + 16];
    size_t len = strlen(words), skip = len > WORDS_MAX ? len - WORDS_MAX : 0;
    while (((unsigned char)words[skip] & 0xc0) == 0x80)
        skip++;
    build_tail_line(&image->tail, tail, sizeof tail);
    snprintf(text, sizeof text, "%s%s%s", words + skip, *tail ? "; its log ends: " : "", tail);
    build_failure_of(err, text);
    image->docker->host->log(image->docker->public, SBX_LOG_WARN, NULL,
                             "the image from %s can't be built: %s; its log ends: %.*s", image->base, words,
                             (int)image->tail.len, image->tail.text);
}

static void on_built(void *arg, const struct sbx_error *error, int status)
{
    struct runtime_image *image = arg;
    struct docker *docker = image->docker;
    struct sbx_error failure;
    image->call = NULL;
    build_log_end(&image->log);
    take_output(image);
    if (image->log.failed) {
        explain(image, image->log.words, &failure);
    } else if (error && status >= 400 && !refusal_is_unknown(error)) {
        explain(image, error->message, &failure);
    } else if (error) {
        failure = *error;
    } else if (!image->log.has_result) {
        failure_set(&failure, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the engine ended the build from %.200s without saying how", image->base);
        failure.retryable = 1;
    } else {
        note_forced(image);
        docker->host->log(docker->public, SBX_LOG_INFO, NULL, "built %s from %s in %" PRIu64 " ms",
                          image->tag, image->base, docker->host->now_ms() - image->begun_ms);
        image_end(image, NULL);
        return;
    }
    image_end(image, &failure);
}

/* Owned: the arguments that a Dockerfile may declare with ARG. */
static sbx_json *arguments_of(const struct runtime_image *image)
{
    const struct sbx_json_api *json = image->docker->host->json;
    sbx_json *arguments = json->new_object();
    json->set(arguments, "BASE_IMAGE", json->new_string(image->base));
    json->set(arguments, "EXTRA_DEPS",
              json->new_string(json->string(json->get(image->build, "extra_deps"), "")));
    bool browser = json->boolean(json->get(image->build, "enable_browser"), 1);
    json->set(arguments, "ENABLE_BROWSER", json->new_string(browser ? "true" : "false"));
    return arguments;
}

static bool add_value(struct bytes *path, const char *name, const char *value)
{
    size_t size = 3 * strlen(value) + 1;
    char *encoded = malloc(size);
    bool fits = encoded && engine_encode(encoded, size, value);
    bytes_add_text(path, name);
    bytes_add_text(path, fits ? encoded : "");
    free(encoded);
    return fits;
}

static void ask_engine(struct runtime_image *image)
{
    static const struct engine_stream stream = {.data = on_data, .done = on_built};
    struct docker *docker = image->docker;
    const struct sbx_json_api *json = docker->host->json;
    struct bytes path = {.max = QUERY_MAX};
    char file[64];
    sbx_json *arguments = arguments_of(image);
    bytes_add_text(&path, is_forced(image) ? "/build?rm=1&forcerm=1&nocache=1" : "/build?rm=1&forcerm=1");
    bool fits =
        add_value(&path, "&t=", image->tag) && add_value(&path, "&buildargs=", json->text(arguments, NULL));
    json->free(arguments);
    build_add_options(&path, &docker->options);
    bytes_add(&path, "", 1);
    if (path.failed || !fits) {
        struct sbx_error error;
        bytes_finish(&path);
        failure_set(&error, SBX_ERR_INVALID, SBX_CODE_START_FAILED,
                    "build of the spec is too long for the engine: make extra_deps shorter");
        image_end(image, &error);
        return;
    }
    snprintf(file, sizeof file, "/proc/self/fd/%d", image->context);
    const struct engine_request request = {
        .method = "POST", .path = path.data, .header = "Content-Type: application/x-tar", .body_file = file};
    build_log_init(&image->log, json);
    image->moved = true;
    snprintf(image->text, sizeof image->text, "building the image from %s", image->base);
    docker->host->log(docker->public, SBX_LOG_INFO, NULL, "building %s from %s", image->tag, image->base);
    image->call = engine_open(&docker->engine, &request, &stream, image);
    bytes_finish(&path);
    tell_soon(image);
}

/* ---- the context, and the hash of all ---- */

static void add_text(struct sha256 *hash, const char *text)
{
    sha256_add(hash, text, strlen(text) + 1);
}

/* A file of ours alone, which is gone with its last descriptor, and so with the daemon. */
static int open_context(const char *folder)
{
    char path[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    int len = snprintf(path, sizeof path, "%s/context-XXXXXX", folder);
    if (len < 0 || len >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if ((fd = mkostemp(path, O_CLOEXEC)) >= 0)
        unlink(path);
    return fd;
}

/* On the pool. */
static void pack_run(void *arg)
{
    struct runtime_image *image = arg;
    const struct docker *docker = image->docker;
    char hex[SHA256_HEX_SIZE];
    image->result = -1;
    if (image->packs && (image->context = open_context(docker->state_dir)) < 0) {
        failure_errno(&image->error, errno, "the build context can't be packed in %.300s", docker->state_dir);
        return;
    }
    image->result = context_pack(docker->options.build_context, image->context, &image->hash, &image->error);
    sha256_end(&image->hash, hex);
    snprintf(image->tag, sizeof image->tag, REPOSITORY ":%s", hex);
}

static void look_for_tag(struct runtime_image *image);

static void pack_done(void *arg)
{
    struct runtime_image *image = arg;
    image->on_pool = false;
    if (image->given_up)
        image_free(image);
    else if (image->result != 0)
        image_end(image, &image->error);
    else if (image->packs)
        ask_engine(image);
    else
        look_for_tag(image);
}

static void pack(struct runtime_image *image, bool packs)
{
    struct docker *docker = image->docker;
    const struct sbx_json_api *json = docker->host->json;
    sha256_init(&image->hash);
    add_text(&image->hash, image->base_id);
    add_text(&image->hash, image->base);
    add_text(&image->hash, docker->options.platform ? docker->options.platform : "");
    add_text(&image->hash, json->string(json->get(image->build, "extra_deps"), ""));
    add_text(&image->hash, json->boolean(json->get(image->build, "enable_browser"), 1) ? "browser" : "");
    image->packs = packs;
    image->on_pool = true;
    docker->host->work(docker->public, pack_run, pack_done, image);
}

static void ask_of(struct runtime_image *image, const char *name, engine_done answered)
{
    char encoded[ENCODED_MAX], path[ENCODED_MAX + 32];
    engine_encode(encoded, sizeof encoded, name);
    snprintf(path, sizeof path, "/images/%s/json", encoded);
    const struct engine_request request = {.method = "GET", .path = path, .timeout_ms = CALL_TIMEOUT_MS};
    image->call = engine_call(&image->docker->engine, &request, answered, image);
}

static void on_tag(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)body;
    struct runtime_image *image = arg;
    image->call = NULL;
    if (error && status != 404)
        image_end(image, error);
    else if (!error && !is_forced(image))
        image_end(image, NULL);
    else
        pack(image, true); /* what is sent is hashed again: files may have changed since */
}

static void look_for_tag(struct runtime_image *image)
{
    ask_of(image, image->tag, on_tag);
}

/* ---- the base image ---- */

static void pull_progress(void *arg, const char *detail)
{
    struct runtime_image *image = arg;
    image->moved = true;
    image_tell(image, detail);
}

static void on_base(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body);

static void pull_done(void *arg, const struct sbx_error *error)
{
    struct runtime_image *image = arg;
    image->pull = NULL;
    if (error)
        image_end(image, error);
    else
        ask_of(image, image->base, on_base);
}

static void pull_base(struct runtime_image *image)
{
    image->pulled = true;
    image->pull = pull_join(image->docker, image->base, pull_progress, pull_done, image);
}

static void on_base(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    struct runtime_image *image = arg;
    const struct sbx_json_api *json = image->docker->host->json;
    const char *id = json->string(json->get(body, "Id"), "");
    struct sbx_error failure;
    image->call = NULL;
    if (error && status == 404 && image->policy != PULL_NEVER && !image->pulled) {
        pull_base(image);
        return;
    }
    if (error && status == 404) {
        failure_set(&failure, (enum sbx_error_kind)error->kind, SBX_CODE_IMAGE_NOT_FOUND,
                    "the engine does not have the base image '%.200s'%s: %.160s", image->base,
                    image->policy == PULL_NEVER ? ", and pull_policy is 'never'" : "", error->message);
        error = &failure;
    } else if (!error && (*id == '\0' || strlen(id) > BASE_ID_MAX)) {
        failure_set(&failure, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                    "the engine's answer on the image '%.200s' has no id", image->base);
        error = &failure;
    }
    if (error) {
        image_end(image, error);
        return;
    }
    snprintf(image->base_id, sizeof image->base_id, "%s", id);
    pack(image, false);
}

/* ---- those who wait ---- */

static struct runtime_image *image_new(struct docker *docker, const char *key, size_t len,
                                       enum pull_policy policy)
{
    const struct sbx_json_api *json = docker->host->json;
    struct runtime_image *image = calloc(1, sizeof *image);
    if (!image || !(image->key = strdup(key)) || !(image->build = json->parse(key, len, NULL)))
        abort();
    image->docker = docker;
    image->base = json->string(json->get(image->build, "base_image"), "");
    image->policy = policy;
    image->context = -1;
    image->begun_ms = docker->host->now_ms();
    image->next = docker->runtime_images;
    docker->runtime_images = image;
    return image;
}

struct image_waiter *runtime_image_join(struct docker *docker, const struct sbx_json *build,
                                        enum pull_policy policy, waiter_progress progress, waiter_done done,
                                        void *arg)
{
    const struct sbx_json_api *json = docker->host->json;
    sbx_json *copy = json->copy(build);
    size_t len;
    const char *key = json->text(copy, &len);
    struct runtime_image *image = docker->runtime_images;
    while (image && strcmp(image->key, key) != 0)
        image = image->next;
    bool begins = !image;
    if (begins)
        image = image_new(docker, key, len, policy);
    json->free(copy);
    struct image_waiter *waiter = waiters_add(&image->waiters, image, progress, done, arg);
    if (!begins)
        tell_soon(image);
    else if (policy == PULL_ALWAYS)
        pull_base(image);
    else
        ask_of(image, image->base, on_base);
    return waiter;
}

const char *runtime_image_name(const struct image_waiter *waiter)
{
    const struct runtime_image *image = waiter->work;
    return image->tag;
}

void runtime_image_leave(struct image_waiter *waiter)
{
    struct runtime_image *image = waiter->work;
    waiter->left = true;
    if (!image->waiters.calling)
        image_sweep(image);
}

/* Nobody waits any more, and the pool is done: close() comes after both. */
void runtime_image_finish(struct docker *docker)
{
    for (struct forced_image *forced; (forced = docker->forced_images);) {
        docker->forced_images = forced->next;
        free(forced);
    }
}
