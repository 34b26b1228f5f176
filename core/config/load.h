/* config/load.h: what config_load() does once it has the bytes of the file; for tests and fuzzing too. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/config.h"

/* What a configuration may take: its texts as they are and as JSON, where a byte can become six, and its
 * nodes. */
enum { CONFIG_MEMORY = 32 * 1024 * 1024 };

/* As config_load(), from memory, in an arena of at most `memory` bytes. `file` is for messages only. */
struct config *config_parse(const char *file, const char *text, size_t len, size_t memory,
                            struct config_problems *problems);

#endif
