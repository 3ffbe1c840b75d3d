"""Documents that clients send."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from random import Random

from tests.simulate.moves.registry import move
from tests.simulate.people import Scene

WORDS = tuple(
    "cache worker queue shard index token ledger broker socket buffer kernel parser schema router "  # noqa: SIM905
    "packet thread vector cursor bucket signal replica segment channel digest lookup daemon".split()
)
ODD_IDS = ("a  b", "a b", "a\u200db", "ab", "x\u00ady", "xy", "z" * 600, "z" * 512, "n\u0303", "\u00f1")
ODD_FROM = 900_000  # the first number of a document with an odd id
AGAIN_FROM, AGAIN_SHARE = 40, 0.3  # once there are 40 documents, some are sent again


@lru_cache(maxsize=4096)
def text_of(number: int, version: int = 0) -> str:
    """A document whose phrases a server can find again; `number` is its mark."""
    draw = Random(number * 7919 + version)
    phrases = [" ".join(draw.sample(WORDS, 2)) for _ in range(14)]
    body = " ".join(f"In part {place} the {phrase} keeps its place." for place, phrase in enumerate(phrases))
    return f"{body} See reference d{number}."


@move(24)
async def documents(scene: Scene, draw: Random) -> None:
    await send(scene, draw, draw.randint(2, 12))


async def send(scene: Scene, draw: Random, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(_document(scene, draw))


async def _document(scene: Scene, draw: Random) -> None:
    again = scene.documents > AGAIN_FROM and draw.random() < AGAIN_SHARE
    number = draw.randrange(AGAIN_FROM) if again else scene.documents
    scene.documents = max(scene.documents, number + 1)
    document_id = f"doc-{number}"
    scene.world.knows(number, document_id)
    await scene.world.extract(document_id, text_of(number))


@move(2)
async def odd_documents(scene: Scene, draw: Random) -> None:
    """Ids that look alike; each is another document."""
    for place, document_id in enumerate(draw.sample(ODD_IDS, 4)):
        number = ODD_FROM + ODD_IDS.index(document_id)
        scene.world.knows(number, document_id)
        await scene.world.extract(document_id, text_of(number, place))
