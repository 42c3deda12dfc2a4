"""The catalogue: what an edition must be, what a case keeps of it, and the seed that ships."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.catalogue import (
    URGENT_LADDER,
    USUAL_LADDER,
    Category,
    CategoryTerms,
    Edition,
    Filing,
    Reward,
    Visibility,
)
from domain.limits import Limit, LimitKind
from infra.seed import seed_edition
from infra.seed.reference import catalogue_page

SEED = seed_edition()
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "catalogue.md"
codes = st.sampled_from([category.code for category in SEED.categories])


def document(**changes: object) -> dict[str, Any]:
    """A category as its JSON, by default an ordinary public hazard."""
    minutes = {"kind": "minutes", "amount": 15}
    return {
        "code": "H-1",
        "family": "hazard",
        "major_zh": "公共设施",
        "major_en": "Public facilities",
        "minor_zh": "路灯不亮",
        "minor_en": "Street lamp out",
        "severity": 2,
        "limits": {"dispatch": minutes, "accept": minutes, "handle": minutes, "inspect": minutes},
        "evidence": ["photo"],
        "reward_class": "A",
        **changes,
    }


def edition(*categories: dict[str, Any], **changes: object) -> Edition:
    """An edition of one family of each kind, one enforcement item and one reward class."""
    names = {"name_zh": "名", "name_en": "name"}
    rewards = [{"filing": severity, "resolution": 10 * severity} for severity in (1, 2, 3, 4)]
    whole = {
        "version": "t.1",
        "daily_cap_points": 60,
        "families": [{"code": "hazard", **names}, {"code": "dispute", **names}],
        "enforcement_items": [{"code": "E-1", **names}],
        "rewards": [{"code": "A", "by_severity": rewards}],
        "categories": list(categories),
        **changes,
    }
    return Edition.model_validate(whole)


@pytest.mark.parametrize(
    ("categories", "complaint"),
    [
        ([document(), document()], "category H-1 is there 2 times"),
        ([document(family="weather")], "category H-1 is of an unknown family 'weather'"),
        ([document(enforcement_item="E-9")], "category H-1 names an unknown enforcement item 'E-9'"),
        ([document(reward_class="Z")], "category H-1 names an unknown reward class 'Z'"),
        ([document(family="dispute")], "category H-1 is a dispute and must be confidential"),
    ],
)
def test_an_edition_that_does_not_fit_together_says_what_is_wrong(
    categories: list[dict[str, Any]], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        edition(*categories)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValidationError) as failure:
        edition(document(family="weather", reward_class="Z"), document(code="H-2", enforcement_item="E-9"))
    assert all(word in str(failure.value) for word in ("'weather'", "'Z'", "H-2", "'E-9'"))


@pytest.mark.parametrize("severity", [0, 5, -1])
def test_a_severity_is_one_to_four(severity: int) -> None:
    with pytest.raises(ValidationError, match=r"categories\.0\.severity"):
        edition(document(severity=severity))


@pytest.mark.parametrize("field", ["families", "enforcement_items", "rewards"])
def test_a_repeated_code_is_refused_everywhere(field: str) -> None:
    twice = [member.model_dump() for member in getattr(edition(), field)] * 2
    with pytest.raises(ValidationError, match="is there 2 times"):
        edition(**{field: twice})


@pytest.mark.parametrize("severity", [1, 2, 3, 4])
def test_the_reward_follows_class_and_severity(severity: int) -> None:
    reported = edition(document(severity=severity))
    category = reported.category("H-1")
    assert category is not None
    assert reported.reward_of(category) == Reward(filing=severity, resolution=10 * severity)


def test_only_severity_four_climbs_by_continuous_hours() -> None:
    ladders = {severity: Category.model_validate(document(severity=severity)).ladder for severity in (1, 2, 3, 4)}
    assert ladders == {1: USUAL_LADDER, 2: USUAL_LADDER, 3: USUAL_LADDER, 4: URGENT_LADDER}
    assert Limit(kind=LimitKind.WORKING_HOURS, amount=4) == USUAL_LADDER.accept
    assert Limit(kind=LimitKind.HOURS, amount=2) == URGENT_LADDER.handle


def test_a_category_may_have_a_ladder_of_its_own() -> None:
    day = {"kind": "natural_days", "amount": 1}
    category = Category.model_validate(document(ladder={"accept": day, "handle": day}))
    assert category.ladder.accept.kind is LimitKind.NATURAL_DAYS


def test_an_unknown_code_has_no_category_and_no_terms() -> None:
    assert SEED.category("X-9999") is None
    assert SEED.terms_of("X-9999") is None


@given(code=codes)
def test_terms_are_the_category_with_its_edition_and_its_reward(code: str) -> None:
    category, terms = SEED.category(code), SEED.terms_of(code)
    assert category is not None
    assert terms is not None
    assert (terms.edition, terms.code, terms.reward) == ("2026.1", code, SEED.reward_of(category))
    assert (terms.name_zh, terms.name_en) == (category.minor_zh, category.minor_en)
    shared = CategoryTerms.model_fields.keys() & Category.model_fields.keys()
    assert all(getattr(terms, field) == getattr(category, field) for field in shared)


@given(code=codes)
def test_terms_come_back_from_the_log_as_they_went_in(code: str) -> None:
    terms = SEED.terms_of(code)
    assert terms is not None
    assert CategoryTerms.model_validate_json(terms.model_dump_json(exclude_none=True)) == terms


def test_an_edition_comes_back_as_it_went_in_also_after_look_ups() -> None:
    assert SEED.terms_of("H-0101") is not None
    assert Edition.model_validate_json(SEED.model_dump_json(exclude_none=True)) == SEED


def test_the_seed_has_three_broad_families() -> None:
    sizes = Counter(category.family for category in SEED.categories)
    assert sizes.keys() == {"hazard", "dispute", "civility"}
    assert min(sizes.values()) >= 13
    for family in sizes:
        majors = {category.major_zh for category in SEED.categories if category.family == family}
        assert 2 <= len(majors) <= 4


def test_the_seed_covers_every_severity_and_kind_of_limit() -> None:
    assert {category.severity for category in SEED.categories} == {1, 2, 3, 4}
    used = {limit.kind for category in SEED.categories for _, limit in category.limits}
    assert used == set(LimitKind)
    grave = [category for category in SEED.categories if category.family == "hazard" and category.severity == 4]
    assert len(grave) >= 3
    assert all(category.limits.handle.kind is LimitKind.HOURS for category in grave)


def test_the_seed_uses_every_enforcement_item_and_reward_class() -> None:
    named = {category.enforcement_item for category in SEED.categories} - {None}
    assert named == {item.code for item in SEED.enforcement_items}
    assert len(named) >= 6
    assert {category.reward_class for category in SEED.categories} == {reward.code for reward in SEED.rewards}


def test_disputes_of_the_seed_are_confidential_and_everything_else_is_public() -> None:
    hidden = {category.family for category in SEED.categories if category.visibility is Visibility.CONFIDENTIAL}
    shown = {category.family for category in SEED.categories if category.visibility is Visibility.PUBLIC}
    assert (hidden, shown) == ({"dispute"}, {"hazard", "civility"})


def test_an_unpaid_wage_waits_for_a_dispatcher_and_an_open_manhole_does_not() -> None:
    wage, manhole = SEED.category("D-0301"), SEED.category("H-0101")
    assert wage is not None
    assert manhole is not None
    assert (wage.minor_zh, wage.filing) == ("欠薪", Filing.DISPATCHER)
    assert (manhole.filing, manhole.limits.handle) == (Filing.AUTOMATIC, Limit(kind=LimitKind.HOURS, amount=2))


def test_no_single_reward_of_the_seed_exceeds_the_daily_cap() -> None:
    rewards = [reward for reward_class in SEED.rewards for reward in reward_class.by_severity]
    assert all(0 < reward.filing < reward.resolution <= 20 for reward in rewards)
    assert max(reward.filing + reward.resolution for reward in rewards) < SEED.daily_cap_points == 60


def test_names_of_the_seed_are_unique_in_both_languages() -> None:
    for names in (
        [category.minor_zh for category in SEED.categories],
        [category.minor_en for category in SEED.categories],
    ):
        assert len(set(names)) == len(names)


def test_the_reference_page_is_true() -> None:
    assert PAGE.read_text(encoding="utf-8") == catalogue_page(SEED), (
        "write it again: python -m infra.seed.reference > docs/reference/catalogue.md"
    )
