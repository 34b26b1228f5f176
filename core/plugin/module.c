/* plugin/module.c: see module.h. Owns the list of what is loaded; calls no operation of a plugin. */
#include "plugin/module.h"

#include "base/error.h"
#include "base/log.h"
#include "plugin/elf.h"
#include "plugin/json.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3; mapping it as code is still allowed */
#endif

enum { SPEC_MAX = 64 * 1024 };

struct module {
    struct module *next;
    unsigned refs;
    int fd; /* of the copy; open as long as it is loaded, so that no other gets its /proc name */
    void *handle;
    uint8_t digest[32];
    struct sbx_plugin head;
    struct sbx_backend_ops ops;
    const char *default_spec; /* the plugin's */
};

/* Loading happens on the pool, unloading on the loop. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct module *loaded; /* under lock */

/* A plugin's file as it was read. */
struct copy {
    int fd;
    uint8_t *bytes;
    size_t len;
};

static int failed(struct sbx_error *err, const char *path, int number)
{
    return error_set(err, number == ENOENT ? SBX_ERR_NOT_FOUND : SBX_ERR_INVALID, "PLUGIN_INVALID", "%s: %s",
                     path, number == ESTALE ? "it changed while it was read" : strerrordesc_np(number));
}

static int make_memfd(void)
{
    int fd = memfd_create("sandboxd-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("sandboxd-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

static int fill(int from, int to, size_t len)
{
    char chunk[64 * 1024];
    size_t copied = 0;
    while (copied < len) {
        ssize_t got = read(from, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : ESTALE; /* it became shorter while it was read */
        if ((size_t)got > len - copied)
            return ESTALE;
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(to, chunk + done, (size_t)(got - done));
            if (put < 0 && errno != EINTR)
                return errno;
            done += put > 0 ? put : 0;
        }
        copied += (size_t)got;
    }
    return 0;
}

static int copy_open(const char *path, int file, struct copy *copy, struct sbx_error *err)
{
    struct stat info;
    if (fstat(file, &info) < 0)
        return failed(err, path, errno);
    if (!S_ISREG(info.st_mode))
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID", "%s: it is not a regular file", path);
    if (info.st_size > MODULE_MAX_FILE)
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "%s: it is larger than %d MiB, which no plugin is", path, MODULE_MAX_FILE >> 20);
    copy->len = (size_t)info.st_size;
    if (copy->len == 0)
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID", "%s: it is empty", path);
    copy->fd = make_memfd();
    if (copy->fd < 0)
        return failed(err, path, errno);
    int number = fill(file, copy->fd, copy->len);
    if (!number && fcntl(copy->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        number = errno;
    if (!number) {
        copy->bytes = mmap(NULL, copy->len, PROT_READ, MAP_PRIVATE, copy->fd, 0);
        if (copy->bytes != MAP_FAILED)
            return 0;
        number = errno;
        copy->bytes = NULL;
    }
    close(copy->fd);
    return failed(err, path, number);
}

static int copy_file(const char *path, struct copy *copy, struct sbx_error *err)
{
    /* O_NONBLOCK: a FIFO of that name is refused below instead of waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return failed(err, path, errno);
    int result = copy_open(path, file, copy, err);
    close(file);
    return result;
}

/* Copies as much of the plugin's table as it has and we know. */
static int take_ops(struct module *module, const struct sbx_backend_ops *ops, struct sbx_error *err)
{
    struct sbx_backend_ops *mine = &module->ops;
    if (!ops || ops->size < offsetof(struct sbx_backend_ops, validate))
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "its `ops` is missing or gives no size; it is a struct sbx_backend_ops");
    memcpy(mine, ops, ops->size < sizeof *mine ? ops->size : sizeof *mine);
    const struct {
        const char *name;
        bool there;
    } mandatory[] = {
        {"validate", mine->validate}, {"open", mine->open},
        {"quiesce", mine->quiesce},   {"close", mine->close},
        {"start", mine->start},       {"pause", mine->pause},
        {"resume", mine->resume},     {"remove", mine->remove},
        {"list", mine->list},         {"stream_ready", mine->stream_ready || !(mine->logs || mine->build)},
    };
    for (size_t i = 0; i < sizeof mandatory / sizeof mandatory[0]; i++)
        if (!mandatory[i].there)
            return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                             "it has no operation `%s`, which is mandatory%s", mandatory[i].name,
                             (mine->logs || mine->build) && !mine->stream_ready
                                 ? " where `logs` or `build` is there"
                                 : "");
    return 0;
}

static bool is_spec(const char *text)
{
    const struct sbx_json_api *json = json_table();
    size_t len = strnlen(text, SPEC_MAX + 1);
    sbx_json *spec = len <= SPEC_MAX ? json->parse(text, len, NULL) : NULL;
    bool is = json->string(json->get(spec, "id"), NULL) != NULL;
    json->free(spec);
    return is;
}

static int check_loaded(struct module *module, struct sbx_error *err)
{
    const struct sbx_plugin *plugin = dlsym(module->handle, SBX_PLUGIN_SYMBOL);
    if (!plugin || memcmp(plugin, &module->head, offsetof(struct sbx_plugin, ops)) != 0)
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "its `" SBX_PLUGIN_SYMBOL "` is not what stands in the file; it must be constant");
    if (take_ops(module, plugin->ops, err) < 0)
        return -1;
    if (SBX_HAS(plugin, default_spec_json))
        module->default_spec = plugin->default_spec_json;
    if (module->default_spec && !is_spec(module->default_spec))
        return error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID",
                         "its default_spec_json is not a JSON object with an \"id\", of at most 64 KiB");
    return 0;
}

