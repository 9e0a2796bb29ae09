"""When a running trial writes its checkpoint: often enough to lose little, seldom enough to cost next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ganbench.checkpoints import read_checkpoint, write_checkpoint
from ganbench.states import State, Unknown
from ganbench.tasks import Keeping, Stopped

USUAL_SECONDS = 60.0
DEAREST = 0.01
"""The share of a trial's time that checkpoints may take, where nobody asked for a certain interval."""

LOOK_SECONDS = 0.2
"""Between two looks for the file that asks trials to end."""


class Keeper:
    """Writes checkpoints of what `state` gives, and ends trials that are asked to. `identity` says what they are of.

    `tell` is told once why none can be written, if so. `seconds` is the time that this process has spent on it.
    """

    def __init__(
        self,
        keeping: Keeping | None,
        identity: Mapping[str, Any],
        state: Callable[[], State],
        tell: Callable[[str], None],
    ) -> None:
        self.seconds = 0.0
        self._possible = keeping is not None
        self._tell = tell
        self._keeping = keeping
        self._identity = identity
        self._state = state
        self._every = USUAL_SECONDS if keeping is None or keeping.every is None else keeping.every
        now = time.monotonic()
        self._next, self._next_look = now + self._every, now

    def saved(self) -> State | None:
        """The state to go on from, None where there is none. Raises DamagedError where there is one of no use."""
        if self._keeping is None or not self._keeping.path.exists():
            return None
        return read_checkpoint(self._keeping.path, self._identity)

    def due(self) -> bool:
        """Whether it is time to call `keep`. Costs next to nothing."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            if self._asked_to_stop():
                return True
        return now >= self._next and self._possible

    def keep(self) -> None:
        """Write the checkpoint. Raises Stopped after it if the run asked for that, StorageError if the disk is full."""
        began = time.monotonic()
        if self._possible:
            self._write()
        took = time.monotonic() - began
        self.seconds += took
        rest = took / DEAREST if self._keeping is None or self._keeping.every is None else 0.0
        self._next = began + took + max(self._every, rest)
        if self._asked_to_stop():
            raise Stopped

    def _write(self) -> None:
        assert self._keeping is not None
        try:
            state = self._state()
        except Unknown as reason:
            self._possible = False
            self._tell(str(reason))
            return
        write_checkpoint(self._keeping.path, self._identity, state)

    def _asked_to_stop(self) -> bool:
        return self._keeping is not None and self._keeping.stop is not None and self._keeping.stop.exists()
