"""Static analysis: the checks of .clang-tidy over the daemon, the plugins and the agent, all clean."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from common import ROOT, build_dir, finish, skip

if not shutil.which("clang-tidy"):
    skip("there is no clang-tidy")


def check(path):
    """What it found in one file, or nothing."""
    result = subprocess.run(["clang-tidy", "--quiet", "-p", build_dir(), path],
                            capture_output=True, text=True, check=False)
    return result.stdout + result.stderr if result.returncode != 0 else None


os.nice(19)  # tests that wait, and mostly do, go before it
commands = json.loads((build_dir() / "compile_commands.json").read_text())
folders = [str(ROOT / folder) + "/" for folder in ("core", "plugins", "tests/agent")]
files = sorted({entry["file"] for entry in commands if any(entry["file"].startswith(f) for f in folders)})
with ThreadPoolExecutor(os.cpu_count()) as pool:
    problems = [found for found in pool.map(check, files) if found]
finish(problems, len(files))
