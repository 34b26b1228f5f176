/* config/suggest.h: which name somebody probably meant. Pure; owns nothing. */
#ifndef CONFIG_SUGGEST_H
#define CONFIG_SUGGEST_H

#include <stddef.h>

/* The name in `names` (`count` pointers, `stride` bytes apart) that `word` is probably a slip of; or NULL. */
const char *suggest(const char *word, const void *names, size_t count, size_t stride);

#endif
