/* image.c: is there such an image, on the engine or where it would be pulled from? See docker.h. Pulls nothing.
 *
 * GET /images/NAME/json, and where the engine has none GET /distribution/NAME/json (Engine API 1.41, ImageInspect and
 * DistributionInspect), which asks the registry. */
#include "common/failure.h"
#include "docker.h"
#include "images/credentials.h"
#include "images/image_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image_look {
    struct image_look *next; /* docker->image_looks */
    struct docker *docker;
    sbx_op op;
    char encoded[3 * IMAGE_NAME_MAX + 1];
    struct image_name name;
    struct credentials_lookup *lookup;
    struct engine_call *call;
};

static void look_end(struct image_look *look, const struct sbx_error *error)
{
    struct docker *docker = look->docker;
    struct image_look **at = &docker->image_looks;
    while (*at != look)
        at = &(*at)->next;
    *at = look->next;
    credentials_cancel(look->lookup);
    engine_cancel(look->call);
    sbx_op op = look->op;
    free(look);
    docker->host->complete(docker->public, op, error);
}

/* `inspect` NULL: nothing more is known of it. */
static void answer(struct docker *docker, sbx_op op, bool exists, const struct sbx_json *inspect)
{
    const struct sbx_json_api *json = docker->host->json;
    const char *created = json->string(json->get(inspect, "Created"), NULL);
    int64_t size = json->integer(json->get(inspect, "Size"), -1);
    sbx_json *facts = json->new_object();
    json->set(facts, "exists", json->new_boolean(exists));
    json->set(facts, "upload_time",
              created && container_time_ns(created) > 0 ? json->new_string(created) : NULL);
    json->set(facts, "image_size_bytes", size >= 0 ? json->new_integer(size) : NULL);
    size_t len;
    const char *text = json->text(facts, &len);
    docker->host->result(docker->public, op, text, len);
    json->free(facts);
}

/* A registry does not tell what is not there from what these credentials may not see. */
static void on_registry(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    (void)body;
    struct image_look *look = arg;
    look->call = NULL;
    bool unknown = status == 401 || status == 403 || status == 404;
    if (error && !unknown) {
        look_end(look, error);
        return;
    }
    answer(look->docker, look->op, !unknown, NULL);
    look_end(look, NULL);
}

static void on_credentials(void *arg, const char *header)
{
    struct image_look *look = arg;
    char path[sizeof look->encoded + 32];
    look->lookup = NULL;
    snprintf(path, sizeof path, "/distribution/%s/json", look->encoded);
    const struct engine_request request = {
        .method = "GET", .path = path, .header = header, .timeout_ms = CALL_TIMEOUT_MS};
    look->call = engine_call(&look->docker->engine, &request, on_registry, look);
}

static void on_engine(void *arg, const struct sbx_error *error, int status, const struct sbx_json *body)
{
    struct image_look *look = arg;
    struct docker *docker = look->docker;
    look->call = NULL;
    if (error && status == 404) {
        if (docker->options.docker_config)
            look->lookup = credentials_find(docker->public, docker->options.docker_config,
                                            image_name_registry_key(&look->name), on_credentials, look);
        else
            on_credentials(look, NULL);
        return;
    }
    if (!error)
        answer(docker, look->op, true, body);
    look_end(look, error);
}

void image_begin(struct docker *docker, const char *image, sbx_op op)
{
    struct image_look *look = calloc(1, sizeof *look);
    if (!look)
        abort();
    look->docker = docker;
    look->op = op;
    look->next = docker->image_looks;
    docker->image_looks = look;
    if (!image_name_parse(&look->name, image) || !engine_encode(look->encoded, sizeof look->encoded, image)) {
        answer(docker, op, false, NULL); /* nothing can have such a name */
        look_end(look, NULL);
        return;
    }
    char path[sizeof look->encoded + 32];
    snprintf(path, sizeof path, "/images/%s/json", look->encoded);
    const struct engine_request request = {.method = "GET", .path = path, .timeout_ms = CALL_TIMEOUT_MS};
    look->call = engine_call(&docker->engine, &request, on_engine, look);
}

void image_cancel(struct docker *docker, sbx_op op)
{
    struct sbx_error error;
    failure_set(&error, SBX_ERR_CANCELLED, SBX_CODE_BACKEND_TIMEOUT,
                "it was given up before it was known whether there is such an image");
    for (struct image_look *look = docker->image_looks; look; look = look->next)
        if (look->op == op) {
            look_end(look, &error);
            return;
        }
}
