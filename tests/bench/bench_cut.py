"""The link between an engine and workers on another host goes down, in network namespaces: how long a cut-off worker
still sends calls to the LLM service after the cut, by the kernel's time stamps, with a rollback on the engine's side at
the same moment.

python -m tests.bench.bench_cut [--cuts 50] [--workers 4]        as root; needs ip, nginx and openssl

    engine's host  ===(the link that is cut)===  workers' host
                  \\------- LLM service's host -------/
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from engine.cluster.lease_times import LEASE_S
from tests.bench.bench_workers import shown, written
from tests.bench.llm_recorder import RecordingLlm
from tests.bench.wire import Wire
from tests.engine.service.rig import COMMAND, EngineRig

TOKEN = "0123456789abcdef0123456789abcdef"
ENGINE, WORKERS, LLM = (f"rollout-{name}-{os.getpid()}" for name in ("e", "w", "l"))
LINKS = ((ENGINE, WORKERS, "10.77.1"), (ENGINE, LLM, "10.77.2"), (WORKERS, LLM, "10.77.3"))
LLM_ADDRESS = "10.77.9.9"
WORKERS_END = "ro2b"  # of the third link, at the LLM service
PORT = 8443
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; client_max_body_size 64m;
  server {{
    listen 10.77.1.1:{port} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location / {{ proxy_pass {engine}; proxy_buffering off; proxy_read_timeout 60s; proxy_http_version 1.1;
                  proxy_set_header Connection ""; }}
  }}
}}
"""
WORK = "import sys; from console.upload.ray_workers import run; print(run(sys.argv[1], int(sys.argv[2]), open(sys.argv[3]).read()))"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def inside(name: str) -> list[str]:
    return ["ip", "netns", "exec", name]


@contextlib.contextmanager
def hosts() -> Iterator[None]:
    try:
        for name in (ENGINE, WORKERS, LLM):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        for number, (one, other, net) in enumerate(LINKS):
            ip(
                "link",
                "add",
                f"ro{number}a",
                "netns",
                one,
                "type",
                "veth",
                "peer",
                "name",
                f"ro{number}b",
                "netns",
                other,
            )
            for host, end, last in ((one, f"ro{number}a", 1), (other, f"ro{number}b", 2)):
                ip("-n", host, "addr", "add", f"{net}.{last}/24", "dev", end)
                ip("-n", host, "link", "set", end, "up")
        ip("-n", LLM, "addr", "add", f"{LLM_ADDRESS}/32", "dev", "lo")
        for host, net in ((ENGINE, "10.77.2"), (WORKERS, "10.77.3")):
            ip("-n", host, "route", "add", f"{LLM_ADDRESS}/32", "via", f"{net}.2")
        yield
    finally:
        for name in (ENGINE, WORKERS, LLM):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def link(state: str) -> None:
    ip("-n", ENGINE, "link", "set", "ro0a", state)


class FarRig(EngineRig):
    """Its engine runs in a namespace; the socket in the store's folder is reached as always."""

    def engine(self, wait: bool = True) -> subprocess.Popen[bytes]:
        with self.folder.engine_log.open("ab") if self.folder.exists else open(os.devnull, "ab") as output:
            process = subprocess.Popen(
                [*inside(ENGINE), *COMMAND, *self._where, "serve"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.processes.append(process)
        assert self.until(lambda: self.folder.exists and self.client.request("GET", "/healthz")[0] == 200, 60)
        return process

    def until(self, holds, seconds: float = 20.0) -> bool:  # type: ignore[no-untyped-def]
        def quietly() -> bool:
            with contextlib.suppress(OSError, ValueError):
                return bool(holds())
            return False

        return super().until(quietly, seconds)


@contextlib.contextmanager
def tls(folder: Path, engine: str) -> Iterator[None]:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=10.77.1.1", "-addext",
         "subjectAltName=IP:10.77.1.1", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=PORT, engine=engine))
    proxy = subprocess.Popen([*inside(ENGINE), "nginx", "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        proxy.terminate()
        proxy.wait()


@contextlib.contextmanager
def crew(rig: EngineRig, folder: Path, job: int, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    environ = {**os.environ, "ROLLOUT_TOKEN": TOKEN, "SSL_CERT_FILE": str(folder / "cert.pem")}
    command = [*inside(WORKERS), sys.executable, "-c", WORK, f"https://10.77.1.1:{PORT}", str(job), str(rig.plan_path)]
    with (folder / "workers.log").open("ab") as output:
        results = [subprocess.Popen(command, env=environ, stdout=output, stderr=output) for _ in range(count)]
    try:
        yield results
    finally:
        for one in results:
            one.kill()
            one.wait()


def begin(rig: EngineRig, path: Path) -> int:
    from console.upload import driver

    job = driver.begin(rig.client, [str(path)], str(path), path.parent, "llm", "live")
    assert rig.client.command("job_run", job=job).ok
    return job


def cuts(rig: EngineRig, llm: RecordingLlm, wire: Wire, trials: int, workers: int) -> Iterator[float]:
    """Of each cut: ms until the last call of a cut-off worker reached the LLM service's host."""
    for _ in range(trials):
        link("up")
        assert rig.until(lambda: sum(w.state == "active" for w in rig.view.workers) >= workers, 60)
        rig.climb(2)
        assert rig.until(lambda: llm.calls["open"] >= 1, 180), llm.calls
        link("down")
        cut = time.monotonic()
        assert rig.client.rollback("a cut").ok
        time.sleep(LEASE_S + 0.6)
        yield max(0.0, wire.calls["posted"] - cut) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    os.environ["ROLLOUT_TOKEN"] = TOKEN
    with tempfile.TemporaryDirectory() as name, hosts():
        folder = Path(name)
        with (
            RecordingLlm(host=LLM_ADDRESS, inside=inside(LLM)) as llm,
            Wire(urlsplit(llm.url).port or 0, WORKERS_END, LLM) as wire,
        ):
            settings = {"llm.url": llm.url, "store.texts": "none"}
            with FarRig(folder / "bench", speed=None, settings=settings) as rig:
                rig.engine()
                rig.climb(2)  # a job of documents for the LLM is refused before
                port = urlsplit(rig.view.engine.address).port
                with tls(folder, f"http://127.0.0.1:{port}"):
                    job = begin(rig, written(folder / "documents.jsonl", 300_000))
                    with crew(rig, folder, job, given.workers):
                        late = []
                        for ms in cuts(rig, llm, wire, given.cuts, given.workers):
                            late.append(ms)
                            print(f"{ms:.0f}", end=" ", flush=True)
    print()
    print(shown(f"last call of {given.workers} cut-off workers after the cut (lease {LEASE_S * 1000:.0f} ms)", late))
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
