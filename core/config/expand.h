/* config/expand.h: ${NAME} in a scalar becomes the environment variable NAME, and $$ a dollar.
 *
 * Any other dollar is an error: a key written as "$KEY" would otherwise be taken as it stands. What comes
 * in is never read as YAML, and not expanded again.
 */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include "config/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* The expanded text in the arena and its length. `*replaced` when a variable is in it. `*budget` is how
 * many bytes all results may still have, and shrinks. NULL with a sentence in `why`, or with "" when the
 * arena failed. */
char *expand_text(struct config_arena *arena, const char *text, size_t len, size_t *budget, size_t *out_len,
                  bool *replaced, char *why, size_t why_size);

#endif
