/* base/clock.h: time and randomness. From any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CLOCK_ISO_SIZE = 28, /* "2026-01-02T03:04:05.678901Z" and the zero byte */
    BASE62_SIZE_16 = 23, /* 16 bytes in base62 (22 digits) and the zero byte */
    BASE62_SIZE_32 = 44  /* 32 bytes in base62 (43 digits) and the zero byte */
};

/* CLOCK_MONOTONIC in milliseconds and microseconds: never goes back. */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* The wall clock: microseconds since 1970-01-01 UTC. */
int64_t clock_wall_us(void);

/* ISO 8601 in UTC with microseconds and "Z". `out` has CLOCK_ISO_SIZE bytes. */
void clock_iso(int64_t wall_us, char *out);

/* Reads ISO 8601 as programs write it: "2026-01-02", then "T" or a space and "03:04", ":05", ".678901…" (what is
 * below a microsecond is cut off), then "Z" or an offset ("+01:00", "-0130", "+01"; a space may stand for its '+',
 * as in a query that was not encoded). Without either it is UTC. False: it is none, or before 1970. */
bool clock_read_iso(const char *text, int64_t *wall_us);

/* Fills `bytes` from the kernel's generator (getrandom(2)). Can't fail. */
void random_fill(void *bytes, size_t len);

/* Writes `len` bytes (at most 32) as a base62 number of as many digits as the largest such number
 * needs: leading zeros are kept, so every result of a length is equally long. */
void base62_encode(const uint8_t *bytes, size_t len, char *out);

#endif
