/* plugin/module.h: a plugin's file, loaded.
 *
 * What is loaded is a private copy of the file (a sealed memfd), so a file that is overwritten later can't
 * crash the daemon, and one that changed is really loaded anew: the dynamic loader takes two files of one
 * name or inode for the same. Copies of equal content are loaded once. From any thread; loading blocks.
 */
#ifndef PLUGIN_MODULE_H
#define PLUGIN_MODULE_H

#include <sandboxd/backend.h>

struct module;

enum { MODULE_MAX_FILE = 64 * 1024 * 1024 };

/* Reads, checks (elf.h) and loads a file, or takes another reference to what was loaded from the same bytes.
 * NULL with a sentence that begins with the path. */
struct module *module_load(const char *path, struct sbx_error *err);
struct module *module_ref(struct module *module);
/* The last one unloads it: no code of the plugin may be running, or be called any more. NULL is allowed. */
void module_unref(struct module *module);

/* Everything before `ops`, as it stood in the file; the pointers are NULL. */
const struct sbx_plugin *module_head(const struct module *module);
/* JSON object text with an "id"; NULL: it has none. */
const char *module_default_spec(const struct module *module);
/* The operations. The table is the host's copy: a member that the plugin's own table does not cover is NULL,
 * and all mandatory ones are there. */
const struct sbx_backend_ops *module_ops(const struct module *module);

#endif
