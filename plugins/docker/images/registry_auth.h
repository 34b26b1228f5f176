/* registry_auth.h: a registry's credentials, from a Docker client's config.json or from the answer of a credential
 * helper, as the header that the engine takes (Engine API 1.41, "Authentication").
 *
 * Pure. Chooses as the Docker client does: a helper (`credHelpers`, then `credsStore`) goes before `auths`. A problem
 * names the place in the file, and never what stands there.
 */
#ifndef DOCKER_REGISTRY_AUTH_H
#define DOCKER_REGISTRY_AUTH_H

#include <sandboxd/json.h>
#include <stddef.h>

enum { AUTH_HELPER_MAX = 63, AUTH_PROBLEM_SIZE = 256, AUTH_HEADER_MAX = 15 * 1024 };

struct registry_auth {
    char *header;                     /* "X-Registry-Auth: …"; NULL: there are no credentials */
    char helper[AUTH_HELPER_MAX + 1]; /* to be asked for them: docker-credential-HELPER; "": nobody */
    char problem[AUTH_PROBLEM_SIZE];  /* a sentence for the log; "": none */
};

/* Both fill all of `auth`; registry_auth_finish() is due. `registry` is as image_name_registry_key() gives it.
 * May be called from any thread. */
void registry_auth_from_config(struct registry_auth *auth, const struct sbx_json_api *json, const char *text,
                               size_t len, const char *registry);
void registry_auth_from_helper(struct registry_auth *auth, const struct sbx_json_api *json, const char *text,
                               size_t len, const char *registry);
void registry_auth_finish(struct registry_auth *auth); /* wipes */

#endif
