/* The loader: what it refuses, with which sentence, and that it loads what the file holds now. */
#include "harness.h"
#include "plugin/elf.h"
#include "plugin/locate.h"
#include "plugin/module.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Numbers as texts: a new minor changes no test. */
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define MINOR TEXT(SBX_ABI_MINOR)

/* Loading `name` must fail with "PATH: sentence". */
static void refuses(const char *name, const char *sentence)
{
    char path[512], wanted[1024];
    struct sbx_error err = {0};
    snprintf(path, sizeof path, "%s/%s", TEST_PLUGINS, name);
    snprintf(wanted, sizeof wanted, "%s: %s", path, sentence);
    assert_null(module_load(path, &err));
    assert_int_equal(err.kind, SBX_ERR_INVALID);
    assert_string_equal(err.message, wanted);
}

static void refuses_each_wrong_plugin_in_a_sentence_of_its_own(void **state)
{
    (void)state;
    char newer[160];
    snprintf(newer, sizeof newer,
             "it needs a daemon with version 1.%d of the backend ABI or newer, this one has 1.%d; "
             "upgrade the daemon or use an older plugin",
             SBX_ABI_MINOR + 1, SBX_ABI_MINOR);
    refuses("wrong_magic.so",
            "its `sandboxd_plugin` does not begin with SBX_PLUGIN_MAGIC; it was built against "
            "something other than sandboxd's headers");
    refuses("wrong_major.so",
            "it was built for version 2." MINOR " of the backend ABI, this daemon has 1." MINOR "; build it "
            "against this daemon's headers");
    refuses("newer_host.so", newer);
    refuses("no_list.so", "it has no operation `list`, which is mandatory");
    refuses("no_stream_ready.so",
            "it has no operation `stream_ready`, which is mandatory where `logs` or `build` is there");
    refuses("no_symbol.so", "it does not export `sandboxd_plugin`; a plugin defines it as a `const struct "
                            "sbx_plugin` (see sandboxd/backend.h)");
    refuses("long_name.so", "its name is not 1 to 31 lower-case letters, digits and '-'");
    refuses("bad_health_path.so",
            "its health_check_path is neither empty nor a path that begins with '/', of "
            "at most 63 bytes");
    refuses("no_ops.so", "its `ops` is missing or gives no size; it is a struct sbx_backend_ops");
    refuses("short_ops.so", "its `ops` is missing or gives no size; it is a struct sbx_backend_ops");
    refuses("function.so", "its `sandboxd_plugin` is not data; it is a `const struct sbx_plugin`");
    refuses("bad_spec.so", "its default_spec_json is not a JSON object with an \"id\", of at most 64 KiB");
    refuses("changes_itself.so", "its `sandboxd_plugin` is not what stands in the file; it must be constant");
    refuses("undefined.so", "it can't be loaded: undefined symbol: nobody_defines_this");
}

static void refuses_a_symbol_that_is_too_small(void **state)
{
    (void)state;
    char path[512];
    struct sbx_error err = {0};
    snprintf(path, sizeof path, "%s/too_small.so", TEST_PLUGINS);
    assert_null(module_load(path, &err));
    /* The exact size is the sanitizer's business. */
    assert_non_null(strstr(err.message, "bytes, fewer than a struct sbx_plugin"));
}

static void refuses_what_is_not_a_file_of_the_right_kind(void **state)
{
    (void)state;
    struct sbx_error err;
    char fifo[] = "/tmp/sandboxd-fifo-XXXXXX";
    assert_null(module_load("/nowhere/x.so", &err));
    assert_string_equal(err.message, "/nowhere/x.so: No such file or directory");
    assert_null(module_load("/tmp", &err));
    assert_string_equal(err.message, "/tmp: it is not a regular file");
    assert_null(module_load("/dev/null", &err));
    assert_string_equal(err.message, "/dev/null: it is not a regular file");
    assert_null(module_load("/proc/self/maps", &err));
    assert_string_equal(err.message, "/proc/self/maps: it is empty");
    assert_null(module_load("/etc/passwd", &err));
    assert_string_equal(err.message,
                        "/etc/passwd: it is not an ELF file; a plugin is a shared object (cc -shared)");
    assert_null(module_load("/bin/sh", &err));
    close(mkstemp(fifo));
    unlink(fifo);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_null(module_load(fifo, &err)); /* and does not wait for somebody to write into it */
    assert_non_null(strstr(err.message, "it is not a regular file"));
    unlink(fifo);
}

static uint8_t *read_plugin(const char *name, size_t *len)
{
    char path[512];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", TEST_PLUGINS, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &info), 0);
    *len = (size_t)info.st_size;
    uint8_t *bytes = malloc(*len);
    assert_int_equal(read(fd, bytes, *len), *len);
    close(fd);
    return bytes;
}

static void peek_survives_every_truncation_and_many_flipped_bits(void **state)
{
    (void)state;
    size_t len;
    uint8_t *bytes = read_plugin("variant_1.so", &len);
    struct sbx_plugin head;
    struct sbx_error err;
    assert_int_equal(elf_peek(bytes, len, &head, &err), 0);
    assert_string_equal(head.name, "variant");
    assert_string_equal(head.version, "1");
    assert_null(head.ops);
    for (size_t cut = 0; cut < len; cut += cut < 512 ? 1 : 997) {
        uint8_t *part = malloc(cut + 1); /* of its own size, so that a read past the end is seen */
        part = realloc(part, cut ? cut : 1);
        memcpy(part, bytes, cut);
        elf_peek(part, cut, &head, &err);
        free(part);
    }
    srand(1);
    for (int i = 0; i < 2000; i++) {
        size_t at = (size_t)rand() % (i % 2 ? len : 1024);
        uint8_t before = bytes[at];
        bytes[at] = (uint8_t)rand();
        elf_peek(bytes, len, &head, &err);
        bytes[at] = before;
    }
    free(bytes);
}

