/* test_security.c: `security`: what is taken, what is said of it, and what a container is asked for then.
 */
#include "option_world.h"

#include "operations/create.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], profile[96];

static int make_profile(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/security-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(profile, sizeof profile, "%s/profile.json", folder);
    return 0;
}

static int remove_profile(void **state)
{
    (void)state;
    unlink(profile);
    rmdir(folder);
    return 0;
}

static void write_profile(const char *text)
{
    FILE *file = fopen(profile, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The HostConfig of a container with these options. Owned. */
static sbx_json *host_config(const char *text)
{
    static const uint16_t ports[OPTIONS_PORTS_MAX] = {1, 2, 3, 4};
    const struct sbx_json_api *json = json_table();
    struct options options;
    int parsed = parse_options(&options, text);
    assert_string_equal(said.errors, "");
    assert_int_equal(parsed, 0);
    const struct create_input input = {.backend_name = "boxes",
                                       .sandbox_id = "oh-agent-server-1",
                                       .session_key = "the-key",
                                       .spec_id = "agent:1",
                                       .container_ports = ports,
                                       .host_ports = ports};
    sbx_json *body = create_body(json, &options, &input, NULL);
    sbx_json *host = json->copy(json->get(body, "HostConfig"));
    json->free(body);
    options_finish(&options);
    return host;
}

static void expect(const sbx_json *host, const char *name, const char *wanted)
{
    const struct sbx_json_api *json = json_table();
    const sbx_json *value = json->get(host, name);
    assert_string_equal(value ? json->text(value, NULL) : "absent", wanted);
}

static void without_it_the_engine_does_what_it_does_by_itself(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}", "{\"security\": {}}",
        ("{\"security\": {\"seccomp\": \"default\", \"apparmor\": \"default\", "
         "\"read_only\": false, \"no_new_privileges\": false}}")};
    static const char *const names[] = {"SecurityOpt", "CapDrop", "CapAdd", "ReadonlyRootfs"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        sbx_json *host = host_config(texts[i]);
        for (size_t at = 0; at < sizeof names / sizeof *names; at++)
            expect(host, names[at], "absent");
        json_table()->free(host);
        assert_string_equal(said.warnings, "");
        assert_string_equal(
            said.notes, i == 0 ? ""
                               : "security: set-user-ID programs (sudo) work; the engine's seccomp profile; "
                                 "AppArmor: the engine's; the image can be written to\n");
    }
}

static void what_is_chosen_is_asked_for_and_told_in_one_line(void **state)
{
    (void)state;
    char text[400];
    write_profile("{ \"defaultAction\": \"SCMP_ACT_ALLOW\",\n\"syscalls\": [] }\n");
    snprintf(text, sizeof text,
             "{\"security\": {\"no_new_privileges\": true, \"cap_drop\": [\"ALL\"], \"cap_add\": [\"chown\", "
             "\"CAP_KILL\"], \"seccomp\": \"%s\", \"apparmor\": \"mine\", \"read_only\": true}}",
             profile);
    sbx_json *host = host_config(text);
    expect(host, "SecurityOpt",
           "[\"no-new-privileges\",\"seccomp={\\\"defaultAction\\\":\\\"SCMP_ACT_ALLOW\\\","
           "\\\"syscalls\\\":[]}\",\"apparmor=mine\"]");
    expect(host, "CapDrop", "[\"ALL\"]");
    expect(host, "CapAdd", "[\"chown\",\"CAP_KILL\"]");
    expect(host, "ReadonlyRootfs", "true");
    json_table()->free(host);
    assert_string_equal(
        said.notes, "security: set-user-ID programs (sudo) gain nothing; without the capabilities ALL; "
                    "with the capabilities chown, CAP_KILL; a seccomp profile of your own; AppArmor: mine; "
                    "the image can't be written to\n");
    assert_string_equal(said.warnings,
                        "security.cap_add: gives sandboxes more rights than the engine's default ones\n");
}

static void less_than_the_engines_guards_is_warned_of(void **state)
{
    (void)state;
    sbx_json *host =
        host_config("{\"security\": {\"seccomp\": \"unconfined\", \"apparmor\": \"unconfined\"}}");
    expect(host, "SecurityOpt", "[\"seccomp=unconfined\",\"apparmor=unconfined\"]");
    json_table()->free(host);
    assert_string_equal(said.warnings,
                        "security.seccomp: gives sandboxes the kernel without one of its guards\n"
                        "security.apparmor: gives sandboxes the kernel without one of its guards\n");
}

static void expect_error(const char *text, const char *wanted)
{
    struct options options;
    assert_int_equal(parse_options(&options, text), -1);
    if (!strstr(said.errors, wanted) || strchr(said.errors, '\n') != strrchr(said.errors, '\n'))
        fail_msg("%s: %s", text, said.errors);
    options_finish(&options);
}

static void what_is_wrong_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"security\": true}",
         "security: must be a mapping of no_new_privileges, cap_drop, cap_add, seccomp, "
         "apparmor and read_only"},
        {"{\"security\": {\"sudo\": true}}", "security.sudo: unknown member; there are no_new_privileges,"},
        {"{\"security\": {\"read_only\": \"yes\"}}", "security.read_only: must be true or false"},
        {"{\"security\": {\"cap_drop\": \"ALL\"}}", "security.cap_drop: must be a list of at most 64"},
        {"{\"security\": {\"cap_add\": [\"KILL\", \"NET\"]}}",
         "security.cap_add[1]: must be ALL or a capability"},
        {"{\"security\": {\"cap_add\": [3]}}", "security.cap_add[0]: must be ALL or a capability"},
        {"{\"security\": {\"seccomp\": \"profile.json\"}}",
         "security.seccomp: must be default, unconfined or the absolute path"},
        {"{\"security\": {\"seccomp\": \"/no/such/file\"}}",
         "security.seccomp: /no/such/file can't be read: No such file or directory"},
        {"{\"security\": {\"seccomp\": \"/dev/zero\"}}",
         "security.seccomp: /dev/zero must be an ordinary file"},
        {"{\"security\": {\"apparmor\": \"a b\"}}",
         "security.apparmor: must be default, unconfined or the name"},
        {"{\"security\": {\"apparmor\": \"a\"}, \"kwargs\": {\"HostConfig\": {\"SecurityOpt\": "
         "[\"apparmor=b\"]}}}",
         "kwargs.HostConfig.SecurityOpt[0]: chooses apparmor, and so does security.apparmor: leave one"},
        {"{\"security\": {\"no_new_privileges\": true}, \"kwargs\": {\"hostconfig\": {\"securityopt\": "
         "[\"no-new-privileges:false\"]}}}",
         "kwargs.hostconfig.securityopt[0]: chooses no-new-privileges, and so does "
         "security.no_new_privileges"},
        {"{\"security\": {\"read_only\": true}, \"kwargs\": {\"HostConfig\": {\"ReadonlyRootfs\": false}}}",
         "kwargs.HostConfig.ReadonlyRootfs: chooses what security.read_only does, too"},
        {"{\"security\": {\"cap_drop\": [\"ALL\"]}, \"kwargs\": {\"HostConfig\": {\"Privileged\": true}}}",
         "kwargs.HostConfig.Privileged: takes away"},
        {"{\"security\": {\"seccomp\": \"default\"}, \"kwargs\": {\"privileged\": true}}",
         "kwargs.privileged: takes away"},
        {"{\"security\": {\"apparmor\": \"default\"}, \"kwargs\": {\"privileged\": true}}",
         "kwargs.privileged: takes away"},
        {"{\"security\": {\"seccomp\": \"default\"}, \"kwargs\": {\"security_opt\": [\"apparmor=x\", "
         "\"seccomp=unconfined\"]}}",
         "kwargs.security_opt[1]: chooses seccomp, and so does security.seccomp: leave one of them out"},
        {"{\"security\": {\"no_new_privileges\": false}, \"kwargs\": {\"security_opt\": "
         "[\"no-new-privileges\"]}}",
         "kwargs.security_opt[0]: chooses no-new-privileges"},
        {"{\"security\": {\"read_only\": false}, \"kwargs\": {\"read_only\": true}}",
         "kwargs.read_only: chooses what security.read_only does, too"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(cases[i][0], cases[i][1]);
    static const char *const texts[] = {"", "[]", "{\"defaultAction\": 1}", "{", "null"};
    char text[200];
    snprintf(text, sizeof text, "{\"security\": {\"seccomp\": \"%s\"}}", profile);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_profile(texts[i]);
        expect_error(text, "must be a seccomp profile of the engine: a JSON object with a defaultAction");
    }
    assert_int_equal(truncate(profile, 1024 * 1024 + 1), 0);
    expect_error(text, "must be an ordinary file of at most 1 MiB");
}

