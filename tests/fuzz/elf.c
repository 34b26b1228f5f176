// uses: plugin
/* fuzz/elf.c: the file of a plugin, as the loader reads it before it runs any of it. */
#include "plugin/elf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sbx_plugin head;
    struct sbx_error err = {0};
    if (elf_peek(data, size, &head, &err) == 0) {
        /* What was taken keeps what its user relies on: texts that end. */
        if (!memchr(head.name, 0, sizeof head.name) || !memchr(head.version, 0, sizeof head.version) ||
            !memchr(head.health_check_path, 0, sizeof head.health_check_path) || head.ops)
            abort();
    } else if (!err.message[0]) {
        abort();
    }
    return 0;
}
