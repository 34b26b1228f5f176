/* image_name.h: an image's name taken apart, as the Docker client does (distribution/reference, "Grammar"): an
 * optional registry, a path, and a tag or a digest.
 *
 * Pure. Not a check: the engine has the grammar, and says in its own words what is wrong with a name.
 */
#ifndef DOCKER_IMAGE_NAME_H
#define DOCKER_IMAGE_NAME_H

#include <stdbool.h>

enum { IMAGE_NAME_MAX = 511 };

/* The key of Docker Hub in a config.json. */
#define IMAGE_HUB_KEY "https://index.docker.io/v1/"

struct image_name {
    char name[IMAGE_NAME_MAX + 1]; /* with its registry, without tag and digest: "host:5000/team/app" */
    char tag[IMAGE_NAME_MAX + 1];  /* "latest" where there is none; a digest instead of a tag: "sha256:…" */
    char registry[IMAGE_NAME_MAX + 1]; /* "host:5000"; Docker Hub's is "docker.io" */
};

/* False for what can't be pulled: nothing, an image's id, a text of over IMAGE_NAME_MAX bytes or with blanks. */
bool image_name_parse(struct image_name *name, const char *image);
/* Under which the registry's credentials are kept. Borrowed from `name`, or constant. */
const char *image_name_registry_key(const struct image_name *name);

#endif
