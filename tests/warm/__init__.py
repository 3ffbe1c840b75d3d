"""Processes without half a second of imports: a server that has imported the product forks them.

Hundreds of tests start the engine, the console or a verb. Each is a process of its own, a child of the test's process, with
its own command line, environment, folder, files, session and signals, and runs the same `main`; only the interpreter's start
and the imports are shared. `tests/test_warm.py` holds such a process beside one that was executed.

Whatever the server cannot give exactly is executed as ever: other programs, another user, other `PYTHON...` or `TEXTUAL...`
settings. `ROLLOUT_TESTS_EXEC=1` executes everything.
"""

from tests.warm.client import executed, fork_workers, install, start_on_terminal

__all__ = ["executed", "fork_workers", "install", "start_on_terminal"]