static void peek_names_another_machine(void **state)
{
    (void)state;
    size_t len;
    uint8_t *bytes = read_plugin("variant_1.so", &len);
    struct sbx_plugin head;
    struct sbx_error err;
    bytes[18] = 0xff; /* e_machine */
    assert_int_equal(elf_peek(bytes, len, &head, &err), -1);
    assert_non_null(strstr(err.message, "it was built for another machine (ELF machine 255, this one is"));
    bytes[4] = 1; /* EI_CLASS */
    assert_int_equal(elf_peek(bytes, len, &head, &err), -1);
    assert_string_equal(err.message, "it was built for another word size or byte order than this machine's");
    free(bytes);
}

static void a_plugin_of_the_frozen_1_0_headers_loads(void **state)
{
    (void)state;
    struct sbx_error err;
    struct module *module = module_load(TEST_PLUGINS "/abi_1_0.so", &err);
    assert_non_null(module);
    assert_string_equal(module_head(module)->version, "abi-1.0");
    assert_null(module_ops(module)->logs);
    module_unref(module);
}

static void copy_plugin(const char *name, const char *to)
{
    size_t len;
    uint8_t *bytes = read_plugin(name, &len);
    int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
    free(bytes);
}

static void equal_content_is_loaded_once_and_a_changed_file_anew(void **state)
{
    (void)state;
    char folder[] = "/tmp/sandboxd-modules-XXXXXX", a[64], b[64];
    assert_non_null(mkdtemp(folder));
    snprintf(a, sizeof a, "%s/a.so", folder);
    snprintf(b, sizeof b, "%s/b.so", folder);
    copy_plugin("variant_1.so", a);
    copy_plugin("variant_1.so", b);
    struct sbx_error err;
    struct module *one = module_load(a, &err);
    struct module *same = module_load(b, &err);
    assert_non_null(one);
    assert_ptr_equal(one, same);
    copy_plugin("variant_2.so", a); /* written over, in place: the loaded one is not touched by it */
    assert_string_equal(module_head(one)->version, "1");
    assert_non_null(module_ops(one)->start);
    struct module *two = module_load(a, &err);
    assert_non_null(two);
    assert_ptr_not_equal(one, two);
    assert_string_equal(module_head(two)->version, "2");
    assert_true(module_ops(one)->start != module_ops(two)->start);
    module_unref(one);
    module_unref(same);
    module_unref(two);
    unlink(a);
    unlink(b);
    rmdir(folder);
}

static unsigned count_mappings(const char *text)
{
    char line[1024];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (fgets(line, sizeof line, maps))
        count += strstr(line, text) != NULL;
    fclose(maps);
    return count;
}

static void the_last_reference_unloads(void **state)
{
    (void)state;
    struct sbx_error err;
    struct module *module = module_load(TEST_PLUGINS "/variant_3.so", &err);
    assert_non_null(module);
    assert_true(count_mappings("sandboxd-plugin") > 0);
    module_ref(module);
    module_unref(module);
    assert_true(count_mappings("sandboxd-plugin") > 0);
    module_unref(module);
    assert_int_equal(count_mappings("sandboxd-plugin"), 0);
}

static void a_name_is_looked_for_in_the_configured_folder(void **state)
{
    (void)state;
    struct config config = {.plugin_dir = NULL};
    struct sbx_error err;
    char *path = plugin_locate(&config, TEST_PLUGINS, "trivial", &err);
    assert_non_null(path);
    assert_int_equal(path[0], '/');
    free(path);
    config.plugin_dir = "/nowhere";
    assert_null(plugin_locate(&config, TEST_PLUGINS, "trivial", &err));
    assert_string_equal(err.message, "there is no /nowhere/trivial.so (plugins in that folder: none)");
    path = plugin_locate(&config, "/nowhere", TEST_PLUGINS "/trivial.so", &err);
    assert_non_null(path);
    free(path);
    assert_null(plugin_locate(&config, "/nowhere", "./not-here.so", &err));
    assert_string_equal(err.message, "there is no plugin at ./not-here.so: No such file or directory");
    char folder[] = "/tmp/sandboxd-plugins-XXXXXX", file[64], wanted[256];
    assert_non_null(mkdtemp(folder));
    for (const char *name = "ba"; *name; name++) {
        snprintf(file, sizeof file, "%s/%c.so", folder, *name);
        close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    config.plugin_dir = folder;
    assert_null(plugin_locate(&config, TEST_PLUGINS, "dokcer", &err));
    snprintf(wanted, sizeof wanted, "there is no %s/dokcer.so (plugins in that folder: a, b)", folder);
    assert_string_equal(err.message, wanted);
    for (const char *name = "ba"; *name; name++) {
        snprintf(file, sizeof file, "%s/%c.so", folder, *name);
        unlink(file);
    }
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_each_wrong_plugin_in_a_sentence_of_its_own),
        cmocka_unit_test(refuses_a_symbol_that_is_too_small),
        cmocka_unit_test(refuses_what_is_not_a_file_of_the_right_kind),
        cmocka_unit_test(peek_survives_every_truncation_and_many_flipped_bits),
        cmocka_unit_test(peek_names_another_machine),
        cmocka_unit_test(a_plugin_of_the_frozen_1_0_headers_loads),
        cmocka_unit_test(equal_content_is_loaded_once_and_a_changed_file_anew),
        cmocka_unit_test(the_last_reference_unloads),
        cmocka_unit_test(a_name_is_looked_for_in_the_configured_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
