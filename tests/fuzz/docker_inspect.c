// uses: docker_pieces plugin
/* fuzz/docker_inspect.c: any JSON as the engine's inspection of a container, and as its listing. What is taken must be
 * what the rest of the docker backend relies on. */
#include "containers/container.h"
#include "plugin/json.h"

#include <stdlib.h>
#include <string.h>

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void inspect(const struct sbx_json_api *json, const sbx_json *value)
{
    struct facts facts;
    struct sbx_error error = {0};
    if (facts_from_inspect(&facts, json, value, &error) != 0) {
        require(error.kind != 0 && error.message[0]);
        return;
    }
    require(container_is_engine_id(facts.id) && facts.name[0] && facts.spec_id[0]);
    require(facts.working_dir && facts.error && strlen(facts.error) <= FACTS_TEXT_MAX);
    require(!facts.session_key || strlen(facts.session_key) <= 255);
    require(!facts.owner || strlen(facts.owner) <= 255);
    require(facts.exit_code >= -1 && facts.exit_code <= 255 && facts.created_at_us >= 0);
    require(facts.ports_len <= FACTS_PORTS_MAX && facts.names_len <= FACTS_NAMES_MAX);
    require(memchr(facts.status, 0, sizeof facts.status) != NULL);
    for (uint32_t i = 0; i < facts.ports_len; i++)
        require(facts.ports[i].container_port != 0 && facts.ports[i].host_port != 0);
    for (uint32_t i = 0; i < facts.names_len; i++)
        require(facts.names[i].container_port != 0 && facts.names[i].name[0] &&
                memchr(facts.names[i].name, 0, sizeof facts.names[i].name));
    facts_finish(&facts);
}

static void list(const struct sbx_json_api *json, const sbx_json *entry)
{
    struct listed listed;
    static char prefix[] = "oh-";
    static const struct options options = {.container_name_prefix = prefix};
    if (!listed_from(&listed, json, entry))
        return;
    require(container_is_engine_id(listed.id) && listed.name[0] && !strchr(listed.name, '/'));
    if (container_is_ours(&options, "local", listed.name, listed.backend))
        require(strlen(listed.name) <= 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sbx_json_api *json = json_table();
    sbx_json *value = json->parse((const char *)data, size, NULL);
    inspect(json, value);
    list(json, value);
    for (size_t i = 0, count = json->length(value); i < count; i++)
        list(json, json->at(value, i));
    json->free(value);

    char text[64];
    size_t len = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, len);
    text[len] = '\0';
    container_time_ns(text);
    return 0;
}
