/* api/values.h: reading the values of parameters from their text. Pure: no request, no reply. */
#ifndef API_VALUES_H
#define API_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits, after one '-' at most; what does not fit into 64 bits becomes the nearest that does. */
bool value_integer(const char *text, int64_t *out);
/* true/false, 1/0, yes/no, on/off, t/f, y/n, whatever the case. */
bool value_flag(const char *text, bool *out);
/* "500ms", "30s", "2m", "1h", or bare seconds: digits and a unit (as in the configuration). What does not fit
 * becomes INT64_MAX. */
bool value_duration_ms(const char *text, int64_t *out);

/* Is `text` what the pattern says? `*` stands for any text, also none. */
bool value_matches(const char *pattern, const char *text);

#endif
