"""Keeps Triton's own list of models like ours: its index, metadata and configuration calls know what answers.

Nobody waits for it, and no answer depends on it: requests go to the resident base.
"""

from threading import Condition, Event, Thread

import triton_python_backend_utils as pb

from serving.triton.backend.mounts import Served
from serving.triton.backend.pointers import Log


class Catalogue:
    """What is noted here, a thread tells Triton, once `ready` is set: before Triton has loaded the base, it would
    crash its backend."""

    def __init__(self, log: Log) -> None:
        self.ready = Event()
        self._log = log
        self._wanted: dict[str, bool] = {}
        self._news = Condition()
        Thread(target=self._loop, name="catalogue", daemon=True).start()

    def note(self, name: str, served: Served | None) -> None:
        """`served` answers for model `name` from now on; None: nothing does."""
        with self._news:
            self._wanted[name] = served is not None
            self._news.notify()

    def _loop(self) -> None:
        self.ready.wait()
        while True:
            with self._news:
                self._news.wait_for(lambda: self._wanted)
                name, answers = self._wanted.popitem()
            try:
                pb.load_model(name) if answers else pb.unload_model(name)
            except Exception as refused:
                self._log(f"{name}: Triton does not list it as it answers: {refused}")
