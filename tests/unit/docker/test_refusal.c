/* test_refusal.c: what the engine's messages are taken to mean. The texts are those of Docker Engine 20.10, as it gave
 * them, and of 23 to 29 where these word it otherwise. */
#include "engine/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define RUNC                                                                                                 \
    "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "  \
    "process: "

struct expected {
    int status;
    const char *message;
    enum sbx_error_kind kind;
    const char *code;
};

static void check(const struct expected *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sbx_error err;
        refusal_of(&err, list[i].status, list[i].message);
        if (strcmp(err.code, list[i].code) != 0 || err.kind != (int)list[i].kind)
            fail_msg("%s: %s, kind %d", list[i].message, err.code, err.kind);
        assert_string_equal(err.message, list[i].message);
    }
}

#define CHECK(list) check(list, sizeof(list) / sizeof(list)[0])

static void an_image_that_is_missing_is_told_as_such(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {404, "No such image: nothere:7", SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND},
        {404, "no such image: nothere: No such image: nothere:latest", SBX_ERR_NOT_FOUND,
         SBX_CODE_IMAGE_NOT_FOUND},
        {400, "invalid reference format: repository name must be lowercase", SBX_ERR_NOT_FOUND,
         SBX_CODE_IMAGE_NOT_FOUND},
        {404, "manifest for localhost:5000/x:y not found: manifest unknown: manifest unknown",
         SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND},
        {404,
         "pull access denied for nothere, repository does not exist or may require 'docker login': denied: "
         "requested access to the resource is denied",
         SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND},
        {404,
         "image with reference x:1 was found but does not match the specified platform: wanted linux/arm64, "
         "actual: linux/amd64",
         SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND},
        {500, "no matching manifest for linux/arm64/v8 in the manifest list entries", SBX_ERR_NOT_FOUND,
         SBX_CODE_IMAGE_NOT_FOUND},
    };
    CHECK(list);
}

static void a_command_that_is_missing_is_told_as_such(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {400, RUNC "exec: \"nothere\": executable file not found in $PATH: unknown", SBX_ERR_INVALID,
         SBX_CODE_COMMAND_NOT_FOUND},
        {400, RUNC "exec: \"/nothere\": stat /nothere: no such file or directory: unknown", SBX_ERR_INVALID,
         SBX_CODE_COMMAND_NOT_FOUND},
        {400, RUNC "exec: \"/noexec\": permission denied: unknown", SBX_ERR_INVALID,
         SBX_CODE_COMMAND_NOT_FOUND},
        {400, RUNC "exec: \"/dir\": is a directory: unknown", SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND},
        {400,
         "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "
         "\"nothere\": executable file not found in $PATH: unknown",
         SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND},
        {400,
         "failed to create shim task: OCI runtime create failed: crun: executable file `nothere` not found "
         "in "
         "$PATH: No such file or directory: unknown",
         SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND},
        {400, "No command specified", SBX_ERR_INVALID, SBX_CODE_COMMAND_NOT_FOUND},
    };
    CHECK(list);
}

