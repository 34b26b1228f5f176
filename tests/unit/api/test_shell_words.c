/* The words of a command line. What is expected is what `sh` makes of the same text. */
#include "api/shell_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The words, each in [], or why there are none. */
static const char *split(const char *text)
{
    static char said[512];
    char *words = malloc(strlen(text) + 1); /* no more: the sanitizer would tell */
    const char *why = NULL;
    long count = shell_words(text, words, &why);
    said[0] = '\0';
    size_t len = 0;
    const char *word = words;
    for (long i = 0; i < count; i++, word += strlen(word) + 1)
        len += (size_t)snprintf(said + len, sizeof said - len, "[%s]", word);
    if (count < 0)
        snprintf(said, sizeof said, "%s", why);
    free(words);
    return said;
}

static void words_are_those_of_a_shell(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", ""},
        {" \t\n ", ""},
        {"a", "[a]"},
        {" a  b\tc\nd ", "[a][b][c][d]"},
        {"/usr/local/bin/openhands-agent-server --port 60000",
         "[/usr/local/bin/openhands-agent-server][--port][60000]"},
        {"sh -c 'a b; c' d", "[sh][-c][a b; c][d]"},
        {"\"a b\" c", "[a b][c]"},
        {"a'b c'd\"e f\"g", "[ab cde fg]"},
        {"'' \"\" a", "[][][a]"},
        {"a\\ b \\' \\\"", "[a b]['][\"]"},
        {"'a\\b' \"a\\b\"", "[a\\b][a\\b]"},
        {"\"\\$ \\` \\\" \\\\\"", "[$ ` \" \\]"},
        {"a\\\nb \\\n c \"d\\\ne\"", "[ab][c][de]"},
        {"echo $HOME;ls|x #y", "[echo][$HOME;ls|x][#y]"},
        {"\xC3\xA4 '\xE2\x82\xAC'", "[\xC3\xA4][\xE2\x82\xAC]"},
        {"a 'b", "a quote in it is not closed"},
        {"a \"b", "a quote in it is not closed"},
        {"a \"b\\", "a quote in it is not closed"},
        {"a b\\", "it ends in a backslash"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(split(rows[i][0]), rows[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_are_those_of_a_shell)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
