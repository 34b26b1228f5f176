/* api/runtime_build.c: /build and /build_status: from a client's form to a build (build/builds.h), and what became of it.
 *
 * The context is base64 text of up to gigabytes: it is decoded as it comes, and its sender is held back while the disk is
 * busy. The names stand behind it in the form, so that they are judged last. */
#include "api/base64.h"
#include "api/multipart.h"
#include "api/runtime.h"

#include "api/errors.h"
#include "api/routes.h"
#include "api/text.h"
#include "build/image_name.h"
#include "build/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 16 * 1024, NAMES_MAX = 1 + BUILD_TAGS_MAX, WHY_SIZE = 900 };

enum part { PART_CONTEXT, PART_TARGET, PART_TAG };

struct form {
    struct call *call;
    struct build_upload *upload;
    struct multipart multipart;
    enum part part;
    struct base64 base64;
    struct buffer text; /* of the part at hand */
    uint64_t decoded;   /* bytes of the context */
    bool has_context, wait;
    char *target, *tags[BUILD_TAGS_MAX];
    size_t tags_len;
};

/* ---- which names may be built ---- */

static bool is_plain_user(const char *user)
{
    size_t len = strlen(user);
    return len > 0 && len <= 64 && strncmp(user, "u-", 2) != 0 &&
           strspn(user, "abcdefghijklmnopqrstuvwxyz0123456789") == len;
}

/* A user's own part of a name: no two users have the same. */
static void add_user(struct buffer *out, const char *user)
{
    if (!user || is_plain_user(user)) {
        buffer_add_text(out, user ? user : "local");
        return;
    }
    buffer_add_text(out, "u-");
    for (; *user; user++)
        buffer_add_format(out, "%02x", (unsigned char)*user);
}

void runtime_prefix(const struct call *call, struct buffer *out)
{
    static const char place[] = "{user}";
    const char *prefix = http_config(call->request)->runtime_api_registry_prefix, *at;
    for (; (at = strstr(prefix, place)); prefix = at + sizeof place - 1) {
        buffer_add(out, prefix, (size_t)(at - prefix));
        add_user(out, call->viewer.user);
    }
    buffer_add_text(out, prefix);
}

static bool is_below(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    return len > 0 && strncmp(name, prefix, len) == 0 && (prefix[len - 1] == '/' || name[len] == '/');
}

static bool is_spec(const struct call *call, const char *full)
{
    const struct config *config = http_config(call->request);
    char its[BUILD_NAME_SIZE];
    size_t count = service_specs_count(call->api->deps.service, config);
    for (size_t i = 0; i < count; i++) {
        const struct config_spec *spec = service_spec_at(call->api->deps.service, config, i);
        const char *image = spec->base_image ? spec->base_image : spec->id;
        if (image_name_full(image, its) && strcmp(its, full) == 0)
            return true;
    }
    return false;
}

