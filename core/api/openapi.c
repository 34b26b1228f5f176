/* api/openapi.c: GET /openapi.json: docs/openapi.json, which the build puts into the program. */
#include "api/call.h"
#include "api/openapi_document.h"
#include "api/routes.h"

void openapi_get(struct call *call)
{
    call_reply(call, 200, call_json_type, openapi_document, openapi_document_len);
}
