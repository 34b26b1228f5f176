/* config/text.h: bytes to characters, and whole files to checked text. Knows no YAML. */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at the start of `len` > 0 bytes of UTF-8 (RFC 3629, section 4): its length, or 0 where
 * there is no valid one. */
size_t text_decode(const char *bytes, size_t len, uint32_t *character);

/* Whether all of it is UTF-8 of characters that a YAML file may have (YAML 1.2.2, section 5.1). If not,
 * the position of the first wrong byte, from 1, and what is wrong with it. */
bool text_check(const char *bytes, size_t len, unsigned *line, unsigned *column, const char **why);

/* Reads a regular file of at most `max` bytes. It never waits: a pipe, a device or a folder is refused.
 * Returns its bytes with a zero byte behind them, for text_free(); NULL with a sentence in `why`. */
char *text_read_file(const char *file, size_t max, size_t *len, bool *world_readable, char *why,
                     size_t why_size);
void text_free(char *bytes, size_t len); /* wipes; NULL is allowed */

#endif
