/* /build and /build_status: what reaches the builds of a form, who may build what, and what a build looks like. */
#include "builds_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http_request request;

static int setup(void **state)
{
    world_setup(state);
    memset(&builds_world, 0, sizeof builds_world);
    request = (struct http_request){0};
    world.config.runtime_api_enabled = true;
    world.config.runtime_api_builds = true;
    world.config.runtime_api_backend = world.config.backends[0].name;
    world.config.runtime_api_registry_prefix = "reg.example/{user}";
    world.config.runtime_api_max_build_context = 5000;
    return 0;
}

static int teardown(void **state)
{
    front_free(&request);
    return world_teardown(state);
}

#define PART(name) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_PART                                                                                            \
    "--b\r\nContent-Disposition: form-data; name=\"context\"; filename=\"context.tar.gz\"\r\n"               \
    "Content-Type: application/x-tar\r\n\r\n"
#define END "\r\n--b--\r\n"
#define GZIP "H4sIAAAAAAAA" /* 9 bytes, the first of gzip(1) */
#define TARGET "\r\n" PART("target_image") "reg.example/alice/x:1"

static void begin(const char *key)
{
    front_free(&request);
    request.has_body = true;
    request.headers[0] = (struct pair){"Content-Type", "multipart/form-data; boundary=b"};
    request.headers[1] = (struct pair){"X-API-Key", key};
    world_request(&request, "POST", "/runtime-api/build");
}

static void post(const char *key, const char *body)
{
    begin(key);
    if (request.status == 0)
        front_pass_body(&request, body, strlen(body), 7);
}

static void refused(int status, const char *words)
{
    assert_int_equal(request.status, status);
    if (!strstr(front_detail(&request), words))
        fail_msg("'%s' is not in: %s", words, front_detail(&request));
    assert_int_equal(builds_world.finished, 0);
}

static void a_form_as_the_client_sends_it_is_a_build(void **state)
{
    (void)state;
    world_use_keys();
    post("alice-key",
         FILE_PART GZIP TARGET "\r\n" PART("tags") "reg.example/alice/x"
                                                   "\r\n" PART("tags") "reg.example/alice/x:1" END);
    assert_int_equal(request.status, 0);
    assert_int_equal(builds_world.finished, 1);
    assert_int_equal(builds_world.len, 9);
    assert_memory_equal(builds_world.context, "\x1f\x8b\x08", 3);
    assert_string_equal(builds_world.image, "reg.example/alice/x:1");
    assert_int_equal(builds_world.names_len, 2); /* one was there twice */
    assert_string_equal(builds_world.names[1], "reg.example/alice/x:latest");
    builds_world.events.done(builds_world.events.arg, NULL, "id-1");
    assert_int_equal(request.status, 200);
    assert_string_equal(request.body, "{\"build_id\":\"id-1\"}");
    assert_int_equal(builds_world.dropped, 0);
}

static void builds_are_the_operators_to_allow(void **state)
{
    (void)state;
    world.config.runtime_api_builds = false;
    begin("");
    refused(403, "runtime_api.builds");
    assert_int_equal(builds_world.begun, 0);
}

static void what_can_not_be_begun_is_told_before_the_body(void **state)
{
    (void)state;
    builds_world.refuse = true;
    error_set(&builds_world.error, SBX_ERR_LIMIT, "TOO_MANY_BUILDS", "2 images are being built");
    begin("");
    assert_int_equal(request.status, 429);
    assert_non_null(strstr(request.reply_headers, "Retry-After: 30\n"));
    error_set(&builds_world.error, SBX_ERR_UNSUPPORTED, "UNSUPPORTED", "it builds none");
    begin("");
    refused(501, "it builds none");
    builds_world.refuse = false;
    request.headers[0] = (struct pair){"Content-Type", "application/json"};
    front_free(&request);
    request.headers[0] = (struct pair){"Content-Type", "application/json"};
    world_request(&request, "POST", "/runtime-api/build");
    refused(415, "multipart/form-data");
    assert_int_equal(builds_world.begun, 0);
}

static void each_wrong_form_is_refused_in_a_sentence_of_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } wrong[] = {
        {"", "breaks off before its last boundary"},
        {"preamble", "does not begin with its boundary"},
        {FILE_PART GZIP END, "has no part named target_image"},
        {PART("target_image") "reg.example/local/x" END, "has no part named context"},
        {FILE_PART "H4s!" END, "has a context that is no base64 text"},
        {FILE_PART "H4sIAAAAAAA" END, "has a context that breaks off"},
        {FILE_PART "QUJDRA==" END, "has a context that is no tar.gz"},
        {FILE_PART END, "has a context that breaks off"},
        {FILE_PART GZIP "\r\n" FILE_PART GZIP END, "has two parts named context"},
        {PART("x") "y" END, "has a part of another name"},
        {PART("target_image") "a b"
                              "\r\n" FILE_PART GZIP END,
         "must be a name as [REGISTRY/]NAME[:TAG]"},
        {PART("target_image") "a@sha256:00"
                              "\r\n" FILE_PART GZIP END,
         "must be a name"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        post("", wrong[i].body);
        refused(422, wrong[i].words);
        assert_int_equal(builds_world.dropped, i + 1);
    }
}

