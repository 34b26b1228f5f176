/* pull_failure.c: see pull_failure.h. The words are for people and change from release to release: what is looked for
 * is what the engine from 20.10 on and the registries' protocol (OCI Distribution, "Error Codes") have in common. */
#include "images/pull_failure.h"

#include "common/failure.h"
#include "engine/refusal.h"

#include <string.h>

static bool has_any(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcasestr(text, *list))
            return true;
    return false;
}

static bool is_disk_full(const char *words)
{
    static const char *const list[] = {"no space left on device", "disk quota exceeded", NULL};
    return has_any(words, list);
}

/* Docker Hub says the same of what does not exist and of what the caller may not see. */
static bool is_hidden(const char *words)
{
    static const char *const list[] = {"pull access denied", "repository does not exist", NULL};
    return has_any(words, list);
}

static bool is_missing(const char *words)
{
    static const char *const list[] = {"manifest unknown",
                                       "name unknown",
                                       "repository name not known",
                                       "no matching manifest",
                                       "does not match the specified platform",
                                       "no such image",
                                       NULL};
    return has_any(words, list);
}

static bool is_bad_name(const char *words)
{
    static const char *const list[] = {"invalid reference format", "invalid tag format",
                                       "invalid repository name", "invalid checksum digest", NULL};
    return has_any(words, list);
}

static bool is_denied(const char *words)
{
    static const char *const list[] = {"unauthorized",
                                       "no basic auth credentials",
                                       "authentication required",
                                       "incorrect username or password",
                                       "forbidden",
                                       NULL};
    /* "permission denied" is said of files. */
    return has_any(words, list) || (strcasestr(words, "denied") && !strcasestr(words, "permission denied"));
}

static bool is_unreachable(const char *words)
{
    static const char *const list[] = {"no such host",
                                       "server misbehaving", /* a resolver's SERVFAIL */
                                       "temporary failure in name resolution",
                                       "connection refused",
                                       "connection reset",
                                       "no route to host",
                                       "host is unreachable",
                                       "network is unreachable",
                                       "timeout",
                                       "timed out",
                                       "deadline exceeded",
                                       "request canceled",
                                       "toomanyrequests",
                                       "too many requests",
                                       "service unavailable",
                                       "internal server error",
                                       "bad gateway",
                                       ": EOF",
                                       "unexpected EOF",
                                       NULL};
    return has_any(words, list);
}

void pull_failure_of(struct sbx_error *err, const struct pull_facts *facts, const char *words)
{
    const char *image = facts->image, *registry = facts->registry;
    const char *given = facts->with_credentials
                            ? "the credentials that the registry was given may not do for it"
                            : "it may need credentials, and there are none for its registry";
    if (is_disk_full(words)) {
        failure_set(err, SBX_ERR_UNAVAILABLE, CODE_NO_SPACE,
                    "the engine has no room for the image %.120s: %.280s", image, words);
        err->retryable = 1;
    } else if (is_hidden(words)) {
        failure_set(err, SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND,
                    "the image %.120s does not exist, or %s: %.220s", image, given, words);
    } else if (is_missing(words)) {
        failure_set(err, SBX_ERR_NOT_FOUND, SBX_CODE_IMAGE_NOT_FOUND,
                    "the image %.120s does not exist: %.280s", image, words);
    } else if (is_bad_name(words)) {
        failure_set(err, SBX_ERR_INVALID, SBX_CODE_IMAGE_NOT_FOUND,
                    "%.120s is not a name that an image can have: %.280s", image, words);
    } else if (is_denied(words)) {
        failure_set(err, SBX_ERR_REFUSED, CODE_PULL_DENIED, "%.100s does not let us pull %.100s (%s): %.160s",
                    registry, image, given, words);
    } else if (is_unreachable(words)) {
        failure_set(err, SBX_ERR_UNAVAILABLE, CODE_REGISTRY_UNAVAILABLE,
                    "the registry %.100s does not give the image %.100s now: %.220s", registry, image, words);
        err->retryable = 1;
    } else {
        failure_set(err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED, "the pull of %.120s failed: %.300s",
                    image, words);
    }
}

void push_failure_of(struct sbx_error *err, const struct pull_facts *facts, const char *words)
{
    const char *image = facts->image, *registry = facts->registry;
    const char *given = facts->with_credentials
                            ? "the credentials that the registry was given may not do for it"
                            : "it may need credentials, and there are none for its registry";
    if (is_denied(words)) {
        failure_set(err, SBX_ERR_REFUSED, CODE_PUSH_DENIED, "%.100s does not let us push %.100s (%s): %.160s",
                    registry, image, given, words);
    } else if (is_disk_full(words)) {
        failure_set(err, SBX_ERR_UNAVAILABLE, CODE_NO_SPACE,
                    "there is no room to push the image %.120s: %.280s", image, words);
        err->retryable = 1;
    } else if (is_unreachable(words)) {
        failure_set(err, SBX_ERR_UNAVAILABLE, CODE_REGISTRY_UNAVAILABLE,
                    "the registry %.100s does not take the image %.100s now: %.220s", registry, image, words);
        err->retryable = 1;
    } else {
        failure_set(err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED, "the push of %.120s failed: %.300s",
                    image, words);
    }
}

void build_failure_of(struct sbx_error *err, const char *words)
{
    if (is_disk_full(words)) {
        failure_set(err, SBX_ERR_UNAVAILABLE, CODE_NO_SPACE,
                    "the engine has no room to build the image: %.380s", words);
        err->retryable = 1;
    } else {
        failure_set(err, SBX_ERR_REFUSED, CODE_BUILD_FAILED, "the build failed: %.420s", words);
    }
}
