/* document.h: the engine's JSON, read as a document.
 *
 * Pure. In JSON a string may hold the character U+0000, which no string of C can, so that the host's parser takes no
 * document with one. The engine lets anybody write it into a label, and its listings and events repeat the labels of
 * all containers: here it is read as U+FFFD.
 */
#ifndef DOCKER_DOCUMENT_H
#define DOCKER_DOCUMENT_H

#include <sandboxd/json.h>
#include <stddef.h>

/* Owned. NULL when it is not valid JSON. */
sbx_json *document_parse(const struct sbx_json_api *json, const char *text, size_t len);

#endif
