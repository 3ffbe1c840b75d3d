"""How a process logs: lines for people, none of which can act in the terminal that shows them."""

from __future__ import annotations

import logging
import sys

from engine.server import log_folding
from engine.text import clean_output

FORMAT = "%(asctime)s %(levelname)s %(message)s"


class CleanFormatter(logging.Formatter):
    """An error's words may come from a document, a model or a client."""

    def format(self, record: logging.LogRecord) -> str:
        return clean_output(super().format(record))


def begin() -> None:
    """Log to standard error from here on."""
    handler = logging.StreamHandler(sys.stderr)
    prepare(handler)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else each request, with its address


def prepare(handler: logging.Handler) -> None:
    handler.setFormatter(CleanFormatter(FORMAT))
    log_folding.fold([handler])
