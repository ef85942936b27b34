"""What a replica answers when asked, loopback only.

GET /health (it runs), /ready (it trusts what it sees, else why not), /status, /metrics; POST /wake looks at once.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from serving.replication.metrics import Metrics
from serving.replication.replica import Replica

HOST = "127.0.0.1"


def serve(replica: Replica, metrics: Metrics, wake: threading.Event, port: int) -> ThreadingHTTPServer:
    """In a thread of its own, until `shutdown`. port: 0 takes a free one."""
    server = ThreadingHTTPServer((HOST, port), _handler(replica, metrics, wake))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _handler(replica: Replica, metrics: Metrics, wake: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, metrics.text())
            elif self.path == "/status":
                self._answer(200, json.dumps(replica.status()).encode())
            elif self.path == "/ready":
                self._answer(503 if replica.fault else 200, (replica.fault or "ready").encode())
            else:
                self._answer(200 if self.path == "/health" else 404, b"")

        def do_POST(self) -> None:
            if self.path == "/wake":
                wake.set()
            self._answer(202 if self.path == "/wake" else 404, b"")

        def _answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not every look of a prober."""

    return Handler
