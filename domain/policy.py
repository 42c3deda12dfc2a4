"""The one table of rights: which roles may ask what, and how far their units reach (docs/reference/rules.md).

The edge checks the role, the case checks the reach; both read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain.message import Actor, Role


class Reach(StrEnum):
    """How the actor must stand to the thing."""

    OWN = "own"
    """The actor is the reporter."""
    HOLDER = "holder"
    """The actor holds the case, or held it when it was escalated."""
    HOLDER_OR_DESK = "holder_or_desk"
    """The actor holds the case, or is a dispatcher or supervisor in whose subtree it stands."""
    OWNER_UNIT = "owner_unit"
    """One of the actor's units is the one whose queue holds the case."""
    SUBTREE = "subtree"
    """The case's unit stands in the subtree of one of the actor's units."""
    INSPECTION = "inspection"
    """One of the actor's units is the community of the case or stands above it."""
    INVOLVED = "involved"
    """The actor reported it, or the case stands in one of the actor's subtrees."""
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class Right:
    """Who may do something, and where."""

    roles: frozenset[Role]
    reach: Reach


def _right(reach: Reach, *roles: Role) -> Right:
    return Right(frozenset(roles), reach)


WORKERS = (Role.GRID_WORKER, Role.PART_TIME_WORKER, Role.ENFORCEMENT_OFFICER, Role.MEDIATOR)
STAFF = (*WORKERS, Role.INSPECTOR, Role.DISPATCHER, Role.SUPERVISOR)

DESK = frozenset({Role.DISPATCHER, Role.SUPERVISOR})

COMMANDS: dict[str, Right] = {
    "SubmitReport": _right(Reach.ANYWHERE, Role.REPORTER, Role.ANONYMOUS, Role.PART_TIME_WORKER),
    "WithdrawReport": _right(Reach.OWN, Role.REPORTER, Role.ANONYMOUS, Role.PART_TIME_WORKER),
    "RateOutcome": _right(Reach.OWN, Role.REPORTER, Role.PART_TIME_WORKER),
    "AddNote": _right(Reach.INVOLVED, Role.REPORTER, *STAFF),
    "AdmitReport": _right(Reach.SUBTREE, Role.DISPATCHER),
    "DeclineReport": _right(Reach.SUBTREE, Role.DISPATCHER),
    "DetachReport": _right(Reach.SUBTREE, Role.DISPATCHER),
    "DispatchCase": _right(Reach.SUBTREE, Role.DISPATCHER, Role.SUPERVISOR),
    "CloseCase": _right(Reach.SUBTREE, Role.DISPATCHER),
    "VoidCase": _right(Reach.SUBTREE, Role.DISPATCHER),
    "AcceptDispatch": _right(Reach.OWNER_UNIT, *WORKERS, Role.DISPATCHER),
    "ReleaseDispatch": _right(Reach.HOLDER, *WORKERS, Role.DISPATCHER),
    "ReturnDispatch": _right(Reach.OWNER_UNIT, *WORKERS, Role.DISPATCHER),
    "CompleteHandling": _right(Reach.HOLDER, *WORKERS, Role.DISPATCHER),
    "PassInspection": _right(Reach.INSPECTION, Role.INSPECTOR),
    "FailInspection": _right(Reach.INSPECTION, Role.INSPECTOR),
    "RequestShelving": _right(Reach.HOLDER_OR_DESK, *WORKERS, *DESK),
    "ApproveShelving": _right(Reach.SUBTREE, Role.SUPERVISOR),
    "RejectShelving": _right(Reach.SUBTREE, Role.SUPERVISOR),
    "ResumeCase": _right(Reach.SUBTREE, *DESK),
    "ReopenCase": _right(Reach.SUBTREE, Role.SUPERVISOR),
    "MissDeadline": _right(Reach.ANYWHERE, Role.SYSTEM),
    "ArchiveCase": _right(Reach.ANYWHERE, Role.SYSTEM),
    "RecordClosing": _right(Reach.ANYWHERE, Role.SYSTEM),
    "FileReport": _right(Reach.ANYWHERE, Role.SYSTEM),
}
"""Commands by name. What is not here may nobody ask for."""

QUERIES: dict[str, Right] = {
    "Report": _right(Reach.INVOLVED, Role.REPORTER, Role.ANONYMOUS, Role.ADMINISTRATOR, *STAFF),
    "Case": _right(Reach.INVOLVED, Role.REPORTER, Role.ANONYMOUS, Role.ADMINISTRATOR, *STAFF),
    "Queue": _right(Reach.OWNER_UNIT, Role.ADMINISTRATOR, *STAFF),
    "QueueOfSubtree": _right(Reach.SUBTREE, Role.ADMINISTRATOR, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR),
    "Indicators": _right(Reach.SUBTREE, Role.ADMINISTRATOR, Role.DISPATCHER, Role.SUPERVISOR, Role.INSPECTOR),
    "Points": _right(Reach.OWN, Role.REPORTER, Role.PART_TIME_WORKER, Role.ADMINISTRATOR),
}
"""Questions by name."""


def may_ask(actor: Actor, right: Right) -> bool:
    """Whether one of the actor's roles has the right at all; where it holds is the case's to say."""
    return not right.roles.isdisjoint(actor.roles)


def reaches(actor: Actor, unit: str, ancestors: tuple[str, ...]) -> bool:
    """Whether ``unit`` stands in the subtree of one of the actor's units."""
    return any(own == unit or own in ancestors for own in actor.units)
