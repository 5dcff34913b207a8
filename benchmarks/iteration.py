"""An iteration of the engine against one of the textbook loop, and against what the machine's matmul would allow."""

from collections.abc import Iterator
from contextlib import suppress

import torch

from benchmarks.paired import Paired, Row, in_turns
from benchmarks.subject import Paced, Subject
from core.engine.architecture import VGG19, block_of
from core.engine.geometry import fit

_MATRIX = {"cpu": 2048, "cuda": 8192}
"""Side of the product that stands for what a device can do: a GPU is done with a small one before the next is asked."""

_PRODUCTS = {"cpu": 1, "cuda": 20}
"""One after the other, between two looks at the clock."""


def rows(subject: Subject, sizes: tuple[int, ...], rounds: int) -> Iterator[Row]:
    for size in sizes:
        for optimizer, rate in (("lbfgs", 0.0), ("adam", 0.02)):
            measured = in_turns(
                lambda size=size, rate=rate: theirs(subject, size, rate),  # type: ignore[misc]
                lambda size=size, name=optimizer: ours(subject, size, name),  # type: ignore[misc]
                rounds if size < 1024 else max(1, rounds // 2),
            )
            yield Row(f"iteration, {size} px, {optimizer}", "textbook", "engine", measured)
        yield limit(subject, size, rounds)


def ours(subject: Subject, size: int, optimizer: str) -> float:
    paced = Paced(subject)
    options = subject.options(size, paced.evaluations * 4, optimizer=optimizer)  # no influence is sampled so early

    class Enough(Exception):
        pass

    def tell(_: object) -> None:
        paced.tick()
        if paced.done:
            raise Enough

    with suppress(Enough):
        subject.ours(options, tell)
    return paced.seconds


def theirs(subject: Subject, size: int, rate: float) -> float:
    paced = Paced(subject)
    subject.theirs(size, paced.evaluations, lambda _: paced.tick(), rate)
    return paced.seconds


def limit(subject: Subject, size: int, rounds: int) -> Row:
    """Achieved against a large matrix product in the same arithmetic."""
    work = operations(fit((subject.content.shape[-1], subject.content.shape[-2]), size))
    rates = in_turns(
        lambda: work / ours(subject, size, "lbfgs") / 1e9,
        lambda: matmul_rate(subject) / 1e9,
        rounds,
    )
    name = str(subject.dtype).removeprefix("torch.")
    return Row(f"limit, {size} px", "engine", f"{name} matmul", Paired(rates.first, rates.second), "GFLOP/s")


def operations(size: tuple[int, int]) -> float:
    """Of one evaluation with its gradient, convolutions to relu5_1 and five Gram matrices: twice their multiplications,
    as the gradient goes to the picture alone. The first convolution's share of the gradient is counted, too."""
    total = 0.0
    for conv in VGG19.convs[: VGG19.convs.index("conv5_1") + 1]:
        incoming, outgoing = VGG19.channels(conv)
        halvings = 1 << (block_of(conv) - 1)
        positions = (size[0] // halvings) * (size[1] // halvings)
        total += 2 * 2 * 9 * incoming * outgoing * positions
        if conv.endswith("_1"):
            total += 2 * 2 * outgoing * outgoing * positions
    return total


def matmul_rate(subject: Subject) -> float:
    """Operations a second of a square matrix product."""
    side, times = _MATRIX[subject.device.type], _PRODUCTS[subject.device.type]
    a = torch.randn(side, side, device=subject.device).to(subject.dtype)
    best = float("inf")
    for _ in range(4):
        begun = subject.now()
        for _ in range(times):
            torch.mm(a, a)
        best = min(best, subject.now() - begun)
    return times * 2 * side**3 / best
