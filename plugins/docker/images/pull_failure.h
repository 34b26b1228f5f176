/* pull_failure.h: why a pull, a push or a build failed, told from the words of the engine, which are mostly those of a registry or of
 * Go's network library. Pure: looks at texts alone, none of which is a secret.
 */
#ifndef DOCKER_PULL_FAILURE_H
#define DOCKER_PULL_FAILURE_H

#include <sandboxd/error.h>
#include <stdbool.h>

/* Codes of a failed start, beside IMAGE_NOT_FOUND and NO_SPACE. */
#define CODE_PULL_DENIED "PULL_DENIED" /* the registry wants (other) credentials */
#define CODE_REGISTRY_UNAVAILABLE                                                                            \
    "REGISTRY_UNAVAILABLE" /* it can't be reached, or has enough of us; retryable */

#define CODE_PUSH_DENIED "PUSH_DENIED"   /* the same of a push */
#define CODE_BUILD_FAILED "BUILD_FAILED" /* the context can't be built */

/* What else is known of the pull. */
struct pull_facts {
    const char *image;
    const char *registry;
    bool with_credentials; /* the registry was given some */
};

/* Fills `err`: IMAGE_NOT_FOUND, one of the codes above, or BACKEND_REFUSED; always with the words. */
void pull_failure_of(struct sbx_error *err, const struct pull_facts *facts, const char *words);

/* Likewise of a push. */
void push_failure_of(struct sbx_error *err, const struct pull_facts *facts, const char *words);
/* Of a build: NO_SPACE or BUILD_FAILED. */
void build_failure_of(struct sbx_error *err, const char *words);

#endif