/* With its tag, and without one that engines add by themselves. */
static bool is_allowed(const struct config *config, const char *registry, const char *path)
{
    static const char latest[] = ":latest";
    char name[2 * BUILD_NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", registry, path);
    if (runtime_image_allowed(config, name))
        return true;
    char *tag = strrchr(name, ':'); /* each full name has one */
    if (!tag || strcmp(tag, latest) != 0)
        return false;
    *tag = '\0';
    return runtime_image_allowed(config, name);
}

/* Does runtime_api.images have everybody start it, under any of the names that an engine takes for this one? */
static bool is_everybodys(const struct config *config, const char *full)
{
    static const char hub[] = "docker.io/";
    if (is_allowed(config, "", full))
        return true;
    if (strncmp(full, hub, sizeof hub - 1) != 0)
        return false;
    const char *path = full + sizeof hub - 1, *shown = image_name_short(full);
    return is_allowed(config, "", path) || is_allowed(config, "index.docker.io/", path) ||
           (shown != path && (is_allowed(config, "", shown) || is_allowed(config, hub, shown) ||
                              is_allowed(config, "index.docker.io/", shown)));
}

/* A name under which others start an image is not one user's to fill. */
static const char *why_not(const struct call *call, const char *full)
{
    const struct config *config = http_config(call->request);
    const char *shown = image_name_short(full);
    struct buffer prefix = buffer_init(4096);
    runtime_prefix(call, &prefix);
    bool below = is_below(full, buffer_text(&prefix)) || is_below(shown, buffer_text(&prefix));
    buffer_finish(&prefix);
    if (!below)
        return "images that are built here begin with what /registry_prefix answers "
               "(runtime_api.registry_prefix)";
    if (is_spec(call, full))
        return "it is the image of a spec, which others start";
    if (is_everybodys(config, full))
        return "runtime_api.images has everybody start it; let runtime_api.registry_prefix be another place";
    if (builds_taken(call->api->deps.builds, &call->viewer, full))
        return "another user has built an image of that name; with {user} in runtime_api.registry_prefix "
               "each "
               "user has names of their own";
    return NULL;
}

/* 0, or the status of the refusal. */
static int judge(const struct call *call, const char *name, char full[BUILD_NAME_SIZE], char why[WHY_SIZE])
{
    if (!image_name_full(name, full)) {
        snprintf(why, WHY_SIZE, "'%.512s' must be a name as [REGISTRY/]NAME[:TAG] of at most 512 bytes",
                 name);
        return 422;
    }
    const char *reason = call->viewer.everything ? NULL : why_not(call, full);
    if (!reason)
        return 0;
    snprintf(why, WHY_SIZE, "the image '%.512s' may not be built by this user: %s", name, reason);
    return 403;
}

bool runtime_may_build(const struct call *call, const char *image)
{
    char full[BUILD_NAME_SIZE], why[WHY_SIZE];
    return http_config(call->request)->runtime_api_builds && judge(call, image, full, why) == 0;
}

/* ---- the form ---- */

static void free_form(struct form *form)
{
    buffer_finish(&form->text);
    free(form->target);
    for (size_t i = 0; i < form->tags_len; i++)
        free(form->tags[i]);
    free(form);
}

static void gone(struct call *call)
{
    struct form *form = call->state;
    build_upload_drop(form->upload);
    free_form(form);
}

static void refuse(struct form *form, int status, const char *detail)
{
    struct call *call = form->call;
    build_upload_drop(form->upload);
    free_form(form);
    errors_reply(call, status, detail);
}

static void refuse_body(struct form *form, const char *wrong)
{
    char detail[256];
    snprintf(detail, sizeof detail, "the body %s", wrong);
    refuse(form, 422, detail);
}

static const char *on_part(void *arg, const char *name)
{
    struct form *form = arg;
    buffer_clear(&form->text);
    if (strcmp(name, "target_image") == 0) {
        form->part = PART_TARGET;
        return form->target ? "has two parts named target_image" : NULL;
    }
    if (strcmp(name, "tags") == 0) {
        form->part = PART_TAG;
        return form->tags_len == BUILD_TAGS_MAX ? "has more than 16 tags" : NULL;
    }
    if (strcmp(name, "context") != 0)
        return "has a part of another name than context, target_image and tags";
    if (form->has_context)
        return "has two parts named context";
    form->part = PART_CONTEXT;
    form->has_context = true;
    return NULL;
}

static const char *take_context(struct form *form, const char *bytes, size_t len)
{
    static const uint8_t gzip[] = {0x1f, 0x8b};
    uint8_t out[SLICE / 4 * 3 + 3];
    for (size_t used; len > 0; bytes += used, len -= used) {
        size_t out_len;
        used = len < SLICE ? len : SLICE;
        if (!base64_decode(&form->base64, bytes, used, out, &out_len))
            return "has a context that is no base64 text";
        for (size_t i = 0; i < out_len && form->decoded + i < sizeof gzip; i++)
            if (out[i] != gzip[form->decoded + i])
                return "has a context that is no tar.gz";
        form->decoded += out_len;
        if (!build_upload_write(form->upload, out, out_len))
            form->wait = true;
    }
    return NULL;
}

static const char *on_data(void *arg, const char *bytes, size_t len)
{
    struct form *form = arg;
    if (form->part == PART_CONTEXT)
        return take_context(form, bytes, len);
    return buffer_add(&form->text, bytes, len) < 0 ? "has an image's name of over 512 bytes" : NULL;
}

static const char *on_end(void *arg)
{
    struct form *form = arg;
    if (form->part == PART_CONTEXT)
        return base64_is_whole(&form->base64) && form->decoded > 2 ? NULL : "has a context that breaks off";
    const char *text = buffer_text(&form->text);
    if (strlen(text) != form->text.len)
        return "has an image's name with a zero byte";
    char **name = form->part == PART_TARGET ? &form->target : &form->tags[form->tags_len++];
    *name = strdup(text);
    if (!*name)
        abort();
    return NULL;
}

static bool take_piece(void *arg, struct http_request *request, const void *bytes, size_t len)
{
    (void)request;
    struct form *form = arg;
    const struct multipart_handler handler = {on_part, on_data, on_end, form};
    form->wait = false;
    const char *wrong = multipart_feed(&form->multipart, bytes, len, &handler);
    if (!wrong)
        return !form->wait;
    refuse_body(form, wrong);
    return false;
}

static void is_whole(void *arg, struct http_request *request)
{
    (void)request;
    struct form *form = arg;
    const char *wrong = multipart_end(&form->multipart);
    if (!wrong && (!form->has_context || !form->target))
        wrong = form->target ? "has no part named context" : "has no part named target_image";
    if (wrong) {
        refuse_body(form, wrong);
        return;
    }
    char full[NAMES_MAX][BUILD_NAME_SIZE], why[WHY_SIZE];
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i <= form->tags_len; i++) {
        int status = judge(form->call, i == 0 ? form->target : form->tags[i - 1], full[count], why);
        if (status) {
            refuse(form, status, why);
            return;
        }
        bool known = false;
        for (size_t j = 0; j < count; j++)
            known |= strcmp(names[j], full[count]) == 0;
        names[count] = full[count];
        count += !known;
    }
    build_upload_finish(form->upload, form->target, names, count);
}

