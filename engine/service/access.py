"""Who may raise the percentage: the plan's `[access]`, for people who can open the store."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from engine.plan.model import Plan
from engine.rollout.state import Actor
from engine.store.folder import Folder


def may_promote(plan: Plan, actor: Actor) -> bool:
    """`[access]` may limit raising to names or to a unix group; by default anyone who can open the store may."""
    access = plan.access
    if not access.promote and not access.group:
        return True
    account = actor.account or actor.name
    if account in access.promote:
        return True
    if access.group:
        try:
            return grp.getgrnam(access.group).gr_gid in os.getgrouplist(account, pwd.getpwnam(account).pw_gid)
        except KeyError:
            return False
    return False


def may_run_an_engine(plan: Plan, folder: Folder, uid: int) -> bool:
    """Whether an engine of this user may have raised: they can open the store, and `[access]` lets them promote."""
    try:
        status, account = os.stat(folder.path), pwd.getpwuid(uid)
    except (OSError, KeyError):
        return False
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    opens = uid in (0, status.st_uid) or (status.st_mode & stat.S_IWGRP and status.st_gid in groups)
    return bool(opens) and may_promote(plan, Actor(account.pw_name, uid))
