/* mirror/json_walk.h: walking through JSON text without building values of it, so that what agents sent can be passed
 * on byte for byte. The text is one that json_syntax_only() has found well, and ends in a zero byte. From any thread.
 */
#ifndef MIRROR_JSON_WALK_H
#define MIRROR_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>

/* A value in the text, without blanks around it; `at` NULL: there is none. */
struct walk_span {
    const char *at;
    size_t len;
};

const char *walk_blanks(const char *at); /* behind them */
const char *walk_value(const char *at);  /* behind the value that begins here */
/* Behind a comma and what is around it: at the next element or name, or at the end of the array or object. */
const char *walk_comma(const char *at);

/* The values of these members (names of letters and underscores) of the object that begins at `at`; the last of a name
 * counts, however it is spelled, as for whoever builds values of it (json-c, Python). */
void walk_members(const char *at, const char *const *names, struct walk_span *values, size_t count);

/* The text of a string, its escapes resolved. False: it is no string, has a zero byte in it, or not 1 to size - 1
 * bytes; `out` may be changed all the same. */
bool walk_text(const struct walk_span *value, char *out, size_t size);
bool walk_is_null(const struct walk_span *value); /* or not there */

#endif
