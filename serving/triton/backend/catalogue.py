"""Keeps Triton's own list of models like ours: its index, metadata and configuration calls know what answers.

Nobody waits for it, and no answer depends on it: requests go to the resident base. It asks the server that it runs in
over HTTP: the backend's own call for it holds up every reply while Triton loads, and crashes before the base is ready.
"""

import time
from threading import Condition, Thread
from urllib.request import ProxyHandler, Request, build_opener

from serving.triton.backend.pointers import Log
from serving.triton.backend.served import Served

PATIENCE = 10.0
PAUSE = 0.2
DIRECT = build_opener(ProxyHandler({}))


class Catalogue:
    """What is noted here, a thread tells the Triton at `address`, with `header`, once it is ready."""

    def __init__(self, address: str, header: dict[str, str], log: Log) -> None:
        self._address, self._header, self._log = address, header, log
        self._wanted: dict[str, bool] = {}
        self._news = Condition()
        Thread(target=self._loop, name="catalogue", daemon=True).start()

    def note(self, name: str, served: Served | None) -> None:
        """`served` answers for model `name` from now on; None: nothing does."""
        with self._news:
            self._wanted[name] = served is not None
            self._news.notify()

    def _loop(self) -> None:
        while not self._is_ready():
            time.sleep(PAUSE)
        while True:
            with self._news:
                self._news.wait_for(lambda: self._wanted)
            time.sleep(PAUSE)  # the first requests come first: Triton would load beside them
            with self._news:
                wanted, self._wanted = self._wanted, {}
            for name, answers in wanted.items():
                try:
                    self._call(f"repository/models/{name}/{'load' if answers else 'unload'}", b"{}")
                except OSError as refused:
                    self._log(f"{name}: Triton does not list it as it answers: {refused}")

    def _is_ready(self) -> bool:
        try:
            self._call("health/ready")
        except OSError:
            return False
        return True

    def _call(self, path: str, body: bytes | None = None) -> None:
        with DIRECT.open(Request(f"{self._address}/v2/{path}", body, self._header), timeout=PATIENCE):
            pass
