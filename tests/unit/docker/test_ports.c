/* test_ports.c: host ports: from the range that was asked for, never one that somebody has, down to the last free one.
 */
#include "docker.h"
#include "plugin/json.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void random_bytes(void *bytes, size_t len)
{
    assert_int_equal(getrandom(bytes, len, 0), len);
}

static struct sbx_host host = {.size = sizeof host, .random = random_bytes};

/* Of a range that nobody looks at, since the engine is said to be elsewhere. */
enum { FIRST = 20011 };

static struct docker *world;
static sbx_json *spec;

static int set_up(void **state)
{
    static char names[][16] = {"AGENT_SERVER", "VSCODE"};
    (void)state;
    host.json = json_table();
    world = calloc(1, sizeof *world);
    spec = host.json->new_object();
    assert_non_null(world);
    world->host = &host;
    world->inside_container = true; /* no test depends on what others have bound on this machine */
    world->options = (struct options){.host = (char *)(uintptr_t) "unix:///x",
                                      .bind_address = (char *)(uintptr_t) "127.0.0.1",
                                      .network = (char *)(uintptr_t) "bridge",
                                      .ports_len = 2};
    for (unsigned i = 0; i < 2; i++)
        world->options.ports[i] =
            (struct exposed_port){.name = names[i], .container_port = (uint16_t)(8000 + i)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    table_finish(world);
    while (world->reserved) {
        struct reserved_port *reserved = world->reserved;
        world->reserved = reserved->next;
        free(reserved);
    }
    free(world);
    host.json->free(spec);
    return 0;
}

static void ranges(uint16_t first, uint16_t last)
{
    for (unsigned i = 0; i < 2; i++) {
        world->options.ports[i].first = first;
        world->options.ports[i].last = last;
    }
}

static void add_container(const char *name, enum container_state state, uint16_t port)
{
    struct container *container = table_add(world, name);
    container->facts.state = state;
    container->facts.ports[container->facts.ports_len++] =
        (struct published_port){.container_port = 8000, .host_port = port};
}

static void take_port_in_command(void)
{
    sbx_json *command = host.json->new_array();
    host.json->push(command, host.json->new_string("agent"));
    host.json->push(command, host.json->new_string("--listen=0.0.0.0:{port}"));
    host.json->set(spec, "command", command);
}

/* A port of the kernel's choice, bound by another program, so to speak. The descriptor. */
static int bind_some(const char *address, uint16_t *port)
{
    struct sockaddr_in where = {.sin_family = AF_INET};
    socklen_t len = sizeof where;
    assert_int_equal(inet_pton(AF_INET, address, &where.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    *port = ntohs(where.sin_port);
    return fd;
}

/* A port on which a server had a connection, which it ended first: in TIME-WAIT for the next minute. */
static uint16_t end_connection(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof where;
    char byte;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&where, sizeof where), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&where, &len), 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&where, sizeof where), 0);
    close(accept(listener, NULL, NULL));
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    close(client);
    close(listener);
    return ntohs(where.sin_port);
}

static uint16_t inside[2], outside[2];
static struct sbx_error error;

static int choose(void)
{
    error = (struct sbx_error){0};
    return ports_choose(world, spec, inside, outside, &error);
}

static void any_port_is_one_that_nobody_else_is_given(void **state)
{
    (void)state;
    static bool seen[65536];
    world->inside_container = false;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(choose(), 0);
        assert_int_equal(inside[0], 8000);
        assert_int_equal(inside[1], 8001);
        for (unsigned at = 0; at < 2; at++) {
            assert_true(outside[at] >= 1024 && !seen[outside[at]]);
            seen[outside[at]] = true;
        }
    }
}

static void a_port_inside_is_the_one_that_the_spec_asks_for(void **state)
{
    (void)state;
    static const char text[] = "[{\"name\": \"NOBODYS\", \"container_port\": 1}, {\"name\": 5},"
                               "{\"name\": \"%s\", \"container_port\": 70000},"
                               "{\"name\": \"%s\", \"container_port\": 60000}]";
    char ports[512];
    const char *name = world->options.ports[0].name;
    snprintf(ports, sizeof ports, text, name, name);
    host.json->set(spec, "ports", host.json->parse(ports, strlen(ports), NULL));
    assert_int_equal(choose(), 0);
    assert_int_equal(inside[0], 60000);
    assert_int_equal(inside[1], 8001);
}

static void a_released_port_is_there_again(void **state)
{
    (void)state;
    ranges(FIRST, FIRST + 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(choose(), 0);
        assert_int_equal(outside[0] + outside[1], 2 * FIRST + 1);
        ports_release(world, outside);
    }
    assert_null(world->reserved);
    ports_release(world, outside); /* once too often harms nothing */
}

static void the_last_free_port_of_a_range_is_found(void **state)
{
    (void)state;
    char name[32];
    ranges(FIRST, FIRST + 999);
    for (uint16_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "c%u", (unsigned)i);
        if (i != 417 && i != 801)
            add_container(name, i % 2 ? CONTAINER_EXITED : CONTAINER_RUNNING, (uint16_t)(FIRST + i));
    }
    assert_int_equal(choose(), 0);
    assert_int_equal(outside[0] + outside[1], 2 * FIRST + 417 + 801);
    assert_int_equal(choose(), -1);
    assert_string_equal(error.code, SBX_CODE_PORTS_EXHAUSTED);
    assert_string_equal(error.message, "no port from 20011 to 21010 is free for AGENT_SERVER");
    assert_true(error.retryable);
    ports_release(world, outside);
}

