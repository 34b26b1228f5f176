"""One concept a file: none over 550 lines (tests: 800, since they are lists of cases), each opened by a comment that
says what it owns."""

from common import ROOT, finish, sources

MAX_LINES, MAX_TEST_LINES = 550, 800

problems, checked = [], 0
for path in sources("core", "plugins", "include", "tests"):
    checked += 1
    name = path.relative_to(ROOT)
    text = path.read_text()
    lines = text.count("\n")
    most = MAX_TEST_LINES if name.parts[0] == "tests" else MAX_LINES
    if lines > most:
        problems.append(f"{name}: {lines} lines, at most {most}: it holds more than one concept")
    first = text.split("\n", 1)[0]
    if not first.startswith(("/* ", "// uses: ")):
        problems.append(f"{name}:1: opens with a comment that says what it owns and what it must not do")
    if "utils" in path.stem:
        problems.append(f"{name}: name it after its concept")
finish(problems, checked)
