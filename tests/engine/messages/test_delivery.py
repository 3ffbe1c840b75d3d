"""Messages arrive: over real mail and HTTP servers, once each, whatever is down meanwhile, and without revealing an address."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from engine.messages import outbox
from engine.messages.addresses import addresses
from engine.messages.dispatcher import Dispatcher
from engine.messages.draft import ESCALATION, Draft, render
from engine.messages.outbox import Delivery
from engine.plan.load import default_plan_text, parse_plan
from engine.store import database, lease
from engine.store.folder import Folder
from engine.store.writer import Writer
from tests.clock import ManualClock
from tests.engine.messages.servers import deaf_server, http_server, mail_server, mail_url
from tests.machine import free_port, patience

pytestmark = pytest.mark.anyio

PLAN = parse_plan(default_plan_text())
DAILY = Draft("daily_summary", "team", "metrics summary", "Error rate 0.4 %\nCache 31 %")


class Place:
    """A store with its writer, and the carrier on it."""

    def __init__(
        self, folder: Folder, writer: Writer, conn: sqlite3.Connection, clock: ManualClock, post: Dispatcher
    ) -> None:
        self.folder, self.writer, self.conn, self.clock, self.post = folder, writer, conn, clock, post

    async def queue(self, draft: Draft, key: str = "") -> None:
        def job(conn: sqlite3.Connection) -> None:
            conn.execute("BEGIN IMMEDIATE")
            self.post.queue(conn, draft, key)
            conn.execute("COMMIT")

        await asyncio.wrap_future(self.writer.control(job))

    @property
    def deliveries(self) -> list[Delivery]:
        return outbox.deliveries(self.conn)

    async def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> bool:
        for _ in patience(seconds):
            if holds():
                return True
            await asyncio.sleep(0.02)
        return False

    @property
    def marks(self) -> int:
        """Addresses that are known to have the first message."""
        (result,) = self.conn.execute("SELECT json_array_length(delivered) FROM outbox").fetchone()
        return int(result)

    async def all_sent(self) -> bool:
        return await self.until(lambda: all(d.state == "sent" for d in self.deliveries))


@asynccontextmanager
async def place(
    path: Path, *urls: str, limit_s: float = 30.0, clock: ManualClock | None = None
) -> AsyncIterator[Place]:
    folder, clock = Folder(path / "store"), clock or ManualClock()
    database.create(folder)
    with database.open_writer(folder, "FULL") as setup:
        token = lease.take(setup, 1, 0.0, 0.0).token
    setup.close()
    writer, conn = Writer(folder, token), database.open_reader(folder)
    writer.start()
    environ = {PLAN.notify.urls_env: " ".join(urls)}
    post = Dispatcher(PLAN, clock, conn, writer, environ, limit_s=limit_s, poll_s=0.02)
    post.start()
    try:
        yield Place(folder, writer, conn, clock, post)
    finally:
        await post.stop()
        writer.stop()
        conn.close()


async def test_a_mail_arrives_word_for_word(tmp_path: Path) -> None:
    message = next(m for m in PLAN.messages if m.id == "users_canary")
    with mail_server() as mail:
        async with place(tmp_path, mail.url) as at:
            await at.queue(render(message, {}))
            assert await at.all_sent()
        (arrived,) = mail.box.mails
        assert arrived["Subject"] == "Improved keyword extraction"
        assert mail.box.text().strip() == "We're testing improved keyword extraction on a small subset of documents"


async def test_a_mail_server_that_never_answers_delays_nothing_else(tmp_path: Path) -> None:
    with deaf_server() as deaf, http_server() as (url, posted):
        async with place(tmp_path, mail_url(deaf), url, limit_s=120.0) as at:
            await at.queue(DAILY)
            await at.queue(Draft("hold", "team", "HOLD", "why"))
            assert await at.until(lambda: len(posted) == 2)
            assert [body["title"] for body in posted] == ["metrics summary", "HOLD"]
            assert [d.tries for d in at.deliveries] == [
                0,
                0,
            ]  # the mail is still being retried, and nothing waits for it


async def test_a_round_that_fails_ends_no_carrier_and_is_written_down_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    due, failed = outbox.due, 0

    def breaks(conn: sqlite3.Connection, now: float) -> list[outbox.Queued]:
        nonlocal failed
        failed += 1
        if failed <= 3:
            raise ValueError("a row is odd")
        return due(conn, now)

    monkeypatch.setattr(outbox, "due", breaks)
    with mail_server() as mail:
        async with place(tmp_path, mail.url) as at:
            await at.queue(DAILY)
            assert await at.all_sent()
    assert caplog.text.count("ValueError: a row is odd") == 1


async def test_a_delivery_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with deaf_server() as deaf:
        async with place(tmp_path, mail_url(deaf), limit_s=0.5) as at:
            await at.queue(DAILY)
            assert await at.until(lambda: at.deliveries[0].tries == 1)
            assert at.deliveries[0].error == "mailto: no answer within 0.5 s"


async def test_a_refused_message_is_retried_at_growing_intervals_until_it_arrives(tmp_path: Path) -> None:
    port = free_port()
    async with place(tmp_path, mail_url(port)) as at:
        await at.queue(DAILY)
        assert await at.until(lambda: at.deliveries[0].tries == 1)
        assert at.deliveries[0].error == "mailto: connection refused"
        at.clock.advance(outbox.RETRY_S[0] - 1)
        await asyncio.sleep(0.2)
        assert at.deliveries[0].tries == 1  # not yet
        with mail_server(port) as mail:
            at.clock.advance(1)
            assert await at.all_sent()
            assert len(mail.box.mails) == 1


async def test_a_waiting_message_survives_a_restart_and_is_not_sent_twice(tmp_path: Path) -> None:
    port, clock = free_port(), ManualClock()
    with http_server() as (url, posted):
        async with place(tmp_path, mail_url(port), url, clock=clock) as at:
            await at.queue(DAILY, "daily 1")
            assert await at.until(lambda: len(posted) == 1 and at.deliveries[0].tries == 1)
            assert await at.until(
                lambda: at.marks == 1
            )  # the one that took it is written down, which is later than its arrival
        clock.advance(3600)
        with mail_server(port) as mail:
            async with place(tmp_path, mail_url(port), url, clock=clock) as at:
                await at.queue(DAILY, "daily 1")  # the same message once more: it has its key
                assert await at.all_sent()
                assert len(at.deliveries) == len(mail.box.mails) == len(posted) == 1


async def test_a_message_s_tries_are_not_used_up_by_engines_that_start_again(tmp_path: Path) -> None:
    clock = ManualClock()
    async with place(tmp_path, clock=clock) as at:
        await at.queue(DAILY)
        assert await at.until(lambda: at.deliveries[0].tries == 1)
        for _ in range(outbox.TRIES):  # as a crashing engine's starts do, each after a few seconds
            clock.advance(0.1)
            await asyncio.wrap_future(at.writer.write(lambda conn: outbox.bring_back(conn, clock.now())))
            await asyncio.sleep(0.05)
        assert at.deliveries[0].tries == 1
        assert at.deliveries[0].state == "waiting"


async def test_a_message_that_waits_since_a_clock_was_ahead_is_tried_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    async with place(tmp_path, clock=clock) as at:
        clock.step_wall(7200.0)
        await at.queue(DAILY)
        assert await at.until(lambda: at.deliveries[0].tries == 1)
        clock.step_wall(-7200.0)
        await asyncio.wrap_future(at.writer.write(lambda conn: outbox.bring_back(conn, clock.now())))
        assert await at.until(lambda: at.deliveries[0].tries == 2)


async def test_an_undeliverable_message_is_given_up_reported_and_can_be_retried(tmp_path: Path) -> None:
    async with place(tmp_path) as at:  # no address: refused at once, without a process
        await at.queue(DAILY)
        for _ in range(outbox.TRIES):
            tries = at.deliveries[0].tries
            assert await at.until(lambda tries=tries: at.deliveries[0].tries > tries)  # type: ignore[misc]
            at.clock.advance(3600)
        assert at.deliveries[0].state == "failed"
        assert "nowhere to send" in at.deliveries[0].error
        await asyncio.wrap_future(at.writer.control(lambda conn: outbox.again(conn, at.clock.now())))
        assert await at.until(lambda: at.deliveries[0].tries == 1)


async def test_an_address_with_a_name_before_it_takes_only_those_messages(tmp_path: Path) -> None:
    with http_server() as (users, for_users), http_server() as (team, for_team):
        async with place(tmp_path, f"users={users}", f"team,stage_gate={team}") as at:
            await at.queue(DAILY)
            await at.queue(Draft("users_full", "users", "News", "launched"))
            await at.queue(Draft("stage_gate", "stakeholders", "Gate", "passed"))
            assert await at.all_sent()
        assert [body["title"] for body in for_users] == ["News"]
        assert sorted(body["title"] for body in for_team) == ["Gate", "metrics summary"]


async def test_no_part_of_an_address_is_stored_logged_or_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hunter2secret"
    urls = (
        f"mailto://bob:{secret}@127.0.0.1:{free_port()}",
        f"slack://{secret}A/{secret}B/{secret}C",
        f"nonsense://{secret}",
    )
    async with place(tmp_path, *urls) as at:
        await at.queue(DAILY)
        assert await at.until(lambda: at.deliveries[0].tries >= 1)
        tested = await at.post.test()
        assert not tested.delivered
        assert repr(at.post.addresses()).count(secret) == 0
    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir() if path.is_file())
    out, err = capfd.readouterr()
    for text in (tested.sentence, caplog.text, out, err):
        assert secret not in text
    assert secret.encode() not in stored


@pytest.mark.parametrize(
    "text",
    [
        "team,users=json://a.example/x?to=b,c json://d.example/y",
        "team,users=json://a.example/x?to=b,c, json://d.example/y,",
        "team,users=json://a.example/x?to=b,c,json://d.example/y",
    ],
)
def test_a_comma_between_addresses_is_not_part_of_them(text: str) -> None:
    """apprise's own lists have commas; one at an address's end went to another path, or to no one."""
    result, trouble = addresses(PLAN.notify, {PLAN.notify.urls_env: text})
    assert trouble == ""
    assert [(one.url, sorted(one.tags)) for one in result] == [
        ("json://a.example/x?to=b,c", ["team", "users"]),
        ("json://d.example/y", []),
    ]
    tagged, _ = addresses(
        PLAN.notify, {PLAN.notify.urls_env: "json://d.example/y,team,stakeholders=json://a.example/x"}
    )
    assert [sorted(one.tags) for one in tagged] == [[], ["stakeholders", "team"]]


def test_a_file_of_addresses_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    from msgspec.structs import replace

    file = tmp_path / "addresses"
    file.write_text("# who gets what\nteam=json://127.0.0.1:1/\nmailto://127.0.0.1\n")
    notify = replace(PLAN.notify, urls_file=str(file))
    file.chmod(0o644)
    result, trouble = addresses(notify, {})
    assert (result, "chmod 600" in trouble) == ([], True)
    file.chmod(0o600)
    result, trouble = addresses(notify, {})
    assert ([a.kind for a in result], trouble) == (["json", "mailto"], "")


@pytest.mark.parametrize("path", ["~no-such-user/addresses", "/no/such/file", "with\0nul"])
def test_a_file_of_addresses_that_cannot_be_is_a_sentence(path: str) -> None:
    """The engine reads it at every tick: an exception would leave it without figures."""
    result, trouble = addresses(msgspec.structs.replace(PLAN.notify, urls_file=path), {})
    assert result == []
    assert "cannot be read: " in trouble


async def test_no_address_is_a_notice_and_a_wrong_one_is_trouble(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        assert at.post.trouble == ""
        assert "nowhere to send" in at.post.notice
    async with place(tmp_path / "wrong", "no address") as at:
        assert "not an apprise URL" in at.post.trouble
        assert at.post.notice == ""


async def test_one_refused_recipient_of_several_repeats_the_message_to_none_of_the_others(tmp_path: Path) -> None:
    everyone = "team@example.org,gone@example.org,boss@example.org"
    with mail_server() as mail:
        mail.box.refuses.add("gone@example.org")
        async with place(tmp_path, mail.url.replace("team@example.org", everyone)) as at:
            await at.queue(Draft("rollback", "team", "ROLLBACK", "why"))
            for tries in range(1, outbox.TRIES + 1):
                assert await at.until(lambda tries=tries: at.deliveries[0].tries == tries)  # type: ignore[misc]
                at.clock.advance(4000.0)
            assert at.deliveries[0].state == "failed"
            assert at.deliveries[0].error == "mailto: recipient 2 of 3: not accepted"
        arrived = sorted(str(m["To"]) for m in mail.box.mails)
        assert arrived == ["boss@example.org", "team@example.org"]


async def test_a_recipient_who_is_put_right_gets_the_message_and_the_others_do_not_get_it_again(tmp_path: Path) -> None:
    with mail_server() as mail:
        mail.box.refuses.add("gone@example.org")
        async with place(tmp_path, mail.url.replace("team@example.org", "team@example.org,gone@example.org")) as at:
            await at.queue(DAILY)
            assert await at.until(lambda: at.deliveries[0].tries == 1)
            mail.box.refuses.clear()
            at.clock.advance(4000.0)
            assert await at.all_sent()
        assert sorted(str(m["To"]) for m in mail.box.mails) == ["gone@example.org", "team@example.org"]


async def test_a_rollback_is_marked_as_a_failure_a_hold_as_a_warning_and_a_summary_as_information(
    tmp_path: Path,
) -> None:
    with http_server() as (url, posted):
        async with place(tmp_path, url) as at:
            for message in ("rollback", "hold", "daily_summary", ESCALATION):
                await at.queue(Draft(message, "team", message, "why"))
            assert await at.all_sent()
    assert {body["title"]: body["type"] for body in posted} == {
        "rollback": "failure",
        "hold": "warning",
        "daily_summary": "info",
        ESCALATION: "failure",
    }


async def test_a_mail_has_a_body_of_plain_text_unless_the_address_asks_for_html(tmp_path: Path) -> None:
    with mail_server() as mail:
        bare = mail.url.removesuffix("&format=text")
        async with place(tmp_path, bare, bare + "&format=html") as at:
            await at.queue(Draft("rollback", "team", "ROLLBACK", "from 10 % to 0 %"))
            assert await at.all_sent()
        kinds = sorted(m.get_content_type() for m in mail.box.mails)
        assert kinds == ["multipart/alternative", "text/plain"]
        assert all("from 10 % to 0 %" in mail.box.text(n) for n in range(2))
