/* paths.h: where the program finds what belongs to it. SANDBOXD_VERSION and SANDBOXD_CONFIG_FILE come from
 * the build. */
#ifndef PATHS_H
#define PATHS_H

/* The plugins that were built or installed with this program: ../plugins beside the bin/ it runs from in a
 * build tree, else the folder below the prefix that it is installed in, wherever that was moved to. Found once,
 * kept for the life of the process. */
const char *paths_default_plugin_dir(void);

#endif
