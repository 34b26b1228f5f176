/* plugin/locate.h: which file a backend's `plugin:` means. */
#ifndef PLUGIN_LOCATE_H
#define PLUGIN_LOCATE_H

#include "config/config.h"

#include <sandboxd/error.h>

/* NAME is DIR/NAME.so in the configuration's plugin_dir, else in `default_dir`; a text with a slash is a path.
 * Returns the absolute path of a file that is there, freed by the caller; NULL with a sentence that names what
 * was looked for and which plugins the folder has. Blocks (it looks at the disk); from any thread. */
char *plugin_locate(const struct config *config, const char *default_dir, const char *plugin,
                    struct sbx_error *err);

#endif
