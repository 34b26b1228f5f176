/* plugin/elf.h: reads what a plugin says about itself out of its file, without running any of it. */
#ifndef PLUGIN_ELF_H
#define PLUGIN_ELF_H

#include <sandboxd/backend.h>
#include <stddef.h>
#include <stdint.h>

/* Finds `sandboxd_plugin` in the dynamic symbols of a shared object (elf(5)) and copies all of it that stands
 * before `ops` to `head`, whose `ops` is NULL. Checks what can be checked in data: magic, versions, size,
 * names. Any bytes may be given. -1 with SBX_ERR_INVALID and a sentence that says what was found and what
 * would be right; it does not name the file. */
int elf_peek(const uint8_t *bytes, size_t len, struct sbx_plugin *head, struct sbx_error *err);

#endif
