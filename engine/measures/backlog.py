"""How many documents are queued for the LLM, and how many may be."""

from msgspec import Struct


class Backlog(Struct, frozen=True):
    """`interactive`: calls of documents with a waiting client that have no slot yet; at `limit` the next one gets
    frequency keywords. `bulk`: bulk documents on their way to the LLM, the calls in flight included; at `limit` the
    next one is refused with 429."""

    interactive: int = 0
    bulk: int = 0
    limit: int = 0  # [llm] max_waiting; 0: not known

    @property
    def waiting(self) -> int:
        return self.interactive + self.bulk
