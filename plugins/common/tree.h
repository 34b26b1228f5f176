/* tree.h: removing folders in which a sandbox may have done anything. It blocks.
 */
#ifndef PLUGINS_TREE_H
#define PLUGINS_TREE_H

#include <sandboxd/error.h>

/* Removes `name` in `parent` with all that is in it. Follows no link and leaves no mount point, whatever is
 * renamed meanwhile; takes constant memory and no recursion, however deep the tree is. 0 when there is no
 * such thing; -1 with `err`. */
int tree_remove(int parent, const char *name, struct sbx_error *err);

#endif
