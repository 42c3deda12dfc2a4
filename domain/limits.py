"""时限 — how long something may take, in one of five kinds of time."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.message import Value


class LimitKind(StrEnum):
    """Which clock a limit runs on."""

    MINUTES = "minutes"
    HOURS = "hours"
    NATURAL_DAYS = "natural_days"
    WORKING_HOURS = "working_hours"
    WORKING_DAYS = "working_days"


_NAMES = {
    LimitKind.MINUTES: ("分钟", "minute"),
    LimitKind.HOURS: ("小时", "hour"),
    LimitKind.NATURAL_DAYS: ("个自然日", "natural day"),
    LimitKind.WORKING_HOURS: ("个工作小时", "working hour"),
    LimitKind.WORKING_DAYS: ("个工作日", "working day"),
}


class Limit(Value):
    """时限 — so much of one kind of time."""

    kind: LimitKind
    amount: int = Field(ge=1)

    @property
    def text_zh(self) -> str:
        """``15 分钟``."""
        return f"{self.amount} {_NAMES[self.kind][0]}"

    @property
    def text_en(self) -> str:
        """``15 minutes``."""
        return f"{self.amount} {_NAMES[self.kind][1]}{'' if self.amount == 1 else 's'}"
