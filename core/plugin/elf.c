/* plugin/elf.c: see elf.h. Owns nothing; trusts no byte of the file: each offset is checked against the
 * file's length before it is used, and headers are copied out, never read in place. */
#include "plugin/elf.h"

#include "base/error.h"
#include "plugin/sanitize.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define NATIVE_MACHINE EM_PPC64
#elif defined(__s390x__)
#define NATIVE_MACHINE EM_S390
#else
#error "name this machine's ELF number here (elf.h, EM_…)"
#endif

#define NATIVE_CLASS (__ELF_NATIVE_CLASS == 64 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

struct image {
    const uint8_t *bytes;
    size_t len;
    struct sbx_error *err;
};

static int bad(struct image *image, const char *sentence)
{
    return error_set(image->err, SBX_ERR_INVALID, "PLUGIN_INVALID", "%s", sentence);
}

static int malformed(struct image *image)
{
    return bad(image, "its ELF headers point outside of the file: it is damaged or was cut off");
}

/* Copies `size` bytes at `offset`. */
static bool take(const struct image *image, uint64_t offset, void *out, size_t size)
{
    if (offset > image->len || size > image->len - offset)
        return false;
    memcpy(out, image->bytes + offset, size);
    return true;
}

/* Copies entry `index` of a table of entries of `size` bytes. */
static bool take_entry(const struct image *image, uint64_t table, uint64_t index, void *out, size_t size)
{
    return table <= image->len && index <= image->len / size && take(image, table + index * size, out, size);
}

static int check_header(struct image *image, ElfW(Ehdr) * header)
{
    if (image->len < SELFMAG || memcmp(image->bytes, ELFMAG, SELFMAG) != 0)
        return bad(image, "it is not an ELF file; a plugin is a shared object (cc -shared)");
    if (!take(image, 0, header, sizeof *header))
        return malformed(image);
    if (header->e_ident[EI_CLASS] != NATIVE_CLASS || header->e_ident[EI_DATA] != NATIVE_DATA)
        return bad(image, "it was built for another word size or byte order than this machine's");
    if (header->e_machine != NATIVE_MACHINE)
        return error_set(image->err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "it was built for another machine (ELF machine %u, this one is %u)",
                         header->e_machine, (unsigned)NATIVE_MACHINE);
    if (header->e_type != ET_DYN)
        return bad(image, "it is an ELF file, but not a shared object (cc -shared)");
    if (header->e_shentsize != sizeof(ElfW(Shdr)) || header->e_phentsize != sizeof(ElfW(Phdr)))
        return bad(image, "it has no section or program headers; a plugin needs both (don't strip them)");
    return 0;
}

static bool name_is(const struct image *image, const ElfW(Shdr) * names, uint64_t at, const char *wanted)
{
    char name[64];
    size_t size = strlen(wanted) + 1;
    if (size > sizeof name || at > names->sh_size || size > names->sh_size - at ||
        names->sh_offset > image->len || !take(image, names->sh_offset + at, name, size))
        return false;
    return memcmp(name, wanted, size) == 0;
}

static int find_symbol(struct image *image, const ElfW(Ehdr) * header, ElfW(Sym) * symbol)
{
    ElfW(Shdr) section, names;
    bool found = false;
    for (unsigned i = 0; i < header->e_shnum && !found; i++) {
        if (!take_entry(image, header->e_shoff, i, &section, sizeof section))
            return malformed(image);
        found = section.sh_type == SHT_DYNSYM;
    }
    if (!found)
        return bad(image, "it exports nothing; a plugin exports the constant `" SBX_PLUGIN_SYMBOL "`");
    if (section.sh_link >= header->e_shnum || section.sh_offset > image->len ||
        section.sh_size > image->len - section.sh_offset ||
        !take_entry(image, header->e_shoff, section.sh_link, &names, sizeof names))
        return malformed(image);
    for (uint64_t i = 0; i < section.sh_size / sizeof *symbol; i++) {
        if (!take_entry(image, section.sh_offset, i, symbol, sizeof *symbol))
            return malformed(image);
        if (symbol->st_shndx != SHN_UNDEF && name_is(image, &names, symbol->st_name, SBX_PLUGIN_SYMBOL))
            return 0;
    }
    return bad(image, "it does not export `" SBX_PLUGIN_SYMBOL "`; a plugin defines it as a `const struct "
                      "sbx_plugin` (see sandboxd/backend.h)");
}