static void a_user_builds_names_of_their_own_alone(void **state)
{
    (void)state;
    static const char *images[] = {"reg.example/alice/open/*", "reg.example/alice/plain"};
    world_use_keys();
    world.config.runtime_api_images = images;
    world.config.runtime_api_images_len = 2;
    world.specs[0].id = "reg.example/alice/spec";
    builds_world.taken = "reg.example/alice/taken:latest";
    static const struct {
        const char *name, *words;
    } wrong[] = {
        {"alpine", "runtime_api.registry_prefix"},
        {"reg.example/bob/x", "runtime_api.registry_prefix"},
        {"reg.example/alicex/x", "runtime_api.registry_prefix"},
        {"reg.example/alice/spec:latest", "it is the image of a spec"},
        {"reg.example/alice/open/x", "runtime_api.images"},
        {"reg.example/alice/plain", "runtime_api.images"},
        {"reg.example/alice/plain:latest", "runtime_api.images"},
        {"reg.example/alice/taken", "another user has built"},
    };
    char body[1024];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(body, sizeof body, FILE_PART GZIP "\r\n" PART("target_image") "%s" END, wrong[i].name);
        post("alice-key", body);
        refused(403, wrong[i].words);
    }
    post("ops-key", FILE_PART GZIP "\r\n" PART("target_image") "reg.example/alice/spec" END);
    assert_int_equal(builds_world.finished, 1); /* an admin may */
    builds_world.events.done(builds_world.events.arg, NULL, "id");
}

/* An engine takes all of these for one name. */
static void no_spelling_of_an_image_that_everybody_starts_is_a_users(void **state)
{
    (void)state;
    static const char *const patterns[] = {"alice/x", "alice/x:latest", "docker.io/alice/x",
                                           "index.docker.io/alice/x", "index.docker.io/alice/x:lat*"};
    static const char *const official[] = {"alpine", "library/alpine", "docker.io/alpine",
                                           "index.docker.io/library/alpine"};
    const char *images[1];
    world_use_keys();
    world.config.runtime_api_images = images;
    world.config.runtime_api_images_len = 1;
    world.config.runtime_api_registry_prefix = "docker.io";
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        images[0] = patterns[i];
        post("alice-key", FILE_PART GZIP "\r\n" PART("target_image") "alice/x:latest" END);
        refused(403, "runtime_api.images");
    }
    for (size_t i = 0; i < sizeof official / sizeof official[0]; i++) {
        images[0] = official[i];
        post("alice-key", FILE_PART GZIP "\r\n" PART("target_image") "alpine" END);
        refused(403, "runtime_api.images");
    }
    images[0] = "x";
    post("alice-key", FILE_PART GZIP "\r\n" PART("target_image") "x:1" END);
    assert_int_equal(builds_world.finished, 1); /* another one */
    builds_world.events.done(builds_world.events.arg, NULL, "id");
}

static void the_base_image_of_a_spec_is_not_a_users_either(void **state)
{
    (void)state;
    world_use_keys();
    world.specs[0].id = "runtime";
    world.specs[0].base_image = "reg.example/alice/base";
    post("alice-key", FILE_PART GZIP "\r\n" PART("target_image") "reg.example/alice/base:latest" END);
    refused(403, "it is the image of a spec");
}

static void a_sender_is_held_back_and_let_go_on(void **state)
{
    (void)state;
    builds_world.full = true;
    begin("");
    front_pass_body(&request, FILE_PART GZIP, sizeof(FILE_PART GZIP) - 1, 1000);
    assert_true(request.held);
    builds_world.events.ready(builds_world.events.arg);
    assert_false(request.held);
    front_disconnect(&request);
    assert_int_equal(builds_world.dropped, 1);
}

static void a_disk_that_is_full_ends_the_upload(void **state)
{
    (void)state;
    begin("");
    front_pass_body(&request, FILE_PART GZIP, sizeof(FILE_PART GZIP) - 1, 1000);
    struct sbx_error err;
    error_set(&err, SBX_ERR_UNAVAILABLE, "NO_SPACE", "the build context can't be written");
    builds_world.events.done(builds_world.events.arg, &err, NULL);
    refused(503, "can't be written");
    assert_non_null(strstr(request.body, "NO_SPACE"));
    assert_int_equal(builds_world.dropped, 0);
}

/* ---- reads ---- */

