/* tests/bench/events_floor.c: what storing events costs at the least: the same rows into the same tables, in one synced
 * transaction, by a loop that does nothing else.
 *
 * usage: bench-events-floor DIRECTORY EVENTS BYTES TURNS. Prints the median of the turns in microseconds. */
#include "store/schema.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { MAX_EVENTS = 100000, MAX_BYTES = 1 << 20, MAX_TURNS = 1000 };

static const char insert[] =
    "INSERT OR IGNORE INTO events (timestamp_us, arrived_us, sandbox_id, conversation_id, "
    "id, owner, kind, json) VALUES (?1,?2,?3,?4,?5,NULL,?6,?7)";

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "events_floor: %s\n", what);
    exit(1);
}

static void bind_text(sqlite3_stmt *s, int index, const char *text)
{
    sqlite3_bind_text(s, index, text, -1, SQLITE_STATIC);
}

static int64_t store_once(sqlite3 *db, sqlite3_stmt *s, unsigned long events, const char *json, int bytes)
{
    int64_t begun = now_us();
    need(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "begin");
    for (unsigned long i = 0; i < events; i++) {
        uint64_t random[2];
        char id[33];
        need(getrandom(random, sizeof random, 0) == sizeof random, "getrandom");
        snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)random[0],
                 (unsigned long long)random[1]);
        sqlite3_bind_int64(s, 1, 1767323045678901 + (sqlite3_int64)i);
        sqlite3_bind_int64(s, 2, 1767323045678901);
        bind_text(s, 3, "4cUzYTRlBqXfyQ2NH0gJx1");
        bind_text(s, 4, "0123456789abcdef0123456789abcdef");
        bind_text(s, 5, id);
        bind_text(s, 6, "MessageEvent");
        sqlite3_bind_blob(s, 7, json, bytes, SQLITE_STATIC);
        need(sqlite3_step(s) == SQLITE_DONE, "insert");
        sqlite3_reset(s);
    }
    need(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    return now_us() - begun;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static int64_t took[MAX_TURNS];
    static char json[MAX_BYTES];
    char path[4096];
    if (argc != 5)
        return 2;
    unsigned long events = strtoul(argv[2], NULL, 10), bytes = strtoul(argv[3], NULL, 10),
                  turns = strtoul(argv[4], NULL, 10);
    if (events < 1 || events > MAX_EVENTS || bytes < 1 || bytes > MAX_BYTES || turns < 1 || turns > MAX_TURNS)
        return 2;
    memset(json, 'x', bytes);
    snprintf(path, sizeof path, "%s/floor.db", argv[1]);
    sqlite3 *db;
    sqlite3_stmt *s;
    need(sqlite3_open(path, &db) == SQLITE_OK, "open");
    need(sqlite3_exec(db,
                      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
                      NULL, NULL, NULL) == SQLITE_OK,
         "settings");
    need(schema_migrate(db) == SQLITE_OK, "tables");
    need(sqlite3_prepare_v2(db, insert, -1, &s, NULL) == SQLITE_OK, "prepare");
    for (unsigned long i = 0; i < turns; i++)
        took[i] = store_once(db, s, events, json, (int)bytes);
    sqlite3_finalize(s);
    sqlite3_close(db);
    qsort(took, turns, sizeof *took, compare);
    printf("%lld\n", (long long)took[turns / 2]);
    return 0;
}
