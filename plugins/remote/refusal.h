/* refusal.h: what an answer other than 2xx means, in the API's own words.
 */
#ifndef REMOTE_REFUSAL_H
#define REMOTE_REFUSAL_H

#include <sandboxd/host.h>
#include <stdbool.h>

/* The beginning of a body for a message: 80 bytes at most, "…" where there are more, and '?' for what is no printable
 * ASCII. Ends before `secret` (may be NULL), and before a word such as "key" or "token", whose value may follow. */
enum { QUOTE_SIZE = 88 };
void refusal_quote(char to[QUOTE_SIZE], const void *body, size_t len, const char *secret);

/* `document`: its body, where that is JSON, else NULL. `came`: its content type and beginning in a few words, told where
 * the document has no reason in it. `what` names the call: "POST /start". `secret` (may be NULL) must not get into the
 * message, whatever the API says; in `came` it is not. True when the same request may succeed by itself later. */
bool refusal_of(struct sbx_error *err, const struct sbx_json_api *json, int status, const sbx_json *document,
                const char *came, const char *what, const char *secret);

/* The `error.code` that `value` has, as sandboxd answers with, where it has the form of one; NULL otherwise. Borrowed. */
const char *refusal_code(const struct sbx_json_api *json, const sbx_json *value);

/* 404, and from an API: nothing else says NOT_FOUND of a call. */
bool refusal_is_missing(const struct sbx_error *err);

#endif
