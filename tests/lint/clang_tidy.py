"""Static analysis: the checks of .clang-tidy over the daemon, the plugins and the agent, all clean.

A file that was clean once is not looked at again until the file, a header of it, its options, .clang-tidy or the program
change: the digest of all these is remembered in a cache folder. Nothing is remembered of a file with problems.
"""

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import ROOT, build_dir, finish, skip

if not shutil.which("clang-tidy"):
    skip("there is no clang-tidy")

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sandboxd-tests/clang-tidy")
SAME_FOR_ALL = subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout + \
    (ROOT / ".clang-tidy").read_bytes()


def digest(entry):
    """Of all that the checks of one file see: comments and line ends count too, since NOLINT is one. None: not known."""
    words = shlex.split(entry["command"])
    if "-o" in words:
        del words[words.index("-o"):words.index("-o") + 2]
    words = [word for word in words if word != "-c" and "ccache" not in word]
    result = subprocess.run([*words, "-E", "-CC"], cwd=entry["directory"], capture_output=True, check=False)
    if result.returncode != 0:
        return None
    paths = str(ROOT).encode()
    seen = b"\0".join([SAME_FOR_ALL, shlex.join(words).encode(), result.stdout]).replace(paths, b"")
    return hashlib.sha256(seen).hexdigest()


def check(entry):
    """What it found in one file, or nothing."""
    clean = digest(entry)
    if clean and (CACHE / clean).exists():
        return None
    result = subprocess.run(["clang-tidy", "--quiet", "-p", build_dir(), entry["file"]],
                            capture_output=True, text=True, check=False)
    if result.returncode != 0:
        return result.stdout + result.stderr
    if clean:
        with contextlib.suppress(OSError):  # then it is looked at again the next time
            CACHE.mkdir(parents=True, exist_ok=True)
            (CACHE / clean).touch()
    return None


os.nice(19)  # tests that wait, and mostly do, go before it
commands = json.loads((build_dir() / "compile_commands.json").read_text())
folders = [str(ROOT / folder) + "/" for folder in ("core", "plugins", "tests/agent")]
entries = {entry["file"]: entry for entry in commands if any(entry["file"].startswith(f) for f in folders)}
with ThreadPoolExecutor(os.cpu_count()) as pool:
    problems = [found for found in pool.map(check, (entries[file] for file in sorted(entries))) if found]
finish(problems, len(entries))
