/* common/document.h: JSON of others, read as a document.
 *
 * Pure. In JSON a string may hold the character U+0000, which no string of C can, so that the host's parser takes no
 * document with one. An engine lets anybody write it into a label, and its listings and events repeat the labels of
 * all containers; an answer about many runtimes has the output of their programs. So it is read as U+FFFD.
 */
#ifndef COMMON_DOCUMENT_H
#define COMMON_DOCUMENT_H

#include <sandboxd/json.h>
#include <stddef.h>

/* Owned. NULL when it is not valid JSON. From any thread. */
sbx_json *document_parse(const struct sbx_json_api *json, const char *text, size_t len);

#endif
