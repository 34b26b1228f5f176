/* base/utf8.h: which bytes are UTF-8 (RFC 3629, section 4). Any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* The bytes of the well-formed sequence at `text`, of which `left` are there: 1 to 4; 0: it is none. Nothing behind the
 * first byte that does not fit is read, so that in a text that ends in a zero byte `left` may be UTF8_MAX. */
enum { UTF8_MAX = 4 };
size_t utf8_length(const char *text, size_t left);

#endif
