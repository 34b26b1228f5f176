/* api/session.h: who asks, by the session key of a sandbox. */
#ifndef API_SESSION_H
#define API_SESSION_H

#include "api/call.h"

/* The sandbox whose key the request has; NULL: there is none, and the call was answered with 401. */
const struct sandbox *session_sandbox(struct call *call);
/* The same, also while it is being deleted. For its reports alone. */
const struct sandbox *session_reporter(struct call *call);
/* As session_sandbox(), while it is RUNNING. */
const struct sandbox *session_running_sandbox(struct call *call);
void session_reply_invalid(struct call *call);
void session_reply_unauthorized(struct call *call, const char *detail);

#endif
