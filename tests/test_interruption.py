from __future__ import annotations

import os
import signal
import threading

import pytest

from ganbench.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_tells_and_the_second_interrupts(number):
    told, before = [], signal.getsignal(number)
    with Interruption(lambda: told.append(1)) as interruption:
        assert not interruption.asked
        os.kill(os.getpid(), number)
        assert interruption.asked
        assert told == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_what_the_user_has_asked_to_be_ignored_is_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_no_signals():
    before, seen = signal.getsignal(signal.SIGINT), []

    def inside():
        with Interruption():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
