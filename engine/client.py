"""How a console or a command reaches the engine; and a rollback that works when it cannot.

Light on purpose: `rollout rollback` must start fast, so only the standard library's HTTP client, over the unix socket.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import uuid
from typing import Any

from msgspec import Struct

from engine.control import Actor, Ask, Decision, roll_back
from engine.identity import whoami
from engine.plan.model import Plan
from engine.store.folder import Folder, Intent

PUSH_TIMEOUT_S = 0.2


class Reply(Struct, frozen=True):
    """The engine's answer in words; `data` holds what a program needs."""

    ok: bool
    sentence: str
    data: dict[str, Any] = {}


class RollbackResult(Struct, frozen=True):
    """What was done and by which ways. `ok`: 0 % is in force as far as this side can know; the proof follows in the view."""

    ok: bool
    sentence: str
    ways: tuple[str, ...]
    request_id: str
    rev: int | None = None
    pushed: bool = False


class EngineClient:
    """One console's line to the engine of a store. No method raises for a dead, frozen or refusing engine."""

    def __init__(self, folder: Folder, plan: Plan | None = None, actor: Actor | None = None) -> None:
        self.folder = folder
        self.plan = plan
        self.actor = actor or whoami()

    def command(self, kind: str, /, timeout_s: float = 10.0, **fields: Any) -> Reply:
        """POST /v1/control/`kind`. A refusal, a dead and a frozen engine are all sentences."""
        request_id = fields.pop("request_id", None) or uuid.uuid4().hex
        try:
            status, answer = self.request(
                "POST", f"/v1/control/{kind}", {"request_id": request_id, **fields}, timeout_s
            )
        except TimeoutError:
            return Reply(
                False,
                f"The engine did not answer within {timeout_s:g} s: it may be stopped or busy. Rollback works all the same.",
            )
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Reply(False, f"No engine answers in {self.folder.path} ({_reason(error)}). Start it with `rollout`.")
        return Reply(
            bool(answer.get("ok")) and status < 400,
            str(answer.get("sentence", f"HTTP {status}")),
            answer.get("data") or {},
        )

    def request(self, method: str, path: str, body: Any = None, timeout_s: float = 10.0) -> tuple[int, dict[str, Any]]:
        """One HTTP exchange over the socket; OSError, TimeoutError or ValueError when there is none."""
        connection = _UnixConnection(self.folder, timeout_s)
        try:
            headers = {
                "Content-Type": "application/json",
                "X-Rollout-Actor": json.dumps([self.actor.name, self.actor.ssh, self.actor.terminal]),
            }
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"{}")
        finally:
            connection.close()

    # -- rollback: nothing in its way ------------------------------------------------------------------------------------

    def rollback(self, reason: str = "", seen: str = "", to_stage: int | None = None) -> RollbackResult:
        """To 0 %: take the key out, push to the engine; without one, commit or leave an intent. Never raises, never waits long.

        To an earlier stage above 0 % (`to_stage`) the key stays in and only the engine can do it; if it does not answer, this
        goes to 0 % instead, because down is the safe side.
        """
        request_id = uuid.uuid4().hex
        ways: list[str] = []
        partial = to_stage is not None
        if not partial:
            self._disarm(ways)
        body = {"request_id": request_id, "reason": reason, "seen": seen, "to_stage": to_stage}
        try:
            status, answer = self.request("POST", "/v1/control/rollback", body, PUSH_TIMEOUT_S)
            if status == 200 and answer.get("ok"):
                ways.append("pushed to the engine")
                data = answer.get("data") or {}
                return RollbackResult(True, str(answer.get("sentence")), tuple(ways), request_id, data.get("rev"), True)
            ways.append(f"the engine refused: {answer.get('sentence', status)}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            ways.append(f"the engine did not answer ({_reason(error)})")
        if partial:
            self._disarm(ways)
        return self._without_engine(request_id, reason, seen, ways)

    def _disarm(self, ways: list[str]) -> None:
        try:
            ways.append("armed file removed" if self.folder.disarm() else "armed file was not there")
        except OSError as error:
            ways.append(
                f"the armed file could not be removed ({error.strerror}); as a user who may: rm {self.folder.armed}"
            )

    def _without_engine(self, request_id: str, reason: str, seen: str, ways: list[str]) -> RollbackResult:
        """The lock is free: commit here. It is held by an engine that does not answer: leave an intent for it to find."""
        rev: int | None = None
        try:
            lock = self.folder.try_lock()
        except OSError as error:
            lock = None
            ways.append(f"the lock could not be tried ({error.strerror})")
        if lock is not None:
            with lock:
                rev = self._commit(request_id, reason, seen, ways)
        if rev is None:
            actor = {
                "name": self.actor.name,
                "uid": self.actor.uid,
                "ssh": self.actor.ssh,
                "terminal": self.actor.terminal,
            }
            try:
                self.folder.leave_intent(Intent(request_id, time.time(), actor, reason, seen))
                ways.append("intent left for the engine")
            except OSError as error:
                ways.append(f"no intent could be left ({error.strerror})")
            self._disarm_again()
        if self.folder.is_armed():
            return RollbackResult(
                False,
                f"Not certain: the armed file is still there. Now, in any shell: rm {self.folder.armed}",
                tuple(ways),
                request_id,
                rev,
            )
        what = "and recorded" if rev is not None else "and will be recorded when the engine wakes"
        return RollbackResult(True, f"Rolled back to 0 % without the engine, {what}.", tuple(ways), request_id, rev)

    def _disarm_again(self) -> None:
        """A promotion that was in flight may have put the key back between the removal and the intent."""
        try:
            self.folder.disarm()
        except OSError:
            return

    def _commit(self, request_id: str, reason: str, seen: str, ways: list[str]) -> int | None:
        import sqlite3

        from engine.store import database, log

        if self.plan is None or not self.folder.exists:
            ways.append("nothing to record: there is no store")
            return None
        plan = self.plan
        ask = Ask(self.actor, time.time(), request_id, reason, seen)

        def decide(state: Any) -> Decision:
            return roll_back(plan, state, ask, how=" (no engine)")

        for attempt in (1, 2):
            try:
                conn = database.open_writer(self.folder, "FULL")
                try:
                    outcome = log.commit(conn, request_id, decide)
                finally:
                    conn.close()
                ways.append("committed by this console")
                return outcome.state.rev
            except sqlite3.Error as error:
                if attempt == 1 and database.is_full(error) and self.folder.drop_ballast():
                    continue
                ways.append(f"the database did not take it ({error})")
        return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: Folder, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._folder = folder

    def connect(self) -> None:
        self.sock: socket.socket = self._folder.connect(float(self.timeout or 10.0))


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
