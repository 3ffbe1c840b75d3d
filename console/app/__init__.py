"""The console as a Textual app.

One class in parts that build on each other, a file each: drawing (to the terminal), base (state, notices), reading
(polls), commands (asks the engine), time_travel (the cursor), rollback (R), navigation (from screen to screen), people
(together), keys (what acts), and console (its keys, start and end).
"""

from console.app.console import Console

__all__ = ["Console"]
