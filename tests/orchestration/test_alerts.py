"""A failed build is told to the log always, and to a webhook where one is set and answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestration.alerts import alert


class Webhook(BaseHTTPRequestHandler):
    received: list[dict[str, str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[str]:
    Webhook.received = []
    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def test_the_webhook_gets_the_sentence_and_so_does_the_log(webhook: str) -> None:
    logged: list[str] = []
    alert(webhook, "build_release of a.b@1 failed", logged.append)
    assert Webhook.received == [{"text": "build_release of a.b@1 failed"}]
    assert logged == ["build_release of a.b@1 failed"]


def test_a_webhook_that_is_gone_is_logged_and_never_raised() -> None:
    logged: list[str] = []
    alert("http://127.0.0.1:9/hook", "a build failed", logged.append)
    assert logged[0] == "a build failed" and "did not take the message" in logged[1]


def test_without_a_webhook_the_log_is_enough() -> None:
    logged: list[str] = []
    alert(None, "a build failed", logged.append)
    assert logged == ["a build failed"]
