"""Which parts of a very long text are read."""

from __future__ import annotations

# characters read of a longer text: its beginning, its end and slices spread evenly between, an eighth each
SAMPLE_CHARS = 400_000


def sample(text: str) -> str:
    if len(text) <= SAMPLE_CHARS:
        return text
    part = SAMPLE_CHARS // 8
    step = (len(text) - part) / 7
    return "\n\n . \n\n".join(_slice(text, int(n * step), int(n * step) + part) for n in range(8))


def _slice(text: str, begin: int, end: int) -> str:
    """A slice without the words cut at its ends."""
    if begin:
        begin = max(begin, text.find(" ", begin, begin + 200))
    if end < len(text) and (last := text.rfind(" ", end - 200, end)) > begin:
        end = last
    return text[begin:end]
