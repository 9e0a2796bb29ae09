"""A plugin file whose losses break what they run in: each does its harm once, at the step that it is told."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
import time
from collections import deque
from multiprocessing.shared_memory import SharedMemory

import torch
from torch.utils.data import DataLoader, Dataset

from ganbench import Component, hookimpl


@hookimpl
def ganbench_losses():
    made = {name: f"make_{name.replace('-', '_')}" for name in HARMS}
    for name, (_, summary) in HARMS.items():
        yield Component(name, f":{made[name]}", summary=summary)


def segfault():
    ctypes.string_at(0)


def exits():
    os._exit(3)


def hangs():
    threading.Lock().acquire()
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def spins():
    while True:
        pass


def hoards():
    held = []
    while True:
        held.append(torch.ones(2**22))  # 16 MiB that are really written to
        time.sleep(0.01)


def overdraws():
    torch.empty(2**48)


class Endless(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        time.sleep(3600)


def waits_for_data():
    next(iter(DataLoader(Endless(), num_workers=1, multiprocessing_context="fork")))


def leaves_a_process():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)


def leaves_shared_memory():
    SharedMemory(create=True, size=2**16)
    os._exit(4)


def says_disk_full():
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/of/its/own")


HARMS = {
    "segfault": (segfault, "Reads where nothing is"),
    "exits": (exits, "Ends its process"),
    "hangs": (hangs, "Waits for a lock that it holds"),
    "spins": (spins, "Goes round for ever"),
    "hoards": (hoards, "Takes memory until there is none"),
    "overdraws": (overdraws, "Asks for more memory than there is"),
    "waits-for-data": (waits_for_data, "Waits for a process that loads data for ever"),
    "leaves-a-process": (leaves_a_process, "Starts a process of a session of its own, and goes on"),
    "leaves-shared-memory": (leaves_shared_memory, "Makes shared memory, and ends its process"),
    "says-disk-full": (says_disk_full, "Raises what the system says of a full disk of its own"),
    "slow": (lambda: None, "Takes its time at every step"),
    "queueing": (lambda: None, "Remembers in a queue"),
}


class Harmful:
    """A Wasserstein loss that does harm at a step."""

    def __init__(self, harm, step=5, pause=0.0):
        self.harm, self.step, self.pause = harm, step, pause

    def discriminator(self, game):
        if game.step == self.step:
            HARMS[self.harm][0]()
        time.sleep(self.pause)
        return {"adversarial": game.critic(game.fake) - game.critic(game.real)}

    def generator(self, game):
        return {"adversarial": -game.critic(game.fake)}


class Queueing(Harmful):
    """One whose state is in a container that cannot be written down."""

    def __init__(self, harm, step=5):
        super().__init__(harm, step)
        self.seen = deque(maxlen=3)

    def discriminator(self, game):
        self.seen.append(game.step)
        terms = super().discriminator(game)
        return {"adversarial": terms["adversarial"] * len(self.seen)}


def make_segfault(step: int = 5):
    return Harmful("segfault", step)


def make_exits(step: int = 5):
    return Harmful("exits", step)


def make_hangs(step: int = 5):
    return Harmful("hangs", step)


def make_spins(step: int = 5):
    return Harmful("spins", step)


def make_hoards(step: int = 5):
    return Harmful("hoards", step)


def make_overdraws(step: int = 5):
    return Harmful("overdraws", step)


def make_waits_for_data(step: int = 5):
    return Harmful("waits-for-data", step)


def make_leaves_a_process(step: int = 5):
    return Harmful("leaves-a-process", step)


def make_leaves_shared_memory(step: int = 5):
    return Harmful("leaves-shared-memory", step)


def make_says_disk_full(step: int = 5):
    return Harmful("says-disk-full", step)


def make_slow(pause: float = 0.05):
    return Harmful("slow", 0, pause)


def make_queueing():
    return Queueing("queueing", 0)
