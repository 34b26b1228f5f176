/* option_reader.h: a backend's `options:`, read by a table that says each one's name, type and bounds.
 *
 * What is wrong is told with its path and with what would be right, everything in one run. Options with rules of
 * their own stand in the table too (OPTION_OTHER), so that what is unknown can be told from what is there; the
 * backend reads those itself, with the functions further down.
 */
#ifndef PLUGINS_OPTION_READER_H
#define PLUGINS_OPTION_READER_H

#include <sandboxd/backend.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,     /* char *, not empty */
    OPTION_PATH,     /* char *, absolute, at most 1024 bytes */
    OPTION_INTEGER,  /* uint64_t, as all that follow */
    OPTION_SIZE,     /* bytes */
    OPTION_DURATION, /* milliseconds */
    OPTION_CPUS,     /* thousandths of a processor */
    OPTION_MAPPING,  /* its members are options in the same struct */
    OPTION_OTHER     /* read by the backend itself */
};

struct option_table {
    const char *noun; /* what an unknown name in it is called: "option", "limit" */
    const struct option *options;
    size_t count;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;                     /* in the backend's struct; a text is owned by it */
    uint64_t min, max;                 /* of a number */
    const char *text;                  /* default of a text; NULL: none */
    uint64_t number;                   /* default of a number */
    const struct option_table *nested; /* OPTION_MAPPING */
};

struct option_reader {
    const struct sbx_host *host;
    struct sbx_check *check; /* NULL: the first complaint is left in `err` */
    struct sbx_error *err;   /* may be NULL */
    unsigned errors;
};

/* Sets all that is in the table to its default; what was there is overwritten. */
void option_defaults(const struct option_table *table, void *options);

/* Parses the whole text. Owned by the caller; NULL after a complaint: it is no mapping. */
sbx_json *option_parse(struct option_reader *reader, const struct sbx_backend_config *config);

/* Reads what `object` has of the table's options, and complains about what it has beyond them. `path` is the
 * object's own: "" for the whole, "mounts[1]". A null counts as not given: in YAML it is what an empty value is. */
void option_read(struct option_reader *reader, const char *path, const sbx_json *object,
                 const struct option_table *table, void *options);

/* ---- for options with rules of their own ---- */

void option_complain(struct option_reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Only where somebody reads it: with a check. */
void option_warn(struct option_reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As a warning, and of nothing: what the option comes to. Nothing where the host takes no notes. */
void option_note(struct option_reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The member of an object, borrowed; NULL where it is absent or null. */
const sbx_json *option_given(const struct option_reader *reader, const sbx_json *object, const char *name);
/* Which of `names` (up to a NULL) it is; `otherwise` where the value is NULL, or after a complaint. */
unsigned option_choice(struct option_reader *reader, const char *path, const sbx_json *value,
                       const char *const *names, unsigned otherwise);
/* A copy of `text`, owned, in place of what was there (freed). */
void option_copy(char **to, const char *text);

#endif
