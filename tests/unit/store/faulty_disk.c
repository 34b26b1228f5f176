/* See faulty_disk.h. */
#include "faulty_disk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_changed = PTHREAD_COND_INITIALIZER;
static bool held; /* these two under hold_lock */
static int waiting;
static atomic_int write_result, sync_result, log_syncs;
static sqlite3_vfs *system_vfs;
static sqlite3_vfs faulty_vfs;
static sqlite3_io_methods faulty_methods;

struct faulty_file {
    sqlite3_file base;
    int is_log;
    sqlite3_file *real; /* behind this struct */
};

#define REAL(file) (((struct faulty_file *)(file))->real)
#define PASS(file, call, ...) (REAL(file)->pMethods->call(REAL(file), ##__VA_ARGS__))

static int f_close(sqlite3_file *f)
{
    return PASS(f, xClose);
}
static int f_read(sqlite3_file *f, void *bytes, int len, sqlite3_int64 at)
{
    return PASS(f, xRead, bytes, len, at);
}
static int f_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 at)
{
    pthread_mutex_lock(&hold_lock);
    waiting++;
    pthread_cond_broadcast(&hold_changed);
    while (held)
        pthread_cond_wait(&hold_changed, &hold_lock);
    waiting--;
    pthread_mutex_unlock(&hold_lock);
    int failure = atomic_load(&write_result);
    return failure ? failure : PASS(f, xWrite, bytes, len, at);
}
static int f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return PASS(f, xTruncate, size);
}
static int f_sync(sqlite3_file *f, int flags)
{
    int failure = atomic_load(&sync_result);
    if (failure)
        return failure;
    if (((struct faulty_file *)f)->is_log)
        atomic_fetch_add(&log_syncs, 1);
    return PASS(f, xSync, flags);
}
static int f_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return PASS(f, xFileSize, size);
}
static int f_lock(sqlite3_file *f, int kind)
{
    return PASS(f, xLock, kind);
}
static int f_unlock(sqlite3_file *f, int kind)
{
    return PASS(f, xUnlock, kind);
}
static int f_check_lock(sqlite3_file *f, int *result)
{
    return PASS(f, xCheckReservedLock, result);
}
static int f_control(sqlite3_file *f, int what, void *arg)
{
    return PASS(f, xFileControl, what, arg);
}
static int f_sector_size(sqlite3_file *f)
{
    return PASS(f, xSectorSize);
}
static int f_characteristics(sqlite3_file *f)
{
    return PASS(f, xDeviceCharacteristics);
}

static int v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    struct faulty_file *file = (struct faulty_file *)f;
    file->real = (sqlite3_file *)(file + 1);
    file->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    int rc = system_vfs->xOpen(system_vfs, name, file->real, flags, out);
    file->base.pMethods = file->real->pMethods ? &faulty_methods : NULL;
    return rc;
}

void faulty_disk_install(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    faulty_vfs = *system_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.pNext = NULL;
    faulty_vfs.szOsFile = (int)sizeof(struct faulty_file) + system_vfs->szOsFile;
    faulty_vfs.xOpen = v_open;
    /* Version 1: no shared memory, which a store that has the file to itself does not need. */
    faulty_methods = (sqlite3_io_methods){.iVersion = 1,
                                          .xClose = f_close,
                                          .xRead = f_read,
                                          .xWrite = f_write,
                                          .xTruncate = f_truncate,
                                          .xSync = f_sync,
                                          .xFileSize = f_size,
                                          .xLock = f_lock,
                                          .xUnlock = f_unlock,
                                          .xCheckReservedLock = f_check_lock,
                                          .xFileControl = f_control,
                                          .xSectorSize = f_sector_size,
                                          .xDeviceCharacteristics = f_characteristics};
    sqlite3_vfs_register(&faulty_vfs, 1);
}

void faulty_disk_fail_writes(int result)
{
    atomic_store(&write_result, result);
}

void faulty_disk_fail_syncs(int result)
{
    atomic_store(&sync_result, result);
}

void faulty_disk_hold(bool on)
{
    pthread_mutex_lock(&hold_lock);
    held = on;
    pthread_cond_broadcast(&hold_changed);
    pthread_mutex_unlock(&hold_lock);
}

void faulty_disk_await_held(void)
{
    pthread_mutex_lock(&hold_lock);
    while (waiting == 0)
        pthread_cond_wait(&hold_changed, &hold_lock);
    pthread_mutex_unlock(&hold_lock);
}

int faulty_disk_log_syncs(void)
{
    return atomic_load(&log_syncs);
}