/* The operator's matter, which a user can't mend by another command. */
static void a_program_that_the_engine_misses_is_not_the_sandboxs_command(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {500, "exec: \"docker-init\": executable file not found in $PATH", SBX_ERR_REFUSED,
         SBX_CODE_BACKEND_REFUSED},
        {400,
         "failed to create shim task: OCI runtime create failed: unable to retrieve OCI runtime error (open "
         "/run/log.json: no such file or directory): exec: \"runsc\": executable file not found in $PATH: "
         "unknown",
         SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {400,
         RUNC "error during container init: error mounting \"/tmp\" to rootfs at \"/hold\": mount /tmp:/hold "
              "(via /proc/self/fd/6), flags: 0x5000: not a directory: unknown",
         SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
    };
    CHECK(list);
}

static void a_port_that_is_taken_is_told_apart(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {500,
         "driver failed programming external connectivity on endpoint b (9f4ce136): Bind for 127.0.0.1:34567 "
         "failed: port is already allocated",
         SBX_ERR_REFUSED, CODE_PORT_TAKEN},
        {500,
         "driver failed programming external connectivity on endpoint c (ede538e6): Error starting userland "
         "proxy: listen tcp4 127.0.0.1:34568: bind: address already in use",
         SBX_ERR_REFUSED, CODE_PORT_TAKEN},
        {500,
         "failed to set up container networking: driver failed programming external connectivity on endpoint "
         "d (ede5): failed to bind host port for 127.0.0.1:34568:172.17.0.2:80/tcp: address already in use",
         SBX_ERR_REFUSED, CODE_PORT_TAKEN},
        {500,
         "failed to set up container networking: driver failed programming external connectivity on endpoint "
         "e (ede5): failed to bind host port 127.0.0.1:34568/tcp: address already in use",
         SBX_ERR_REFUSED, CODE_PORT_TAKEN},
    };
    CHECK(list);
    struct sbx_error err;
    refusal_of(&err, list[0].status, list[0].message);
    assert_true(refusal_is_port_taken(&err));
    assert_true(err.retryable);
    assert_false(refusal_is_unknown(&err));
    refusal_of(&err, 500, "Address already in use"); /* of a container, by `kwargs` */
    assert_false(refusal_is_port_taken(&err));
    refusal_of(
        &err, 500,
        "driver failed programming external connectivity on endpoint f (1e10de38): Error starting userland "
        "proxy: listen tcp4 203.0.113.5:34567: bind: cannot assign requested address");
    assert_false(refusal_is_port_taken(&err));
}

static void only_the_engines_own_words_say_that_a_container_is_gone(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {404, "No such container: x", SBX_ERR_NOT_FOUND, "NOT_FOUND"},
        {404, "Cannot kill container: x: No such container: x", SBX_ERR_NOT_FOUND, "NOT_FOUND"},
        {404, "no container with name or ID \"x\" found: no such container", SBX_ERR_NOT_FOUND, "NOT_FOUND"},
        {404, "get x: no such volume", SBX_ERR_NOT_FOUND, "NOT_FOUND"},
        {404, "network nonet not found", SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {404, "failed to set up container networking: network nonet not found", SBX_ERR_REFUSED,
         SBX_CODE_BACKEND_REFUSED},
        {404, "page not found", SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {500, "cannot mount: No such container: x", SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
    };
    CHECK(list);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct sbx_error err;
        refusal_of(&err, list[i].status, list[i].message);
        assert_int_equal(refusal_is_not_found(&err), i < 4);
    }
    struct sbx_error err;
    refusal_of(&err, 404, NULL);
    assert_false(refusal_is_not_found(&err));
    assert_string_equal(err.message, "the engine answered with status 404 and no reason");
}

static void a_state_that_does_not_allow_it_is_a_conflict(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {409,
         "Conflict. The container name \"/x\" is already in use by container \"f207\". You have to remove "
         "(or "
         "rename) that container to be able to reuse that name.",
         SBX_ERR_CONFLICT, "CONFLICT"},
        {500, "Container f207 is not paused", SBX_ERR_CONFLICT, "CONFLICT"},
        {409, "Container f207 is already paused", SBX_ERR_CONFLICT, "CONFLICT"},
        {409, "Container f207 is not running", SBX_ERR_CONFLICT, "CONFLICT"},
        {409, "cannot start a paused container, try unpause instead", SBX_ERR_CONFLICT, "CONFLICT"},
        {409, "cannot join network of a non running container: f207", SBX_ERR_CONFLICT, "CONFLICT"},
        {409, "removal of container x is already in progress", SBX_ERR_CONFLICT, "REMOVAL_IN_PROGRESS"},
    };
    CHECK(list);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct sbx_error err;
        refusal_of(&err, list[i].status, list[i].message);
        assert_int_equal(refusal_is_being_removed(&err), i == 6);
    }
}

