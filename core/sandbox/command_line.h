/* sandbox/command_line.h: a spec's command as a line of the log may have it: without its secrets. Pure.
 *
 * Blanked (***) is, in every argument, and in the words of those that are scripts:
 *   - what equals the session key or a value of initial_env, from SECRET_MIN bytes on;
 *   - what a name gives that sounds like a secret's (key, token, secret, password, passphrase, credential, auth, and others):
 *     NAME=VALUE, --name=VALUE, `--name VALUE`, `Name: VALUE`, --env=NAME=VALUE, ?name=VALUE;
 *     to the end of its quotes;
 *   - what follows the words Bearer and Basic;
 *   - what stands before the @ of a URL.
 */
#ifndef SANDBOX_COMMAND_LINE_H
#define SANDBOX_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

enum { COMMAND_LINE_SIZE = 1024, COMMAND_LINE_SECRET_MIN = 6 };

/* `spec_json` as the ABI's. Longer lines end in "…". False: it has no command, which is the backend's or the image's then. */
bool command_line_of(const char *spec_json, size_t spec_len, const char *session_key,
                     char out[COMMAND_LINE_SIZE]);

#endif
