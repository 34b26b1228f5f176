// uses: docker_pieces plugin
/* fuzz/docker_pull.c: what a pull reads that others wrote: the engine's stream, its words, an image's name, the Docker
 * client's configuration and a credential helper's answer. */
#include "images/image_name.h"
#include "images/pull_failure.h"
#include "images/pull_progress.h"
#include "images/registry_auth.h"
#include "plugin/json.h"

#include <stdlib.h>
#include <string.h>

static void pull(const uint8_t *data, size_t size)
{
    static struct pull_progress whole, pieces;
    char text[96];
    pull_progress_init(&whole, json_table());
    pull_progress_init(&pieces, json_table());
    bool sane = pull_progress_feed(&whole, data, size), sane_in_pieces = true;
    for (size_t at = 0; at < size && sane_in_pieces; at += 7)
        sane_in_pieces = pull_progress_feed(&pieces, data + at, size - at < 7 ? size - at : 7);
    pull_progress_end(&whole);
    pull_progress_end(&pieces);
    struct pull_sums sums = pull_progress_sums(&whole);
    if (sane != sane_in_pieces || whole.steps != pieces.steps || whole.failed != pieces.failed ||
        whole.succeeded != pieces.succeeded || strcmp(whole.words, pieces.words) != 0)
        abort();
    if (sums.layers > PULL_LAYERS_MAX || sums.layers_done > sums.layers || sums.bytes_done > sums.bytes)
        abort();
    pull_progress_text(&whole, text, sizeof text);
    pull_progress_finish(&whole);
    pull_progress_finish(&pieces);
}

static void check_auth(struct registry_auth *auth)
{
    if (auth->header && (*auth->problem || *auth->helper || strpbrk(auth->header, "\r\n")))
        abort();
    registry_auth_finish(auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    pull(data, size);

    struct image_name name;
    if (image_name_parse(&name, text) && (!*name.name || !*name.tag || !*name.registry))
        abort();
    struct sbx_error error;
    const struct pull_facts facts = {.image = text, .registry = text};
    pull_failure_of(&error, &facts, text);

    struct registry_auth auth;
    registry_auth_from_config(&auth, json_table(), text, size, "fuzz.example");
    check_auth(&auth);
    registry_auth_from_helper(&auth, json_table(), text, size, "fuzz.example");
    check_auth(&auth);
    free(text);
    return 0;
}
