"""The replica of one region: what it should answer with, and how that comes about."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

from governance.audit.witness import fault_file
from governance.custody.canonical import sha256_file
from governance.custody.keys import PrivateKey, TrustedKeys
from governance.custody.manifest import MANIFEST
from governance.custody.statements import StatementRefused
from governance.custody.store import ObjectStore
from governance.custody.verify import verify_release
from governance.tenants import Release
from governance.trust.client import View, refresh
from governance.trust.errors import NotVouched, TrustRefused
from governance.trust.live import LivePointer, live_models, live_pointer
from governance.trust.releases import Vouched, read_release
from governance.trust.roles import live_path
from serving.replication.fetch import clear_stale, fetch, pacer
from serving.replication.metrics import Metrics
from serving.replication.probe import ProbeFailed, probe
from serving.replication.statement import RegionStatement, read_statement, write_statement
from serving.replication.trial import FirstMinutesFailed, Switch, failing, try_beside
from serving.triton import repository

TRY_AGAIN = 10.0  # seconds until what was refused is looked at again: the store may be mended by then

Log = Callable[[str], None]
Probe = Callable[[str, Release, str], object]


class Refused(RuntimeError):
    """What a pointer asks for is not let in; the message says why."""


class Superseded(Exception):
    """Another pointer holds by now."""


@dataclass(frozen=True)
class Place:
    """A region as its replica is told of it. Sizes in bytes, times in seconds. bytes_per_second: of all downloads
    together. switch: None switches at once."""

    name: str
    root: Path
    triton: str
    base_sha256: str
    key: PrivateKey
    disk_reserve: int = 256 << 20
    bytes_per_second: float | None = None
    verify_again: float = 900.0
    side_by_side: int = 4
    switch: Switch | None = None

    @property
    def trusted(self) -> TrustedKeys:
        return TrustedKeys(self.root / "trusted")


@dataclass(frozen=True)
class Wanted:
    """What holds for a model: the pointer and the release that it names, or why there is none to follow."""

    model: str
    pointer: LivePointer | None
    vouched: Vouched | None
    refused: str | None = None

    @property
    def identity(self) -> str:
        return self.pointer.sha256 if self.pointer else "none"


@dataclass
class Settled:
    """What was made of a wanted, and when the files were last read. final: nothing more under this pointer."""

    wanted: Wanted
    statement: RegionStatement
    final: bool
    verified: float = field(default_factory=monotonic)


class Replica:
    """`tick` looks once and sets to work; models are worked on side by side, one never twice."""

    def __init__(self, store: ObjectStore, place: Place, metrics: Metrics, log: Log, ask: Probe = probe) -> None:
        self._store, self._place, self._metrics, self._log, self._ask = store, place, metrics, log, ask
        self._pool = ThreadPoolExecutor(place.side_by_side, thread_name_prefix="model")
        self._working: dict[str, Future[None]] = {}
        self._settled: dict[str, Settled] = {}
        self._trust, self._pace = threading.Lock(), pacer(place.bytes_per_second)
        self.fault: str | None = "it has not looked yet"
        self._witness_fault: str | None = None
        clear_stale(place.root / "downloads")

    def tick(self) -> None:
        """Raises nothing: what is wrong is `fault`, or in the statement of a model."""
        self._show_witness_fault()
        try:
            with self._trust:
                view = refresh(self._store, self._place.trusted)
                wanted = [self._resolve(view, model) for model in self._models(view)]
        except Exception as fault:  # the store away, metadata frozen: whatever it is, nothing changes here
            if self.fault != str(fault):
                self._log(f"nothing new is trusted: {fault}")
            self.fault = str(fault)
            self._metrics.refusals.labels("", "trust").inc()
            return
        self.fault = None
        for each in wanted:
            if not self._is_settled(each) and not self._busy(each.model):
                self._working[each.model] = self._pool.submit(self._follow, each)
            elif not self._busy(each.model) and self._is_young(each.model):
                self._working[each.model] = self._pool.submit(self._watch, each)
        if all(done.statement.refused is None for done in self._settled.values()):
            self._metrics.success.set_to_current_time()

    def wait(self) -> None:
        """Until nothing is worked on."""
        for work in list(self._working.values()):
            work.result()

    def status(self) -> dict[str, object]:
        """What it would say if asked."""
        return {
            "region": self._place.name,
            "fault": self.fault,
            "witness": self._witness_fault,
            "models": {model: done.statement.model_dump(mode="json") for model, done in sorted(self._settled.items())},
        }

    def _show_witness_fault(self) -> None:
        """Why the region, as a witness, does not countersign the audit log: whoever looked at it left that here."""
        said = None
        with suppress(FileNotFoundError):
            said = fault_file(self._place.root).read_text()
        if said and said != self._witness_fault:
            self._log(said)
        self._witness_fault = said
        self._metrics.log_refused.set(said is not None)

    def _models(self, view: View) -> list[str]:
        """Those with a pointer, and those that answer though there is none any more."""
        folders = (self._place.root / "models").glob("*.*/" + repository.POINTER)
        answering = {folder.parent.name.replace(".", "/") for folder in folders}
        return sorted({*live_models(view, self._place.name), *answering})

    def _resolve(self, view: View, model: str) -> Wanted:
        target, done = view.target(live_path(self._place.name, model)), self._settled.get(model)
        if target and done and done.wanted.identity == target.hashes["sha256"]:
            pointer = done.wanted.pointer  # read before
        else:
            pointer = live_pointer(view, model, self._place.name)
        if pointer is None:
            return Wanted(model, None, None, "no live pointer names a release of it")
        try:
            vouched = read_release(view, Release.parse(pointer.release))
        except TrustRefused as refused:
            return Wanted(model, pointer, None, str(refused))
        if vouched.digest != pointer.digest:
            return Wanted(model, pointer, None, f"{pointer.release} is vouched for with another release digest")
        return Wanted(model, pointer, vouched)

    def _is_settled(self, wanted: Wanted) -> bool:
        done = self._settled.get(wanted.model)
        if done is None or done.wanted != wanted:
            if wanted.pointer:
                self._metrics.lag.labels(wanted.model).set((datetime.now(UTC) - wanted.pointer.at).total_seconds())
            return False
        refused = done.statement.refused and wanted.vouched
        return done.final or monotonic() - done.verified < (TRY_AGAIN if refused else self._place.verify_again)

    def _busy(self, model: str) -> bool:
        work = self._working.get(model)
        return work is not None and not work.done()

    def _follow(self, wanted: Wanted) -> None:
        try:
            if wanted.vouched is None:
                self._stand_down(wanted)
                raise Refused(wanted.refused)
            self._refuse_again(wanted)
            shadow = self._bring(wanted, wanted.vouched)
            self._say(wanted, None, shadow=shadow)
        except Superseded:
            return
        except Exception as refused:  # whatever is wrong with one model, the others are followed
            self._refuse(wanted, refused)
        finally:
            repository.end_shadow(self._place.root, wanted.model.replace("/", "."))

    def _refuse(self, wanted: Wanted, refused: Exception) -> None:
        self._metrics.refusals.labels(wanted.model, type(refused).__name__).inc()
        self._log(f"{wanted.model}: {wanted.pointer.release if wanted.pointer else 'nothing'} refused: {refused}")
        returned = isinstance(refused, FirstMinutesFailed)
        with suppress(Exception):  # the store may be what is wrong; the next look says it
            self._say(wanted, str(refused), final=returned or isinstance(refused, ProbeFailed), returned=returned)

    def _refuse_again(self, wanted: Wanted) -> None:
        """What the region returned from under this pointer is not tried again by the process after."""
        before = self._before(wanted.model)
        if before and before.returned and before.pointer == wanted.identity:
            raise FirstMinutesFailed(before.refused)

    def _is_young(self, model: str) -> bool:
        """Whether what answers does so since so short a time that it is watched."""
        said, switch = self._before(model), self._place.switch
        if switch is None or said is None or said.refused or said.since is None:
            return False
        return (datetime.now(UTC) - said.since).total_seconds() < switch.watch_seconds

    def _watch(self, wanted: Wanted) -> None:
        try:
            if wanted.vouched:
                self._return_if_failing(wanted.vouched)
        except FirstMinutesFailed as failed:
            self._refuse(wanted, failed)
        except Exception as away:  # the store, or the disk; the next look tries again
            self._log(f"{wanted.model}: its first minutes are not watched: {away}")

    def _return_if_failing(self, vouched: Vouched) -> None:
        """Switch back from the release that answers if it fails, and the one before is still vouched for.

        Raises FirstMinutesFailed where it went back.
        """
        root, release, switch = self._place.root, vouched.release, self._place.switch
        number = repository.version_before(root, release.served_name)
        fault = failing(self._place.triton, release, vouched.digest, switch) if switch and number else None
        if fault is None:
            return
        before = release.model_copy(update={"number": number})
        digest = sha256_file(repository.release_folder(root, before) / MANIFEST)
        if self._is_vouched(before, digest):
            self._go_back(before, digest)
            raise FirstMinutesFailed(f"{release} failed in its first minutes: {fault}")

    def _bring(self, wanted: Wanted, vouched: Vouched) -> str | None:
        """What the release showed in the shadow of the one that answered, where it was tried. Raises what refuses it;
        then what answered before still does."""
        root, release = self._place.root, vouched.release
        verify = partial(
            verify_release,
            trusted=self._place.trusted,
            expect_model=release.model,
            expect_digest=vouched.digest,
            expect_base=self._place.base_sha256,
        )
        before = repository.read_pointer(root / "models" / release.served_name / repository.POINTER)
        if not repository.holds(root, release, verify):
            hashed: dict[str, str] = {}
            staged = repository.stage(root, release, partial(self._fetch, vouched, hashed), verify)
            repository.install(root, release, staged, verify, partial(verify, hashed=hashed))
        if before == (release.number, vouched.digest):
            if self._is_young(wanted.model):
                self._return_if_failing(vouched)
            try:
                self._ask(self._place.triton, release, vouched.digest)
            except ProbeFailed as silent:
                raise Refused(str(silent)) from silent  # nothing to go back to; it is asked again
            return self._shown(wanted)
        shadow = self._try_beside(release) if before else None
        self._still_wanted(wanted)
        repository.switch(root, release)
        try:
            self._ask(self._place.triton, release, vouched.digest)
        except ProbeFailed:
            self._put_back(release, before)
            raise
        self._metrics.switches.inc()
        self._log(f"{wanted.model}: {release} answers, digest {vouched.digest}")
        repository.prune(root, release.served_name)
        return shadow

    def _try_beside(self, release: Release) -> str | None:
        """None where no shadow is wanted, and where the release answered before. Raises ProbeFailed."""
        root, switch = self._place.root, self._place.switch
        if switch is None or not switch.share or repository.goes_back(root, release):
            return None
        repository.begin_shadow(root, release, switch.share)
        return try_beside(self._place.triton, release, switch)

    def _shown(self, wanted: Wanted) -> str | None:
        before = self._before(wanted.model)
        return before.shadow if before and before.pointer == wanted.identity else None

    def _put_back(self, release: Release, before: tuple[int, str] | None) -> None:
        if before is None:
            repository.withdraw(self._place.root, release.served_name)
        else:
            self._go_back(release.model_copy(update={"number": before[0]}), before[1])

    def _go_back(self, release: Release, digest: str) -> None:
        """To what answered before; it is not said to before it does."""
        repository.switch(self._place.root, release)
        with suppress(ProbeFailed):  # nothing else is left to go back to
            self._ask(self._place.triton, release, digest)

    def _fetch(self, vouched: Vouched, hashed: dict[str, str], folder: Path) -> None:
        """The release's files into `folder`, their sha256 into `hashed`."""
        needed = sum(ref.size for ref in vouched.files.values())
        if (left := shutil.disk_usage(self._place.root).free - needed) < self._place.disk_reserve:
            raise Refused(
                f"the disk of {self._place.root} would have {left >> 20} MiB left, {self._place.disk_reserve >> 20} "
                "are kept free; make room"
            )
        downloads = self._place.root / "downloads" / str(vouched.release)  # models side by side may have equal files
        for name, ref in vouched.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            came = fetch(self._store, ref, downloads, self._came)
            came.rename(folder / name)
            hashed[name] = ref.sha256

    def _came(self, size: int) -> None:
        self._metrics.bytes.inc(size)
        self._pace(size)

    def _still_wanted(self, wanted: Wanted) -> None:
        """Asked right before the switch: a fetch may have taken long. Raises Superseded, TrustRefused."""
        with self._trust:
            if self._resolve(refresh(self._store, self._place.trusted), wanted.model) != wanted:
                raise Superseded

    def _stand_down(self, wanted: Wanted) -> None:
        """Nothing may be followed: what answers goes on unless its tenant does not vouch for it any more.

        Raises TrustRefused where that cannot be known; then it goes on.
        """
        name = wanted.model.replace("/", ".")
        served = repository.read_pointer(self._place.root / "models" / name / repository.POINTER)
        if served is None:
            return
        release = Release.parse(f"{name}@{served[0]}")
        if wanted.pointer is None or not self._is_vouched(release, served[1]):
            repository.withdraw(self._place.root, name)
            self._log(f"{wanted.model}: {release} taken out of service: {wanted.refused}")

    def _is_vouched(self, release: Release, digest: str) -> bool:
        """Raises TrustRefused where it cannot be known."""
        with self._trust:
            view = refresh(self._store, self._place.trusted)
            try:
                return read_release(view, release).digest == digest
            except NotVouched:
                return False

    def _say(
        self,
        wanted: Wanted,
        refused: str | None,
        final: bool = False,
        returned: bool = False,
        shadow: str | None = None,
    ) -> None:
        """Keep what was made of it, and write the signed statement when it says something new."""
        name, now = wanted.model.replace("/", "."), datetime.now(UTC)
        served = repository.read_pointer(self._place.root / "models" / name / repository.POINTER)
        before = self._before(wanted.model)
        digest = served[1] if served else None
        said = RegionStatement(
            region=self._place.name,
            model=wanted.model,
            pointer=wanted.identity,
            asked=wanted.pointer.release if wanted.pointer else "nothing",
            release=f"{name}@{served[0]}" if served else None,
            digest=digest,
            since=before.since if before and before.digest == digest else (now if served else None),
            at=now,
            refused=refused,
            returned=returned,
            shadow=shadow,
        )
        self._settled[wanted.model] = Settled(wanted, said, final)
        self._metrics.lag.labels(wanted.model).set(0 if refused is None else self._age(wanted, now))
        if before is None or before.model_copy(update={"at": now}) != said:
            write_statement(self._store, said, self._place.key)

    def _before(self, model: str) -> RegionStatement | None:
        """What was said last, by the process before this one, too."""
        if done := self._settled.get(model):
            return done.statement
        with suppress(StatementRefused):
            return read_statement(self._store, self._place.name, model, self._place.key.public_key())
        return None

    def _age(self, wanted: Wanted, now: datetime) -> float:
        return (now - wanted.pointer.at).total_seconds() if wanted.pointer else 0.0
