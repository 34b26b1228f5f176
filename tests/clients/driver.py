"""Runs in the environment of the published packages, and does with them what a test asks for: makes objects, calls
their methods, reads their attributes. One JSON request a line on stdin, one answer a line on what was stdout.

It only passes on: nothing of the packages is changed or replaced here. See remote.py, its other side.
"""

import asyncio
import importlib
import json
import os
import sys


def locate(name):
    """What a dotted name stands for: a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError as problem:
            if problem.name and name.startswith(problem.name):
                continue
            raise
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


class Driver:
    """The objects that the test holds, by number."""

    def __init__(self):
        self.held = []
        self.loop = asyncio.new_event_loop()

    def given(self, value):
        """An argument: of JSON, and of objects that are here."""
        if isinstance(value, dict):
            if set(value) == {"$held"}:
                return self.held[value["$held"]]
            if set(value) == {"$name"}:
                return locate(value["$name"])
            return {key: self.given(one) for key, one in value.items()}
        return [self.given(one) for one in value] if isinstance(value, list) else value

    def told(self, value):
        """A result: JSON as it is, anything else stays here and gets a number."""
        try:
            return {"value": json.loads(json.dumps(value))}
        except TypeError:
            self.held.append(value)
            return {"held": len(self.held) - 1, "is": repr(value)[:500]}

    def do(self, request):
        arguments = self.given(request.get("arguments", []))
        options = self.given(request.get("options", {}))
        if "new" in request:
            result = locate(request["new"])(*arguments, **options)
        else:
            result = getattr(self.held[request["of"]], request["member"])
            if request["call"]:
                result = result(*arguments, **options)
        if asyncio.iscoroutine(result):
            result = self.loop.run_until_complete(result)
        return result

    def serve(self, requests, answers):
        for line in requests:
            try:
                answer = self.told(self.do(json.loads(line)))
            except Exception as problem:  # whatever the packages raise is the test's to judge
                answer = {"error": type(problem).__name__, "message": str(problem)}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the packages print: to stderr
    Driver().serve(sys.stdin, answers)
