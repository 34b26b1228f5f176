/* port.h: the port of a sandbox, chosen and kept.
 *
 * A port is taken by the name "sandboxd-port-PORT" in the abstract unix namespace, which belongs to the
 * network namespace as ports do: of all sandboxes and all daemons here, one has it, until the last
 * descriptor of the reservation is closed. The supervisor holds it for as long as it lives.
 */
#ifndef PROCESS_PORT_H
#define PROCESS_PORT_H

#include <stdatomic.h>
#include <stdint.h>

/* Reserves `preferred` (0: none) if it is free, else the next free port of [base, base + count) after
 * where `*cursor` is. Any thread. The reservation (a descriptor, close-on-exec) with `*port`; -1: none
 * is free. */
int port_reserve(uint16_t base, unsigned count, uint16_t preferred, _Atomic unsigned *cursor, uint16_t *port);

#endif
