// uses: config
/* The configuration reader on any bytes: YAML, the table of keys, the rules between them. */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setenv("FUZZ", "7", 1);
    if (size > 64 * 1024)
        return 0;
    struct config_problems problems;
    config_problems_init(&problems);
    struct config *config = config_parse("fuzz", (const char *)data, size, CONFIG_MEMORY, &problems);
    if ((config == NULL) != (problems.errors > 0))
        abort(); /* a configuration, or a reason why there is none */
    char line[256];
    for (size_t i = 0; i < problems.len; i++)
        config_problem_format("fuzz", &problems.list[i], line, sizeof line);
    if (config) {
        unsigned at, column;
        config_option_position(&config->backends[0], "a.b[1].c", &at, &column);
        if (!config->default_backend || !config_find_backend(config, config->default_backend))
            abort();
        for (size_t i = 0; i < config->specs_len; i++)
            if (!config->specs[i].json || !config_find_backend(config, config->specs[i].backend))
                abort();
    }
    config_unref(config);
    config_problems_finish(&problems);
    return 0;
}
