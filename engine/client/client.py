"""How consoles and commands reach the engine, and a rollback that works without it.

Deliberately light, because `rollout rollback` must start fast: h11 over the unix socket. What only a rollback without
an engine needs is imported there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from engine.client.identity import named_actor, whoami
from engine.client.without_engine import RollbackResult, RollbackWithoutEngine
from engine.clock import SystemClock
from engine.rollout.state import Actor, Ask
from engine.store import ownership
from engine.store.folder import Folder, disarm_for_rollback
from engine.text import clean_line

if TYPE_CHECKING:
    from engine.client.connection import UnixConnection
    from engine.plan.model import Plan

PUSH_TIMEOUT_S = 0.2
TIMEOUT_S = 10.0
SLOW = frozenset({"check", "sign", "promote", "measure"})
SLOW_S = 60.0
EXTRACT_S = 300.0  # a long document in many pieces, behind others


class Reply(Struct, frozen=True):
    """The engine's answer in words; `data` is for programs."""

    ok: bool
    sentence: str
    data: dict[str, Any] = {}


class EngineClient:
    """One console's connection to a store's engine. No method raises because the engine is dead, frozen or refuses."""

    def __init__(
        self,
        folder: Folder,
        plan: Plan | Callable[[], Plan | None] | None = None,
        actor: Actor | None = None,
        acting_name: str = "",
    ) -> None:
        """`plan`: or what reads it when it is needed, which a rollback through a running engine does not wait for.
        `acting_name`: the name that this person gave, where several share the account."""
        self.folder = folder
        self._plan = plan
        self._kernel_knows = actor or whoami()
        self.act_as(acting_name)
        self._kept: list[UnixConnection] = []  # open and idle, the last used one last

    @property
    def plan(self) -> Plan | None:
        return self._plan() if callable(self._plan) else self._plan

    def act_as(self, name: str) -> None:
        """Act under this name from now on; "" is the account's."""
        self.acting_name = name
        self.actor = named_actor(self._kernel_knows, name)

    def close(self) -> None:
        """Close the connections kept open for documents; a later call opens new ones."""
        while self._kept:
            self._kept.pop().close()

    def command(self, kind: str, /, timeout_s: float | None = None, **fields: Any) -> Reply:
        """POST /v1/control/`kind`. A refusal, a dead engine and a frozen engine all give a sentence."""
        request_id = fields.pop("request_id", None) or uuid.uuid4().hex
        if timeout_s is None:
            timeout_s = self._patience(kind, str(fields.get("item") or ""))
        try:
            status, answer = self.request(
                "POST", f"/v1/control/{kind}", {"request_id": request_id, **fields}, timeout_s
            )
        except TimeoutError:
            return Reply(
                False,
                f"The engine did not answer within {timeout_s:g} s. It may be stopped or busy, and may still do this "
                "later. Rollback works anyway.",
                {"code": "no_answer"},
            )
        except (OSError, ValueError) as error:
            return Reply(False, unanswered(self.folder, error), {"code": unanswered_code(error)})
        return Reply(
            bool(answer.get("ok")) and status < 400,
            str(answer.get("sentence", f"HTTP {status}")),
            answer.get("data") or {},
        )

    def _patience(self, kind: str, item: str) -> float:
        """How long an answer may take: checks and promotions ask the LLM or run commands first."""
        if kind not in SLOW:
            return TIMEOUT_S
        stages = self.plan.stages if self.plan is not None else ()
        limits = [item_.check.timeout_s for stage in stages for item_ in stage.checklist if item_.id == item]
        return SLOW_S + max(limits, default=0.0)

    def request(self, method: str, path: str, body: Any = None, timeout_s: float = 10.0) -> tuple[int, dict[str, Any]]:
        """One HTTP exchange over the socket; OSError, TimeoutError or ValueError if it fails."""
        from engine.client.connection import UnixConnection

        content = None if body is None else _json(body)
        with contextlib.closing(UnixConnection(self.folder, timeout_s)) as connection:
            return _answer(*connection.exchange(method, path, content, self._headers()))

    def extract(self, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """POST /v1/extract; raises like `request`."""
        return _answer(*self._send("/v1/extract", document))

    def extract_together(self, documents: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """POST /v1/extract:batch: the answers by the document's place; {} if the request was not taken. Raises like
        `request`."""
        status, body = self._send("/v1/extract:batch", {"documents": documents})
        lines = map(json.loads, body.splitlines()) if status == 200 else ()
        return {line["index"]: line for line in lines}

    def _send(self, path: str, document: Any) -> tuple[int, bytes]:
        """POST from any number of threads, over connections that are kept.

        If the engine has closed the connection (idle, or restarted), a new one is opened and the request is sent
        again. Documents are stored by id, so sending twice is safe.
        """
        from engine.client.connection import UnixConnection

        body = _json(document)
        while True:
            try:
                connection, used = self._kept.pop(), True
            except IndexError:
                connection, used = UnixConnection(self.folder, EXTRACT_S), False
            try:
                answer = connection.exchange("POST", path, body, self._headers())
            except ConnectionError:
                connection.close()
                if used:
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            self._kept.append(connection)
            return answer

    def _headers(self) -> dict[str, str]:
        actor = [self._kernel_knows.name, self.actor.ssh, self.actor.terminal, self.acting_name]
        return {"Content-Type": "application/json", "X-Rollout-Actor": json.dumps(actor)}

    # -- rollback: nothing blocks it ----------------------------------------------------------------------------------

    def rollback(
        self,
        reason: str = "",
        seen: str = "",
        to_stage: int | None = None,
        pressed: float | None = None,
        done: tuple[str, ...] = (),
    ) -> RollbackResult:
        """Roll back to 0 %: remove the armed file, push to the engine; without one, commit or leave an intent. Never
        raises or blocks.

        To an earlier stage above 0 % (`to_stage`) the armed file stays and only the engine can do it; if it does not
        answer, this rolls back to 0 %, the safe side. `pressed`: when R was pressed, on `machine_s`.
        """
        pressed = machine_s() if pressed is None else pressed
        reason, seen = clean_line(reason), clean_line(seen, 2000)  # no file can hold half a surrogate pair
        request_id = uuid.uuid4().hex
        ways = list(done)
        if to_stage is None and not done:
            self._disarm(ways)
        result = self._push(request_id, reason, seen, to_stage, pressed, ways)
        if result is None and (there := self._moved_to()) is not None:
            ways.append(f"the engine of {self.folder.path} runs on {there}, where that folder was moved")
            self.folder = Folder(there)  # what is asked after this (the proof) goes to that engine too
            self._disarm(ways)
            result = self._push(request_id, reason, seen, None, pressed, ways) or RollbackResult(
                False,
                f"Not certain: the store's folder was moved to {there} under its engine, which does not answer. The "
                f"armed file there is removed. Stop that engine: rollout --store {shlex.quote(str(there))} stop",
                tuple(ways),
                request_id,
                None,
                "silent",
            )
        if result is None:
            if to_stage is not None:
                self._disarm(ways)
            ask = Ask(self.actor, time.time(), request_id, reason, seen)
            alone = RollbackWithoutEngine(self.folder, lambda: self.plan, ask, to_stage, pressed, ways)
            result = alone.carry_out()
        self.folder.sync()  # the removal survives a power cut; nothing waits for this
        return structs.replace(result, took_s=machine_s() - pressed)

    def _push(
        self, request_id: str, reason: str, seen: str, to_stage: int | None, pressed: float, ways: list[str]
    ) -> RollbackResult | None:
        body = {"request_id": request_id, "reason": reason, "seen": seen, "to_stage": to_stage, "pressed": pressed}
        try:
            status, answer = self.request("POST", "/v1/control/rollback", body, PUSH_TIMEOUT_S)
        except (OSError, ValueError) as error:
            why = "in time" if isinstance(error, TimeoutError) else f"({broken(error)})"
            ways.append(f"the engine did not answer {why}")
            return None
        if status != 200 or not answer.get("ok"):
            ways.append(f"the engine refused: {answer.get('sentence', status)}")
            return None
        ways.append("pushed to the engine")
        rev = (answer.get("data") or {}).get("rev")
        return RollbackResult(True, str(answer.get("sentence")), tuple(ways), request_id, rev, "answered")

    def _disarm(self, ways: list[str]) -> None:
        ways.append(disarm_for_rollback(self.folder))

    def _moved_to(self) -> Path | None:
        """Where a moved store's folder is now, if a live engine of this user holds it; None if it was not moved."""
        from engine.store import running

        pid = running.process_of(self.folder.path)
        return running.moved_to(self.folder.path, pid) if pid else None


def machine_s() -> float:
    """The machine's monotonic clock, the same as the engine's `Clock.real`."""
    return SystemClock().real()


def _json(body: Any) -> bytes:
    """Compact JSON: escaped, ten million characters of Chinese would exceed the engine's limit."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair needs an escape
        return json.dumps(body).encode()


def _answer(status: int, body: bytes) -> tuple[int, dict[str, Any]]:
    fields = json.loads(body or b"{}")
    if not isinstance(fields, dict):
        raise ValueError("the answer is not a JSON object")
    return status, fields


def unanswered(folder: Folder, error: BaseException) -> str:
    """The sentence for a store whose engine does not answer: why, and what to do."""
    if isinstance(error, PermissionError):
        return (
            ownership.why_no_access(folder.path, folder.socket)
            or f"This user has no access to the engine of {folder.path}."
        )
    with contextlib.suppress(OSError):
        if folder.is_locked():
            return (
                f"The engine of {folder.path} does not answer ({broken(error)}). If it is starting, try again in a "
                f"moment; else see {folder.engine_log}."
            )
    nothing_there = isinstance(error, FileNotFoundError | ConnectionRefusedError)
    why = "" if nothing_there else f" ({broken(error)})"
    return f"No engine answers in {folder.path}{why}. Start one with `rollout` or `rollout serve`."


def unanswered_code(error: BaseException) -> str:
    return "peer" if isinstance(error, PermissionError) else "no_engine"


def broken(error: BaseException) -> str:
    """Why an exchange failed, as a phrase."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
