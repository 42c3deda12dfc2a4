"""立案目录 — what can be reported, and what each category brings with it: clocks, evidence, points.

The catalogue is data and comes in editions. A case keeps the terms of the edition it was filed under for life, so a
new edition changes no case that is already there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from domain.limits import Limit, LimitKind
from domain.message import Value

DISPUTE = "dispute"
"""矛盾纠纷 — the one family whose code the rules know: it is mediated, and never public."""

Severity = Annotated[int, Field(ge=1, le=4)]
"""严重程度 — 1 (minor) to 4 (danger to life)."""

Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
"""A stable key, never shown without its name."""

Name = Annotated[str, Field(min_length=1, max_length=80)]
Points = Annotated[int, Field(ge=0)]


class Filing(StrEnum):
    """立案方式 — whether a report becomes a case at once, or waits for a dispatcher's decision."""

    AUTOMATIC = "automatic"
    DISPATCHER = "dispatcher"


class Visibility(StrEnum):
    """公开范围 — whether a case of the category may appear in public reads."""

    PUBLIC = "public"
    CONFIDENTIAL = "confidential"


class StageLimits(Value):
    """各环节时限 — how long each stage of a case may take."""

    dispatch: Limit
    accept: Limit
    handle: Limit
    inspect: Limit


class LadderLimits(Value):
    """升级后时限 — how long a unit has that a case was escalated to, both counted from the escalation."""

    accept: Limit
    handle: Limit


USUAL_LADDER = LadderLimits(
    accept=Limit(kind=LimitKind.WORKING_HOURS, amount=4), handle=Limit(kind=LimitKind.WORKING_DAYS, amount=1)
)
URGENT_LADDER = LadderLimits(accept=Limit(kind=LimitKind.HOURS, amount=1), handle=Limit(kind=LimitKind.HOURS, amount=2))
"""Severity 4: the night does not stop the clock."""


class Reward(Value):
    """奖励 — points of a case's first reporter: a small part on filing, the main part when an inspection passes."""

    filing: Points
    resolution: Points


class RewardClass(Value):
    """积分等级 — the rewards of one class, for severity 1, 2, 3 and 4 in that order."""

    code: Code
    by_severity: tuple[Reward, Reward, Reward, Reward]


class Family(Value):
    """大类家族 — hazard, dispute, civility in the seed; data, so a city may have others."""

    code: Code
    name_zh: Name
    name_en: Name


class EnforcementItem(Value):
    """下放执法事项 — a matter that the street's own enforcement team may deal with."""

    code: Code
    name_zh: Name
    name_en: Name


def _usual_ladder(data: dict[str, Any]) -> LadderLimits:
    return URGENT_LADDER if data.get("severity") == 4 else USUAL_LADDER


class Category(Value):
    """案件类别 — one kind of matter. The major class (大类) groups, the minor class (小类) is what is reported."""

    code: Code
    family: Code
    major_zh: Name
    major_en: Name
    minor_zh: Name
    minor_en: Name
    severity: Severity
    limits: StageLimits
    ladder: LadderLimits = Field(default_factory=_usual_ladder)
    enforcement_item: Code | None = None
    evidence: tuple[str, ...] = ()
    """Kinds of evidence without which handling cannot be completed: ``photo``, ``note``."""
    reward_class: Code
    duplicate_radius_metres: int = Field(default=50, gt=0)
    duplicate_window_hours: int = Field(default=72, gt=0)
    filing: Filing = Filing.AUTOMATIC
    visibility: Visibility = Visibility.PUBLIC


class CategoryTerms(Value):
    """立案条款 — what a case keeps of its category for life, with the edition that said so."""

    edition: str
    code: Code
    family: Code
    name_zh: Name
    name_en: Name
    severity: Severity
    limits: StageLimits
    ladder: LadderLimits
    enforcement_item: Code | None = None
    evidence: tuple[str, ...]
    reward: Reward
    duplicate_radius_metres: int
    duplicate_window_hours: int
    filing: Filing
    visibility: Visibility


class Edition(Value):
    """目录版本 — one whole catalogue. It is replaced by the next edition, never changed.

    Raises `pydantic.ValidationError` that lists everything in it that does not fit together.
    """

    version: str = Field(min_length=1, max_length=32)
    daily_cap_points: Points
    """每日上限 — the most that one rider can be awarded in one local day."""
    families: tuple[Family, ...]
    enforcement_items: tuple[EnforcementItem, ...] = ()
    rewards: tuple[RewardClass, ...]
    categories: tuple[Category, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if wrong := [*self._repeated_codes(), *self._unknown_codes(), *self._public_disputes()]:
            raise ValueError("; ".join(wrong))
        return self

    def category(self, code: str) -> Category | None:
        """The category of that code, or None where this edition has none."""
        return self._categories.get(code)

    def reward_of(self, category: Category) -> Reward:
        """What the first reporter of a case of this edition's ``category`` earns."""
        return self._rewards[category.reward_class].by_severity[category.severity - 1]

    def terms_of(self, code: str) -> CategoryTerms | None:
        """What a case filed now under that code keeps for life, or None where this edition has no such category."""
        return self._terms.get(code)

    @cached_property
    def _categories(self) -> dict[str, Category]:
        return {category.code: category for category in self.categories}

    @cached_property
    def _rewards(self) -> dict[str, RewardClass]:
        return {reward_class.code: reward_class for reward_class in self.rewards}

    @cached_property
    def _terms(self) -> dict[str, CategoryTerms]:
        return {category.code: self._terms_for(category) for category in self.categories}

    def _terms_for(self, category: Category) -> CategoryTerms:
        return CategoryTerms(
            edition=self.version,
            code=category.code,
            family=category.family,
            name_zh=category.minor_zh,
            name_en=category.minor_en,
            severity=category.severity,
            limits=category.limits,
            ladder=category.ladder,
            enforcement_item=category.enforcement_item,
            evidence=category.evidence,
            reward=self.reward_of(category),
            duplicate_radius_metres=category.duplicate_radius_metres,
            duplicate_window_hours=category.duplicate_window_hours,
            filing=category.filing,
            visibility=category.visibility,
        )

    def _repeated_codes(self) -> Iterator[str]:
        yield from _repeated("family", (family.code for family in self.families))
        yield from _repeated("enforcement item", (item.code for item in self.enforcement_items))
        yield from _repeated("reward class", (reward_class.code for reward_class in self.rewards))
        yield from _repeated("category", (category.code for category in self.categories))

    def _unknown_codes(self) -> Iterator[str]:
        families = {family.code for family in self.families}
        items = {item.code for item in self.enforcement_items}
        for category in self.categories:
            if category.family not in families:
                yield f"category {category.code} is of an unknown family {category.family!r}"
            if category.enforcement_item is not None and category.enforcement_item not in items:
                yield f"category {category.code} names an unknown enforcement item {category.enforcement_item!r}"
            if category.reward_class not in self._rewards:
                yield f"category {category.code} names an unknown reward class {category.reward_class!r}"

    def _public_disputes(self) -> Iterator[str]:
        for category in self.categories:
            if category.family == DISPUTE and category.visibility is not Visibility.CONFIDENTIAL:
                yield f"category {category.code} is a dispute and must be confidential"


def _repeated(what: str, codes: Iterable[str]) -> Iterator[str]:
    for code, times in Counter(codes).items():
        if times > 1:
            yield f"{what} {code} is there {times} times"
