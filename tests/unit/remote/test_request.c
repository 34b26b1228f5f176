/* test_request.c: the text of a /start request. */
#include "plugin/json.h"
#include "remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct options *options, const char *spec_text, const char *wanted)
{
    const struct sbx_json_api *json = json_table();
    sbx_json *spec = json->parse(spec_text, strlen(spec_text), NULL);
    char *text = request_write(options, json, "abc", spec, NULL);
    assert_string_equal(text, wanted);
    free(text);
    json->free(spec);
}

static void the_options_speak_where_the_spec_says_nothing(void **state)
{
    (void)state;
    static char base[] = "https://me/api/v1/webhooks";
    struct options options = {.resource_factor = 2,
                              .sysbox = true,
                              .run_as_user = 1,
                              .run_as_group = 2,
                              .fs_group = 3,
                              .webhook_base = base};
    expect(&options,
           "{\"id\": \"image:1\", \"command\": [\"a\", \"b c\"], \"initial_env\": {\"X\": \"y\"}, "
           "\"working_dir\": \"/w\"}",
           "{\"image\":\"image:1\",\"command\":[\"a\",\"b "
           "c\"],\"working_dir\":\"/w\",\"environment\":{\"X\":\"y\","
           "\"OH_WEBHOOKS_0_BASE_URL\":\"https://me/api/v1/webhooks/abc\"},\"session_id\":\"abc\","
           "\"resource_factor\":2,\"run_as_user\":1,\"run_as_group\":2,\"fs_group\":3,"
           "\"runtime_class\":\"sysbox-runc\"}");
}

static void the_spec_goes_before_the_options(void **state)
{
    (void)state;
    struct options options = {.resource_factor = 2, .sysbox = true, .run_as_user = 1};
    expect(
        &options,
        "{\"id\": \"i\", \"command\": null, \"initial_env\": {}, \"working_dir\": null, \"resource_factor\": "
        "8, "
        "\"run_as_user\": 0, \"run_as_group\": 5, \"fs_group\": 6, \"runtime_class\": \"gvisor\", "
        "\"image_pull_policy\": \"Always\", \"ports\": [{\"name\": \"VSCODE\", \"container_port\": 60001}]}",
        "{\"image\":\"i\",\"command\":null,\"working_dir\":null,\"environment\":{},\"session_id\":\"abc\","
        "\"resource_factor\":8,\"run_as_user\":0,\"run_as_group\":5,\"fs_group\":6,\"runtime_class\":"
        "\"gvisor\","
        "\"image_pull_policy\":\"Always\"}");
}

static void an_entry_point_goes_before_the_command(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *wanted; /* NULL: refused */
    } cases[] = {
        {"\"command\": [\"--port\"], \"entrypoint\": [\"/agent\", \"-v\"]", "[\"/agent\",\"-v\",\"--port\"]"},
        {"\"command\": null, \"entrypoint\": [\"/agent\"]", "[\"/agent\"]"},
        {"\"command\": [\"/agent\"], \"entrypoint\": []", "[\"/agent\"]"},
        {"\"command\": [\"--port\"], \"entrypoint\": null", "[\"--port\"]"},
        {"\"command\": [\"--port\"], \"entrypoint\": []", NULL},
        {"\"command\": null, \"entrypoint\": []", NULL},
    };
    const struct sbx_json_api *json = json_table();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct options options = {0};
        struct sbx_error err = {0};
        char spec_text[200];
        snprintf(spec_text, sizeof spec_text, "{\"id\": \"i\", %s}", cases[i].spec);
        sbx_json *spec = json->parse(spec_text, strlen(spec_text), NULL);
        char *text = request_write(&options, json, "abc", spec, &err);
        assert_true((text != NULL) == (cases[i].wanted != NULL));
        sbx_json *request = text ? json->parse(text, strlen(text), NULL) : NULL;
        if (text)
            assert_string_equal(json->text(json->get(request, "command"), NULL), cases[i].wanted);
        else
            assert_non_null(strstr(err.message, "begin one of them with a program"));
        json->free(request);
        json->free(spec);
        free(text);
    }
}

static void gvisor_is_not_mentioned(void **state)
{
    (void)state;
    struct options options = {.resource_factor = 1};
    expect(&options, "{\"id\": \"i\"}",
           "{\"image\":\"i\",\"command\":null,\"working_dir\":null,\"environment\":{},\"session_id\":\"abc\","
           "\"resource_factor\":1,\"run_as_user\":0,\"run_as_group\":0,\"fs_group\":0}");
}

static void a_spec_without_an_id_is_none(void **state)
{
    (void)state;
    struct options options = {.resource_factor = 1};
    struct sbx_error error;
    assert_null(request_write(&options, json_table(), "abc", NULL, &error));
    assert_int_equal(error.kind, SBX_ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_options_speak_where_the_spec_says_nothing),
        cmocka_unit_test(the_spec_goes_before_the_options),
        cmocka_unit_test(an_entry_point_goes_before_the_command),
        cmocka_unit_test(gvisor_is_not_mentioned),
        cmocka_unit_test(a_spec_without_an_id_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
