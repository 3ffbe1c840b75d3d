"""Loads on a Ray cluster of this machine: every document once, whichever process is killed. Without Ray, only the refusals."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from console.upload.driver import JobTrouble, Place, place_of, reached
from console.upload.ray_workers import authenticated
from tests import warm
from tests.engine.service.rig import COMMAND, EngineRig
from tests.machine import free_port, patience

DOCUMENTS = 600
HAS_RAY = importlib.util.find_spec("ray") is not None
TEXT = "The broker keeps an offset for partition {0} and compacts segment {0} of the commit log. " * 4


@pytest.mark.parametrize(
    ("on", "workers", "place"),
    [
        ("local:4", None, Place(4)),
        ("ray://head:6379", 16, Place(16, "head:6379")),
        ("ray://[::1]:6379", 1, Place(1, "[::1]:6379")),
    ],
)
def test_the_option_on_names_this_machine_or_a_cluster(on: str, workers: int | None, place: Place) -> None:
    assert place_of(on, workers) == place


@pytest.mark.parametrize(
    ("on", "workers"),
    [("local:0", None), ("local:4", 4), ("ray://head:6379", None), ("ray://head:6379", 0), ("ray://head", 4), ("x", 1)],
)
def test_anything_else_is_refused_with_a_sentence(on: str, workers: int | None) -> None:
    with pytest.raises(JobTrouble):
        place_of(on, workers)


def test_ray_without_a_token_is_refused() -> None:
    assert authenticated("2.60.0", "token")
    assert authenticated("2.61.1", "")
    assert not authenticated("2.60.0", "")
    assert not authenticated("2.61.0", "disabled")


def test_without_ray_the_command_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(JobTrouble, match=r"rollout-console\[ray\]"):
        reached(Place(2, "127.0.0.1:6379"))
    reached(Place(2)).close()


def test_a_cluster_without_a_token_is_refused_before_a_job_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.60.0"))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(JobTrouble, match="RAY_AUTH_MODE=token"):
        reached(Place(2, "127.0.0.1:6379"))


def test_where_nothing_listens_no_job_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself tries for minutes."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.60.0"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    for address in (f"127.0.0.1:{free_port()}", "127.0.0.1:99999"):
        with pytest.raises(JobTrouble, match=f"No Ray cluster can be used at {address}"):
            reached(Place(2, address))


def test_what_answers_but_is_not_ray_is_found_before_a_job_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself tries for minutes."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__="2.60.0"))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with EngineRig(tmp_path / "rig", speed=None) as rig:
        rig.engine()
        with pytest.raises(JobTrouble, match="not Ray"):
            reached(Place(2, rig.view.engine.address.removeprefix("http://")))


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'rollout-console[ray]'")
def test_ray_takes_every_option_that_the_help_gives_it() -> None:
    page = (Path(__file__).parents[3] / "console" / "help" / "cluster.md").read_text()
    given = {
        option for words in re.findall(r"\bray start ([^`#\n]*)", page) for option in re.findall(r"--[\w-]+", words)
    }
    ray = str(Path(sys.executable).with_name("ray"))
    known = subprocess.run([ray, "start", "--help"], capture_output=True, text=True, check=True).stdout
    assert given >= {"--head", "--port", "--address", "--block", "--num-cpus"}
    assert given <= set(re.findall(r"--[\w-]+", known))


class Cluster(NamedTuple):
    environ: dict[str, str]
    port: int


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The environment of a head that runs on a free port."""
    folder = tmp_path_factory.mktemp("ray")
    port = free_port()
    environ = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    head = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--port", str(port), "--num-cpus", "2", "--include-dashboard", "false",
            "--temp-dir", f"/tmp/ray-{os.getpid()}", "--object-store-memory", "80000000",
        ],
        env=environ, stdout=(folder / "head.log").open("wb"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    log = folder / "head.log"
    for _ in patience(120.0):
        if "Ray runtime started" in log.read_text(errors="replace") or head.poll() is not None:
            break
        time.sleep(0.2)
    assert "Ray runtime started" in log.read_text(errors="replace"), log.read_text(errors="replace")
    assert head.poll() is None, log.read_text(errors="replace")
    yield Cluster(environ, port)
    head.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        head.wait(30)
    head.kill()
    shutil.rmtree(f"/tmp/ray-{os.getpid()}", ignore_errors=True)


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'rollout-console[ray]'")
def test_every_document_once_though_workers_and_the_command_are_killed(tmp_path: Path, cluster: Cluster) -> None:
    with warm.executed(), EngineRig(tmp_path / "rig", speed=None) as rig:
        rig.engine()
        path = tmp_path / "documents.jsonl"
        rows = ({"id": f"d/{n}", "text": TEXT.format(n)} for n in range(DOCUMENTS))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        on = ("--on", f"ray://127.0.0.1:{cluster.port}", "--workers", "2")
        words = [*COMMAND, *rig._where, "load", "--json", *on]

        def stored() -> int:
            return int(rig.reader.read(lambda conn: conn.execute("SELECT count(*) FROM extraction").fetchone()[0]))

        first = subprocess.Popen(
            [*words, "--method", "frequency", str(path)],
            env=cluster.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert rig.until(lambda: stored() > 20 or first.poll() is not None, 120)
        assert first.poll() is None, first.stdout and first.stdout.read()
        for pid in _pids()[:1]:
            os.kill(pid, signal.SIGKILL)
        first.kill()
        first.wait()
        last = subprocess.run(
            [*words, "--resume", "1"], env=cluster.environ, capture_output=True, text=True, timeout=200
        )
        assert last.returncode == 0, last.stdout + last.stderr
        with sqlite3.connect(f"file:{rig.folder.database}?mode=ro", uri=True) as conn:
            counts = conn.execute("SELECT count(*), count(DISTINCT document_id) FROM extraction").fetchone()
        assert counts == (DOCUMENTS, DOCUMENTS)
        assert json.loads(last.stdout)["frequency"] == DOCUMENTS


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'rollout-console[ray]'")
def test_a_wrong_token_is_named_before_a_job_begins_and_ray_prints_nothing(tmp_path: Path, cluster: Cluster) -> None:
    with warm.executed(), EngineRig(tmp_path / "rig", speed=None) as rig:
        rig.engine()
        path = tmp_path / "documents.jsonl"
        path.write_text(json.dumps({"id": "d", "text": TEXT.format(1)}))
        on = ("--on", f"ray://127.0.0.1:{cluster.port}", "--workers", "1")
        for token in (secrets.token_hex(32), ""):
            made = subprocess.run(
                [*COMMAND, *rig._where, "load", "--json", *on, str(path)],
                env={**cluster.environ, "HOME": str(tmp_path), "RAY_AUTH_TOKEN": token},
                capture_output=True,
                text=True,
            )
            assert "does not accept this command's token" in json.loads(made.stdout)["sentence"]
            assert made.stderr == ""
        assert json.loads(rig.cli("jobs", "--json").stdout)["jobs"] == []


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'rollout-console[ray]'")
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root hides a node's sockets")
def test_a_machine_without_a_node_of_the_cluster_is_named_before_a_job_begins(tmp_path: Path, cluster: Cluster) -> None:
    """Ray's C++ half kills the process that connects from there. Without its sockets, a node is another machine's."""
    with warm.executed(), EngineRig(tmp_path / "rig", speed=None) as rig:
        rig.engine()
        path = tmp_path / "documents.jsonl"
        path.write_text(json.dumps({"id": "d", "text": TEXT.format(1)}))
        hidden = f'mount -t tmpfs none /tmp/ray-{os.getpid()} && exec "$@"'
        on = ("--on", f"ray://127.0.0.1:{cluster.port}", "--workers", "1")
        made = subprocess.run(
            ["unshare", "-m", "sh", "-c", hidden, "sh", *COMMAND, *rig._where, "load", "--json", *on, str(path)],
            env=cluster.environ,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 1, made.stderr
        assert "this machine is not one of the cluster's" in json.loads(made.stdout)["sentence"]
        assert made.stderr == ""
        assert json.loads(rig.cli("jobs", "--json").stdout)["jobs"] == []


def _pids() -> list[int]:
    """Ray's processes that run a worker."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if b"ray::run" in (entry / "cmdline").read_bytes():
                    pids.append(int(entry.name))
    return pids