static void a_failed_choice_reserves_nothing(void **state)
{
    (void)state;
    ranges(FIRST, FIRST);
    assert_int_equal(choose(), -1);
    assert_string_equal(error.message, "no port from 20011 to 20011 is free for VSCODE");
    assert_null(world->reserved);
}

static void a_port_of_another_program_is_left_alone_where_that_can_be_seen(void **state)
{
    (void)state;
    uint16_t port;
    int fd = bind_some("127.0.0.1", &port);
    world->options.ports_len = 1;
    ranges(port, port);
    assert_int_equal(choose(), 0); /* inside a container nothing can be seen */
    ports_release(world, outside);
    world->inside_container = false;
    assert_int_equal(choose(), -1);
    world->options.host = (char *)(uintptr_t) "tcp://engine:2375";
    assert_int_equal(choose(), 0);
    close(fd);
}

static void a_port_is_looked_at_on_the_address_that_it_is_published_on(void **state)
{
    (void)state;
    uint16_t port;
    int fd = bind_some("127.0.0.2", &port);
    world->inside_container = false;
    world->options.ports_len = 1;
    ranges(port, port);
    world->options.bind_address = (char *)(uintptr_t) "127.0.0.2";
    assert_int_equal(choose(), -1);
    world->options.bind_address = (char *)(uintptr_t) "0.0.0.0";
    assert_int_equal(choose(), -1);
    world->options.bind_address = (char *)(uintptr_t) "127.0.0.3";
    assert_int_equal(choose(), 0);
    close(fd);
}

static void connections_that_have_ended_are_in_the_way_of_none(void **state)
{
    (void)state;
    uint16_t port = end_connection();
    world->inside_container = false;
    world->options.ports_len = 1;
    ranges(port, port);
    assert_int_equal(choose(), 0);
    assert_int_equal(outside[0], port);
    ports_release(world, outside);
    world->options.host_network = true;
    world->options.ports[0].container_port = port;
    assert_int_equal(choose(), 0);
}

static void an_address_that_this_host_does_not_have_is_for_the_engine_to_judge(void **state)
{
    (void)state;
    world->inside_container = false;
    world->options.bind_address = (char *)(uintptr_t) "192.0.2.1";
    assert_int_equal(choose(), 0);
    assert_true(outside[0] >= 32768 && outside[0] <= 60999);
    ranges(FIRST, FIRST + 5);
    assert_int_equal(choose(), 0);
}

static void under_profile_runtime_a_port_is_the_same_on_both_sides(void **state)
{
    (void)state;
    world->options.profile = PROFILE_RUNTIME;
    ranges(FIRST, FIRST + 9);
    assert_int_equal(choose(), 0);
    assert_int_equal(inside[0], outside[0]);
    assert_int_equal(inside[1], outside[1]);
}

static void on_the_hosts_network_a_command_that_takes_a_port_gets_a_free_one(void **state)
{
    (void)state;
    world->options.host_network = true;
    ranges(FIRST, FIRST + 9);
    take_port_in_command();
    assert_int_equal(choose(), 0);
    assert_in_range(outside[0], FIRST, FIRST + 9);
    assert_int_equal(inside[0], outside[0]);
}

static void on_the_hosts_network_other_commands_have_fixed_ports_one_sandbox_at_a_time(void **state)
{
    (void)state;
    world->options.host_network = true;
    world->options.ports[0].container_port = FIRST;
    world->options.ports[1].container_port = FIRST + 1;
    assert_int_equal(choose(), 0);
    assert_int_equal(inside[0], FIRST);
    assert_int_equal(outside[1], FIRST + 1);
    assert_int_equal(choose(), -1);
    assert_string_equal(error.code, SBX_CODE_PORTS_EXHAUSTED);
    assert_non_null(strstr(error.message, "port 20011 of AGENT_SERVER is taken"));
    assert_non_null(strstr(error.message, "{port}"));
}

static void on_the_hosts_network_a_fixed_port_of_another_program_is_taken_on_any_address(void **state)
{
    (void)state;
    uint16_t port;
    int fd = bind_some("127.0.0.2", &port);
    world->inside_container = false;
    world->options.host_network = true;
    world->options.ports_len = 1;
    world->options.ports[0].container_port = port;
    assert_int_equal(choose(), -1);
    assert_non_null(strstr(error.message, "of AGENT_SERVER is taken"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_port_is_one_that_nobody_else_is_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_inside_is_the_one_that_the_spec_asks_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_released_port_is_there_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_free_port_of_a_range_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_choice_reserves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_of_another_program_is_left_alone_where_that_can_be_seen,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_is_looked_at_on_the_address_that_it_is_published_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(connections_that_have_ended_are_in_the_way_of_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_this_host_does_not_have_is_for_the_engine_to_judge,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(under_profile_runtime_a_port_is_the_same_on_both_sides, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(on_the_hosts_network_a_command_that_takes_a_port_gets_a_free_one,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            on_the_hosts_network_other_commands_have_fixed_ports_one_sandbox_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            on_the_hosts_network_a_fixed_port_of_another_program_is_taken_on_any_address, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
