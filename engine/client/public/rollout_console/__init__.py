"""Ask the rollout engine for keywords from your own service, with a time limit.

from rollout_console import Client

engine = Client("http://127.0.0.1:8080", timeout_s=0.5)
made = engine.extract_or_none("docs/a.md", text)   # None: the engine is gone, late or too busy
"""

from rollout_console.answers import Document, Extraction, Failure, Rejected, RolloutError, Unavailable
from rollout_console.asynchronous import AsyncClient
from rollout_console.synchronous import Client

__all__ = ["AsyncClient", "Client", "Document", "Extraction", "Failure", "Rejected", "RolloutError", "Unavailable"]