static void what_may_pass_is_retryable(void **state)
{
    (void)state;
    static const struct expected list[] = {
        {500, "write /var/lib/docker/x: no space left on device", SBX_ERR_UNAVAILABLE, CODE_NO_SPACE},
        {500, "toomanyrequests: You have reached your pull rate limit.", SBX_ERR_REFUSED,
         SBX_CODE_BACKEND_REFUSED},
        {500, "Get \"http://localhost:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
         SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {503, "the daemon is shutting down", SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE},
        {400, "Minimum memory limit allowed is 6MB", SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {400, "Unknown runtime specified runsc", SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {400, "invalid mount config for type \"bind\": bind source path does not exist: /nothere/x",
         SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED},
        {500, "could not select device driver \"\" with capabilities: [[gpu]]", SBX_ERR_REFUSED,
         SBX_CODE_BACKEND_REFUSED},
    };
    CHECK(list);
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct sbx_error err;
        refusal_of(&err, list[i].status, list[i].message);
        assert_int_equal(err.retryable, i < 4);
    }
}

static void words_are_one_line_of_utf8(void **state)
{
    (void)state;
    struct sbx_error err;
    refusal_of(&err, 500, "a\nb\tc\x7f\xff d\xc3\xa9 \xed\xa0\x80 \xf0\x9f\x98\x80\r\n");
    assert_string_equal(err.message, "a b c ? d\xc3\xa9 ??? \xf0\x9f\x98\x80");
    refusal_of(&err, 500, " \n");
    assert_string_equal(err.message, "the engine answered with status 500 and no reason");
    refusal_of(&err, 500, "cut off in a letter \xe2\x82");
    assert_string_equal(err.message, "cut off in a letter ??");
}

static void of_a_long_message_the_end_is_kept_too(void **state)
{
    (void)state;
    static char text[20000]; /* of letters of two bytes, and of one */
    for (size_t offset = 0; offset < 2; offset++) {
        memset(text, 0, sizeof text);
        memset(text, 'x', offset);
        for (size_t i = offset; i + 3 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa9", 2);
        const char end[] = ": port is already allocated";
        memcpy(text + sizeof text - sizeof end - 2 + offset, end, sizeof end);
        struct sbx_error err;
        refusal_of(&err, 500, text);
        assert_true(refusal_is_port_taken(&err));
        size_t len = strlen(err.message);
        assert_in_range(len, 440, sizeof err.message - 1);
        assert_string_equal(err.message + len - strlen(end), end);
        assert_null(strchr(err.message, '?'));
    }
}

static void a_script_that_could_not_be_executed_hints_at_its_interpreter(void **state)
{
    (void)state;
    struct sbx_error err;
    refusal_of(&err, 400, RUNC "exec: \"/run.sh\": no such file or directory: unknown");
    assert_string_equal(err.code, SBX_CODE_COMMAND_NOT_FOUND);
    assert_non_null(strstr(err.message,
                           "\"/run.sh\": no such file or directory: unknown: it does not exist, or the "
                           "interpreter that its first line names doesn't (in a script with CRLF"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_that_is_missing_is_told_as_such),
        cmocka_unit_test(a_command_that_is_missing_is_told_as_such),
        cmocka_unit_test(a_script_that_could_not_be_executed_hints_at_its_interpreter),
        cmocka_unit_test(a_program_that_the_engine_misses_is_not_the_sandboxs_command),
        cmocka_unit_test(a_port_that_is_taken_is_told_apart),
        cmocka_unit_test(only_the_engines_own_words_say_that_a_container_is_gone),
        cmocka_unit_test(a_state_that_does_not_allow_it_is_a_conflict),
        cmocka_unit_test(what_may_pass_is_retryable),
        cmocka_unit_test(words_are_one_line_of_utf8),
        cmocka_unit_test(of_a_long_message_the_end_is_kept_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
