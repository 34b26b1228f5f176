"""Every header compiles alone; the public ones as plain C11 and as C++, pedantically, with nothing else in sight."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from common import ROOT, finish, sources

LIBRARIES = ["libevent", "libcurl", "json-c", "yaml-0.1", "sqlite3", "openssl"]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def compiles(path):
    """Why it does not, or nothing."""
    include = f'#include "{path}"\n#include "{path}"\n'
    public = path.is_relative_to(ROOT / "include")
    commands = []
    if public:
        base = [*WARNINGS, "-pedantic", f"-I{ROOT}/include", "-"]
        commands.append(["gcc", "-x", "c", "-std=c11", *base])
        if shutil.which("clang"):
            commands.append(["clang", "-x", "c++", "-std=c++17", *base])
    else:
        tree, folder = path.relative_to(ROOT).parts[:2]
        own = [f"-I{ROOT}/core", *CFLAGS] if tree == "core" else [f"-I{ROOT}/plugins", f"-I{ROOT}/plugins/{folder}"]
        commands.append(["gcc", "-x", "c", "-std=c17", "-D_GNU_SOURCE", *WARNINGS, *own, f"-I{ROOT}/include", "-"])
    for command in commands:
        result = subprocess.run(command, input=include, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return f"{path.relative_to(ROOT)}: {command[0]} {command[3]}:\n{result.stderr}"
    return None


CFLAGS = subprocess.run(["pkg-config", "--cflags", *LIBRARIES], check=True, capture_output=True, text=True).stdout.split()
headers = list(sources("core", "plugins", "include", suffixes=(".h",)))
with ThreadPoolExecutor(2) as pool:
    problems = [problem for problem in pool.map(compiles, headers) if problem]
finish(problems, len(headers))
