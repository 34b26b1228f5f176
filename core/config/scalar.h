/* config/scalar.h: the text of a scalar as a value. Pure functions: no tree, no messages. */
#ifndef CONFIG_SCALAR_H
#define CONFIG_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a plain scalar is by YAML's core schema (YAML 1.2.2, section 10.3.2): `yes`, `on` and `0b1` are text. */
enum scalar_sort {
    SCALAR_TEXT,
    SCALAR_NULL,
    SCALAR_TRUE,
    SCALAR_FALSE,
    SCALAR_INTEGER, /* 12, -1, 0o17, 0x1f, and any number of digits */
    SCALAR_FLOAT,   /* 1.5, .5, 1e3, .inf, .nan */
};
enum scalar_sort scalar_sort(const char *text);

/* The value of a SCALAR_INTEGER as a magnitude and a sign. False: it needs more than 64 bits. */
bool scalar_integer(const char *text, uint64_t *magnitude, bool *negative);

/* Each is false where the text is no such value, and gives UINT64_MAX where it is too large to hold. */
bool scalar_count(const char *text, uint64_t *value);        /* "1024" */
bool scalar_duration(const char *text, uint64_t *ms);        /* "500ms" "5s" "2m" "1h" "7d"; "5" is seconds */
bool scalar_size(const char *text, uint64_t *bytes);         /* "64KiB" "1MiB" "2GiB"; "4096" is bytes */
bool scalar_hex(const char *text, uint8_t *out, size_t len); /* exactly 2 * len hexadecimal digits */

/* As the file would have it, in the largest unit that fits evenly: "10s", "1MiB". */
enum { SCALAR_TEXT_SIZE = 32 };
void scalar_print_duration(uint64_t ms, char *out);
void scalar_print_size(uint64_t bytes, char *out);

#endif
