"""One region's Triton to measure and to test: prepared, started, asked, killed, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from orchestration.stack.ports import choose
from serving.triton import client, install, server
from serving.triton.keep import BACKEND

PATIENCE = 90.0
OUTPUTS = ("LABEL", "SCORES", "MODEL_VERSION", "RELEASE_DIGEST")

Answers = dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]
Ask = Callable[[str, str], Answers]


class Region:
    """Triton over `root` (repository.prepare); `kept`: started again when it dies, as the local stack does it.

    `options`: environment variables of its own. Use it as a context: on leaving it is stopped.
    """

    def __init__(self, root: Path, base: str, kept: bool = False, **options: str) -> None:
        self.root, self._base, self._kept, self._options = root, base, kept, options
        self.ports = server.Ports(**choose({"http": None, "grpc": None, "metrics": None}))
        self._prefix = f"pedigree_{os.getpid()}_{self.ports.http}_"
        self.process: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://{server.HOST}:{self.ports.http}"

    @property
    def log(self) -> str:
        return (self.root / "triton.log").read_text()

    def start(self) -> float:
        """Seconds until it answers. Raises RuntimeError with the end of its log."""
        environment = server.environment(self.root, self.ports, install.location()) | self._options
        command = server.command(self.root, self._base, self.ports, install.location())
        if self._kept:
            command = [sys.executable, "-m", "serving.triton.keep", self._prefix, *command]
        else:
            command.append(f"--backend-config=python,shm-region-prefix-name={self._prefix}")
        with (self.root / "triton.log").open("ab") as log:
            self._child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.process = psutil.Process(self._child.pid)
        return self.until_ready()

    def until_ready(self) -> float:
        """Seconds until it answers. Raises RuntimeError."""
        began = time.monotonic()
        while not client.is_ready(self.address):
            dead = self._child is None or self._child.poll() is not None
            if dead or time.monotonic() - began > PATIENCE:
                raise RuntimeError(f"the region does not answer; its log ends:\n{self.log[-2000:]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def end(self, how: int = signal.SIGTERM) -> int:
        """Its exit code, after this signal."""
        assert self._child is not None, "it was never started"
        self._child.send_signal(how)
        return self._child.wait(60)

    def family(self, name: str = "") -> list[psutil.Process]:
        """The server and what it started; of these the ones of that name."""
        assert self.process is not None, "it was never started"
        everyone = [self.process, *self.process.children(recursive=True)]
        return [each for each in everyone if not name or each.name() == name]

    def kill(self, name: str = BACKEND) -> None:
        """SIGKILL to the one process of that name."""
        (victim,) = self.family(name)
        victim.send_signal(signal.SIGKILL)

    def shared_memory(self) -> list[Path]:
        """What it holds in shared memory, or left there."""
        return list(server.SHARED_MEMORY.glob(f"{self._prefix}*"))

    def asking(self, protocol: str = "grpc") -> Ask:
        """A function from model and text to OUTPUTS, over a connection that stays open; for one thread."""
        if protocol == "http":
            import tritonclient.http as triton
        else:
            import tritonclient.grpc as triton

        port = self.ports.http if protocol == "http" else self.ports.grpc
        connection = triton.InferenceServerClient(f"{server.HOST}:{port}")
        outputs = [triton.InferRequestedOutput(name) for name in OUTPUTS]

        def ask(model: str, text: str) -> Answers:
            tensors = [triton.InferInput(name, [1], "BYTES") for name in ("TEXT", "MODEL")]
            for tensor, value in zip(tensors, (text, model), strict=True):
                tensor.set_data_from_numpy(np.array([value.encode()], dtype=np.object_))
            said = connection.infer(self._base, tensors, outputs=outputs)
            return {name: said.as_numpy(name) for name in OUTPUTS}

        return ask

    def __enter__(self) -> "Region":
        try:
            self.start()
        except BaseException:  # nobody leaves what was not entered
            self.__exit__()
            raise
        return self

    def __exit__(self, *_fault: object) -> None:
        if self._child and self._child.poll() is None:
            self.end()
        for file in self.shared_memory():
            file.unlink()
