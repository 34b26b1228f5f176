/* Health, readiness and metrics. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static void the_process_is_healthy_and_alive(void **state)
{
    (void)state;
    static const char *const paths[] = {"/health", "/alive"};
    for (size_t i = 0; i < 2; i++) {
        struct http_request request = {0};
        world_request(&request, "GET", paths[i]);
        assert_int_equal(request.status, 200);
        assert_string_equal(request.body, "{\"status\":\"ok\"}");
        front_free(&request);
    }
}

static void ready_names_the_backends_that_are_not(void **state)
{
    (void)state;
    struct http_request request = {0};
    world_request(&request, "GET", "/ready");
    assert_int_equal(request.status, 200);
    front_free(&request);

    error_set(&world.unavailable, SBX_ERR_UNAVAILABLE, "BACKEND_UNAVAILABLE", "engine is down");
    world_request(&request, "GET", "/ready");
    assert_int_equal(request.status, 503);
    assert_string_equal(request.body, "{\"detail\":\"not open: remote\",\"backends\":[{\"name\":\"remote\","
                                      "\"reason\":\"engine is down\"}]}");
    assert_non_null(strstr(request.reply_headers, "Retry-After: "));
    front_free(&request);

    world.unavailable.kind = SBX_ERR_NONE;
    world.not_listed = true;
    world_request(&request, "GET", "/ready");
    assert_int_equal(request.status, 503);
    front_free(&request);
}

static void a_full_disk_is_no_place_to_send_clients_to(void **state)
{
    (void)state;
    world.store_full = true;
    struct http_request request = {0};
    world_request(&request, "GET", "/ready");
    assert_int_equal(request.status, 503);
    assert_string_equal(request.body,
                        "{\"detail\":\"the disk of state_dir (/var/lib/state) is full: sandboxes can be "
                        "deleted, and nothing new is stored\",\"backends\":[]}");
    front_free(&request);
    error_set(&world.unavailable, SBX_ERR_UNAVAILABLE, "BACKEND_UNAVAILABLE", "engine is down");
    world_request(&request, "GET", "/ready");
    assert_non_null(strstr(request.body, "nothing new is stored; not open: remote\""));
    front_free(&request);
}

static void a_draining_daemon_is_not_ready_but_alive(void **state)
{
    (void)state;
    api_drain(world.api);
    struct http_request request = {0};
    world_request(&request, "GET", "/ready");
    assert_int_equal(request.status, 503);
    front_free(&request);
    world_request(&request, "GET", "/alive");
    assert_int_equal(request.status, 200);
    front_free(&request);
}

/* Every sample's family has been introduced by its HELP and TYPE. */
static void assert_prometheus(char *text)
{
    char family[64] = "", *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "# HELP %63s", family) == 1) {
            char *next = strtok_r(NULL, "\n", &rest), again[64], type[16];
            assert_int_equal(sscanf(next, "# TYPE %63s %15s", again, type), 2);
            assert_string_equal(again, family);
            continue;
        }
        size_t name = strcspn(line, "{ ");
        assert_int_equal(name, strlen(family));
        assert_memory_equal(line, family, name);
        const char *value = strrchr(line, ' ') + 1;
        assert_int_equal(strspn(value, "0123456789"), strlen(value));
    }
}

static void metrics_are_prometheus_text(void **state)
{
    (void)state;
    world_add("s1", NULL);
    api_set_server(world.api, (const struct http_server *)&world);
    struct http_request first = {0}, request = {0};
    world_request(&first, "GET", "/nowhere");
    front_free(&first);
    world_request(&request, "GET", "/metrics");
    assert_int_equal(request.status, 200);
    assert_string_equal(request.type, "text/plain; version=0.0.4; charset=utf-8");
    static const char *const samples[] = {
        "sandboxd_info{version=\"9.9.9\"} 1\n",
        "sandboxd_generation 4\n",
        "sandboxd_http_requests_total 7\n",
        "sandboxd_http_responses_total{code=\"4xx\"} 1\n",
        "sandboxd_backend_up{backend=\"remote\",plugin=\"far\\\"away\"} 1\n",
        "sandboxd_sandboxes{backend=\"local\",status=\"RUNNING\"} 1\n",
        "sandboxd_sandboxes{backend=\"remote\",status=\"RUNNING\"} 0\n",
        "sandboxd_starts_total 11\n",
        "sandboxd_store_writes_total 5\n",
        "sandboxd_store_full 0\n",
        "sandboxd_store_ballast_bytes 4096\n",
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        if (!strstr(request.body, samples[i]))
            fail_msg("%s is missing in:\n%s", samples[i], request.body);
    assert_null(strstr(request.body, "process_resident_memory_bytes 0\n"));
    assert_null(strstr(request.body, "process_open_fds 0\n"));
    assert_prometheus(request.body);
    front_free(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_process_is_healthy_and_alive, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(ready_names_the_backends_that_are_not, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_no_place_to_send_clients_to, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_draining_daemon_is_not_ready_but_alive, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(metrics_are_prometheus_text, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
