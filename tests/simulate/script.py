"""What happens in a rollout and when, drawn by the seed before it starts, so that a failing script can be cut down."""

from __future__ import annotations

from random import Random

from msgspec import Struct

LENGTH = 60  # moves by day
NIGHTS = 21
PAUSES = (0.0, 0.001, 0.01, 0.05, 0.3, 1.5, 4.0)
NIGHT = "night"


class Move(Struct, frozen=True):
    """`pause` seconds of the machine's time, then `name` with `number`. `alone` moves are waited for; others run
    beside."""

    name: str
    pause: float
    number: int
    alone: bool


def script(random: Random, weights: dict[str, int]) -> list[Move]:
    names = random.choices(list(weights), list(weights.values()), k=LENGTH)
    # at the beginning a team goes up, as teams do
    names[:4] = ["look", "promote", "documents", "promote"]
    left = NIGHTS
    while left:
        quiet = min(left, random.randint(1, 4))  # days without a move
        place = random.randint(4, len(names))
        names[place:place] = [NIGHT] * quiet
        left -= quiet
    return [Move(name, random.choice(PAUSES), random.randrange(1 << 20), random.random() < 0.5) for name in names]
