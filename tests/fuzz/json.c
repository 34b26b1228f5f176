// uses: api
/* What the API makes of text that others wrote: the values of query parameters, the JSON that a plugin describes
 * itself with, and any bytes at all as a JSON string. What comes out has to be valid JSON, whatever went in. */
#include "api/text.h"
#include "api/values.h"
#include "plugin/json_syntax.h"

#include <stdlib.h>
#include <string.h>

/* Parses strictly, as a client would; the value is the caller's. */
static struct json_object *read_back(struct json_object *value)
{
    size_t len;
    const char *text = text_of(value, &len);
    const char *why;
    if (!json_syntax(text, len, &why))
        abort();
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *again = json_tokener_parse_ex(tokener, text, (int)len + 1);
    if (json_tokener_get_error(tokener) != json_tokener_success || strlen(text) != len)
        abort();
    json_tokener_free(tokener);
    return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';

    int64_t number;
    bool flag;
    if (value_duration_ms(text, &number) && number < 0)
        abort();
    value_integer(text, &number);
    value_flag(text, &flag);

    struct json_object *string = text_string(text);
    struct json_object *again = read_back(string);
    if (!json_object_equal(string, again))
        abort();
    json_object_put(again);
    json_object_put(string);

    struct json_object *object = text_parse_object(text, size);
    if (object) {
        again = read_back(object);
        if (!json_object_is_type(again, json_type_object))
            abort();
        json_object_put(again);
        json_object_put(object);
    }
    free(text);
    return 0;
}
