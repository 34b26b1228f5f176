/* plugin/access_log.h: which lines of a program's output are access-log lines of this daemon's health checks?
 *
 * An agent server that idled for an hour has logged nothing else, and the tail of its output is to say why it ended. A pure
 * function. The full log is left as it is: only tails are made with this.
 */
#ifndef PLUGIN_ACCESS_LOG_H
#define PLUGIN_ACCESS_LOG_H

#include <stddef.h>

/* Takes such lines out of `text`, and answers how many bytes are left. Ours is a line with the User-Agent of a health
 * check; and one that has `"GET PATH HTTP/` and then a status, and names no User-Agent at all. `path` NULL: nothing is
 * known of it, and the User-Agent alone counts. From any thread. */
size_t access_log_drop_checks(char *text, size_t len, const char *path);

#endif
