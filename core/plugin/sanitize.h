/* plugin/sanitize.h: makes what a plugin handed over fit to be passed on: texts, ids and errors. */
#ifndef PLUGIN_SANITIZE_H
#define PLUGIN_SANITIZE_H

#include <sandboxd/error.h>
#include <stdbool.h>
#include <stddef.h>

enum { SANDBOX_ID_MAX = 127 };

/* Well-formed UTF-8 (RFC 3629, section 4): no overlong forms, no surrogates. */
bool sanitize_is_utf8(const char *text, size_t len);
/* Copies at most size - 1 bytes of `text` (of `len`) and a zero byte; each byte that is not part of a
 * well-formed sequence, and each control character but newline and tab, becomes '?'. A sequence that does
 * not fit whole is left out. */
void sanitize_text(char *out, size_t size, const char *text, size_t len);

/* Letters, digits, '-', '_' and '.', 1 to 127 bytes. */
bool sanitize_is_sandbox_id(const char *id);
/* Of the same characters, at most `max` of them; not NULL. */
bool sanitize_is_id_prefix(const char *prefix, size_t max);

/* A copy of a plugin's error that keeps what error.h promises, whatever the plugin left in it: kinds it does
 * not know are internal, a code of another form gives way to the one of the kind, texts end and are UTF-8. */
void sanitize_error(struct sbx_error *out, const struct sbx_error *in);

#endif
