"""The console as a Textual app.

One class in parts that build on each other, a file each: base (state, notices), reading (polls), commands (asks the
engine), time (the cursor), rolling (R), going (from screen to screen), together (people), keys (what acts), and console
(its keys, start and end).
"""

from console.app.console import Console

__all__ = ["Console"]
