"""Detects prompts that a server cut without an error."""

from __future__ import annotations

from engine.extraction.llm.failure import ErrorKind, Fault
from engine.extraction.llm.prompt import Prompt
from engine.extraction.llm.protocol import ModelReply

SMALLEST_CUT = 256  # tokens: half of the smallest context there is


def check(reply: ModelReply, prompt: Prompt, context: int, api: str) -> None:
    """Raise Fault if the server cut the prompt. Some versions drop the head of a long prompt, the instructions with
    it, and answer 200.

    What is left of such a prompt fills the context or half of it. A count far below that covers only what the
    server's cache did not hold.
    """
    read, full = reply.prompt_tokens, context
    if read is None:
        return
    least = 0.4 * full if full else SMALLEST_CUT
    filled = api == "ollama" and full and read >= full - 32  # other servers refuse a prompt that does not fit
    if filled or (least <= read < 0.9 * prompt.words):
        raise Fault(
            ErrorKind.too_long,
            f"the server silently truncated the prompt: it read {read} tokens of a text of "
            f"{prompt.words} words; raise the server's context length or lower [llm] chunk_chars",
        )
    used = read + (reply.answer_tokens or 0)
    if reply.flaw and full and used >= full - 2:
        raise Fault(
            ErrorKind.too_long,
            f"the text left no room for the answer: {used} of {full} tokens; lower [llm] chunk_chars",
        )
