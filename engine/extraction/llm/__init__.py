"""The LLM method: documents to keywords through servers that speak Ollama's or OpenAI's API."""

from engine.extraction.llm.check import CheckLine, CheckReport
from engine.extraction.llm.failure import NO_ATTEMPT, ErrorKind, LlmFailure, NotPermitted
from engine.extraction.llm.health import ServerHealth
from engine.extraction.llm.pool import LlmAnswer, LlmPool
from engine.extraction.llm.prompt import PROMPT_VERSION

__all__ = [
    "NO_ATTEMPT", "PROMPT_VERSION", "CheckLine", "CheckReport", "ErrorKind", "LlmAnswer", "LlmFailure", "LlmPool",
    "NotPermitted", "ServerHealth",
]  # fmt: skip
