"""Functions that C should not use, each with what to use."""

import re

from common import ROOT, code_of, finish, sources

BANNED = {
    "sprintf vsprintf": "snprintf()",
    "strcpy strcat strncpy strncat stpcpy": "snprintf() or memcpy() with a checked length",
    "gets": "fgets()",
    "atoi atol atoll atof": "strtol() and its kin, with a look at the end",
    "strtok": "strcspn(), or strtok_r()",
    "system popen": "a child of its own, without a shell",
    "alloca": "a buffer of fixed size, or base/buffer.h",
    "rand srand random_r rand_r drand48": "random_fill() or host->random()",
    "tmpnam tempnam mktemp": "mkstemp()",
    "gmtime localtime ctime asctime": "gmtime_r()",
    "gethostbyname gethostbyaddr": "the HTTP client, which looks names up without blocking",
    "setjmp longjmp": "return values",
    "bzero bcopy": "memset(), memmove()",
}

problems, checked = [], 0
for path in sources("core", "plugins", "include", "tests/agent"):
    checked += 1
    code = code_of(path)
    for names, instead in BANNED.items():
        # Not members of a table (host->signal()) nor parts of longer names.
        for match in re.finditer(rf"(?<![\w.])(?<!->)({names.replace(' ', '|')})\s*\(", code):
            line = code.count("\n", 0, match.start()) + 1
            problems.append(f"{path.relative_to(ROOT)}:{line}: {match.group(1)}(): use {instead}")
    # To ignore a signal or not is all that signal() does alike everywhere.
    for match in re.finditer(r"(?<![\w.])(?<!->)signal\s*\([^,]*,(?!\s*(SIG_IGN|SIG_DFL))", code):
        line = code.count("\n", 0, match.start()) + 1
        problems.append(f"{path.relative_to(ROOT)}:{line}: signal() with a handler: use sigaction()")
finish(problems, checked)
