/* base/clock.c: see clock.h. Owns nothing. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
    return clock_us() / 1000;
}

int64_t clock_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_iso(int64_t wall_us, char *out)
{
    int64_t seconds = wall_us / 1000000;
    int64_t micros = wall_us % 1000000;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm tm;
    /* Outside years 0 to 9999 there is no such text; nothing of ours is. */
    if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099) {
        memcpy(out, "1970-01-01T00:00:00.000000Z", CLOCK_ISO_SIZE);
        return;
    }
    char date[CLOCK_ISO_SIZE];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, CLOCK_ISO_SIZE, "%.19s.%06dZ", date, (int)micros);
}

/* ---- reading ISO 8601 ------------------------------------------------------------------------ */

/* Exactly `count` digits at `*text`, which is moved behind them; at most `most`. */
static bool read_digits(const char **text, int count, int most, int *out)
{
    *out = 0;
    for (; count > 0; count--, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *out = *out * 10 + (**text - '0');
    }
    return *out <= most;
}

static bool read_char(const char **text, const char *wanted)
{
    if (!**text || !strchr(wanted, **text))
        return false;
    (*text)++;
    return true;
}

static bool read_date(const char **text, struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!read_digits(text, 4, 9999, &year) || !read_char(text, "-") || !read_digits(text, 2, 12, &month) ||
        !read_char(text, "-") || !read_digits(text, 2, 31, &day) || year < 1970 || month < 1 || day < 1)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    return day <= days[month - 1] + (month == 2 && leap);
}

static bool read_time(const char **text, struct tm *tm, int *micros)
{
    if (!read_digits(text, 2, 23, &tm->tm_hour) || !read_char(text, ":") ||
        !read_digits(text, 2, 59, &tm->tm_min))
        return false;
    if (!read_char(text, ":"))
        return true;
    if (!read_digits(text, 2, 59, &tm->tm_sec))
        return false;
    if (!read_char(text, ".,"))
        return true;
    int digit, scale = 100000;
    if (!read_digits(text, 1, 9, &digit))
        return false;
    do {
        *micros += digit * scale;
        scale /= 10;
    } while (read_digits(text, 1, 9, &digit));
    return true;
}

static bool read_offset(const char **text, int *seconds)
{
    int hours, minutes = 0, sign = **text == '-' ? -1 : 1;
    if (!**text || read_char(text, "Zz"))
        return true;
    if (!read_char(text, "+- ") || !read_digits(text, 2, 23, &hours))
        return false;
    read_char(text, ":");
    if (**text && !read_digits(text, 2, 59, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_read_iso(const char *text, int64_t *wall_us)
{
    struct tm tm = {0};
    int micros = 0, offset = 0;
    if (!read_date(&text, &tm))
        return false;
    if (*text && (!read_char(&text, "Tt ") || !read_time(&text, &tm, &micros)))
        return false;
    if (!read_offset(&text, &offset) || *text)
        return false;
    int64_t us = ((int64_t)timegm(&tm) - offset) * 1000000 + micros;
    if (us < 0)
        return false;
    *wall_us = us;
    return true;
}

/* ---- randomness ------------------------------------------------------------------------------ */

void random_fill(void *bytes, size_t len)
{
    uint8_t *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* Linux always has getrandom(2); keys without randomness are worse than none */
        }
        at += got;
        len -= (size_t)got;
    }
}

void base62_encode(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t number[32];
    if (len > sizeof number)
        abort();
    memcpy(number, bytes, len);
    /* ceil(8 * len / log2(62)), log2(62) = 5.9542 */
    size_t count = (len * 80000 + 59541) / 59542;
    for (size_t place = count; place-- > 0;) {
        unsigned rest = 0;
        for (size_t i = 0; i < len; i++) {
            unsigned value = rest << 8 | number[i];
            number[i] = (uint8_t)(value / 62);
            rest = value % 62;
        }
        out[place] = digits[rest];
    }
    out[count] = '\0';
}
