/* A SQLite VFS over the system's whose writes and syncs fail on demand, and are counted. */
#ifndef TEST_STORE_FAULTY_DISK_H
#define TEST_STORE_FAULTY_DISK_H

#include <stdbool.h>

void faulty_disk_install(void); /* as the default of the process */

/* From any thread. From now on every write (or sync) answers `result`: SQLITE_FULL, SQLITE_IOERR_WRITE, …;
 * SQLITE_OK: the disk works. */
void faulty_disk_fail_writes(int result);
void faulty_disk_fail_syncs(int result);
void faulty_disk_hold(bool on);    /* writes wait meanwhile */
void faulty_disk_await_held(void); /* until one does */
int faulty_disk_log_syncs(void);   /* of the write-ahead log, so far */

#endif