static struct build build = {.id = "id-1",
                             .backend = (char *)"local",
                             .names = {(char *)"reg.example/alice/x:1"},
                             .image = (char *)"reg.example/alice/x:1"};

static void status_of(const char *id)
{
    front_free(&request);
    world_query(&request, "GET", "/runtime-api/build_status", "build_id", id);
}

static void a_status_is_what_clients_read(void **state)
{
    (void)state;
    builds_world.build = &build;
    build.status = BUILD_BUILDING;
    build.output = buffer_init(1000);
    buffer_add_text(&build.output, "Step 1/2 : FROM x\n ---> 1\nStep 2/2 : RUN y\nbusy");
    status_of("id-1");
    assert_int_equal(request.status, 200);
    assert_non_null(strstr(request.body, "\"status\":\"BUILDING\",\"image\":\"reg.example/alice/x:1\","));
    assert_non_null(strstr(request.body, "\"progress\":\"Step 2/2 : RUN y\""));
    assert_null(strstr(request.body, "\"error\""));
    buffer_finish(&build.output);
    build.status = BUILD_FAILURE;
    build.error = (char *)"BUILD_FAILED: no";
    build.log = (char *)"its \xff end";
    status_of("id-1");
    assert_non_null(strstr(request.body, "\"status\":\"FAILURE\""));
    assert_non_null(strstr(request.body, "\"error\":\"BUILD_FAILED: no\""));
    assert_non_null(strstr(request.body, "\"log_tail\":\"its \xef\xbf\xbd end\""));
    status_of("id-2");
    assert_int_equal(request.status, 404);
    status_of("");
    assert_int_equal(request.status, 422);
    build.error = build.log = NULL;
}

static void what_a_user_has_built_may_be_started_and_asked_for(void **state)
{
    (void)state;
    world.isolates = true;
    world_use_keys();
    static const char body[] = "{\"image\": \"reg.example/alice/x:1\", \"session_id\": \"s\"}";
    for (int built = 0; built < 2; built++) {
        builds_world.build = built ? &build : NULL;
        front_free(&request);
        request.has_body = true;
        request.headers[0] = (struct pair){"X-API-Key", "alice-key"};
        world_request(&request, "POST", "/runtime-api/start");
        front_deliver_body(&request, body);
        assert_int_equal(request.status, built ? 0 : 403);
    }
    assert_string_equal(world.image, "reg.example/alice/x:1");
    world_answer(NULL, &(struct sbx_error){.kind = SBX_ERR_INTERNAL});
    builds_world.build = NULL; /* clients ask for an image before they have it built */
    front_free(&request);
    request.headers[0] = (struct pair){"X-API-Key", "alice-key"};
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "reg.example/alice/new");
    assert_int_equal(request.status, 0);
    world.operations[0].done(world.operations[0].arg, NULL, "{\"exists\":false}", 16);
    assert_int_equal(request.status, 200);
    front_free(&request);
    request.headers[0] = (struct pair){"X-API-Key", "alice-key"};
    world_query(&request, "GET", "/runtime-api/image_exists", "image", "reg.example/alice/new");
    struct sbx_error err; /* the registry of its name is nowhere */
    error_set(&err, SBX_ERR_REFUSED, "BACKEND_REFUSED", "no such host");
    world.operations[1].done(world.operations[1].arg, &err, NULL, 0);
    assert_string_equal(request.body, "{\"exists\":false,\"image\":null}");
}

static void each_user_has_a_place_for_images(void **state)
{
    (void)state;
    world_use_keys();
    front_free(&request);
    request.headers[0] = (struct pair){"X-API-Key", "alice-key"};
    world_request(&request, "GET", "/runtime-api/registry_prefix");
    assert_string_equal(request.body, "{\"registry_prefix\":\"reg.example/alice\"}");
    front_free(&request);
    world.keys[0].user = "A";
    request.headers[0] = (struct pair){"X-API-Key", "alice-key"};
    world_request(&request, "GET", "/runtime-api/registry_prefix");
    assert_string_equal(request.body, "{\"registry_prefix\":\"reg.example/u-41\"}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_form_as_the_client_sends_it_is_a_build),
        TEST(builds_are_the_operators_to_allow),
        TEST(what_can_not_be_begun_is_told_before_the_body),
        TEST(each_wrong_form_is_refused_in_a_sentence_of_its_own),
        TEST(a_user_builds_names_of_their_own_alone),
        TEST(no_spelling_of_an_image_that_everybody_starts_is_a_users),
        TEST(the_base_image_of_a_spec_is_not_a_users_either),
        TEST(a_sender_is_held_back_and_let_go_on),
        TEST(a_disk_that_is_full_ends_the_upload),
        TEST(a_status_is_what_clients_read),
        TEST(what_a_user_has_built_may_be_started_and_asked_for),
        TEST(each_user_has_a_place_for_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
