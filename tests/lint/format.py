"""The sources look as .clang-format says. Versions of clang-format differ: only Debian 12's (14) decides."""

import re
import shutil
import subprocess

from common import ROOT, finish, skip, sources

VERSION = "14"

tool = shutil.which("clang-format-14") or shutil.which("clang-format")
if not tool:
    skip("there is no clang-format")
version = re.search(r"version (\d+)", subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout)
if not version or version.group(1) != VERSION:
    skip(f"clang-format {VERSION} decides, this is {version.group(1) if version else 'unknown'}")

files = list(sources("core", "plugins", "include", "tests"))
problems = []
for path in files:
    result = subprocess.run([tool, "--dry-run", "--Werror", path], capture_output=True, text=True, check=False, cwd=ROOT)
    if result.returncode != 0:
        problems.append(result.stderr.splitlines()[0])
finish(problems, len(files))
