"""Places kept for those who are told to come back: who does so in that time is let in, however many others ask.

Places are given out at the pace at which such requests are answered, one after the other. Most of those who are told
never come back; what part of them does is learned, and only that part stands before the next.
"""

import heapq
import math
import time

LONGEST = 60  # seconds; for who would wait longer no place is kept
MOST = 20_000  # places kept at once
SLACK = 0.25  # of the seconds told: so much earlier or later it is the same
LEAST_SLACK = 0.5  # seconds later, for the way here
WEIGHT = 0.005  # of one more who came back or did not


class Places:
    """Of one tier. A place belongs to a question, so the request that is sent again finds it."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, float]] = {}  # by question: from when until when
        self._ends: list[tuple[float, str]] = []  # a heap
        self._returning = 1.0  # part of those with a place who came back

    def keep(self, question: str, least: float, pace: float) -> int:
        """Whole seconds after which the question is let in: when `least` have passed and who stands before it was
        answered, `pace` of them a second."""
        now, (start, _) = self._forget_ended(), self._due.get(question, (0, 0))
        if now < start:
            return max(1, math.ceil(start - now))
        if start:  # it came when it was told to, and there is no room yet
            self._learn(1)
            return self._keep(question, now, 1)
        seconds = max(1, math.ceil(max(least, (len(self._due) * self._returning + 1) / pace if pace else 1)))
        if seconds > LONGEST:
            return LONGEST
        return self._keep(question, now, seconds) if len(self._due) < MOST else seconds

    def take(self, question: str) -> bool:
        """Whether a place was kept for the question for about now; it is taken."""
        now = self._forget_ended()
        if question not in self._due or now < self._due[question][0]:
            return False
        del self._due[question]
        self._learn(1)
        return True

    def _keep(self, question: str, now: float, seconds: int) -> int:
        ends = now + seconds + max(LEAST_SLACK, seconds * SLACK)
        self._due[question] = now + seconds * (1 - SLACK), ends
        heapq.heappush(self._ends, (ends, question))
        return seconds

    def _forget_ended(self) -> float:
        now = time.monotonic()
        while self._ends and self._ends[0][0] < now:
            ends, question = heapq.heappop(self._ends)
            if self._due.get(question, (0, 0))[1] == ends:
                del self._due[question]
                self._learn(0)
        return now

    def _learn(self, came: int) -> None:
        self._returning += (came - self._returning) * WEIGHT
