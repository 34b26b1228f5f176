/* config/json.h: parts of the tree as JSON text, and as a digest. */
#ifndef CONFIG_JSON_H
#define CONFIG_JSON_H

#include "config/keys.h"

/* A specification as the ABI's spec_json (sandboxd/backend.h), into spec->json. */
/* Sets config->listen_urls. */
void json_write_listen(struct config_reader *reader, struct config *config);

void json_write_spec(struct config_reader *reader, struct config_spec *spec);

/* SHA-256 of what a node and all below it hold. Neither positions nor the order of keys count; how a scalar
 * is written does. */
void json_digest(const struct config_node *node, uint8_t *sha256);

#endif
