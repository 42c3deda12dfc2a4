"""The reference page of a catalogue: ``python -m infra.seed.reference > docs/reference/catalogue.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from domain.catalogue import URGENT_LADDER, USUAL_LADDER, Category, Edition, Family
from domain.limits import Limit
from infra.seed import seed_edition

INTRODUCTION = """\
# The catalogue · 立案目录

What the seed knows how to report: edition {version}, {categories} categories in {families} families. The page is
written from `infra/seed/catalogue.json` by `python -m infra.seed.reference`; a test keeps it true.

The selection is ours, in the idiom of Chinese grid governance; it is no city's official catalogue. A city replaces it
by an edition of its own, and a case keeps the terms of the edition it was filed under.

* **Severity 严重程度**: 1 (minor) to 4 (danger to life).
* **Limits 时限**: dispatch 派遣, accept 签收, handle 处置, inspect 核查. A unit that a case was escalated to has
  {usual.accept.text_en} to accept and {usual.handle.text_en} to handle (severity 4: {urgent.accept.text_en} and
  {urgent.handle.text_en}), both counted from the escalation, unless its category says otherwise.
* **Evidence 证据**: what handling cannot be completed without.
* **Enforcement 执法事项**: such a case goes to the street's enforcement team.
* **Duplicates 重复**: the same category within this radius and window joins the open case.
* **Points 积分**: the first reporter's, on filing + when the inspection passes, and their class.
* **Filing 立案方式**: *automatic*, or held for a *dispatcher's* decision.
* **Visibility 公开范围**: a *confidential* case never appears in public reads; every dispute is one."""

HEADINGS = (
    "Code",
    "类别 · Category",
    "Severity",
    "派遣 · Dispatch",
    "签收 · Accept",
    "处置 · Handle",
    "核查 · Inspect",
    "Evidence",
    "Enforcement",
    "Duplicates",
    "Points",
    "Filing",
    "Visibility",
)


def catalogue_page(edition: Edition) -> str:
    """The whole page as Markdown, with one table for each major class."""
    introduction = INTRODUCTION.format(
        version=edition.version,
        categories=len(edition.categories),
        families=len(edition.families),
        usual=USUAL_LADDER,
        urgent=URGENT_LADDER,
    )
    families = (part for family in edition.families for part in _family(edition, family))
    return "\n\n".join([introduction, *families, *_enforcement_items(edition), *_rewards(edition)]) + "\n"


def _family(edition: Edition, family: Family) -> Iterator[str]:
    yield f"## {family.name_zh} · {family.name_en} (`{family.code}`)"
    categories = (category for category in edition.categories if category.family == family.code)
    for (zh, en), members in groupby(categories, key=lambda category: (category.major_zh, category.major_en)):
        yield f"### {zh} · {en}"
        yield _table(HEADINGS, (_row(edition, category) for category in members))


def _row(edition: Edition, category: Category) -> Sequence[str]:
    limits, reward = category.limits, edition.reward_of(category)
    return (
        f"`{category.code}`",
        f"{category.minor_zh} · {category.minor_en}",
        str(category.severity),
        *(_limit(limit) for limit in (limits.dispatch, limits.accept, limits.handle, limits.inspect)),
        ", ".join(category.evidence),
        category.enforcement_item or "",
        f"{category.duplicate_radius_metres} m, {category.duplicate_window_hours} h",
        f"{reward.filing} + {reward.resolution} ({category.reward_class})",
        category.filing,
        category.visibility,
    )


def _limit(limit: Limit) -> str:
    return f"{limit.text_zh} · {limit.text_en}"


def _enforcement_items(edition: Edition) -> Iterator[str]:
    yield "## 下放执法事项 · Enforcement items"
    yield "Our own selection of the kind of item that streets may enforce; not the official list of any city."
    rows = ((item.code, item.name_zh, item.name_en) for item in edition.enforcement_items)
    yield _table(("Code", "中文", "English"), rows)


def _rewards(edition: Edition) -> Iterator[str]:
    yield "## 积分等级 · Reward classes"
    yield f"Points on filing + when the inspection passes; at most {edition.daily_cap_points} a day for one rider."
    rows = (
        (reward_class.code, *(f"{reward.filing} + {reward.resolution}" for reward in reward_class.by_severity))
        for reward_class in edition.rewards
    )
    yield _table(("Class", "Severity 1", "Severity 2", "Severity 3", "Severity 4"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (headings, ["---"] * len(headings), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(catalogue_page(seed_edition()), end="")
