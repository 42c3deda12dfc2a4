"""What can be asked of a case. The edge adds the actor, and a route where one is needed."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from domain.case.events import Stage
from domain.catalogue import CategoryTerms
from domain.message import Command
from domain.place import Place
from domain.routing import Route
from domain.sealing import Sealed


class CaseCommand(Command):
    """A request to one cell's cases."""

    abstract: ClassVar[bool] = True
    noun: ClassVar[str] = "case"


class FileReport(CaseCommand):
    """受理 — the router asks the cell to file a report or to attach it to an open case."""

    report: str
    reporter: str
    anonymous: bool = False
    received_at: datetime
    """When the city received the report: the business clock starts here, however late the router was."""
    occurred_at: datetime
    place: Place | None = None
    terms: CategoryTerms
    route: Route


class AdmitReport(CaseCommand):
    """立案 — the dispatcher lets a held report become a case, routed under the net of today."""

    report: str
    route: Route


class DeclineReport(CaseCommand):
    """不予立案 — the dispatcher declines a held report, with a reason."""

    report: str
    reason: str = Field(min_length=1, max_length=200)


class WithdrawReport(CaseCommand):
    """撤回 — the reporter takes the report back."""

    report: str


class OnCase(CaseCommand):
    """A request about one case."""

    abstract: ClassVar[bool] = True
    case_id: str


class DetachReport(OnCase):
    """撤销合并 — a report leaves a case that it was wrongly joined to, and is filed again."""

    report: str
    reason: str = Field(min_length=1, max_length=200)
    occurred_at: datetime
    place: Place | None = None
    route: Route


class DispatchCase(OnCase):
    """派遣 / 改派 — to a unit's queue, or to one worker of it."""

    route: Route
    worker: str | None = None


class AcceptDispatch(OnCase):
    """签收 — somebody of the owning unit claims the case."""


class ReleaseDispatch(OnCase):
    """释放 — the holder gives the case back to the unit's queue."""


class ReturnDispatch(OnCase):
    """回退 — not for this unit: back to the dispatcher, with a reason."""

    reason: str = Field(min_length=1, max_length=200)


class CompleteHandling(OnCase):
    """反馈 — the matter has been dealt with, with evidence where the category asks for it."""

    evidence: dict[str, str] = Field(default_factory=dict)
    """Evidence by kind (``photo`` → reference of the medium, ``note`` → reference of the note)."""
    note: Sealed | None = None


class PassInspection(OnCase):
    """核查通过 — the inspector found it done: the case closes."""

    outcome: Literal["resolved", "mediated"] = "resolved"


class FailInspection(OnCase):
    """核查不通过 — not done: back to the holder as rework, with a fresh handling limit."""

    reason: str = Field(min_length=1, max_length=200)


class CloseCase(OnCase):
    """结案 — a dispatcher ends the case without an inspection."""

    outcome: Literal["unfounded", "referred"]
    reason: str = Field(min_length=1, max_length=200)


class VoidCase(OnCase):
    """注销 — the case should never have been; ``false_report`` says whether somebody made it up."""

    reason: str = Field(min_length=1, max_length=200)
    false_report: bool = False


class ReopenCase(OnCase):
    """重开 — within the window after closing, by a supervisor."""

    reason: str = Field(min_length=1, max_length=200)


class RequestShelving(OnCase):
    """申请挂账 — the holder, a dispatcher or a supervisor asks to put the case off, with a reason."""

    reason: str = Field(min_length=1, max_length=200)


class ApproveShelving(OnCase):
    """批准挂账 — a supervisor, not the one who asked: every clock stands still, for a year at most."""


class RejectShelving(OnCase):
    """驳回挂账 — a supervisor, not the one who asked: the clocks run on."""

    reason: str = Field(min_length=1, max_length=200)


class ResumeCase(OnCase):
    """恢复 — a shelved case goes on where it stood, with what was left of its limits."""


class RateOutcome(OnCase):
    """评价 — a reporter's 1 to 5, once, within the window after closing."""

    score: int = Field(ge=1, le=5)


class AddNote(OnCase):
    """备注 — visible to the reporter, or to staff only."""

    text: Sealed
    audience: Literal["reporter", "staff"] = "staff"


class RecordClosing(OnCase):
    """补录结案 — an import says when the matter of one of the case's reports was closed, in the history that it replays."""

    report: str
    note: Sealed
    """What stands on the case where the report only joined it."""


class MissDeadline(OnCase):
    """超时 — the timer proposes that a deadline has passed; the case decides by its own received-at.

    Of a shelved case it is the day on which the case goes on.
    """

    stage: Stage
    number: int


class ArchiveCase(OnCase):
    """归档 — the timer proposes that the last window of an ended case is over."""