static void copy_name(int fd, char *out, size_t size)
{
    snprintf(out, size, "/proc/%d/fd/%d", (int)getpid(), fd);
}

/* dlerror() begins with the name that was loaded, which says nothing to anybody. */
static const char *load_error(const char *name)
{
    const char *text = dlerror();
    if (!text)
        return "it can't be loaded";
    size_t len = strlen(name);
    return strncmp(text, name, len) == 0 && text[len] == ':' ? text + len + 2 : text;
}

/* Unloads; the descriptor stays where the loader keeps the object all the same (RTLD_NODELETE). */
static void unload(struct module *module)
{
    char name[64];
    copy_name(module->fd, name, sizeof name);
    if (module->handle)
        dlclose(module->handle);
    void *still = module->handle ? dlopen(name, RTLD_NOLOAD | RTLD_LAZY) : NULL;
    if (still) {
        dlclose(still);
        log_info("plugin %s %s stays in memory: it asks not to be unloaded", module->head.name,
                 module->head.version);
    } else {
        close(module->fd);
    }
    free(module);
}

static struct module *find_loaded(const uint8_t *digest)
{
    for (struct module *module = loaded; module; module = module->next)
        if (memcmp(module->digest, digest, sizeof module->digest) == 0)
            return module;
    return NULL;
}

/* Loads the copy, which the module then owns. Under lock: two loads of one plugin are one. */
static struct module *load_copy(const struct copy *copy, const struct sbx_plugin *head, const uint8_t *digest,
                                struct sbx_error *err)
{
    struct module *module = find_loaded(digest);
    if (module) {
        module->refs++;
        close(copy->fd);
        return module;
    }
    module = calloc(1, sizeof *module);
    if (!module)
        abort();
    module->refs = 1;
    module->fd = copy->fd;
    module->head = *head;
    memcpy(module->digest, digest, sizeof module->digest);
    char name[64];
    copy_name(copy->fd, name, sizeof name);
    module->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!module->handle)
        error_set(err, SBX_ERR_INVALID, "PLUGIN_INVALID", "it can't be loaded: %s", load_error(name));
    if (!module->handle || check_loaded(module, err) < 0) {
        unload(module);
        return NULL;
    }
    module->next = loaded;
    loaded = module;
    return module;
}

struct module *module_load(const char *path, struct sbx_error *err)
{
    struct copy copy;
    struct sbx_error why;
    if (copy_file(path, &copy, err) < 0)
        return NULL;
    struct sbx_plugin head;
    uint8_t digest[EVP_MAX_MD_SIZE];
    struct module *module = NULL;
    int result = elf_peek(copy.bytes, copy.len, &head, &why);
    if (result == 0 && EVP_Digest(copy.bytes, copy.len, digest, NULL, EVP_sha256(), NULL) != 1)
        result = error_set(&why, SBX_ERR_INTERNAL, SBX_CODE_INTERNAL, "its digest can't be computed");
    munmap(copy.bytes, copy.len);
    if (result == 0) {
        pthread_mutex_lock(&lock);
        module = load_copy(&copy, &head, digest, &why);
        pthread_mutex_unlock(&lock);
    } else {
        close(copy.fd);
    }
    if (!module && err) {
        *err = why;
        error_wrap(err, "%s", path);
    }
    return module;
}

struct module *module_ref(struct module *module)
{
    pthread_mutex_lock(&lock);
    module->refs++;
    pthread_mutex_unlock(&lock);
    return module;
}

void module_unref(struct module *module)
{
    if (!module)
        return;
    pthread_mutex_lock(&lock);
    if (--module->refs == 0) {
        struct module **at = &loaded;
        while (*at != module)
            at = &(*at)->next;
        *at = module->next;
        unload(module);
    }
    pthread_mutex_unlock(&lock);
}

const struct sbx_plugin *module_head(const struct module *module)
{
    return &module->head;
}

const struct sbx_backend_ops *module_ops(const struct module *module)
{
    return &module->ops;
}

const char *module_default_spec(const struct module *module)
{
    return module->default_spec;
}
