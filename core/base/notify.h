/* base/notify.h: telling systemd how the daemon does (sd_notify(3), the protocol behind it). Nothing happens
 * where the service manager did not ask for it. Loop thread only. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include "base/loop.h"

/* Reads and clears NOTIFY_SOCKET and WATCHDOG_USEC, and begins to feed the watchdog from the loop: a loop that
 * hangs is noticed. */
void notify_begin(struct loop *loop);
void notify_end(void);

void notify_ready(void);
void notify_reloading(void); /* notify_ready() ends it */
void notify_stopping(void);

#endif
