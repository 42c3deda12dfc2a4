"""What happened to a case.

An event that moves clocks carries the whole set of deadlines that is open after it, so that folding never computes a date.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from domain.catalogue import CategoryTerms
from domain.message import Event, Value
from domain.net import Level
from domain.place import Place
from domain.routing import Route, Rung
from domain.sealing import Sealed

Outcome = Literal["resolved", "mediated", "unfounded", "referred"]


class Stage(StrEnum):
    """What a deadline is about."""

    DISPATCH = "dispatch"
    ACCEPT = "accept"
    HANDLE = "handle"
    INSPECT = "inspect"
    NOTICE = "notice"
    """The next daily notice of a case that the ladder can lift no further."""
    SHELVED = "shelved"
    """When a shelved case goes on at the latest."""


class Deadline(Value):
    """时限 — by when a stage must be over. ``number`` counts the case's deadlines; ``certain``: within the holiday table."""

    stage: Stage
    number: int
    due: datetime
    certain: bool = True


class StoppedClock(Value):
    """停表 — how much of its kind of time a deadline had left when the case was shelved; nothing where it was over."""

    stage: Stage
    left_seconds: float


class ReportOnCase(Value):
    """A report as its case knows it."""

    report: str
    reporter: str
    anonymous: bool = False
    received_at: datetime


class CaseEvent(Event):
    """An event of one case's stream."""

    abstract: ClassVar[bool] = True


class CaseFiled(CaseEvent):
    """立案 — the report met the filing standard and became a case."""

    report: ReportOnCase
    occurred_at: datetime
    place: Place | None = None
    terms: CategoryTerms
    route: Route
    handling_due: datetime
    """The first handling deadline: what *on time* is judged by."""
    deadlines: tuple[Deadline, ...]
    admitted_by: str | None = None
    detached_from: str | None = None


class ReportAttached(CaseEvent):
    """并入 — another report of the same matter joined the case. ``rewarded`` is false where it pays nothing."""

    report: ReportOnCase
    occurred_at: datetime
    place: Place | None = None
    rewarded: bool = True
    admitted_by: str | None = None


class ReportHeld(CaseEvent):
    """待立案 — the category wants a dispatcher's decision first. Stands on the report's own stream."""

    report: ReportOnCase
    occurred_at: datetime
    place: Place | None = None
    terms: CategoryTerms
    route: Route


class ReportDeclined(CaseEvent):
    """不予立案 — the dispatcher declined the held report."""

    report: str
    reporter: str
    reason: str
    by: str


class ReportDetached(CaseEvent):
    """撤销合并 — the report left this case, and is filed anew."""

    report: ReportOnCase
    reason: str
    by: str


class ReportWithdrawn(CaseEvent):
    """撤回 — by its reporter. On the case's stream once it was in a case, else a tombstone on its own."""

    report: str
    reporter: str


class CaseDispatched(CaseEvent):
    """派遣 — the case stands in a unit's queue."""

    route: Route
    worker: str | None = None
    by: str
    handling_due: datetime
    deadlines: tuple[Deadline, ...]


class DispatchAccepted(CaseEvent):
    """签收 — one person holds the case."""

    holder: str
    deadlines: tuple[Deadline, ...]


class DispatchReleased(CaseEvent):
    """释放 — back in the unit's queue."""

    holder: str
    deadlines: tuple[Deadline, ...]


class DispatchReturned(CaseEvent):
    """回退 — the dispatcher has to find somebody else; the handling clock stands still with so much left."""

    reason: str
    by: str
    desk: Rung
    handling_left_seconds: float
    deadlines: tuple[Deadline, ...]


class HandlingCompleted(CaseEvent):
    """反馈 — dealt with, says the holder; an inspector will look."""

    by: str
    evidence: dict[str, str]
    note: Sealed | None = None
    deadlines: tuple[Deadline, ...]


class InspectionPassed(CaseEvent):
    """核查通过 — the inspector found it done."""

    by: str


class InspectionFailed(CaseEvent):
    """核查不通过 — rework, with a fresh handling limit."""

    by: str
    reason: str
    deadlines: tuple[Deadline, ...]


class CaseClosed(CaseEvent):
    """结案 — the case has ended with an outcome.

    ``first`` is the report that earns the main reward; ``on_time`` is judged by the first handling deadline.
    """

    outcome: Outcome
    by: str
    reason: str = ""
    on_time: bool
    first: ReportOnCase | None = None
    reward_points: int
    """What the first reporter gets: nothing where the outcome earns nothing."""
    reporters: tuple[str, ...]
    window_ends: datetime
    """When the last window (reopen, rate) is over and the case may leave the state."""


class CaseVoided(CaseEvent):
    """注销 — the case should never have been."""

    reason: str
    false_report: bool
    by: str
    reporters: tuple[str, ...]
    window_ends: datetime


class CaseReopened(CaseEvent):
    """重开 — back in the owner's queue, with fresh limits."""

    reason: str
    by: str
    deadlines: tuple[Deadline, ...]


class ShelvingRequested(CaseEvent):
    """申请挂账 — somebody asks to put the case off; while nobody has decided, every clock runs on."""

    by: str
    reason: str


class ShelvingRejected(CaseEvent):
    """驳回挂账 — a supervisor said no: the case may not wait."""

    by: str
    reason: str


class CaseShelved(CaseEvent):
    """挂账 — put off until somebody resumes it, ``resume_by`` at the latest; every clock stands still, with so much left.

    ``reason`` is the request's, ``by`` the supervisor who approved it.
    """

    reason: str
    by: str
    resume_by: datetime
    stopped: tuple[StoppedClock, ...]
    handling_left_seconds: float
    """Left until the first handling deadline; nothing where it was over, or where a return had stopped it already."""
    deadlines: tuple[Deadline, ...]


class CaseResumed(CaseEvent):
    """恢复 — back to where the case stood; its clocks go on with what was left, and ``handling_due`` moves with them."""

    by: str
    status: Literal["awaiting_dispatch", "dispatched", "accepted"]
    handling_due: datetime
    deadlines: tuple[Deadline, ...]


class DeadlineMissed(CaseEvent):
    """超时 — a fact that stays for ever."""

    stage: Stage
    number: int
    due: datetime
    unit: str
    level: Level
    holder: str | None = None


class CaseEscalated(CaseEvent):
    """升级督办 — the parent unit answers for the case now."""

    from_unit: Rung
    to_unit: Rung
    stage: Stage
    deadlines: tuple[Deadline, ...]


class NoticeIssued(CaseEvent):
    """督办 — at the top of the ladder, a notice a day, not silence."""

    unit: str
    number: int
    deadlines: tuple[Deadline, ...]


class OutcomeRated(CaseEvent):
    """评价 — a reporter's judgement, 1 to 5."""

    by: str
    score: int


class NoteAdded(CaseEvent):
    """备注 — somebody added information, for the reporter or for staff only."""

    by: str
    text: Sealed
    audience: Literal["reporter", "staff"]


class CaseArchived(CaseEvent):
    """归档 — the last window is over: the case leaves the state, never the log. ``reporters``: everyone who ever reported it."""

    reporters: tuple[str, ...]
