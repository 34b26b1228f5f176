/* A command in the log: what it runs is seen, and no secret of it. */
#include "sandbox/command_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static void the_command_is_seen_without_its_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *line; /* NULL: there is no command */
    } cases[] = {
        {"{\"command\":[\"agent-server\",\"--port\",\"{port}\"]}", "agent-server --port {port}"},
        {"{\"entrypoint\":[\"/init\"],\"command\":[\"a b\",\"it's\",\"\"]}", "/init 'a b' 'it'\\''s' ''"},
        {"{\"command\":null,\"initial_env\":{\"A\":\"hush-hush\"}}", NULL},
        {"{\"command\":[]}", NULL},
        {"no json", NULL},
        /* named */
        {"{\"command\":[\"x\",\"--api-key\",\"hush\",\"--verbose\"]}", "x --api-key *** --verbose"},
        {"{\"command\":[\"x\",\"--API_KEY=hush\",\"y=1\"]}", "x --API_KEY=*** y=1"},
        {"{\"command\":[\"x\",\"--no-auth\",\"--port\",\"1\"]}", "x --no-auth --port 1"},
        {"{\"command\":[\"env\",\"GITHUB_TOKEN=hush\",\"DB_PASSWORD=a=b\",\"x\"]}",
         "env GITHUB_TOKEN=*** DB_PASSWORD=*** x"},
        {"{\"command\":[\"sh\",\"-c\",\"TOKEN=hush exec x --secret hush  --port 1\"]}",
         "sh -c 'TOKEN=*** exec x --secret ***  --port 1'"},
        {"{\"command\":[\"sh\",\"-c\",\"curl -H \\\"X-API-Key: hush\\\" -H 'Authorization: Bearer hush' "
         "u\"]}",
         "sh -c 'curl -H \"X-API-Key: *** -H '\\''Authorization: Bearer *** u'"},
        {"{\"command\":[\"x\",\"https://me:hush@host/path?a=1\",\"http://host/a@b\"]}",
         "x 'https://***@host/path?a=1' http://host/a@b"},
        /* with blanks in it */
        {"{\"command\":[\"x\",\"--password\",\"hush hush\",\"--port\",\"1\"]}", "x --password *** --port 1"},
        {"{\"command\":[\"sh\",\"-c\",\"PASSWORD=\\\"hush hush\\\" x --token 'hush hush' y\"]}",
         "sh -c 'PASSWORD=*** *** x --token *** *** y'"},
        {"{\"command\":[\"sh\",\"-c\",\"curl -H 'Cookie: a=hush; b=hush' u\"]}",
         "sh -c 'curl -H '\\''Cookie: *** *** u'"},
        /* behind another name */
        {"{\"command\":[\"x\",\"--env=API_KEY=hush\",\"--with=user=me,token=hush\",\"-eTOKEN=hush\"]}",
         "x --env=API_KEY=*** --with=user=me,token=*** -eTOKEN=***"},
        {"{\"command\":[\"x\",\"https://me:hush@host/?a=1&token=hush\",\"--url=http://host/?key=hush\"]}",
         "x 'https://***@host/?a=1&token=***' '--url=http://host/?key=***'"},
        /* known */
        {"{\"command\":[\"x\",\"-k\",\"the-session-key\",\"(hush-hush)\",\"short\"],"
         "\"initial_env\":{\"A\":\"hush-hush\",\"B\":\"short\"}}",
         "x -k *** '(***)' short"},
        {"{\"command\":[\"\\u0001\",5]}", "'\x01' 5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[COMMAND_LINE_SIZE];
        bool there = command_line_of(cases[i].spec, strlen(cases[i].spec), "the-session-key", line);
        if (there != (cases[i].line != NULL) || (there && strcmp(line, cases[i].line) != 0))
            fail_msg("%s\n  is:        %s\n  should be: %s", cases[i].spec, there ? line : "(none)",
                     cases[i].line ? cases[i].line : "(none)");
    }
}

static void a_long_one_is_cut_at_a_character(void **state)
{
    (void)state;
    char spec[8192] = "{\"command\":[\"x", line[COMMAND_LINE_SIZE];
    for (size_t i = strlen(spec); i < 6000; i += 2)
        memcpy(spec + i, "\xc3\xa4", 3);
    strcat(spec, "\"]}");
    assert_true(command_line_of(spec, strlen(spec), "", line));
    size_t len = strlen(line);
    assert_in_range(len, COMMAND_LINE_SIZE - 5, COMMAND_LINE_SIZE - 1);
    assert_string_equal(line + len - 5, "\xc3\xa4\xe2\x80\xa6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_is_seen_without_its_secrets),
        cmocka_unit_test(a_long_one_is_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
