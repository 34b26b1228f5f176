/* config/scalar.c: see scalar.h. */
#include "config/scalar.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first, for printing; the one without a name is what a bare number counts. */
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},     {"ms", 1},      {"", 1000}};
static const struct unit sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};
static const struct unit ones[] = {{"", 1}};

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

static bool is_float(const char *text)
{
    static const char *const special[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const infinite[] = {".inf", ".Inf", ".INF", NULL};
    if (is_one_of(text, special))
        return true;
    text += *text == '-' || *text == '+';
    if (is_one_of(text, infinite))
        return true;
    size_t whole = strspn(text, "0123456789"), fraction = 0;
    text += whole;
    if (*text == '.') {
        fraction = strspn(text + 1, "0123456789");
        text += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        size_t digits = strspn(text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    return *text == '\0';
}

static bool is_integer(const char *text)
{
    const char *digits = "0123456789";
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
        digits = text[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF";
        text += 2;
    } else
        text += *text == '-' || *text == '+';
    size_t len = strspn(text, digits);
    return len > 0 && text[len] == '\0';
}

enum scalar_sort scalar_sort(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls))
        return SCALAR_NULL;
    if (is_one_of(text, trues))
        return SCALAR_TRUE;
    if (is_one_of(text, falses))
        return SCALAR_FALSE;
    if (is_integer(text))
        return SCALAR_INTEGER;
    return is_float(text) ? SCALAR_FLOAT : SCALAR_TEXT;
}

static unsigned digit_value(char c)
{
    return c >= 'a' ? (unsigned)(c - 'a') + 10 : c >= 'A' ? (unsigned)(c - 'A') + 10 : (unsigned)(c - '0');
}

bool scalar_integer(const char *text, uint64_t *magnitude, bool *negative)
{
    unsigned base = 10;
    *negative = *text == '-';
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x')) {
        base = text[1] == 'o' ? 8 : 16;
        text += 2;
    } else
        text += *text == '-' || *text == '+';
    uint64_t value = 0;
    for (; *text; text++)
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit_value(*text), &value))
            return false;
    *magnitude = value;
    return !*negative || value <= UINT64_C(1) << 63;
}

static bool in_units(const char *text, const struct unit *units, size_t count, uint64_t *value)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        uint64_t number = 0;
        bool over = false;
        for (size_t at = 0; at < digits; at++)
            over |= __builtin_mul_overflow(number, UINT64_C(10), &number) ||
                    __builtin_add_overflow(number, (uint64_t)(text[at] - '0'), &number);
        over |= __builtin_mul_overflow(number, units[i].factor, &number);
        *value = over ? UINT64_MAX : number;
        return true;
    }
    return false;
}

bool scalar_count(const char *text, uint64_t *value)
{
    return in_units(text, ones, 1, value);
}

bool scalar_duration(const char *text, uint64_t *ms)
{
    return in_units(text, durations, sizeof durations / sizeof *durations, ms);
}

bool scalar_size(const char *text, uint64_t *bytes)
{
    return in_units(text, sizes, sizeof sizes / sizeof *sizes, bytes);
}

bool scalar_hex(const char *text, uint8_t *out, size_t len)
{
    if (strlen(text) != 2 * len || strspn(text, "0123456789abcdefABCDEF") != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
    return true;
}

static void print(uint64_t value, const struct unit *unit, char *out)
{
    /* The last unit of each table divides everything. */
    while (*unit->name && (value == 0 || value % unit->factor != 0))
        unit++;
    snprintf(out, SCALAR_TEXT_SIZE, "%" PRIu64 "%s", value / unit->factor, unit->name);
}

void scalar_print_duration(uint64_t ms, char *out)
{
    print(ms, durations, out);
}

void scalar_print_size(uint64_t bytes, char *out)
{
    print(bytes, sizes, out);
}
