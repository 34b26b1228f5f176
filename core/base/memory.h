/* base/memory.h: giving back memory that only a passing need had touched. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/* Returns free heap pages, and drops the read-only pages of the program and its libraries from this process:
 * most of them were touched only by start-up (relocation, initialisation) and never are again; those in use come
 * back from the page cache, without reading a disk. Takes about a millisecond. */
void memory_trim(void);

#endif
