"""After a rollback without an engine, the console updates the neighbouring service itself, as the current user."""

from __future__ import annotations

from engine.plan.model import Plan
from engine.store.folder import Folder


def apply_to_neighbour(folder: Folder, plan: Plan | None, plan_exists: bool = True) -> tuple[str, str]:
    """(state, sentence): "done", "failed", or "" if no service is known. Never raises: the rollback is already done.

    Without a plan, the store shows whether a percentage was ever applied to a neighbouring service.
    """
    if plan is None and not plan_exists and not (folder.path / "applied").exists():
        return "", ""
    if plan is None:
        return "failed", "The plan cannot be read, so its [apply] section was not carried out."
    if not (plan.apply.env_file or plan.apply.command):
        return "", ""
    try:
        from engine.plan.environment import environment
        from engine.service.apply import apply_without_engine
        from engine.store.reader import Reader

        try:
            stage = Reader(folder).state().stage
        except Exception:  # unreadable store: only 0 % matters, and every stage at 0 % has the same line
            stage = 0
        applied = apply_without_engine(plan.apply, environment(plan, stage, 0), folder.path / "applied")
    except Exception as error:
        return "failed", f"[apply] was not carried out ({type(error).__name__}: {error})."
    return applied.state, applied.sentence