static void capabilities_are_known_and_stand_once(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"security\": {\"cap_add\": [\"CHOWN\", \"KILL\"], \"cap_drop\": [\"cap_kill\"]}}",
         "security.cap_add[1]: KILL stands in security.cap_drop too, and is given or taken away, not both: "
         "leave one of them out"},
        {"{\"security\": {\"cap_add\": [\"ALL\", \"ALL\"]}}",
         "security.cap_add[1]: ALL stands in this list twice: leave one of them out"},
        {"{\"security\": {\"cap_drop\": [\"KILL\", \"CAP_kill\"]}}",
         "security.cap_drop[1]: CAP_kill stands in this list twice"},
        {"{\"security\": {\"cap_drop\": [\"CAP_ALL\"]}}",
         "security.cap_drop[0]: must be ALL or a capability"},
        {"{\"kwargs\": {\"cap_add\": [\"KILL\", \"FOO\"]}}",
         "kwargs.cap_add[1]: must be ALL or a capability of capabilities(7)"},
        {"{\"kwargs\": {\"HostConfig\": {\"capdrop\": [\"FOO\"]}}}",
         "kwargs.HostConfig.capdrop[0]: must be ALL or a capability of capabilities(7)"},
        {"{\"kwargs\": {\"cap_drop\": [\"KILL\", \"KILL\"]}}",
         "kwargs.cap_drop[1]: KILL stands in this list twice"},
        {"{\"kwargs\": {\"cap_drop\": [\"KILL\"], \"cap_add\": [\"KILL\"]}}",
         "kwargs.cap_add[0]: KILL stands in kwargs.cap_drop too"},
        {"{\"security\": {\"cap_drop\": [\"KILL\"]}, \"kwargs\": {\"cap_add\": [\"KILL\"]}}",
         "kwargs.cap_add[0]: KILL stands in security.cap_drop too"},
        {"{\"security\": {\"cap_add\": [\"KILL\"]}, \"kwargs\": {\"cap_drop\": [\"KILL\"]}}",
         "kwargs.cap_drop[0]: KILL stands in security.cap_add too"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(cases[i][0], cases[i][1]);
    sbx_json *host = host_config("{\"security\": {\"cap_drop\": [\"ALL\"], \"cap_add\": [\"KILL\"]}, "
                                 "\"kwargs\": {\"cap_add\": [\"cap_chown\"]}}");
    expect(host, "CapAdd", "[\"KILL\",\"cap_chown\"]");
    json_table()->free(host);
}

static void what_kwargs_say_besides_is_added(void **state)
{
    (void)state;
    sbx_json *host = host_config("{\"security\": {\"no_new_privileges\": true, \"cap_drop\": [\"KILL\"]}, "
                                 "\"kwargs\": {\"HostConfig\": {\"SecurityOpt\": [\"apparmor=x\"], "
                                 "\"CapDrop\": [\"CHOWN\"]}}}");
    expect(host, "SecurityOpt", "[\"no-new-privileges\",\"apparmor=x\"]");
    expect(host, "CapDrop", "[\"KILL\",\"CHOWN\"]");
    json_table()->free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_it_the_engine_does_what_it_does_by_itself),
        cmocka_unit_test(what_is_chosen_is_asked_for_and_told_in_one_line),
        cmocka_unit_test(less_than_the_engines_guards_is_warned_of),
        cmocka_unit_test(what_is_wrong_is_told_with_what_would_be_right),
        cmocka_unit_test(capabilities_are_known_and_stand_once),
        cmocka_unit_test(what_kwargs_say_besides_is_added),
    };
    return cmocka_run_group_tests(tests, make_profile, remove_profile);
}
