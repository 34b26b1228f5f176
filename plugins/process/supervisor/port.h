/* port.h: is it this sandbox that has its port, or another program?
 *
 * Asks the kernel for the sockets on the port (sock_diag(7), else /proc/net/tcp) and looks for them among
 * the descriptors of the sandbox's processes.
 */
#ifndef SUPERVISOR_PORT_H
#define SUPERVISOR_PORT_H

#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

/* `listening`: only sockets that listen count; otherwise also those that merely occupy the port. `uid` is
 * whom the sandbox runs as. */
enum wire_port port_owner(uint16_t port, bool listening, uint32_t uid);

#endif
