/* plugin/locate.c: see locate.h. Owns nothing; opens no plugin. */
#include "plugin/locate.h"

#include "base/buffer.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, LISTED_BYTES = 200 };

static int is_plugin(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

/* "docker, process", or "none", as far as it fits. */
static void list_plugins(const char *folder, struct buffer *out)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_plugin, alphasort);
    for (int i = 0; i < count; i++) {
        int len = (int)strlen(entries[i]->d_name) - 3;
        if (!out->failed)
            buffer_add_format(out, "%s%.*s", out->len > 0 ? ", " : "", len, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (out->len == 0)
        buffer_add_text(out, "none");
}

static void explain(const char *folder, const char *path, int number, struct sbx_error *err)
{
    if (number != ENOENT || !folder) {
        error_set(err, SBX_ERR_NOT_FOUND, "PLUGIN_NOT_FOUND", "there is no plugin at %s: %s", path,
                  strerrordesc_np(number));
        return;
    }
    struct buffer names = buffer_init(LISTED_BYTES);
    list_plugins(folder, &names);
    error_set(err, SBX_ERR_NOT_FOUND, "PLUGIN_NOT_FOUND", "there is no %s (plugins in that folder: %s)", path,
              buffer_text(&names));
    buffer_finish(&names);
}

char *plugin_locate(const struct config *config, const char *default_dir, const char *plugin,
                    struct sbx_error *err)
{
    struct buffer path = buffer_init(PATH_BYTES);
    const char *folder = strchr(plugin, '/') ? NULL : config->plugin_dir ? config->plugin_dir : default_dir;
    if (folder)
        buffer_add_format(&path, "%s/%s.so", folder, plugin);
    else
        buffer_add_text(&path, plugin);
    char *found = path.failed ? NULL : realpath(buffer_text(&path), NULL);
    if (!found)
        explain(folder, buffer_text(&path), path.failed ? ENAMETOOLONG : errno, err);
    buffer_finish(&path);
    return found;
}
