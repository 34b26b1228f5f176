/* option_reader.c: see option_reader.h. Knows no backend's options; makes and opens nothing. */
#include "common/option_reader.h"

#include "common/failure.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_SIZE = 512, PATH_SIZE = 200 };

/* ---- complaints ------------------------------------------------------------------------------ */

void option_complain(struct option_reader *reader, const char *path, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (reader->check)
        reader->host->option_error(reader->check, path, message);
    else if (reader->errors == 0)
        failure_set(reader->err, SBX_ERR_INVALID, "INVALID_OPTIONS", "%s: %s", path, message);
    reader->errors++;
}

void option_warn(struct option_reader *reader, const char *path, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (reader->check)
        reader->host->option_warning(reader->check, path, message);
}

void option_note(struct option_reader *reader, const char *path, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (reader->check && SBX_HAS(reader->host, option_note))
        reader->host->option_note(reader->check, path, message);
}

/* "a, b and c" */
static void add_name(char *list, size_t size, const char *name, size_t index, size_t count, const char *last)
{
    size_t len = strlen(list);
    const char *between = index == 0 ? "" : index + 1 == count ? last : ", ";
    snprintf(list + len, size - len, "%s%s", between, name);
}

static void list_options(char *list, size_t size, const struct option_table *table)
{
    *list = '\0';
    for (size_t i = 0; i < table->count; i++)
        add_name(list, size, table->options[i].name, i, table->count, " and ");
}

static void join(char *path, size_t size, const char *outer, const char *name)
{
    snprintf(path, size, "%.100s%s%.90s", outer, *outer ? "." : "", name);
}

/* ---- one type each: the value, or a complaint ------------------------------------------------ */

void option_copy(char **to, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    free(*to);
    *to = copy;
}

/* A decimal number with one of the units, as in "64KiB"; a bare one counts in `units[0]`. */
struct unit {
    const char *name;
    double factor;
};

