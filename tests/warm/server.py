"""The server: imports the product once, then forks a process for each request.

`clone(CLONE_PARENT)` makes it a child of whoever runs this server, so that the test waits for it and signals it as for any
child. The fork happens before any thread exists.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import os
import pickle
import pkgutil
import platform
import resource
import signal
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import CodeType, ModuleType

import apprise

from console.cli import VERBS
from engine.extraction.keywords import Budget
from engine.plan import load
from engine.plan.problems import PlanError
from engine.rehearsal import corpus
from engine.routing import reading
from engine.store import own_schema
from tests import stores
from tests.warm import client
from tests.warm.request import MOST, MOST_PASSED, Request

CLONE_PARENT = 0x00008000
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
PR_GET_TID_ADDRESS = 40
STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
# what the product imports where it first needs it
LATE = (
    "anyio._backends._asyncio", "asyncio", "concurrent.futures.thread", "curses", "h11", "httpcore", "httpx", "multiprocessing",
    "plotext", "pty", "pydoc_data.topics", "sqlite_utils", "ssl", "textual.drivers.linux_driver", "tomllib", "unittest",
)  # fmt: skip
OF_THE_BUILD = {"engine.extraction.compiled_wheel"}  # imports setuptools, which no process of the product does
ALONE = {"engine.rehearsal.llm_server", "engine.routing.reader", "engine.messages.deliver_worker"}
STARTING = {"gameday", "load", "rehearse", "run", "serve", "worker"}  # verbs that start the product's processes


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    paths = [path for path in sys.path if path not in os.environ["PYTHONPATH"].split(os.pathsep)]
    gc.disable()  # what is loaded here stays
    _import_all()
    load.parse_plan(load.default_plan_text())  # reads the model's types, which is half of a plan's loading
    apprise.Apprise().add("json://localhost")  # loads its hundred plugins
    own_schema.expected(own_schema.KNOWN)  # what the migrations make, with which each opened store is compared
    reading.read("", (client.ROOT / "engine" / "README.md").read_text(), "", Budget())  # compiles patterns, loads words
    stores.install()
    stores.first()
    next(corpus.documents())  # walks through all files of this Python
    gc.enable()
    serve(line, paths)


def serve(line: socket.socket, paths: Sequence[str], own_server: bool = True) -> None:
    """Answer requests until no client is left. With `own_server` what a process starts comes from a server as this one,
    of its own."""
    gc.freeze()  # a child's collector does not copy these pages
    assert len(os.listdir("/proc/self/task")) == 1, [thread.name for thread in threading.enumerate()]
    run = _serve(line, paths, own_server)
    if run is None:
        os._exit(0)
    _end(_outcome(run))


def _import_all() -> None:
    for name in LATE:
        _import(name)
    for package in ("engine", "console"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__") and module.name not in OF_THE_BUILD:
                _import(module.name)


def _import(name: str) -> None:
    with contextlib.suppress(ImportError):  # so is it in the process that needs it
        importlib.import_module(name)


def _serve(line: socket.socket, paths: Sequence[str], own_server: bool) -> Callable[[], None] | None:
    """Answer requests. Returns in a child, with what it has to run, and None when no client is left."""
    while True:
        message, files, _, _ = socket.recv_fds(line, MOST, 3 + MOST_PASSED)
        if not message:
            return None
        request: Request = pickle.loads(message)
        _read_plan(request)
        child = _fork()  # -1 where the kernel does not let it
        if child == 0:
            if request.new_session:
                os.setsid()
            if request.process_group >= 0:
                os.setpgid(0, request.process_group)
            line.send(str(os.getpid()).encode())  # who asked may signal its group at once
            line.close()
            files = _renumbered(files, request.passed)
            if request.terminal:
                fcntl.ioctl(files[0], termios.TIOCSCTTY, 0)
            if not own_server:
                client.adopt(None)
                return _become(request, files, paths)
            if _starts_nothing(request.argv):
                return _become(request, files, paths)
            mine, its = client.pair()
            if os.fork() == 0:  # the server of this process's own children, forked while it is as clean as this one
                mine.close()
                _stay_apart([*files, *request.passed])
                line = its
                continue
            its.close()
            client.adopt(mine)
            return _become(request, files, paths)
        for number in files:
            os.close(number)
        if child < 0:
            line.send(b"-1")


def _read_plan(request: Request) -> None:
    """What the process will find in memory when it reads the same text: a plan takes 10 ms, and many processes read it."""
    argv = [os.fspath(word) for word in request.argv]
    plan = argv[argv.index("--plan") + 1] if "--plan" in argv[:-1] else "rollout.toml"
    with contextlib.suppress(OSError, PlanError):
        load.parse_plan(load.plan_text(os.path.join(request.cwd, plan)))


def _starts_nothing(argv: Sequence[str]) -> bool:
    """Whether this is a program or a verb that starts no process of the product; one that does after all executes it."""
    if not ALONE.isdisjoint(argv):
        return True
    verb = next((word for word in argv if word in VERBS), "")
    return verb != "" and verb not in STARTING


def _renumbered(files: Sequence[int], passed: Sequence[int]) -> Sequence[int]:
    """The three streams, out of the way of the others, which get the numbers that they have where they come from."""
    high = [fcntl.fcntl(number, fcntl.F_DUPFD, 512) for number in files]
    for number in files:
        os.close(number)
    for number, own in zip(high[3:], passed, strict=True):
        os.dup2(number, own)
        os.close(number)
    return high[:3]


def _stay_apart(files: Sequence[int]) -> None:
    """Hold no pipe open, and let what ends a process group or a session pass: the end of `line` ends this server."""
    for number in files:
        os.close(number)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


_python = ctypes.PyDLL(None, use_errno=True)
_python.PyOS_AfterFork_Parent.restype = _python.PyOS_AfterFork_Child.restype = _python.PyOS_BeforeFork.restype = None


def _fork() -> int:
    """As `os.fork`, with this process's parent as the parent."""
    address = ctypes.POINTER(ctypes.c_int)()
    _python.prctl(PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0)
    _python.PyOS_BeforeFork()
    child: int = _python.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if child != 0:
        _python.PyOS_AfterFork_Parent()
        return child
    _python.PyOS_AfterFork_Child()
    if address:
        address[0] = os.getpid()  # where the C library keeps it; `fork` would have written it
    return 0


