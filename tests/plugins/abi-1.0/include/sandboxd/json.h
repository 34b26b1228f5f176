/* sandboxd/json.h: the host's JSON, as a table of functions.
 *
 * Part of the public backend ABI (see backend.h). Options, specs and records cross the ABI as UTF-8
 * JSON text; a plugin reads and writes it with this table and links no JSON library of its own.
 *
 * Values. `sbx_json` is an opaque value of one document. Every value that a function of this table
 * returns is one of two sorts, named in its comment:
 *   - owned:    the caller frees it with free(), or gives it away to set() or push();
 *   - borrowed: part of another value, valid until that one is freed or changed.
 * Functions that read accept NULL as a value and answer as for a JSON null, so that look-ups can be
 * chained without a check at each step. All functions may be called from any thread, as long as no
 * two threads use the same document at once.
 */
#ifndef SANDBOXD_JSON_H
#define SANDBOXD_JSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sbx_json sbx_json;

enum sbx_json_type {
    SBX_JSON_NULL = 0, /* also: no value at all */
    SBX_JSON_BOOL = 1,
    SBX_JSON_INT = 2,
    SBX_JSON_DOUBLE = 3,
    SBX_JSON_STRING = 4,
    SBX_JSON_ARRAY = 5,
    SBX_JSON_OBJECT = 6
};

struct sbx_json_api {
    uint32_t size; /* of this table: a function counts as there when the size covers it */

    /* Parses `len` bytes as exactly one document (RFC 8259), at most 64 levels deep. Owned; NULL when it is
     * not valid JSON or not valid UTF-8, and for what C can't hold: a string with a zero byte in it, an integer
     * beyond 64 bits (one beyond int64 is a double). `why` (may be NULL) receives a constant text then. */
    sbx_json *(*parse)(const char *text, size_t len, const char **why);
    void (*free)(sbx_json *owned); /* NULL is allowed */

    enum sbx_json_type (*type)(const sbx_json *value);
    const sbx_json *(*get)(const sbx_json *object, const char *key); /* borrowed; NULL: absent */
    size_t (*length)(const sbx_json *value);                    /* members of an array or object, else 0 */
    const sbx_json *(*at)(const sbx_json *array, size_t index); /* borrowed; NULL: past the end */
    /* Member number `index` of an object, in the order of the text: its key, and in `*value` (may be
     * NULL) the value. Both borrowed. NULL past the end. Linear in `index`. */
    const char *(*member)(const sbx_json *object, size_t index, const sbx_json **value);

    /* The text of a string, borrowed; `fallback` for every other type. */
    const char *(*string)(const sbx_json *value, const char *fallback);
    int64_t (*integer)(const sbx_json *value, int64_t fallback);
    double (*number)(const sbx_json *value, double fallback); /* int or double */
    int (*boolean)(const sbx_json *value, int fallback);

    sbx_json *(*new_object)(void);             /* owned */
    sbx_json *(*new_array)(void);              /* owned */
    sbx_json *(*new_string)(const char *text); /* owned; copies */
    sbx_json *(*new_integer)(int64_t value);   /* owned */
    sbx_json *(*new_double)(double value);     /* owned; null where it is not finite */
    sbx_json *(*new_boolean)(int value);       /* owned */
    sbx_json *(*copy)(const sbx_json *value);  /* owned, deep */
    /* Take `owned`, also where they fail (an object that is not one, out of memory): -1 then, else 0.
     * A NULL `owned` stores a JSON null. set() replaces a member of the same key. */
    int (*set)(sbx_json *object, const char *key, sbx_json *owned);
    int (*push)(sbx_json *array, sbx_json *owned);

    /* The value as compact text; borrowed from the value, valid until it is changed or freed. */
    const char *(*text)(const sbx_json *value, size_t *len);
};

#ifdef __cplusplus
}
#endif

#endif
