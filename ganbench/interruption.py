"""Ctrl-C and its kin: the first asks a run to come to an end in good order, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

ASKING = ("SIGINT", "SIGTERM", "SIGHUP")
"""A key at the terminal, a queue that wants its machine back, a terminal that is gone."""


class Interruption:
    """In its block, those signals only set `asked` and call `tell`, the first time.

    Other threads than the main one can set none.
    """

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        self.asked = False
        self._tell = tell
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in [getattr(signal, name) for name in ASKING if hasattr(signal, name)]:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._tell()