static void ready(void *arg)
{
    const struct form *form = arg;
    http_resume_body(form->call->request);
}

static void done(void *arg, const struct sbx_error *err, const char *build_id)
{
    struct form *form = arg;
    struct call *call = form->call;
    free_form(form);
    if (err) {
        errors_reply_failure(call, err);
        return;
    }
    struct json_object *value = json_object_new_object();
    text_put(value, "build_id", text_string(build_id));
    call_reply_json(call, 200, value);
}

void runtime_build(struct call *call)
{
    const struct config *config = http_config(call->request);
    if (!config->runtime_api_builds) {
        errors_reply(
            call, 403,
            "this server builds no images: have the operator set runtime_api.builds, or push the image to a "
            "registry and have runtime_api.images allow it");
        return;
    }
    struct form *form = calloc(1, sizeof *form);
    if (!form)
        abort();
    if (!multipart_begin(&form->multipart, http_header(call->request, "Content-Type"))) {
        free(form);
        errors_reply(call, 415, "the body must be multipart/form-data, with its boundary in Content-Type");
        return;
    }
    struct sbx_error err;
    const struct build_upload_events events = {ready, done, form};
    form->call = call;
    form->text = buffer_init(BUILD_NAME_MAX);
    form->upload = builds_upload(call->api->deps.builds, config, &call->viewer, &events, &err);
    if (!form->upload) {
        free_form(form);
        if (err.kind == SBX_ERR_LIMIT)
            http_add_header(call->request, "Retry-After", "30");
        errors_reply_refusal(call, &err);
        return;
    }
    call_hold(call, gone, form);
    http_stream_body(call->request, config->runtime_api_max_build_context, take_piece, is_whole, form);
}

/* ---- what became of it ---- */

/* The last step that the builder began. */
static struct json_object *progress_of(const char *log)
{
    const char *found = NULL;
    for (const char *line = log; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, "Step ", 5) == 0)
            found = line;
    char text[160];
    snprintf(text, sizeof text, "%.*s", found ? (int)strcspn(found, "\r\n") : 0, found ? found : "");
    return *text ? text_string(text) : NULL;
}

void runtime_build_status(struct call *call)
{
    struct params params = params_of(call);
    const char *id = params_text(&params, "build_id");
    if (!id || !*id)
        params_problem(&params, "missing", "build_id", "Field required", id);
    if (params_reject(&params) || !id)
        return;
    const struct build *build = builds_find(call->api->deps.builds, &call->viewer, id);
    if (!build) {
        errors_reply(call, 404, "there is no such build");
        return;
    }
    bool over = build->status != BUILD_BUILDING;
    const char *log = over ? build->log : buffer_text(&build->output);
    struct json_object *value = json_object_new_object();
    text_put(value, "build_id", text_string(build->id));
    text_put(value, "status", text_string(record_status(build->status)));
    text_put(value, "image", text_string(build->image));
    if (build->error) /* clients print it where it is there, be it null */
        text_put(value, "error", text_string(build->error));
    text_put(value, "progress", over ? NULL : progress_of(log));
    text_put(value, "log_tail", text_string(log));
    text_put(value, "created_at", text_time(build->began_us));
    text_put(value, "ended_at", over ? text_time(build->ended_us) : NULL);
    call_reply_json(call, 200, value);
}
