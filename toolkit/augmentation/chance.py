"""numpy's seeded streams of chance, number for number, without numpy's slow start.

`SeedSequence` and `PCG64` are short integer arithmetic; importing numpy takes longer than drawing a
few hundred new images. Many seeds are mixed at once: each has a lane of 64 bits in long numbers, on
which one operation does for all. M. E. O'Neill, "PCG: a family of simple fast space-efficient
statistically good algorithms for random number generation", 2014; D. Lemire, "Fast random integer
generation in an interval", 2019.
"""

import sys
from array import array
from collections.abc import Iterable, Sequence

M32, M64, M128 = 2**32 - 1, 2**64 - 1, 2**128 - 1
LANE = 8  # bytes: the product of two words fits
POOL = 4
ALL = tuple(range(POOL))
OTHERS = [tuple(target for target in ALL if target != source) for source in ALL]
INIT_A, MULTIPLY_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULTIPLY_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = 0xCA01F9DD, 2**32 - 0x4973F715  # the second is taken away
PCG_MULTIPLY = 0x2360ED051FC65DA44385DF649FCCF645


class Seeds:
    """numpy's SeedSequence of some words below 2**32, or many sequences: one in each lane.

    A word is one number, or a number for each lane.
    """

    def __init__(self, words: Sequence[int | Sequence[int]]) -> None:
        """Mix the words into the pool."""
        self._widen(words)
        self._constant, self._pool = INIT_A, list[int]()
        for word in [*words[:POOL], *[0] * (POOL - len(words))]:
            value = self._lanes(word) ^ self._constant * self._ones
            self._constant = self._constant * MULTIPLY_A & M32
            value = value * self._constant & self._low
            self._pool.append(value ^ value >> 16 & self._low)
        for source in ALL:
            self._mix(self._pool[source], OTHERS[source])
        for word in words[POOL:]:
            self._mix(self._lanes(word), ALL)

    def then(self, *words: int | Sequence[int]) -> "Seeds":
        """The one sequence of the same words (four or more) with these after them."""
        longer = Seeds.__new__(Seeds)
        longer._widen(words)
        longer._constant, longer._pool = self._constant, [w * longer._ones for w in self._pool]
        for word in words:
            longer._mix(longer._lanes(word), ALL)
        return longer

    def generate(self, count: int) -> list[int]:
        """As numpy's generate_state: words below 2**32; of the first sequence."""
        return list(self.each(count)[0])

    def each(self, count: int) -> list[tuple[int, ...]]:
        """The same of each sequence."""
        constant, state = INIT_B, []
        for index in range(count):
            value = self._pool[index % POOL] ^ constant * self._ones
            constant = constant * MULTIPLY_B & M32
            value = value * constant & self._low
            state.append(_parted(value ^ value >> 16 & self._low, self._count))
        return list(zip(*state, strict=True))

    def _widen(self, words: Iterable[int | Sequence[int]]) -> None:
        self._count = max([1, *(len(word) for word in words if not isinstance(word, int))])
        self._ones = _joined([1] * self._count)
        self._low = M32 * self._ones

    def _lanes(self, word: int | Sequence[int]) -> int:
        return word * self._ones if isinstance(word, int) else _joined(word)

    def _mix(self, word: int, targets: Sequence[int]) -> None:
        pool, constant, ones, low = self._pool, self._constant, self._ones, self._low
        for target in targets:
            value = word ^ constant * ones
            constant = constant * MULTIPLY_A & M32
            value = value * constant & low
            value = MIX_RIGHT * (value ^ value >> 16 & low) & low
            value = MIX_LEFT * pool[target] + value & low
            pool[target] = value ^ value >> 16 & low
        self._constant = constant


def _joined(words: Iterable[int]) -> int:
    return int.from_bytes(array("Q", words).tobytes(), sys.byteorder)


def _parted(lanes: int, count: int) -> Sequence[int]:
    return array("Q", lanes.to_bytes(LANE * count, sys.byteorder))


def generators(seeds: Sequence[int]) -> "list[Generator]":
    """A Generator of each seed."""
    return [Generator.started(words) for words in Seeds([seeds]).each(8)] if seeds else []


class Generator:
    """As numpy's default_rng(seed), for the draws that are made here."""

    def __init__(self, seed: int) -> None:
        """Start the stream of a seed below 2**32."""
        self._start(Seeds([seed]).generate(8))

    @classmethod
    def started(cls, words: Sequence[int]) -> "Generator":
        """The stream that begins with these eight words."""
        made = cls.__new__(cls)
        made._start(words)
        return made

    def _start(self, words: Sequence[int]) -> None:
        high, low, step_high, step_low = (words[i] | words[i + 1] << 32 for i in range(0, 8, 2))
        self._step = (step_high << 64 | step_low) << 1 & M128 | 1
        self._state = self._step + (high << 64 | low)
        self._state = self._state * PCG_MULTIPLY + self._step & M128
        self._half: int | None = None

    def random(self) -> float:
        """Uniform on [0, 1)."""
        return (self._next64() >> 11) * 2.0**-53

    def integers(self, high: int) -> int:
        """Uniform on 0 ... high - 1, for `high` from 1 to 2**32."""
        if high == 1:
            return 0
        product = self._next32() * high
        if product & M32 < high:
            threshold = (M32 + 1 - high) % high
            while product & M32 < threshold:
                product = self._next32() * high
        return product >> 32

    def permutation(self, count: int) -> list[int]:
        """0 ... count - 1, shuffled."""
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self._at_most(last)
            order[last], order[other] = order[other], order[last]
        return order

    def _at_most(self, highest: int) -> int:
        """Uniform on 0 ... highest, by rejection: numpy's shuffle draws so."""
        mask = (1 << highest.bit_length()) - 1
        while (value := self._next32() & mask) > highest:
            pass
        return value

    def _next64(self) -> int:
        self._state = state = self._state * PCG_MULTIPLY + self._step & M128
        value, turn = state >> 64 ^ state & M64, state >> 122
        return value >> turn | value << (64 - turn) & M64

    def _next32(self) -> int:
        """The low half of a number, then its high half."""
        if self._half is not None:
            value, self._half = self._half, None
            return value
        number = self._next64()
        self._half = number >> 32
        return number & M32
