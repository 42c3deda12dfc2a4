"""Every named refusal, in Chinese and English. A refusal is an answer, not an exception."""

from __future__ import annotations

from types import MappingProxyType

REFUSALS = MappingProxyType(
    {
        "NoSuchCase": ("案件不存在", "there is no such case"),
        "CaseAlreadyArchived": ("案件已归档", "the case has been archived; its last window is over"),
        "CaseAlreadyClosed": ("案件已结案或注销", "the case has ended"),
        "CaseNotClosed": ("案件尚未结案", "the case has not been closed"),
        "WrongStage": ("当前环节不能这样操作", "not at this stage of the case"),
        "RoleNotAllowed": ("您的角色无此权限", "none of your roles may do this"),
        "OutsideYourUnit": ("不在您的单位范围内", "the case does not stand in your unit"),
        "NotTheHolder": ("您不是当前处置人", "somebody else holds the case, or nobody does"),
        "HeldByAnother": ("案件已被他人签收", "somebody else has accepted the case"),
        "AssignedToAnother": ("案件已指派给他人", "the dispatcher named another worker"),
        "NotYourReport": ("不是您的上报", "this is not your report"),
        "OwnReport": ("不得处置或核查本人上报的案件", "nobody handles or inspects what they reported"),
        "HandledByYou": ("不得核查本人处置的案件", "nobody inspects what they handled"),
        "EvidenceMissing": ("缺少必要的处置凭证", "the category asks for evidence that is missing"),
        "ReturnsExhausted": ("已回退两次, 以派遣员决定为准", "returned twice already: the dispatcher's decision binds"),
        "ReopenWindowOver": ("重开期限已过", "the window for reopening is over"),
        "RatingWindowOver": ("评价期限已过", "the window for rating is over"),
        "AlreadyRated": ("您已评价过", "you have rated this case already"),
        "CaseShelved": ("案件已挂账, 恢复后方可操作", "the case is shelved: it has to be resumed first"),
        "CaseNotShelved": ("案件未挂账", "the case is not shelved"),
        "AlreadyShelvedOnce": ("每个案件只能挂账一次", "a case is shelved once, and this one has been"),
        "ShelvingPending": ("已有待审批的挂账申请", "a request for shelving waits for a supervisor already"),
        "NoShelvingRequested": ("没有待审批的挂账申请", "no request for shelving waits for a decision"),
        "OwnRequest": ("不得审批本人的申请", "nobody decides on what they asked for"),
        "NoSuchReport": ("上报不存在", "there is no such report"),
        "ReportNotInCase": ("该上报不在此案件中", "the report is not in this case"),
        "LastReportOfCase": ("案件仅剩此上报, 请注销案件", "the case has no other report: void it instead"),
        "ReportAlreadyFiled": ("该上报已立案", "the report has become part of a case"),
        "ReportAlreadyDeclined": ("该上报已不予立案", "the report has been declined"),
        "ReportAlreadyWithdrawn": ("该上报已撤回", "the report has been withdrawn"),
        "VersionMismatch": ("版本内容不一致", "the version does not hold what it announces"),
        "VersionExists": ("版本已存在且内容不同", "the version exists with other content"),
    }
)
"""Refusals by name: (zh, en)."""


def refusal_text(reason: str) -> str:
    """What a person reads for a refusal."""
    chinese, english = REFUSALS[reason]
    return f"{chinese} · {english}"
