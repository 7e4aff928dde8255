"""numpy's seeded streams of chance, number for number, without numpy's slow start.

`SeedSequence` and `PCG64` are short integer arithmetic; importing numpy takes longer than drawing a
few hundred new images. M. E. O'Neill, "PCG: a family of simple fast space-efficient statistically
good algorithms for random number generation", 2014; D. Lemire, "Fast random integer generation in
an interval", 2019.
"""

from collections.abc import Sequence

M32, M64, M128 = 2**32 - 1, 2**64 - 1, 2**128 - 1
POOL = 4
ALL = tuple(range(POOL))
OTHERS = [tuple(target for target in ALL if target != source) for source in ALL]
INIT_A, MULTIPLY_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULTIPLY_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = 0xCA01F9DD, 0x4973F715
PCG_MULTIPLY = 0x2360ED051FC65DA44385DF649FCCF645


class Seeds:
    """numpy's SeedSequence of some words below 2**32; `then` adds words to the ones before."""

    def __init__(self, words: Sequence[int]) -> None:
        """Mix the words into the pool."""
        self._constant, self._pool = INIT_A, []
        for word in [*words[:POOL], *[0] * (POOL - len(words))]:
            value = word ^ self._constant
            self._constant = self._constant * MULTIPLY_A & M32
            value = value * self._constant & M32
            self._pool.append(value ^ value >> 16)
        for source in ALL:
            self._mix(self._pool[source], OTHERS[source])
        for word in words[POOL:]:
            self._mix(word, ALL)

    def then(self, *words: int) -> "Seeds":
        """The sequence of the same words (four or more) with these after them."""
        longer = Seeds.__new__(Seeds)
        longer._constant, longer._pool = self._constant, self._pool.copy()
        for word in words:
            longer._mix(word, ALL)
        return longer

    def _mix(self, word: int, targets: Sequence[int]) -> None:
        pool, constant = self._pool, self._constant
        for target in targets:
            value = word ^ constant
            constant = constant * MULTIPLY_A & M32
            value = value * constant & M32
            value = MIX_LEFT * pool[target] - MIX_RIGHT * (value ^ value >> 16) & M32
            pool[target] = value ^ value >> 16
        self._constant = constant

    def generate(self, count: int) -> list[int]:
        """As numpy's generate_state: words below 2**32."""
        constant, state = INIT_B, []
        for index in range(count):
            value = self._pool[index % POOL] ^ constant
            constant = constant * MULTIPLY_B & M32
            value = value * constant & M32
            state.append(value ^ value >> 16)
        return state


class Generator:
    """As numpy's default_rng(seed), for the draws that are made here."""

    def __init__(self, seed: int) -> None:
        """Start the stream of a seed below 2**32."""
        words = Seeds([seed]).generate(8)
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
