/* api/errors.h: every answer that is not a success, in the one shape that clients know:
 * {"detail": "…"}, and beside it "error" where a backend is the cause. */
#ifndef API_ERRORS_H
#define API_ERRORS_H

#include "api/call.h"

struct sbx_error;

void errors_reply(struct call *call, int status, const char *detail);
/* With the words that the app server has for this status (401, 404, 405), which clients look for, as the detail,
 * and our own sentence beside it, as "reason". */
void errors_reply_official(struct call *call, int status, const char *reason);
/* The service said no at once: it is about the request, or about a backend that can't be asked. */
void errors_reply_refusal(struct call *call, const struct sbx_error *err);
/* What was begun failed: a backend (or the store) is the cause. Where the call is about a sandbox that is in ERROR for
 * it, its exit code and the tail of its log are told too. */
void errors_reply_failure(struct call *call, const struct sbx_error *err);
/* The same of a program's end: exit_code -1 and a NULL log_tail are not known. */
void errors_reply_end(struct call *call, const struct sbx_error *err, int exit_code, const char *log_tail);
void errors_reply_no_sandbox(struct call *call);
void errors_reply_draining(struct call *call);
/* Takes `backends`: a list of those that are not open, each with its name and the reason. */
void errors_reply_not_ready(struct call *call, const char *detail, struct json_object *backends);
/* No API key, or a wrong one. */
void errors_reply_no_key(struct call *call, const char *reason);
/* `challenge` is the scheme that WWW-Authenticate names. */
void errors_reply_unauthorized(struct call *call, const char *challenge, const char *detail);
/* Takes `problems`, a list as params.h makes it. */
void errors_reply_parameters(struct call *call, struct json_object *problems);

#endif
