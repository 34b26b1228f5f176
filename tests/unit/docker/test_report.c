/* What the host is told of an end: whether anything ever ran in the container, where a session's next start makes another
 * one in its place, with nothing of its files. */
#include "common/failure.h"
#include "docker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SECONDS UINT64_C(1000000000)
#define MADE (1795260300 * SECONDS)

static uint32_t flags;

static void report(struct sbx_backend *backend, const struct sbx_observation *observation)
{
    (void)backend;
    assert_true(observation->state == SBX_STATE_ENDED || observation->state == SBX_STATE_RUNNING);
    flags = observation->flags;
}

static bool is_unused(uint64_t started_at_ns, const char *state_error, const char *code)
{
    static char name[] = "sb-1", why[64];
    static struct sbx_host host = {.size = sizeof host, .report = report};
    struct docker docker = {.host = &host};
    snprintf(why, sizeof why, "%s", state_error);
    const struct container container = {.name = name,
                                        .facts = {.state = CONTAINER_EXITED,
                                                  .made_at_ns = MADE,
                                                  .started_at_ns = started_at_ns,
                                                  .exit_code = 127,
                                                  .error = why}};
    struct sbx_error error;
    failure_set(&error, SBX_ERR_INVALID, code, "why");
    flags = UINT32_MAX;
    report_end(&docker, &container, false, &error, "");
    assert_int_not_equal(flags, UINT32_MAX);
    return flags & SBX_OBSERVED_UNUSED;
}

static void what_never_started_is_unused(void **state)
{
    (void)state;
    assert_true(is_unused(0, "exec: no such file or directory", SBX_CODE_COMMAND_NOT_FOUND));
    assert_true(is_unused(0, "no such network", SBX_CODE_BACKEND_REFUSED));
}

static void an_init_that_found_no_program_at_first_leaves_it_unused(void **state)
{
    (void)state;
    assert_true(is_unused(MADE + 1 * SECONDS, "", SBX_CODE_COMMAND_NOT_FOUND));
    assert_false(is_unused(MADE + 1 * SECONDS, "", SBX_CODE_EXITED));
}

static void a_program_that_is_gone_by_a_later_start_has_left_its_files(void **state)
{
    (void)state;
    assert_false(
        is_unused(MADE + 1 * SECONDS, "exec: no such file or directory", SBX_CODE_COMMAND_NOT_FOUND));
    assert_false(is_unused(MADE + 3600 * SECONDS, "", SBX_CODE_COMMAND_NOT_FOUND));
}

static void what_publishes_nothing_is_reached_by_nobody(void **state)
{
    (void)state;
    static char name[] = "sb-1", pattern[] = "http://localhost:{port}", port_name[] = "AGENT_SERVER",
                empty[] = "";
    static struct sbx_host host = {.size = sizeof host, .report = report};
    struct docker docker = {.host = &host,
                            .options = {.container_url_pattern = pattern,
                                        .ports_len = 1,
                                        .ports = {{.name = port_name, .container_port = 8000}}}};
    struct container container = {
        .name = name,
        .facts = {.state = CONTAINER_RUNNING, .started_at_ns = MADE, .error = empty, .working_dir = empty}};
    report_container(&docker, &container);
    assert_int_equal(flags, SBX_OBSERVED_UNREACHED);
    container.facts.ports_len = 1;
    container.facts.ports[0].container_port = 8000;
    container.facts.ports[0].host_port = 40000;
    report_container(&docker, &container);
    assert_int_equal(flags, 0);
    container.facts.ports_len = 0; /* made by a daemon, with a port that it has lost */
    container.facts.names_len = 1;
    snprintf(container.facts.names[0].name, sizeof container.facts.names[0].name, "AGENT_SERVER");
    report_container(&docker, &container);
    assert_int_equal(flags, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_never_started_is_unused),
        cmocka_unit_test(what_publishes_nothing_is_reached_by_nobody),
        cmocka_unit_test(an_init_that_found_no_program_at_first_leaves_it_unused),
        cmocka_unit_test(a_program_that_is_gone_by_a_later_start_has_left_its_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
