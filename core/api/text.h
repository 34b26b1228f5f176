/* api/text.h: JSON values from what others wrote, and JSON text from values.
 *
 * Whatever bytes go in, what comes out is valid JSON in valid UTF-8. Values are json-c's.
 */
#ifndef API_TEXT_H
#define API_TEXT_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

/* A string; each byte that is not part of valid UTF-8 becomes U+FFFD. NULL: null (which is NULL in json-c). */
struct json_object *text_string(const char *bytes);
/* ISO 8601 with microseconds and "Z". */
struct json_object *text_time(int64_t wall_us);
/* Adds a member whose key is a constant and not there yet. Takes the value; NULL adds a null. */
void text_put(struct json_object *object, const char *key, struct json_object *value);
/* Takes the value. */
void text_push(struct json_object *array, struct json_object *value);
/* Compact text, which belongs to the value. */
const char *text_of(struct json_object *value, size_t *len);

/* Reads text that should be one JSON object and nothing else, at most 16 levels deep; NULL: it is not. */
struct json_object *text_parse_object(const char *text, size_t len);

#endif
