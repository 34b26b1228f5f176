/* option_world.h: options that a test parses, and what is said of them. One run at a time; what is returned is valid
 * until the next.
 */
#ifndef TESTS_DOCKER_OPTION_WORLD_H
#define TESTS_DOCKER_OPTION_WORLD_H

#include "options/options.h"
#include "plugin/json.h"

#include <stdio.h>
#include <string.h>

struct said {
    char errors[4096], warnings[4096], notes[4096];
};
static struct said said;
static const char *world_public_url, *world_listen_urls; /* of the daemon; NULL: none */

static inline void say(char *to, const char *path, const char *message)
{
    size_t used = strlen(to);
    snprintf(to + used, sizeof said.errors - used, "%s: %s\n", path, message);
}

static inline void say_error(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    say(said.errors, path, message);
}

static inline void say_warning(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    say(said.warnings, path, message);
}

static inline void say_note(struct sbx_check *check, const char *path, const char *message)
{
    (void)check;
    say(said.notes, path, message);
}

/* As `--check` does. The answer of options_parse(). */
static inline int parse_options(struct options *options, const char *text)
{
    static struct sbx_host host = {.size = sizeof host,
                                   .option_error = say_error,
                                   .option_warning = say_warning,
                                   .option_note = say_note};
    static char check;
    host.json = json_table();
    const struct sbx_backend_config config = {.size = sizeof config,
                                              .max_sandboxes = 5,
                                              .options_json = text,
                                              .options_len = strlen(text),
                                              .public_url = world_public_url,
                                              .listen_urls = world_listen_urls};
    said = (struct said){0};
    return options_parse(options, &host, (struct sbx_check *)(void *)&check, &config, NULL);
}

#endif
