"""The direction of includes.

A layer of core/ includes itself and the layers above it in core/CMakeLists.txt's list; plugins/ include the public
headers, their own and plugins/common/; the public headers include each other and C's. Only core/ names a library.
"""

import re

from common import ROOT, finish, sources

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)
LAYERS = re.search(r"foreach\(layer ([\w ]+)\)", (ROOT / "core/CMakeLists.txt").read_text()).group(1).split()
# What C11, and for host.h POSIX (pid_t), has: no header of a library.
PUBLIC_SYSTEM = {"stddef.h", "stdint.h", "stdbool.h", "sys/types.h"}
LIBRARIES = re.compile(r"^(event2|curl|openssl|json-c)/|^(json|yaml|sqlite3|event)\.h$")


def includes(path):
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def check_core(path, quote, name):
    layer = path.relative_to(ROOT / "core").parts[0]
    if quote == "<":
        return None
    if path.parent == ROOT / "core" and (path.parent / name).is_file():
        return None  # what only main.c uses
    target = name.split("/")[0]
    if "/" not in name or target not in LAYERS:
        return f'"{name}": core/ is included as "layer/file.h", all else in <>'
    if layer in LAYERS and LAYERS.index(target) > LAYERS.index(layer):
        return f'"{name}": {layer} may not use {target}, which is below it'
    if not (ROOT / "core" / name).is_file():
        return f'"{name}": there is no such file'
    return None


def check_plugin(path, quote, name):
    if quote == "<":
        if LIBRARIES.search(name):
            return f"<{name}>: a plugin gets this from the host"
        if name.startswith("sandboxd/") and not (ROOT / "include" / name).is_file():
            return f"<{name}>: not a public header"
        return None
    if (ROOT / "plugins" / name).is_file() and name.startswith("common/"):
        return None
    own = ROOT.joinpath(*path.relative_to(ROOT).parts[:2])
    if ".." not in name and ((own / name).is_file() or (path.parent / name).is_file()):
        return None
    return f'"{name}": a plugin includes its own files as "folder/file.h", "common/…" and <sandboxd/…>'


def check_public(path, quote, name):
    if quote == "<" and (name in PUBLIC_SYSTEM or (ROOT / "include" / name).is_file()):
        return None
    return f"{name}: the public headers include each other and {', '.join(sorted(PUBLIC_SYSTEM))}"


problems, checked = [], 0
for folder, check in (("core", check_core), ("plugins", check_plugin), ("include", check_public)):
    for path in sources(folder):
        checked += 1
        for line, quote, name in includes(path):
            complaint = check(path, quote, name)
            if complaint:
                problems.append(f"{path.relative_to(ROOT)}:{line}: {complaint}")
finish(problems, checked)
