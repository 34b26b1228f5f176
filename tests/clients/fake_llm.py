"""A language model that does as it is told: a small HTTP server for what OpenAI's clients call.

The user's newest message is the script. Each of its lines `RUN command` is one call of the terminal tool, in turn; then the
agent finishes and says what the last command put out. Who offers no tools (it wants a title, say) gets a line of text. The
server keeps nothing: a request that is sent again has the same answer.
"""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def text_of(message):
    """A message's text, whether it is one text or a list of parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def next_step(messages, tools):
    """What the model says to a conversation: a tool's name and its arguments."""
    begin = max(i for i, message in enumerate(messages) if message["role"] == "user" and "RUN " in text_of(message))
    commands = [line[4:] for line in text_of(messages[begin]).splitlines() if line.startswith("RUN ")]
    results = [text_of(message) for message in messages[begin:] if message["role"] == "tool"]
    if len(results) < len(commands):
        assert "terminal" in tools, tools
        return "terminal", {"command": commands[len(results)]}
    return "finish", {"message": "The last command said:\n" + (results[-1] if results else "nothing")}


class Handler(BaseHTTPRequestHandler):
    """POST …/chat/completions, and nothing else."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            self.send_error(404)
            return
        self.server.authorizations.append(self.headers.get("Authorization"))
        tools = [tool["function"]["name"] for tool in request.get("tools", [])]
        count = len(request["messages"])
        said = {"role": "assistant", "content": "a line of text"}
        if tools:
            name, arguments = next_step(request["messages"], tools)
            said = {"role": "assistant", "content": "", "tool_calls": [{
                "id": f"call_{count}", "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)}}]}
        answer = {
            "id": f"chatcmpl-{count}", "object": "chat.completion", "created": 1700000000, "model": request["model"],
            "choices": [{"index": 0, "finish_reason": "tool_calls" if tools else "stop", "message": said}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class FakeLLM(ThreadingHTTPServer):
    """On a port of every address: containers reach it at their bridge's."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("0.0.0.0", 0), Handler)
        self.authorizations = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, host="127.0.0.1"):
        return f"http://{host}:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address):
        with contextlib.suppress(ConnectionError):
            super().handle_error(request, client_address)
