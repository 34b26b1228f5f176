"""What the lints share: which files there are, their text without comments, and how a lint ends."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = 77

_COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def build_dir():
    """The build directory, which CMake gives as the one argument."""
    return Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")


def sources(*folders, suffixes=(".c", ".h")):
    """All C files below the folders, in order."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def code_of(path):
    """The file's text with comments and the inside of texts blanked out; lines stay where they are."""
    def blank(match):
        text = match.group()
        kept = "".join("\n" if c == "\n" else " " for c in text)
        return text[0] + kept[1:-1] + text[-1] if text[0] in "\"'" else kept
    return _COMMENT_OR_TEXT.sub(blank, path.read_text())


def finish(problems, checked):
    """Prints and exits: 1 where there is a problem, or where nothing was looked at."""
    for problem in problems:
        print(problem)
    if not checked:
        problems = ["nothing was checked"]
        print(problems[0])
    print(f"{checked} checked, {len(problems)} problems")
    sys.exit(1 if problems else 0)


def skip(reason):
    """The lint can't tell on this machine."""
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)
