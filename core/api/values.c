/* api/values.c: see values.h. */
#include "api/values.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Digits at `*text`, which is moved behind them; at least one. */
static bool digits(const char **text, int64_t *out)
{
    const char *at = *text;
    int64_t value = 0;
    bool fits = true;
    for (; *at >= '0' && *at <= '9'; at++)
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, *at - '0', &value);
    if (at == *text)
        return false;
    *text = at;
    *out = fits ? value : INT64_MAX;
    return true;
}

bool value_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    if (negative)
        text++;
    int64_t value;
    if (!digits(&text, &value) || *text)
        return false;
    *out = negative ? -value : value;
    return true;
}

bool value_flag(const char *text, bool *out)
{
    static const char *const names[][2] = {{"false", "true"}, {"0", "1"}, {"no", "yes"},
                                           {"off", "on"},     {"f", "t"}, {"n", "y"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (int flag = 0; flag < 2; flag++)
            if (strcasecmp(text, names[i][flag]) == 0) {
                *out = flag == 1;
                return true;
            }
    return false;
}

bool value_duration_ms(const char *text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    int64_t value;
    if (!digits(&text, &value))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(text, units[i].name) == 0) {
            if (__builtin_mul_overflow(value, units[i].ms, out))
                *out = INT64_MAX;
            return true;
        }
    return false;
}

bool value_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}
