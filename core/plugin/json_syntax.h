/* plugin/json_syntax.h: is this text exactly one JSON document (RFC 8259)?
 *
 * json-c takes more than that (names in single quotes, for one) and saturates integers in silence, so texts
 * are checked before it sees them. */
#ifndef PLUGIN_JSON_SYNTAX_H
#define PLUGIN_JSON_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_MAX_DEPTH = 64 };

/* Also refused: what is not UTF-8, more than 64 levels, an integer beyond 64 bits, and a zero byte in a string
 * (as \u0000), which no C string can hold. `*why` is set when the answer is false. Any bytes may be given. */
bool json_syntax(const char *text, size_t len, const char **why);

/* The same for text that is passed on and never read as numbers or C strings: integers of any size and \u0000 are
 * JSON too. `*at` is the offset of what is wrong. */
bool json_syntax_only(const char *text, size_t len, const char **why, size_t *at);

#endif
