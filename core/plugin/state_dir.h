/* plugin/state_dir.h: where a backend keeps what it can't keep in the store. */
#ifndef PLUGIN_STATE_DIR_H
#define PLUGIN_STATE_DIR_H

/* Makes STATE_DIR/backends/NAME with what is missing above it, 0700 each. Its absolute path, freed by the caller;
 * NULL with errno set. Blocks; from any thread. */
char *state_dir_make(const char *state_dir, const char *name);

#endif
