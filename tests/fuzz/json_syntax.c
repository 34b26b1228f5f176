// uses: plugin
/* fuzz/json_syntax.c: JSON that plugins are handed; what the syntax check takes, json-c takes. */
#include "plugin/json_syntax.h"
#include "plugin/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sbx_json_api *json = json_table();
    const char *why = NULL;
    sbx_json *value = json->parse((const char *)data, size, &why);
    if (!value && !why)
        abort();
    if ((value != NULL) != json_syntax((const char *)data, size, &why))
        abort();
    if (value) { /* and what is written can be read */
        size_t len;
        const char *text = json->text(value, &len);
        sbx_json *again = json->parse(text, len, &why);
        if (!again)
            abort();
        json->free(again);
    }
    json->free(value);
    return 0;
}