static const struct unit sizes[] = {
    {"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776}, {NULL, 0}};
static const struct unit durations[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                        {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit cpus[] = {{"", 1000}, {NULL, 0}};

static bool read_measure(const struct sbx_json_api *json, const sbx_json *value, const struct unit *units,
                         double *result)
{
    enum sbx_json_type type = json->type(value);
    if (type == SBX_JSON_INT || type == SBX_JSON_DOUBLE) {
        *result = json->number(value, -1) * units[0].factor;
        return *result >= 0;
    }
    const char *text = json->string(value, "");
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    double number = strtod(text, &end);
    if (!isfinite(number) || memchr(text, 'x', (size_t)(end - text)) ||
        memchr(text, 'X', (size_t)(end - text)))
        return false;
    for (; units->name; units++)
        if (strcmp(end, units->name) == 0) {
            *result = number * units->factor;
            return true;
        }
    return false;
}

static void read_text(struct option_reader *reader, const char *path, const struct option *option,
                      const sbx_json *value, void *options)
{
    const char *text = reader->host->json->string(value, NULL);
    if (option->type == OPTION_PATH && (!text || *text != '/' || strlen(text) > 1024))
        option_complain(reader, path, "must be an absolute path of at most 1024 bytes");
    else if (!text || *text == '\0')
        option_complain(reader, path, "must be a text that is not empty");
    else
        option_copy((char **)(void *)((char *)options + option->offset), text);
}

static void read_number(struct option_reader *reader, const char *path, const struct option *option,
                        const sbx_json *value, void *options)
{
    const struct sbx_json_api *json = reader->host->json;
    uint64_t *to = (uint64_t *)(void *)((char *)options + option->offset);
    double number = -1;
    bool ok = false;
    const char *what;
    char range[120] = "";
    switch (option->type) {
    case OPTION_SIZE:
        ok = read_measure(json, value, sizes, &number);
        what = "a size such as 64KiB or 1MiB";
        snprintf(range, sizeof range,
                 option->max <= 1 << 30 ? ", from %lu bytes to %lu" : ", at least %lu bytes",
                 (unsigned long)option->min, (unsigned long)option->max);
        break;
    case OPTION_DURATION:
        ok = read_measure(json, value, durations, &number);
        what = "a duration such as 500ms or 10s";
        if (option->min > 0)
            snprintf(range, sizeof range, ", from %lums to %lus", (unsigned long)option->min,
                     (unsigned long)option->max / 1000);
        else
            snprintf(range, sizeof range, ", at most %lus", (unsigned long)option->max / 1000);
        break;
    case OPTION_CPUS:
        ok = read_measure(json, value, cpus, &number);
        what = "a number of processors such as 1.5";
        snprintf(range, sizeof range, ", from %g to %g", (double)option->min / 1000,
                 (double)option->max / 1000);
        break;
    default:
        ok = json->type(value) == SBX_JSON_INT;
        number = json->number(value, -1);
        what = "a whole number";
        snprintf(range, sizeof range, " from %lu to %lu", (unsigned long)option->min,
                 (unsigned long)option->max);
        break;
    }
    if (!ok || number < (double)option->min || number > (double)option->max)
        option_complain(reader, path, "must be %s%s", what, range);
    else
        *to = (uint64_t)(number + 0.5);
}

unsigned option_choice(struct option_reader *reader, const char *path, const sbx_json *value,
                       const char *const *names, unsigned otherwise)
{
    if (!value)
        return otherwise;
    const char *text = reader->host->json->string(value, "");
    unsigned count = 0;
    for (; names[count]; count++)
        if (strcmp(text, names[count]) == 0)
            return count;
    char list[MESSAGE_SIZE] = "";
    for (unsigned i = 0; i < count; i++)
        add_name(list, sizeof list, names[i], i, count, " or ");
    option_complain(reader, path, "must be %.400s", list);
    return otherwise;
}

/* ---- the whole ------------------------------------------------------------------------------- */

void option_defaults(const struct option_table *table, void *options)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        void *to = (char *)options + option->offset;
        if (option->type == OPTION_MAPPING) {
            option_defaults(option->nested, options);
        } else if (option->type == OPTION_TEXT || option->type == OPTION_PATH) {
            *(char **)to = NULL;
            if (option->text)
                option_copy(to, option->text);
        } else if (option->type != OPTION_OTHER) {
            *(uint64_t *)to = option->number;
        }
    }
}

sbx_json *option_parse(struct option_reader *reader, const struct sbx_backend_config *config)
{
    const struct sbx_json_api *json = reader->host->json;
    sbx_json *root = json->parse(config->options_json, config->options_len, NULL);
    if (json->type(root) == SBX_JSON_OBJECT)
        return root;
    option_complain(reader, "", "must be a mapping of options");
    json->free(root);
    return NULL;
}

const sbx_json *option_given(const struct option_reader *reader, const sbx_json *object, const char *name)
{
    const struct sbx_json_api *json = reader->host->json;
    const sbx_json *value = json->get(object, name);
    return json->type(value) == SBX_JSON_NULL ? NULL : value;
}

static void check_names(struct option_reader *reader, const char *path, const sbx_json *object,
                        const struct option_table *table)
{
    const struct sbx_json_api *json = reader->host->json;
    for (size_t i = 0; i < json->length(object); i++) {
        const char *name = json->member(object, i, NULL);
        bool known = false;
        for (size_t at = 0; at < table->count; at++)
            known |= strcmp(table->options[at].name, name) == 0;
        if (known)
            continue;
        char list[MESSAGE_SIZE], inner[PATH_SIZE];
        list_options(list, sizeof list, table);
        join(inner, sizeof inner, path, name);
        option_complain(reader, inner, "unknown %s; there are %.460s", table->noun, list);
    }
}

void option_read(struct option_reader *reader, const char *path, const sbx_json *object,
                 const struct option_table *table, void *options)
{
    check_names(reader, path, object, table);
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        const sbx_json *value = option_given(reader, object, option->name);
        char inner[PATH_SIZE], list[MESSAGE_SIZE];
        if (!value || option->type == OPTION_OTHER)
            continue;
        join(inner, sizeof inner, path, option->name);
        if (option->type == OPTION_TEXT || option->type == OPTION_PATH) {
            read_text(reader, inner, option, value, options);
        } else if (option->type != OPTION_MAPPING) {
            read_number(reader, inner, option, value, options);
        } else if (reader->host->json->type(value) == SBX_JSON_OBJECT) {
            option_read(reader, inner, value, option->nested, options);
        } else {
            list_options(list, sizeof list, option->nested);
            option_complain(reader, inner, "must be a mapping of %.400s", list);
        }
    }
}
