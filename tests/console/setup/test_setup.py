"""The first five minutes in a folder with nothing: a walk in a real terminal, what is written, and what is not."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.output import Failed
from console.setup import draft as drafts
from console.setup import run
from console.setup.app import STEPS, Setup
from console.setup.draft import PlanDraft, address_trouble, folder_trouble, plan_text, url_trouble, writing_trouble
from console.setup.probe import Probed, base, probe
from console.setup.run import write
from console.widgets.sheet import Sheet
from engine.plan.load import parse_plan
from tests.console.screen_walk import until
from tests.machine import free_port, patience
from tests.terminal import ROLLOUT, ROOT, Terminal

CERTIFICATE = ROOT / "tests/engine/extraction/self_signed.pem"
ENTER, ESC, BACK = "\r", "\x1b", "\x1b[Z"


@pytest.fixture(scope="module")
def llm() -> Iterator[str]:
    """The address of a simulated LLM service, in a process of its own."""
    command = [sys.executable, "-m", "engine.rehearsal.llm_server", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        server.stdin.close()


def opened(folder: Path) -> Terminal:
    state = folder.parent / "state"
    return Terminal(ROLLOUT, cwd=folder, environ={"XDG_STATE_HOME": str(state)})


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    folder.mkdir()
    return folder


@pytest.fixture
def taken() -> Iterator[None]:
    """The plan's port, which a rehearsal of another test could take between the set-up's last look and its engine's
    start."""
    with contextlib.closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in patience(60):
            with contextlib.suppress(OSError):  # a rehearsal has it
                sock.bind(("127.0.0.1", drafts.PORT))
                sock.listen()
                break
            time.sleep(0.2)
        yield


@pytest.mark.usefixtures("taken")
def test_a_walk_writes_the_plan_and_opens_the_console(empty: Path, llm: str) -> None:
    (empty / "texts").mkdir()
    text = "Backup policies for the platform team. Each restore is tested weekly, and the results are kept."
    (empty / "texts" / "backup.md").write_text(text)
    with opened(empty) as terminal:
        terminal.until("Set up a rollout", "enter begin")
        terminal.press(ENTER)
        terminal.until("What is the service called?")
        terminal.send("search-tags")
        terminal.press(ENTER)
        terminal.until("Where is the LLM?")
        terminal.send(f"{llm}/v1")
        terminal.until("Ollama 0.33.0 answers; it has 1 model")
        terminal.press(ENTER)
        terminal.until("Which model?", "> llama3.2:3b")
        terminal.press(ENTER)
        terminal.until("Some documents to try?")
        terminal.send("nowhere")
        terminal.press(ENTER)
        terminal.until("does not exist", "nowhere")
        terminal.press(*(["\x7f"] * len("nowhere")))
        terminal.send("texts")
        terminal.press(ENTER)
        terminal.until("Where do messages go?")
        terminal.press(ENTER)
        terminal.until(
            "Write this plan?",
            "search-tags",
            "llama3.2:3b",
            "texts",
            "nowhere for now",
            f"because {drafts.PORT} is taken",
        )
        assert list(empty.iterdir()) == [empty / "texts"], "nothing is written before the last enter"
        terminal.press(ENTER)
        try:
            terminal.until("STAGE 0", "search-tags", "waiting for you")
            plan = parse_plan((empty / "rollout.toml").read_text())
            assert plan.service == "search-tags"
            assert plan.llm.urls == (llm,)
            assert plan.llm.model == "llama3.2:3b"
            assert plan.stages[0].validation[3].run == "rollout load --verbose texts"
            terminal.press("7")
            terminal.until("backup policies")
            terminal.press("1", "q")
            assert terminal.ended(10.0)
        finally:
            subprocess.run([*ROLLOUT, "stop"], cwd=empty, env={"PYTHONPATH": str(ROOT)}, check=False, timeout=30)


def test_esc_leaves_at_every_step_and_nothing_is_written(empty: Path) -> None:
    titles = [step.title for step in STEPS]
    for steps in range(len(titles)):
        with opened(empty) as terminal:
            for title in titles[:steps]:
                terminal.until(title)
                terminal.press(ENTER)
            terminal.until(titles[steps])
            terminal.press(ESC)
            assert terminal.ended(10.0), terminal.text
            assert terminal.status == 0
            assert "Nothing was written" in terminal.text
        assert not list(empty.iterdir())


def test_one_step_back_keeps_what_was_typed_even_ahead_of_the_screen(empty: Path) -> None:
    with opened(empty) as terminal:
        terminal.until("enter begin")
        terminal.press(ENTER)
        terminal.until("What is the service called?")
        terminal.send(f"tags-of-ours{ENTER}http://127.0.0.1:9")  # typed ahead: each belongs to its own question
        terminal.until("Where is the LLM?", "> http://127.0.0.1:9")
        terminal.press(BACK)
        terminal.until("What is the service called?", "tags-of-ours")
        terminal.press(ESC)
        assert terminal.ended(10.0)


def test_without_a_terminal_nothing_is_asked_and_nothing_is_written(empty: Path) -> None:
    ran = subprocess.run(
        [*ROLLOUT],
        cwd=empty,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 1
    assert "The console needs a terminal." in ran.stderr
    assert not list(empty.iterdir())


@pytest.mark.anyio
async def test_an_llm_that_did_not_answer_is_in_the_summary(empty: Path) -> None:
    """The address that was typed, not one that was asked about on the way to it."""
    url, app = f"http://127.0.0.1:{free_port()}", Setup(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "enter", *url, "enter", "enter", "enter", "enter")
        assert app.step.name == "review"
        await until(pilot, lambda: app.probed.state == "none")
        await pilot.pause()
        shown = app.screen.query_one("#sheet", Sheet).canvas.text()
        assert f"{url}, llama3.2:3b" in shown
        assert "No answer:" in shown
        assert app.probed.url == url


@pytest.mark.anyio
async def test_a_server_that_is_started_meanwhile_is_found_without_typing(empty: Path) -> None:
    port, app = free_port(), Setup(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "enter", *f"http://127.0.0.1:{port}")
        await until(pilot, lambda: app.probed.state == "none" and str(port) in app.probed.url)
        kind = type("Kind", (_Listed,), {"answers": {"/v1/models": (200, {"data": [{"id": "gpt-x"}]})}})
        with http.server.ThreadingHTTPServer(("127.0.0.1", port), kind) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            await until(pilot, lambda: app.probed.models == ("gpt-x",))
            running.shutdown()


@pytest.mark.anyio
@pytest.mark.parametrize("typed", ["", "my-own"])
async def test_an_answer_that_comes_after_its_question_is_used_and_overrules_nothing_typed(
    typed: str, empty: Path, server: tuple[str, type[_Listed]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, kind = server
    kind.answers = {"/v1/models": (200, {"data": [{"id": "gpt-x"}, {"id": "gpt-y"}]})}
    asked = asyncio.Event()

    async def late(url: str) -> Probed:
        await asked.wait()
        return await probe(url)

    monkeypatch.setattr("console.setup.app.probe", late)
    app = Setup(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "enter", *url, "enter")
        assert app.step.name == "model"
        await pilot.press(*typed)
        asked.set()
        await until(pilot, lambda: app.probed.state == "ok")
        await pilot.pause()
        assert app.lists_models is not bool(typed)
        await pilot.press(*(() if typed else ("down",)), "enter", "enter", "enter")
        assert app.step.name == "review"
        assert (app.draft.model, app.draft.api) == (typed or "gpt-y", "openai")


# -- what is written -------------------------------------------------------------------------------------------------


def test_an_address_for_messages_is_kept_apart_and_closed(empty: Path) -> None:
    write(PlanDraft(service="x", address="ntfy://secret-topic"), empty)
    assert "secret-topic" not in (empty / "rollout.toml").read_text()
    kept = empty / drafts.ADDRESSES
    assert kept.read_text() == "ntfy://secret-topic\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert parse_plan((empty / "rollout.toml").read_text()).notify.urls_file == str(kept)


def test_nothing_that_exists_is_replaced(empty: Path) -> None:
    (empty / "rollout.toml").write_text("mine")
    with pytest.raises(Failed, match="exists"):
        write(PlanDraft(), empty)
    assert (empty / "rollout.toml").read_text() == "mine"


def test_an_empty_draft_is_the_plan_that_comes_with_the_product(tmp_path: Path) -> None:
    from engine.plan.load import default_plan_text

    assert plan_text(PlanDraft(), tmp_path) == default_plan_text()


@pytest.mark.parametrize("name", ["it's", 'a "b"', "x\n[evil]", "\x1b[2J", "a;rm -rf /", "–"])
def test_typed_text_becomes_one_value_whatever_it_contains(name: str, tmp_path: Path) -> None:
    text = plan_text(PlanDraft(service=name, documents=name), tmp_path)
    known, default = tomllib.loads(text), tomllib.loads(plan_text(PlanDraft(), tmp_path))
    assert known.keys() == default.keys()
    assert "\x1b" not in text


def test_an_invalid_address_or_folder_is_reported() -> None:
    assert address_trouble("") == address_trouble("slack://a/b") == ""
    assert "kind" in address_trouble("me@example.org")
    for good in (
        "",
        "http://127.0.0.1:11434",
        "https://llm.example.org/proxy",
        "http://[::1]:8000",
        "http://u:p@gpu:1",
    ):
        assert url_trouble(good) == ""
    for bad in ("http://127.0.0.1:97.0.0.1:9", "http://not a url", "http://", "ftp://host", "http://host:port"):
        assert bad in url_trouble(bad)
    assert folder_trouble("", Path("/")) == folder_trouble("tmp", Path("/")) == ""
    assert "does not exist" in folder_trouble("nonsense-here", Path("/"))
    assert "does not exist" in folder_trouble("~no-such-user/documents", Path("/"))


# -- the probe -------------------------------------------------------------------------------------------------------


class _Listed(http.server.BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, object]] = {}  # noqa: RUF012, a test's server

    def do_GET(self) -> None:
        status, body = self.answers.get(self.path, (404, {}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Listed]]]:
    kind = type("Kind", (_Listed,), {"answers": {}})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", kind
        running.shutdown()


@pytest.mark.anyio
async def test_an_openai_server_is_distinguished_from_ollama(server: tuple[str, type[_Listed]]) -> None:
    url, kind = server
    kind.answers = {"/v1/models": (200, {"data": [{"id": "gpt-x"}, {"id": "gpt-y\x1b[2J"}, {"id": "gpt-x"}, 7]})}
    probed = await probe(url)
    assert (probed.state, probed.api) == ("ok", "openai")
    assert probed.models[0] == "gpt-x"
    assert len(probed.models) == 2
    assert "\x1b" not in "".join(probed.models)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((401, {}), "key"),
        ((200, []), "none"),
        ((200, {"data": "many"}), "none"),
        ((200, b"[" * 3000 + b"]" * 3000), "none"),
        ((200, b'{"data": "\xff"}'), "none"),
        ((500, {}), "none"),
    ],
)
async def test_a_refusal_asks_for_a_key_and_any_other_answer_is_not_an_llm_service(
    server: tuple[str, type[_Listed]], answer: tuple[int, object], state: str
) -> None:
    url, kind = server
    kind.answers = {"/v1/models": answer}
    probed = await probe(url)
    assert probed.state == state
    assert probed.sentence


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://", "http://[", "ftp://x", "http://no.such.host.invalid"])
async def test_a_bad_address_gives_a_sentence_and_no_exception(url: str) -> None:
    probed = await probe(url)
    assert probed.state in ("none", "wrong")
    assert probed.sentence.startswith(("No answer", f"{url} is not a complete address"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1", "start the server there, or correct the address"),
        ("http://no.such.host.invalid", "no such host; correct the address"),
        ("https://127.0.0.1:{port}", "does this port speak https?"),
    ],
)
async def test_no_answer_has_a_reason_that_a_newcomer_can_act_on(
    url: str, says: str, server: tuple[str, type[_Listed]]
) -> None:
    probed = await probe(url.format(port=server[0].rpartition(":")[2]))
    assert says in probed.sentence, probed.sentence
    assert "Errno" not in probed.sentence


@pytest.mark.anyio
async def test_a_certificate_that_is_not_trusted_has_its_cure(server: tuple[str, type[_Listed]]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), server[1]) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        probed = await probe(f"https://127.0.0.1:{running.server_address[1]}")
        running.shutdown()
    assert "certificate is not trusted" in probed.sentence, probed.sentence
    assert "SSL_CERT_FILE" in probed.sentence


@pytest.mark.anyio
async def test_an_address_that_cannot_be_probed_is_wrong() -> None:
    assert (await probe("http://127.0.0.1:97.0.0.1:9")).state == "wrong"


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("localhost:11434", "http://localhost:11434"),
        ("https://llm.example/v1/", "https://llm.example"),
        ("http://a/v1/chat/completions", "http://a"),
        ("http://a/api/tags", "http://a"),
        ("", ""),
    ],
)
def test_a_pasted_address_is_cleaned_up(typed: str, asked: str) -> None:
    assert base(typed) == asked


def test_an_empty_address_shows_no_sentence() -> None:
    assert Probed("", "none", "").sentence == ""


def test_a_refused_plan_leaves_no_addresses_behind(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _: bytes) -> None:
        raise OSError(28, "No space left on device", f".{path.name}.part")

    monkeypatch.setattr(run, "write_whole", refuse)
    with pytest.raises(Failed, match=re.escape(f"{empty / 'rollout.toml'} could not be written: No space left")):
        run.write(PlanDraft(address="ntfy://x/y"), empty)
    assert not list(empty.iterdir())


def test_a_folder_that_takes_no_plan_is_reported_before_the_questions(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = PlanDraft(address="ntfy://x/y")
    assert writing_trouble(draft, empty) == ""
    (empty / drafts.ADDRESSES).write_text("ntfy://mine\n")
    assert "go back and leave the address empty" in writing_trouble(draft, empty)
    assert writing_trouble(PlanDraft(), empty) == ""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert "not writable" in writing_trouble(PlanDraft(), empty)