/* Where in the file an address of the loaded object comes from. */
static int find_offset(struct image *image, const ElfW(Ehdr) * header, uint64_t address, size_t size,
                       uint64_t *offset)
{
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        if (!take_entry(image, header->e_phoff, i, &segment, sizeof segment))
            return malformed(image);
        if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
            address - segment.p_vaddr >= segment.p_memsz)
            continue;
        uint64_t within = address - segment.p_vaddr;
        if (within > segment.p_filesz || size > segment.p_filesz - within)
            return bad(image, "its `" SBX_PLUGIN_SYMBOL "` is not initialised data; every member before "
                              "`ops` is a constant");
        if (segment.p_offset > image->len)
            return malformed(image);
        *offset = segment.p_offset + within;
        return 0;
    }
    return malformed(image);
}

static bool is_name(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    return len > 0 && len < size && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool is_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    if (len == size || !sanitize_is_utf8(text, len))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static int check_head(struct image *image, const struct sbx_plugin *head, uint64_t symbol_size)
{
    if (head->magic != SBX_PLUGIN_MAGIC)
        return bad(image, "its `" SBX_PLUGIN_SYMBOL "` does not begin with SBX_PLUGIN_MAGIC; it was built "
                          "against something other than sandboxd's headers");
    if (head->abi_major != SBX_ABI_MAJOR)
        return error_set(image->err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "it was built for version %u.%u of the backend ABI, this daemon has %u.%u; build it "
                         "against this daemon's headers",
                         head->abi_major, head->abi_minor, SBX_ABI_MAJOR, SBX_ABI_MINOR);
    if (head->min_host_minor > SBX_ABI_MINOR)
        return error_set(image->err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "it needs a daemon with version %u.%u of the backend ABI or newer, this one has "
                         "%u.%u; upgrade the daemon or use an older plugin",
                         head->abi_major, head->min_host_minor, SBX_ABI_MAJOR, SBX_ABI_MINOR);
    size_t least = offsetof(struct sbx_plugin, ops) + sizeof head->ops;
    if (head->size < least || head->size > symbol_size)
        return error_set(image->err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "its `" SBX_PLUGIN_SYMBOL "` gives its size as %u bytes, which is not "
                         "sizeof(struct sbx_plugin)",
                         head->size);
    if (!is_name(head->name, sizeof head->name))
        return bad(image, "its name is not 1 to 31 lower-case letters, digits and '-'");
    if (!is_text(head->version, sizeof head->version))
        return bad(image, "its version is not a text of at most 31 bytes without blanks");
    if (!is_text(head->health_check_path, sizeof head->health_check_path) ||
        (head->health_check_path[0] && head->health_check_path[0] != '/'))
        return bad(image, "its health_check_path is neither empty nor a path that begins with '/', of at "
                          "most 63 bytes");
    return 0;
}

int elf_peek(const uint8_t *bytes, size_t len, struct sbx_plugin *head, struct sbx_error *err)
{
    struct image image = {.bytes = bytes, .len = len, .err = err};
    ElfW(Ehdr) header;
    ElfW(Sym) symbol;
    uint64_t offset;
    size_t size = offsetof(struct sbx_plugin, ops);
    if (check_header(&image, &header) < 0 || find_symbol(&image, &header, &symbol) < 0)
        return -1;
    if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT)
        return bad(&image, "its `" SBX_PLUGIN_SYMBOL "` is not data; it is a `const struct sbx_plugin`");
    if (symbol.st_size < size + sizeof head->ops)
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "its `" SBX_PLUGIN_SYMBOL "` has %llu bytes, fewer than a struct sbx_plugin",
                         (unsigned long long)symbol.st_size);
    if (find_offset(&image, &header, symbol.st_value, size, &offset) < 0)
        return -1;
    struct sbx_plugin found = {0};
    if (!take(&image, offset, &found, size))
        return malformed(&image);
    if (check_head(&image, &found, symbol.st_size) < 0)
        return -1;
    *head = found;
    return 0;
}
