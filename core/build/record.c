/* build/record.c: see record.h. Texts are kept as they came; whoever shows them sees to it that they are UTF-8. */
#include "build/record.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = {
    [BUILD_BUILDING] = "BUILDING", [BUILD_SUCCESS] = "SUCCESS",
    [BUILD_FAILURE] = "FAILURE",   [BUILD_INTERNAL_ERROR] = "INTERNAL_ERROR",
    [BUILD_TIMEOUT] = "TIMEOUT",   [BUILD_CANCELLED] = "CANCELLED",
};

const char *record_status(enum build_status status)
{
    return words[status];
}

static void put(struct json_object *object, const char *key, const char *text)
{
    if (text)
        json_object_object_add(object, key, json_object_new_string(text));
}

char *record_write(const struct build *build, size_t *len)
{
    struct json_object *object = json_object_new_object(), *names = json_object_new_array();
    for (size_t i = 0; build->names[i]; i++)
        json_object_array_add(names, json_object_new_string(build->names[i]));
    put(object, "owner", build->owner);
    put(object, "backend", build->backend);
    put(object, "image", build->image);
    put(object, "status", words[build->status]);
    put(object, "error", build->error);
    put(object, "log", build->log);
    json_object_object_add(object, "names", names);
    json_object_object_add(object, "began_us", json_object_new_int64(build->began_us));
    json_object_object_add(object, "ended_us", json_object_new_int64(build->ended_us));
    char *text = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
    if (!text)
        abort();
    *len = strlen(text);
    json_object_put(object);
    return text;
}

static char *text_of(struct json_object *object, const char *key)
{
    struct json_object *value = json_object_object_get(object, key);
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    char *text = strdup(json_object_get_string(value));
    if (!text)
        abort();
    return text;
}

static enum build_status status_of(const char *word)
{
    for (size_t i = 0; word && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum build_status)i;
    return BUILD_INTERNAL_ERROR;
}

static void read_names(struct build *build, struct json_object *names)
{
    size_t count = json_object_is_type(names, json_type_array) ? json_object_array_length(names) : 0;
    for (size_t i = 0; i < count && i <= BUILD_TAGS_MAX; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(names, i));
        build->names[i] = strdup(name ? name : "");
        if (!build->names[i])
            abort();
    }
}

struct build *record_read(const char *id, const void *text, size_t len)
{
    if (strlen(id) >= BUILD_ID_SIZE || len > INT32_MAX)
        return NULL;
    struct json_tokener *tokener = json_tokener_new();
    if (!tokener)
        abort();
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)len);
    struct build *build = json_object_is_type(object, json_type_object) ? calloc(1, sizeof *build) : NULL;
    if (build) {
        memcpy(build->id, id, strlen(id) + 1);
        build->owner = text_of(object, "owner");
        build->backend = text_of(object, "backend");
        build->image = text_of(object, "image");
        build->error = text_of(object, "error");
        build->log = text_of(object, "log");
        build->status = status_of(json_object_get_string(json_object_object_get(object, "status")));
        build->began_us = json_object_get_int64(json_object_object_get(object, "began_us"));
        build->ended_us = json_object_get_int64(json_object_object_get(object, "ended_us"));
        read_names(build, json_object_object_get(object, "names"));
    }
    json_object_put(object);
    json_tokener_free(tokener);
    if (build && (!build->image || !build->backend)) {
        record_free(build);
        return NULL;
    }
    return build;
}

void record_free(struct build *build)
{
    for (size_t i = 0; build->names[i]; i++)
        free(build->names[i]);
    buffer_finish(&build->output);
    free(build->owner);
    free(build->backend);
    free(build->image);
    free(build->error);
    free(build->log);
    free(build);
}
