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
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, structs

from engine.client.identity import named_actor, whoami
from engine.clock import SystemClock
from engine.cluster.lease_times import OUT_S
from engine.rollout.state import Actor, Ask, Decision, State
from engine.store import ownership
from engine.store.folder import Folder, Intent, disarm_for_rollback
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


class RollbackResult(Struct, frozen=True):
    """What was done, and how. `ok`: 0 % is in force as far as this side can tell; the proof follows in the view.

    `engine`: it answered, it holds the store but is silent, or it is not running (then nothing can call the LLM without
    the armed file).
    """

    ok: bool
    sentence: str
    ways: tuple[str, ...]
    request_id: str
    rev: int | None = None
    engine: Literal["answered", "silent", "none"] = "silent"
    took_s: float = 0.0  # from the key to here
    instead: str = ""  # why it went to 0 % and not to the requested stage, " (...)"
    leases_end_s: float = 0.0  # without an engine: for so long after that workers outside it may still call

    @property
    def pushed(self) -> bool:
        return self.engine == "answered"


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
            return Reply(False, unanswered(self.folder, error), {"code": "no_engine"})
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
            result = self._without_engine(ask, to_stage, pressed, ways)
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

    def _without_engine(self, ask: Ask, to_stage: int | None, pressed: float, ways: list[str]) -> RollbackResult:
        """If the lock is free, commit here. If a silent engine holds it, leave an intent."""
        from engine.rollout.control import zero_instead

        if self.folder.missing:
            return RollbackResult(
                False,
                f"There is no store in {self.folder.path}, so there is nothing to roll back. Give --store or --plan.",
                tuple(ways),
                ask.request_id,
                None,
                "none",
            )
        rev: int | None = None
        engine: Literal["silent", "none"] = "silent"
        try:
            lock = self.folder.try_lock()
        except OSError as error:
            lock = None
            ways.append(f"the lock could not be tried ({error.strerror})")
        if lock is not None and (pid := self._still_held()):
            lock.release()
            lock = None
            ways.append(f"process {pid} runs on this store without its lock file, so nothing is written beside it")
        if lock is not None:
            engine = "none"
            with lock:
                rev = self._commit(ask, to_stage, ways)
        left = rev is not None or self._leave_intent(ask, to_stage, pressed, ways)
        if not self.folder.is_surely_out():
            why = f"As a user with permission, run: {self.folder.armed_removal}"
            if left and self.folder.keeps_outside(ask.request_id):
                why = (
                    f"The store's disk takes no writes. An engine of {self.actor.name} on this machine goes to 0 % "
                    "first, when it answers or starts; one of another user does not know of this rollback."
                )
            return RollbackResult(
                False,
                f"Not certain: the armed file may still be there. {why}",
                tuple(ways),
                ask.request_id,
                rev,
                engine,
            )
        when = {"silent": "when the engine wakes", "none": "when an engine starts"}[engine]
        what = "and recorded" if rev is not None else f"and will be recorded {when}"
        if not left:
            what = "not recorded: an engine that starts finds the armed file gone and logs that"
        odd = zero_instead(self.plan, to_stage)
        instead = f" ({odd})" if odd else ""
        lasting = OUT_S if self.folder.has_workers() else 0.0
        workers = f" Workers may call for {lasting:.1f} s more: then their leases have ended." if lasting else ""
        sentence = f"Rolled back to 0 %{instead} without the engine, {what}.{workers}"
        return RollbackResult(
            True, sentence, tuple(ways), ask.request_id, rev, engine, instead=instead, leases_end_s=lasting
        )

    def _moved_to(self) -> Path | None:
        """Where a moved store's folder is now, if a live engine of this user holds it; None if it was not moved."""
        from engine.store import running

        pid = running.process_of(self.folder.path)
        return running.moved_to(self.folder.path, pid) if pid else None

    def _still_held(self) -> int:
        """The process that holds a removed or replaced lock file of this store; 0 for none. Its engine still
        writes.
        """
        from engine.store.holders import holders

        held, _ = holders(self.folder)
        return held[0] if held else 0

    def _leave_intent(self, ask: Ask, to_stage: int | None, pressed: float, ways: list[str]) -> bool:
        actor, left = structs.asdict(self.actor), False
        intent = Intent(ask.request_id, ask.at, actor, ask.reason, ask.seen, pressed=pressed, to_stage=to_stage)
        try:
            path = self.folder.leave_intent(intent)
            ways.append(f"intent left for the engine in {path.parent}")
            left = True
        except OSError as error:
            ways.append(f"no intent could be left ({error.strerror})")
        with contextlib.suppress(OSError):
            self.folder.disarm()  # a promotion in flight may have armed again before it saw the intent
        return left

    def _commit(self, ask: Ask, to_stage: int | None, ways: list[str]) -> int | None:
        import sqlite3

        from engine.rollout.control import roll_back, zero_instead
        from engine.store import database, log

        if self.plan is None or not self.folder.exists:
            ways.append(
                "not recorded here: " + ("the plan cannot be read" if self.folder.exists else "no database yet")
            )
            return None
        plan = self.plan

        def decide(state: State) -> Decision:
            odd = zero_instead(plan, to_stage, state.stage)
            return roll_back(plan, state, ask, how=f" (no engine; {odd})" if odd else " (no engine)")

        for attempt in (1, 2):
            try:
                conn = database.open_writer(self.folder, "FULL", PUSH_TIMEOUT_S)
                try:
                    known = log.find(conn, ask.request_id)  # by an engine that died before it answered
                    outcome = log.commit(conn, ask.request_id, decide, request=known.request if known else "")
                finally:
                    conn.close()
                made = outcome.state.rev > outcome.before.rev
                ways.append("committed by this console" if made else "recorded by the engine before it ended")
                return outcome.state.rev
            except sqlite3.Error as error:
                if attempt == 1 and not database.is_locked(error) and self.folder.drop_ballast():
                    continue
                from engine.store.write_trouble import cause

                ways.append(f"the database refused it: {cause(error, self.folder.path) or error}")
                return None
        return None


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


def broken(error: BaseException) -> str:
    """Why an exchange failed, as a phrase."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
