"""A step of training as a CUDA graph: recorded once, then replayed without the host's part in every operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

WARM_UP_STEPS = 3
"""Steps that are carried out as they come, on a stream of their own, before one is recorded: torch asks for it, since
optimisers and libraries set themselves up in the first ones. They are steps of training like any other."""


class CapturedStep:
    """Carries out `play`, from the fourth time on by replaying what was recorded of it.

    All that changes between steps must lie in tensors that stay where they are. `generators` are the random generators
    that the step draws from, besides torch's global one: each replay goes on where the last one ended.
    """

    def __init__(self, play: Callable[[], None], generators: Sequence[torch.Generator]) -> None:
        self._play = play
        self._generators = generators
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._steps = 0

    def __call__(self) -> None:
        """One step."""
        self._steps += 1
        if self._steps <= WARM_UP_STEPS:
            self._carry_out()
            return
        if self._graph is None:
            self._graph = self._recorded()
        self._graph.replay()

    def _carry_out(self) -> None:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._play()
        torch.cuda.current_stream().wait_stream(self._stream)

    def _recorded(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, stream=self._stream):  # records and does not carry out
            self._play()
        return graph
