/* test_webhook.c: where sandboxes are told to report to, by what the daemon listens on and what the operator says, and
 * what is said where the daemon is not there.
 */
#include "option_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define INSIDE "http://host.docker.internal"
#define FAR                                                                                                  \
    "\"host\": \"tcp://10.0.0.5:2376\", \"tls\": {}, \"bind_address\": \"10.0.0.5\", "                       \
    "\"container_url_pattern\": \"http://10.0.0.5:{port}\""
#define NOT_THERE                                                                                            \
    "host_port: sandboxes are told to report to " INSIDE ":3000, and this daemon does not listen there"

static int clean_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
                                        "DOCKER_HOST_ADDR"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    world_public_url = world_listen_urls = NULL;
    return 0;
}

/* `base` without its path; NULL: sandboxes are told nothing. `warning`: how the only one begins; NULL: there is none. */
static void expect(const char *listen, const char *members, const char *base, const char *warning)
{
    struct options options;
    char text[512], wanted[256];
    snprintf(text, sizeof text, "{%s}", members);
    world_listen_urls = listen;
    assert_int_equal(parse_options(&options, text), 0);
    snprintf(wanted, sizeof wanted, "%s/api/v1/webhooks", base ? base : "");
    assert_string_equal(options.webhook_base ? options.webhook_base : "nothing", base ? wanted : "nothing");
    if (!warning)
        assert_string_equal(said.warnings, "");
    else if (strncmp(said.warnings, warning, strlen(warning)) != 0 ||
             strchr(said.warnings, '\n') != strrchr(said.warnings, '\n'))
        fail_msg("%s", said.warnings);
    options_finish(&options);
}

static void by_itself_it_is_an_address_that_a_container_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *options, *base;
    } cases[] = {
        {NULL, "", NULL},
        {"[]", "", NULL},
        {"[\"http://127.0.0.1:3000\", \"http://[::1]:3000\"]", "", NULL},
        {"[\"http://127.0.0.1:3000\", \"http://0.0.0.0:3001\"]", "", INSIDE ":3001"},
        {"[\"http://[::]:3002\"]", "", INSIDE ":3002"},
        {"[\"http://172.17.0.1:3003\"]", "", "http://172.17.0.1:3003"},
        {"[\"http://[fd00::1]:3003\"]", "", "http://[fd00::1]:3003"},
        {"[\"https://0.0.0.0:3000\"]", "", NULL},
        {"[\"http://0.0.0.0:3000\"]", "\"extra_hosts\": []", NULL},
        {"[\"http://127.0.0.1:3000\"]", "\"network\": \"host\"", "http://127.0.0.1:3000"},
        {"[\"http://0.0.0.0:3000\"]", "\"network\": \"host\", \"extra_hosts\": []", "http://127.0.0.1:3000"},
        {"[\"http://0.0.0.0:3000\"]", FAR, NULL},
        {"[\"http://10.0.0.4:3000\"]", FAR, "http://10.0.0.4:3000"},
        {"[\"http://0.0.0.0:3000\"]", "\"host_port\": 0", NULL},
        {"[3, \"x\", \"http://nowhere:1\", \"http://0.0.0.0:0\", \"http://0.0.0.0:70000\"]", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].listen, cases[i].options, cases[i].base, NULL);
}

static void a_port_where_the_daemon_does_not_listen_is_warned_of(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *options, *base, *warning;
    } cases[] = {
        {NULL, "\"host_port\": 3000", INSIDE ":3000", NULL}, /* an earlier host does not tell */
        {"[\"http://0.0.0.0:3000\"]", "\"host_port\": 3000", INSIDE ":3000", NULL},
        {"[\"http://172.17.0.1:3000\"]", "\"host_port\": 3000", INSIDE ":3000", NULL},
        {"[\"http://127.0.0.1:3000\"]", "\"host_port\": 3000, \"network\": \"host\"", "http://127.0.0.1:3000",
         NULL},
        {"[]", "\"host_port\": 3000", INSIDE ":3000", NOT_THERE},
        {"[\"http://127.0.0.1:3000\"]", "\"host_port\": 3000", INSIDE ":3000", NOT_THERE},
        {"[\"http://0.0.0.0:3001\"]", "\"host_port\": 3000", INSIDE ":3000", NOT_THERE},
        {"[\"https://0.0.0.0:3000\"]", "\"host_port\": 3000", INSIDE ":3000", NOT_THERE},
        {"[\"http://0.0.0.0:3000\"]", "\"host_port\": 3000, \"extra_hosts\": []", INSIDE ":3000",
         "host_port: sandboxes are told to report to " INSIDE ":3000, and extra_hosts does not name"},
        {"[\"http://0.0.0.0:3000\"]", "\"host_port\": 3000, " FAR, INSIDE ":3000",
         "host_port: sandboxes are told to report to " INSIDE ":3000, which is the engine's machine"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].listen, cases[i].options, cases[i].base, cases[i].warning);
}

static void public_url_goes_before_it(void **state)
{
    (void)state;
    world_public_url = "https://sandboxes.example.org";
    expect("[\"http://127.0.0.1:3000\"]", "\"host_port\": 3000", "https://sandboxes.example.org", NULL);
    world_public_url = "http://localhost:3000";
    expect("[\"http://0.0.0.0:3000\"]", "", "http://localhost:3000",
           ": sandboxes are told to report to server.public_url, http://localhost:3000, which is the "
           "container itself");
    expect("[\"http://0.0.0.0:3000\"]", "\"network\": \"host\"", "http://localhost:3000", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(by_itself_it_is_an_address_that_a_container_reaches, clean_environment),
        cmocka_unit_test_setup(a_port_where_the_daemon_does_not_listen_is_warned_of, clean_environment),
        cmocka_unit_test_setup(public_url_goes_before_it, clean_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
