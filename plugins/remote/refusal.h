/* refusal.h: what an answer other than 2xx means, in the API's own words.
 */
#ifndef REMOTE_REFUSAL_H
#define REMOTE_REFUSAL_H

#include <sandboxd/host.h>
#include <stdbool.h>

/* `document`: its body, where that is JSON, else NULL. `what` names the call: "POST /start". `secret` (may be NULL) must
 * not get into the message, whatever the API says. True when the same request may succeed by itself later. */
bool refusal_of(struct sbx_error *err, const struct sbx_json_api *json, int status, const sbx_json *document,
                const char *what, const char *secret);

/* The `error.code` that `value` has, as sandboxd answers with, where it has the form of one; NULL otherwise. Borrowed. */
const char *refusal_code(const struct sbx_json_api *json, const sbx_json *value);

/* 404, and from an API: nothing else says NOT_FOUND of a call. */
bool refusal_is_missing(const struct sbx_error *err);

#endif
