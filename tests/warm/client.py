"""The side of the tests: `subprocess.Popen` that asks the server for the product's own processes."""

from __future__ import annotations

import array
import contextlib
import inspect
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from execnet import gateway_io

from tests.warm.request import MOST, MOST_PASSED, Request

ROOT = Path(__file__).parents[2]
MAIN = "from console.cli import main; main()"
MODULES = {
    "console.upload.worker",
    "engine.messages.deliver_worker",
    "engine.rehearsal.llm_server",
    "engine.routing.reader",
    "engine.server.process",
    "tests.console.hostile",
    "tests.console.show",
    "tests.engine.worker.caller",
}
PRODUCT, TESTS = "tests.warm.server", "tests.warm.tests_server"
SCRIPT = str(Path(sys.executable).with_name("rollout"))
LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_AS, resource.RLIMIT_CORE)
OUR_LOCALES = {"", "C", "POSIX", "C.UTF-8", "C.utf8"}  # in all of them Python reads and writes UTF-8

# how pytest-xdist starts its workers; execnet does not promise the name, and without it none is forked
WORKER = getattr(gateway_io, "popen_bootstrapline", None)

_real_start = subprocess.Popen._execute_child  # type: ignore[attr-defined]
_signature = inspect.signature(_real_start)
_lock = threading.Lock()
_lines: dict[str, socket.socket] = {}  # to the servers, by their module
_owner = 0
_executed = 0
_options: Sequence[str] | None = None  # of the pytest whose workers are forked


@contextlib.contextmanager
def executed() -> Iterator[None]:
    """Every process started within is executed."""
    global _executed
    _executed += 1
    try:
        yield
    finally:
        _executed -= 1


def install() -> None:
    """From here on `subprocess` gets the product's processes from the server."""
    global _owner
    if sys.platform == "linux" and os.environ.get("ROLLOUT_TESTS_EXEC") != "1":
        _owner = os.getpid()
        subprocess.Popen._execute_child = _start  # type: ignore[attr-defined]


def fork_workers(options: Sequence[str] | None) -> None:
    """From here on pytest-xdist gets its workers from a server that has imported the tests that `options` name."""
    global _options
    _options = options
    if TESTS in _lines:
        _lines.pop(TESTS).close()


def adopt(line: socket.socket | None) -> None:
    """As `install`, in a process that a server made: its own children come from the server behind `line`, or a new one."""
    global _owner
    _lines.clear()
    if line is not None:
        _lines[PRODUCT] = line
    _owner = os.getpid()
    subprocess.Popen._execute_child = _start  # type: ignore[attr-defined]


def _start(popen: Any, *given: Any) -> None:
    asked = _signature.bind(popen, *given).arguments
    server = _server(asked["args"], asked["env"]) if _is_plain(asked) else ""
    if not server:
        _real_start(popen, *given)
        return
    files = [
        own if own != -1 else number
        for number, own in enumerate((asked["p2cread"], asked["c2pwrite"], asked["errwrite"]))
    ]
    cwd = os.path.abspath(os.curdir if asked["cwd"] is None else os.fsdecode(asked["cwd"]))  # the server has its own
    pid = _ask(
        server, asked["args"], cwd, asked["env"], files,
        new_session=asked["start_new_session"], process_group=asked["process_group"], passed=sorted(asked["pass_fds"]),
    )  # fmt: skip
    if not pid:
        _real_start(popen, *given)
        return
    popen.pid = pid
    popen._child_created = True
    pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
    popen._close_pipe_fds(*(asked[name] for name in pipes))


def start_on_terminal(argv: Sequence[str], environ: Mapping[str, str], cwd: str, files: Sequence[int]) -> int:
    """A process in a session of its own whose terminal is `files[0]`; 0 where it must be executed."""
    server = _server(argv, environ)
    if not server or not os.access(cwd, os.X_OK):
        return 0
    return _ask(server, argv, cwd, environ, files, new_session=True, terminal=True)


