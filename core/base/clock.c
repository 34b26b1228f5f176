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
