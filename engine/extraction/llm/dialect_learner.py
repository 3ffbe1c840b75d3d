"""Learns which dialect an LLM server accepts, by asking: later requests leave out what it refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import msgspec

from engine.extraction.llm import dialect as dialects
from engine.extraction.llm import refusals, responses
from engine.extraction.llm.dialect import Dialect
from engine.extraction.llm.failure import ErrorKind
from engine.extraction.llm.http import HttpAnswer
from engine.extraction.llm.prompt import Prompt
from engine.extraction.llm.protocol import Wire
from engine.extraction.llm.server_info import Thinking
from engine.plan.model import Llm

NOT_OF_PARAMETERS = frozenset({
    ErrorKind.too_long, ErrorKind.quota, ErrorKind.busy, ErrorKind.loading, ErrorKind.proxy, ErrorKind.bad_format,
    ErrorKind.out_of_memory, ErrorKind.filtered,
})  # fmt: skip
MOST_DIALECTS = 12  # requests until one must be accepted


class DialectLearner:
    def __init__(self, config: Llm, wire: Wire) -> None:
        self._config = config
        self._wire = wire
        self._unnamed: set[str] = set()  # refusals that no other dialect helped against
        self._unthought: bool | None = None  # whether to try without `think`; None: no reason to
        self.dialect = Dialect(structured="schema" if config.schema else "none")

    @property
    def plain(self) -> str:
        """What requests leave out because the server refuses it, for people; "" if nothing is."""
        return self.dialect.plain if self._config.schema else replace(self.dialect, structured="schema").plain

    async def ask(
        self,
        send: Callable[[bytes], Awaitable[HttpAnswer]],
        moves: Callable[[HttpAnswer], bool],
        config: Llm,
        prompt: Prompt,
        *,
        seed: int,
        hot: bool,
        resend: Callable[[], None] | None,
    ) -> HttpAnswer:
        """Send in the first dialect that the server accepts and remember it; return the answer, or the first refusal.

        `moves(answer)`: the first answer shows that the path is elsewhere, and `send` uses that path from now on.
        `resend` is called before each request after the first, and may raise.
        """
        used = self.dialect
        if hot and self._unthought and used.think is False:
            used = replace(used, think=None)
        guesses: Iterator[Dialect] | None = None
        refusal: HttpAnswer | None = None
        for sent in range(MOST_DIALECTS):
            if sent and resend is not None:
                resend()
            body = self._wire.ask(config, prompt, seed=seed, dialect=used)
            answer = await send(msgspec.json.encode(body))
            if 200 <= answer.status < 300:
                if guesses is not None:  # a named parameter has been remembered already
                    self.dialect = used if not hot else replace(used, think=self.dialect.think)
                return answer
            if not sent and moves(answer):
                refusal = answer
                continue
            if refusals.fault(answer, config).kind in NOT_OF_PARAMETERS:
                break
            other = dialects.named(used, answer, body)
            if other is not None:
                used = self.dialect = other
                continue
            if guesses is None:
                refusal = refusal or answer
                if self._is_known(answer):
                    break
                guesses = dialects.guesses(used, answer, body)
            other = next(guesses, None)
            if other is None:
                self._unnamed.add(_signature(refusal or answer))
                break
            used = other
        return refusal or answer

    def _is_known(self, refusal: HttpAnswer) -> bool:
        """Whether a refusal concerns something other than parameters, or no other dialect helped against it before."""
        known = refusals.fault(refusal, self._config).kind is not ErrorKind.http
        return known or _signature(refusal) in self._unnamed

    @property
    def may_unthink(self) -> bool:
        """Whether omitting `think` is still untried where it is sent as false."""
        return self.dialect.think is False and self._unthought is None

    def surveyed(self, thinking: Thinking) -> None:
        """Set how to ask this model about thinking, unless its answers have shown it."""
        if self._unthought is None:
            self.dialect = replace(self.dialect, think=thinking)

    def judged(self, kind: ErrorKind | None) -> None:
        """Learn from what a model's answer turned out to be.

        Some versions of Ollama ignore `format` when told not to think. Prose instead of JSON is therefore asked for
        once more without `think`, and if that helps, `think` stays out.
        """
        if self.dialect.think is not False or self.dialect.structured == "none":
            return
        if kind in (ErrorKind.prose, ErrorKind.garbled, ErrorKind.shape) and self._unthought is None:
            self._unthought = True
        elif self._unthought:
            self._unthought = False
            if kind is None:
                self.dialect = replace(self.dialect, think=None)


def _signature(answer: HttpAnswer) -> str:
    """A refusal without its variable parts, to recognise it again."""
    message = str(responses.error(answer.body).get("message") or "")
    return f"{answer.status} {re.sub(r'[0-9a-f]*[0-9][0-9a-f]*', '#', message)[:120]}"
