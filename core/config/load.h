/* config/load.h: what config_load() does once it has the bytes of the file; for tests and fuzzing too. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/config.h"

/* As config_load(), from memory. `file` is for messages only. */
struct config *config_parse(const char *file, const char *text, size_t len, struct config_problems *problems);

#endif
