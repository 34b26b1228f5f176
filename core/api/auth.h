/* api/auth.h: who asks, by the API keys of the request's generation. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/call.h"

/* Fills in the call's viewer. NULL on success, else why not: a sentence for a 401. Without configured keys
 * everybody is the one local user, whatever was sent. */
const char *auth_identify(struct call *call);

#endif
