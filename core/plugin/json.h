/* plugin/json.h: the JSON that plugins are given (sandboxd/json.h). */
#ifndef PLUGIN_JSON_H
#define PLUGIN_JSON_H

#include <sandboxd/json.h>

const struct sbx_json_api *json_table(void);

#endif
