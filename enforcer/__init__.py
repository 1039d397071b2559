"""Usage to decision to guarded, journaled limit changes: the part of cgwarden that acts.

Names are imported on first use, because the guardian and the command line need one of them and not all of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enforcer.decide import decide as decide
    from enforcer.errors import BadWish as BadWish
    from enforcer.errors import BelowUsage as BelowUsage
    from enforcer.errors import ContainerBusy as ContainerBusy
    from enforcer.errors import EnforcerError as EnforcerError
    from enforcer.errors import Forbidden as Forbidden
    from enforcer.errors import GuardianLost as GuardianLost
    from enforcer.errors import JournalFull as JournalFull
    from enforcer.errors import JournalUnavailable as JournalUnavailable
    from enforcer.errors import NewerJournal as NewerJournal
    from enforcer.errors import OwnerConflict as OwnerConflict
    from enforcer.errors import PolicyError as PolicyError
    from enforcer.errors import TargetGone as TargetGone
    from enforcer.errors import UnknownTarget as UnknownTarget
    from enforcer.errors import WriteFailed as WriteFailed
    from enforcer.errors import WriteTimedOut as WriteTimedOut
    from enforcer.facade import Enforcer as Enforcer
    from enforcer.guardian import Guardian as Guardian
    from enforcer.journal import Journal as Journal
    from enforcer.load import SHIPPED as SHIPPED
    from enforcer.load import load_policies as load_policies
    from enforcer.outcomes import FreezeOutcome as FreezeOutcome
    from enforcer.outcomes import LimitOutcome as LimitOutcome
    from enforcer.outcomes import Target as Target
    from enforcer.outcomes import WriteRecord as WriteRecord
    from enforcer.policy import PolicySet as PolicySet
    from enforcer.state import State as State
    from enforcer.view import View as View

_ERRORS = (
    "BadWish BelowUsage ContainerBusy EnforcerError Forbidden GuardianLost JournalFull JournalUnavailable "
    "NewerJournal OwnerConflict PolicyError TargetGone UnknownTarget WriteFailed WriteTimedOut"
)
_HOME = {
    **dict.fromkeys(_ERRORS.split(), "errors"),
    "decide": "decide",
    "Enforcer": "facade",
    "Guardian": "guardian",
    "Journal": "journal",
    "SHIPPED": "load",
    "load_policies": "load",
    "FreezeOutcome": "outcomes",
    "LimitOutcome": "outcomes",
    "Target": "outcomes",
    "WriteRecord": "outcomes",
    "PolicySet": "policy",
    "State": "state",
    "View": "view",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'enforcer' has no attribute {name!r}")
    return getattr(importlib.import_module(f"enforcer.{home}"), name)
