/* api/shell_words.h: the words of a command line, as a POSIX shell splits them (XCU 2.2: quoting; 2.3). Pure.
 *
 * Only words are found: nothing is expanded, and `;`, `|`, `>`, `$` and `#` are letters like others, since no
 * shell is going to run. */
#ifndef API_SHELL_WORDS_H
#define API_SHELL_WORDS_H

#include <stddef.h>

/* Writes each word and its zero byte to `out`, one after the other; they take at most strlen(text) + 1 bytes.
 * Returns how many there are, or -1 with `*why` saying what is wrong (a constant). */
long shell_words(const char *text, char *out, const char **why);

#endif
