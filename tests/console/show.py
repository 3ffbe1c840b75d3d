"""Show a sample on this terminal: `python -m tests.console.show alert [theme]`."""

import sys

from console import themes
from console.app import Console
from tests.console.samples import PLAN, FakeLink

if __name__ == "__main__":
    state = sys.argv[1] if len(sys.argv) > 1 else "normal"
    look = sys.argv[2] if len(sys.argv) > 2 else "dark"
    Console(
        FakeLink(state),
        PLAN,
        rehearsal=state.startswith("rehearsal"),
        theme=look if look in themes.NAMES else "dark",
        ascii_only="ascii" in sys.argv,
    ).run()
