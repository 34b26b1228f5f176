// uses: api
/* Any text: as many words as are said fit into what the text takes, and they are split anew to themselves. */
#include "api/shell_words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The word in single quotes, as it was. */
static size_t quote(const char *word, char *out)
{
    size_t len = 0;
    out[len++] = '\'';
    for (; *word; word++) {
        if (*word == '\'') {
            memcpy(out + len, "'\\'", 3);
            len += 3;
        }
        out[len++] = *word;
    }
    out[len++] = '\'';
    out[len++] = ' ';
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size);
    size_t room = strlen(text) + 1;
    char *words = malloc(room), *quoted = malloc(room * 8 + 1), *again = malloc(room * 8 + 1);
    const char *why = NULL;
    long count = shell_words(text, words, &why);
    if (count < 0 && !why)
        abort();
    const char *word = words;
    size_t len = 0;
    for (long i = 0; i < count; i++, word += strlen(word) + 1)
        len += quote(word, quoted + len);
    quoted[len] = '\0';
    if (count >= 0 &&
        (shell_words(quoted, again, &why) != count || memcmp(again, words, (size_t)(word - words)) != 0))
        abort();
    free(again);
    free(quoted);
    free(words);
    free(text);
    return 0;
}