def _become(request: Request, files: Sequence[int], paths: Sequence[str]) -> Callable[[], None]:
    """Make this process what executing `request.argv` would have made."""
    for own, number in enumerate(files[:3]):
        os.dup2(number, own)
    for number in files:
        os.close(number)
    os.umask(request.umask)
    for number in STOPS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for number in request.ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request.blocked)
    for limit, both in request.limits.items():
        resource.setrlimit(limit, both)
    os.setpriority(os.PRIO_PROCESS, 0, request.priority)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environb.update(request.environ)
    time.tzset()
    _show(request.argv)
    return _program(list(request.argv), request.environ, paths)


def _program(argv: list[str], environ: Mapping[bytes, bytes], paths: Sequence[str]) -> Callable[[], None]:
    words = argv[1:]
    at_once = bool(environ.get(b"PYTHONUNBUFFERED")) or words[:1] == ["-u"]
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = _stream(number, mode, at_once)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.orig_argv[:] = argv
    added = [path for path in os.fsdecode(environ.get(b"PYTHONPATH", b"")).split(os.pathsep) if path]
    own = ModuleType("__main__")
    sys.modules["__main__"] = own
    own.__dict__["__builtins__"] = __builtins__
    code: CodeType
    if argv[0] == client.SCRIPT:
        with open(argv[0]) as script:
            code = compile(script.read(), argv[0], "exec")
        own.__dict__["__file__"] = argv[0]
        sys.argv, first = argv, [os.path.dirname(argv[0])]
    elif "-c" in words[:2]:
        at = words.index("-c")
        code = compile(words[at + 1], "<string>", "exec")
        sys.argv, first = ["-c", *words[at + 2 :]], [""]
    else:
        at = words.index("-m")
        spec = find_spec(words[at + 1])
        assert spec is not None
        assert spec.origin is not None
        code = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
        own.__dict__.update(__spec__=spec, __file__=spec.origin, __package__=spec.parent, __loader__=spec.loader)
        sys.argv, first = [spec.origin, *words[at + 2 :]], [] if at else [os.getcwd()]
    sys.path[:] = [*first, *added, *paths]
    return lambda: exec(code, own.__dict__)


def _outcome(run: Callable[[], None]) -> int:
    """Run it, and the exit status that the interpreter gives to how it ended."""
    try:
        run()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error, trace)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _end(status: int) -> None:
    """What the interpreter does at its end, but for giving back the memory of all that this process never used."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError:
            status = status or 120
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


def _stream(number: int, mode: str, at_once: bool) -> io.TextIOWrapper | None:
    """A standard stream as the interpreter opens it."""
    try:
        raw = io.FileIO(number, mode, closefd=False)
    except OSError:
        return None
    if mode == "r":
        text = io.TextIOWrapper(io.BufferedReader(raw), "utf-8", "surrogateescape")
    else:
        text = io.TextIOWrapper(
            raw if at_once else io.BufferedWriter(raw),  # type: ignore[arg-type]
            "utf-8",
            "backslashreplace" if number == 2 else "surrogateescape",
            "\n",
            line_buffering=number == 2 or raw.isatty(),
            write_through=at_once,
        )
    text.mode = mode  # type: ignore[misc]
    return text


def _show(argv: Sequence[str]) -> None:
    """In `ps` too: written over this process's own command line, which was made long enough."""
    with open("/proc/self/stat") as file:
        start, end = map(int, file.read().rpartition(")")[2].split()[45:47])
    text = b"".join(os.fsencode(word) + b"\0" for word in argv)[: end - start - 1]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, text, len(text))


if __name__ == "__main__":
    main()
