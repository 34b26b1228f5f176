/* credentials.h: finds a registry's credentials in the configuration of the Docker client (registry_auth.h),
 * asking a credential helper where it names one. The file is read anew each time: credentials rotate.
 *
 * Nothing of them is logged, or part of an error. What is wrong with the file or the helper is a warning in the log,
 * and as if there were none.
 */
#ifndef DOCKER_CREDENTIALS_H
#define DOCKER_CREDENTIALS_H

#include <sandboxd/backend.h>

struct credentials_lookup;

/* `header`: "X-Registry-Auth: …", borrowed for the call and wiped after it; NULL: there are none. */
typedef void (*credentials_done)(void *arg, const char *header);

/* Looks in FOLDER/config.json for the registry of that key (image_name_registry_key()). `done` comes once, never from
 * inside the call, within some 10 s. */
struct credentials_lookup *credentials_find(struct sbx_backend *backend, const char *folder,
                                            const char *registry, credentials_done done, void *arg);
/* `done` does not come any more. The lookup is gone afterwards. NULL is allowed. */
void credentials_cancel(struct credentials_lookup *lookup);

#endif
