/* spec.c: see spec.h. Asks no engine: it has the last word, this only says earlier what it would say later. Of the files
 * of a build it looks whether there is a Dockerfile. */
#include "options/spec.h"

#include "images/image_name.h"
#include "options/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Why an engine refuses the name of an image; NULL: it may be right. */
static const char *wrong_image(const char *image)
{
    struct image_name name;
    if (*image == '\0' || strlen(image) > IMAGE_NAME_MAX)
        return "must be the name of an image, of at most 511 bytes";
    for (const char *c = image; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            return "must be the name of an image, which has no blanks and ASCII characters alone";
    if (!image_name_parse(&name, image))
        return NULL; /* an id */
    const char *path = name.name;
    size_t host = strlen(name.registry);
    if (strncmp(path, name.registry, host) == 0 && path[host] == '/')
        path += host;
    for (; *path; path++)
        if (isupper((unsigned char)*path))
            return "must be the name of an image, which is in lower case up to its tag";
    return NULL;
}

/* The image that is made needs a folder to be made in. */
static int check_context(const struct sbx_host *host, struct sbx_check *check,
                         const struct sbx_backend_config *config)
{
    struct options options;
    struct sbx_error why;
    char path[4200], message[4500];
    int result = options_parse(&options, host, NULL, config, &why);
    if (result == 0) {
        const char *folder = options.build_context ? options.build_context : "runtime-image";
        snprintf(path, sizeof path, "%s/Dockerfile", folder);
        if (access(path, R_OK) != 0) {
            snprintf(message, sizeof message,
                     "%s, from which the image is made, can't be read: %s; see the "
                     "option build_context of the backend",
                     path, strerrordesc_np(errno));
            host->option_error(check, "build", message);
            result = -1;
        }
    }
    options_finish(&options);
    return result;
}

int spec_check(const struct sbx_host *host, struct sbx_check *check, const struct sbx_backend_config *config,
               const char *spec_json, size_t spec_len)
{
    const struct sbx_json_api *json = host->json;
    sbx_json *spec = json->parse(spec_json, spec_len, NULL);
    int result = 0;
    const sbx_json *build = json->get(spec, "build");
    bool builds = json->type(build) != SBX_JSON_NULL; /* then the id is no image */
    const char *why =
        wrong_image(json->string(builds ? json->get(build, "base_image") : json->get(spec, "id"), ""));
    if (why) {
        host->option_error(check, builds ? "build.base_image" : "id", why);
        result = -1;
    }
    if (builds && check_context(host, check, config) != 0)
        result = -1;
    const char *dir = json->string(json->get(spec, "working_dir"), "");
    if (*dir && *dir != '/') {
        host->option_error(check, "working_dir", "must be an absolute path inside the container");
        result = -1;
    }
    json->free(spec);
    return result;
}
