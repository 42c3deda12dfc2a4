"""What happened, in a sentence in Chinese and English, and whether the reporter may read it."""

from __future__ import annotations

from domain.case import events as e
from domain.message import Event
from domain.net import Level

Sentence = tuple[str, str, bool]
"""(zh, en, public)."""


def sentence(event: Event) -> Sentence:
    """The timeline's sentence for an event of a case."""
    match event:
        case e.CaseFiled():
            name = event.terms
            return f"立案: {name.name_zh}", f"Filed as {name.name_en}", True
        case e.ReportAttached():
            return "又有一条上报并入", "Another report of the same matter joined", True
        case e.ReportDetached():
            return f"一条上报移出: {event.reason}", f"A report was detached: {event.reason}", False
        case e.ReportWithdrawn():
            return "一条上报已撤回", "A report was withdrawn", True
        case e.CaseDispatched():
            return f"派遣至 {event.route.unit.unit}", f"Dispatched to {event.route.unit.unit}", True
        case e.CaseEscalated():
            up = event.to_unit
            zh = f"升级督办: 至{_LEVELS[up.level]} ({up.unit}), {_STAGES[event.stage]}超时"
            return zh, f"Escalated to the {up.level} ({up.unit}): {event.stage} limit missed", True
        case e.DeadlineMissed():
            zh = f"超时: {event.unit} 未按时{_STAGES[event.stage]}"
            return zh, f"The {event.stage} deadline was missed by {event.unit}", True
        case e.NoticeIssued():
            return f"督办通知: {event.unit}", f"Notice to {event.unit}", False
        case e.NoteAdded():
            return "备注", "A note was added", event.audience == "reporter"
        case e.OutcomeRated():
            return f"评价: {event.score} 分", f"Rated {event.score} of 5", True
        case e.CaseArchived():
            return "归档", "Archived", False
        case _:
            return _work(event)


_STAGES = {
    e.Stage.DISPATCH: "派遣",
    e.Stage.ACCEPT: "签收",
    e.Stage.HANDLE: "处置",
    e.Stage.INSPECT: "核查",
    e.Stage.NOTICE: "督办",
    e.Stage.SHELVED: "恢复",
}
_LEVELS = {
    Level.GRID: "网格",
    Level.COMMUNITY: "社区",
    Level.STREET: "街道",
    Level.DISTRICT: "区",
    Level.CITY: "市",
}
_OUTCOMES = {"resolved": "已解决", "mediated": "已调解", "unfounded": "不属实", "referred": "已转办"}


def _work(event: Event) -> Sentence:
    match event:
        case e.DispatchAccepted():
            return "已签收", "Accepted", True
        case e.DispatchReleased():
            return "已释放, 待签收", "Released to the unit's queue", False
        case e.DispatchReturned():
            return f"回退: {event.reason}", f"Returned to the dispatcher: {event.reason}", False
        case e.HandlingCompleted():
            return "处置完成, 待核查", "Handling completed, awaiting inspection", True
        case e.InspectionPassed():
            return "核查通过", "Inspection passed", True
        case e.InspectionFailed():
            return f"核查不通过: {event.reason}", f"Inspection failed: {event.reason}", True
        case e.CaseClosed():
            return f"结案: {_OUTCOMES[event.outcome]}", f"Closed: {event.outcome}", True
        case e.CaseVoided():
            return f"注销: {event.reason}", f"Voided: {event.reason}", True
        case e.CaseReopened():
            return f"重开: {event.reason}", f"Reopened: {event.reason}", True
        case e.ShelvingRequested():
            return f"申请挂账: {event.reason}", f"Shelving was asked for: {event.reason}", False
        case e.ShelvingRejected():
            return f"挂账申请被驳回: {event.reason}", f"Shelving was rejected: {event.reason}", False
        case e.CaseShelved():
            return f"挂账: {event.reason}", f"Shelved: {event.reason}", True
        case e.CaseResumed():
            return "恢复处置", "Resumed", True
        case _:
            raise TypeError(f"no sentence for {event.wire_type}")
