/* sandbox/specs.c: what can be started: the configuration's specs, or else the default backend's own. */
#include "sandbox/internal.h"

#include <string.h>

static const struct config_spec *builtin(const struct service *service, const struct config *config)
{
    const struct home *home = map_get(&service->homes, config->default_backend);
    return home && home->builtin.id ? &home->builtin : NULL;
}

size_t service_specs_count(const struct service *service, const struct config *config)
{
    if (config->specs_len > 0)
        return config->specs_len;
    return builtin(service, config) ? 1 : 0;
}

const struct config_spec *service_spec_at(const struct service *service, const struct config *config,
                                          size_t index)
{
    if (config->specs_len > 0)
        return index < config->specs_len ? &config->specs[index] : NULL;
    return index == 0 ? builtin(service, config) : NULL;
}

const struct config_spec *service_spec_find(const struct service *service, const struct config *config,
                                            const char *id)
{
    if (!id)
        return service_spec_at(service, config, 0);
    const struct config_spec *spec;
    for (size_t i = 0; (spec = service_spec_at(service, config, i)); i++)
        if (strcmp(spec->id, id) == 0)
            return spec;
    return NULL;
}

int64_t service_specs_created_at_us(const struct service *service)
{
    return service->created_at_us;
}
