/* api/openapi_document.h: the text of docs/openapi.json; embed.cmake writes its definition. */
#ifndef API_OPENAPI_DOCUMENT_H
#define API_OPENAPI_DOCUMENT_H

#include <stddef.h>

extern const char openapi_document[];
extern const size_t openapi_document_len;

#endif