def _is_plain(asked: Mapping[str, Any]) -> bool:
    """Whether nothing is asked for that the server does not give."""
    cwd = asked["cwd"]
    return (
        not asked["shell"]
        and asked["executable"] is None
        and asked["preexec_fn"] is None
        and len(asked["pass_fds"]) <= MOST_PASSED
        and all(number > 2 for number in asked["pass_fds"])
        and asked["close_fds"]
        and asked["umask"] == -1
        and asked["uid"] is asked["gid"] is asked["gids"] is None
        and (cwd is None or os.access(cwd, os.X_OK))
        and not isinstance(asked["args"], str | bytes | os.PathLike)
    )


def _server(args: Sequence[Any], environ: Mapping[Any, Any] | None) -> str:
    """The module of the server that forks this process; "" if it must be executed."""
    if _executed or os.getpid() != _owner or os.geteuid() != os.getuid():
        return ""
    words = [os.fspath(word) for word in args]
    match words:
        case [sys.executable, "-u", "-c", code] if code == WORKER:
            return TESTS if _options is not None else ""
        case [sys.executable, "-c", code, *_] if code == MAIN or code.endswith(
            f"\n{MAIN}"
        ):  # a test's own lines before it
            pass
        case [sys.executable, "-P", "-m", module, *_] | [sys.executable, "-m", module, *_] if module in MODULES:
            pass
        case [script, *_] if script == SCRIPT and os.path.exists(SCRIPT):
            pass
        case _:
            return ""
    env = os.environ if environ is None else environ
    names = {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()}
    return PRODUCT if all(_is_neutral(name, value) for name, value in names.items()) else ""


def _is_neutral(name: str, value: str) -> bool:
    """Whether a process's start, or an import, does not depend on this setting."""
    if name in ("LANG", "LC_ALL", "LC_CTYPE"):
        return value in OUR_LOCALES
    if name in ("PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
        return True  # the server gives the first two; nothing is left to compile
    if name.startswith("TEXTUAL_SNAPSHOT"):  # of the tests' own plugin
        return True
    return not name.startswith(("PYTHON", "TEXTUAL", "ESCDELAY", "LD_"))


def _ask(
    server: str,
    argv: Sequence[Any],
    cwd: str,
    environ: Mapping[Any, Any] | None,
    files: Sequence[int],
    *,
    new_session: bool,
    process_group: int = -1,
    terminal: bool = False,
    passed: Sequence[int] = (),
) -> int:
    """The new process's id; 0 where it must be executed."""
    global _executed
    env = os.environ if environ is None else environ
    request = Request(
        [os.fspath(word) for word in argv],
        cwd,
        {os.fsencode(name): os.fsencode(value) for name, value in env.items()},
        new_session,
        process_group,
        terminal,
        _umask(),
        [int(number) for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN],
        [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        passed,
        {limit: resource.getrlimit(limit) for limit in LIMITS},
        os.getpriority(os.PRIO_PROCESS, 0),
    )
    with _lock:
        line = _lines.get(server) or _line_to(server)
        message = pickle.dumps(request)
        assert len(message) < MOST
        answer = b""
        with contextlib.suppress(ConnectionError):  # it has ended, and its reason is printed
            line.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [*files, *passed]))])
            answer = line.recv(64)
    if answer.isdigit():
        return int(answer)
    _executed += 1  # from now on everything is: this machine does not let a process give its parent a child
    return 0


def _umask() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))


def _line_to(server: str) -> socket.socket:
    """It is started when it is first needed, and ends with this process."""
    _lines[server], its = pair()
    room = "." * 8192  # its own command line, which is where its children's are written
    command = [
        sys.executable,
        "-P",
        "-m",
        server,
        str(its.fileno()),
        room,
        *(_options or () if server == TESTS else ()),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    environ |= {"LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environ |= {"OPENBLAS_NUM_THREADS": "1", "ROLLOUT_TESTS_WARM": "1"}  # a process with threads may not fork
    cwd = os.curdir if server == TESTS else "/"
    subprocess.Popen(command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()])
    its.close()
    return _lines[server]


def pair() -> tuple[socket.socket, socket.socket]:
    both = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in both:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST)
    return both
