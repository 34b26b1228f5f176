"""What each plugin exports and imports.

It exports the constant `sandboxd_plugin` and nothing else, as initialised read-only data; it is linked with libc alone
and takes every undefined symbol from it: nothing of the core, and no library of its own.
"""

import re
import subprocess

from common import build_dir, finish

# Weak references that every shared object has.
TOOLCHAIN = {"__cxa_finalize", "__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}
LIBC = re.compile(r"^(libc\.so\.|ld-linux)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


problems, checked = [], 0
for plugin in sorted((build_dir() / "plugins").glob("*.so")):
    checked += 1
    exported = {line.split()[2]: line.split()[1] for line in run("nm", "-D", "--defined-only", plugin).splitlines()}
    if set(exported) != {"sandboxd_plugin"}:
        problems.append(f"{plugin.name}: exports {sorted(exported)}, and is to export sandboxd_plugin alone")
    elif exported["sandboxd_plugin"] not in "RD":
        problems.append(f"{plugin.name}: sandboxd_plugin is not initialised data")
    for line in run("nm", "-D", "--undefined-only", plugin).splitlines():
        name = line.split()[-1]
        if "@GLIBC_" not in name and name.split("@")[0] not in TOOLCHAIN:
            problems.append(f"{plugin.name}: imports {name}, which is not libc's")
    for library in re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", plugin)):
        if not LIBC.match(library):
            problems.append(f"{plugin.name}: is linked with {library}")
finish(problems, checked)
