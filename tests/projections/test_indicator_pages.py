"""Every definition has a page, and every page's examples come out as the page says.

A page's tables are told as events and folded; a table that begins with ``indicator`` asks about the tables before it.
Times are local, in Shanghai, and of 2026 where no year is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from domain.case import events as e
from domain.case.events import ReportOnCase, Stage
from domain.directory import NetActivated
from domain.message import Event, Role
from domain.net import CodeScheme, DistrictCoverage, Level, Share
from domain.rider import PointsAwarded, PointsClawedBack
from domain.routing import Rung
from infra.cli.chart import shown_value
from projections.indicators.definitions import INDICATORS
from projections.indicators.period import period_of
from projections.indicators.question import Question
from tests.domain.smallville import actor
from tests.domain.specification import accepted, attached, completed, report
from tests.projections.lives import SHANGHAI, Happening, Lives, closing, filed_case, route_in, submission

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "indicators"
NAMES = sorted({each.name for each in INDICATORS})
TIME = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d) (\d\d):(\d\d)")
Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A Markdown table; its first header says what its rows are."""

    kind: str
    rows: list[Row]


def tables_of(text: str) -> Iterator[Table]:
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        header, _, *lines = [
            [cell.strip(" `") for cell in line.strip().strip("|").split("|")] for line in block.splitlines()
        ]
        yield Table(header[0], [dict(zip(header, line, strict=True)) for line in lines])


def local(text: str) -> datetime:
    found = TIME.search(text)
    assert found is not None, text
    year, month, day, hour, minute = (int(part or 2026) for part in found.groups())
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(SHANGHAI)).astimezone(UTC)


def rest_of(cell: str) -> str:
    """What a cell says after its time."""
    return TIME.sub("", cell, count=1).strip()


# -- rows as events ----------------------------------------------------------------------------------------------------


def reported(name: str, at: datetime) -> ReportOnCase:
    return report(name).model_copy(update={"received_at": at})


def case_row(row: Row) -> Iterator[Happening]:
    """A case: each cell with a time is something that happened to it."""
    case, filed_at = row["case"], local(row["filed"])
    due = local(row["due"]) if "due" in row else filed_at + timedelta(days=1)
    of = reported(case, local(row.get("received") or row["filed"]))
    yield filed_at, case, filed_case(of, due, route_in(row.get("district", "district")))
    steps = sorted((local(cell), column, rest_of(cell)) for column, cell in row.items() if column in STEPS and cell)
    completed_at = None
    for at, column, rest in steps:
        if column == "completed":
            completed_at = at
        if column == "resumed":
            due = local(rest)
        yield at, case, step(column, rest, due, on_time=completed_at is not None and completed_at <= due)


STEPS = {
    "accepted",
    "completed",
    "failed",
    "passed",
    "closed",
    "closed again",
    "voided",
    "reopened",
    "shelved",
    "resumed",
    "rated",
    "rated by another",
    *(f"to {level.value}" for level in Level),
    *(f"missed {stage.value}" for stage in Stage),
}


def step(column: str, rest: str, due: datetime, *, on_time: bool) -> Event:
    """What a cell of a case's row says."""
    word, _, more = column.partition(" ")
    match word:
        case "accepted":
            return accepted(actor(rest or "li", Role.GRID_WORKER))
        case "completed":
            return completed(actor(rest or "li", Role.GRID_WORKER))
        case "failed":
            return e.InspectionFailed(by="i", reason="r", deadlines=())
        case "passed":
            return e.InspectionPassed(by="i")
        case "closed":
            return closing(on_time=on_time)
        case "voided":
            return e.CaseVoided(reason="r", false_report=False, by="d", reporters=(), window_ends=due)
        case "reopened":
            return e.CaseReopened(reason="r", by="s", deadlines=())
        case "shelved":
            return e.CaseShelved(reason="r", by="s", resume_by=due, stopped=(), handling_left_seconds=0, deadlines=())
        case "resumed":
            return e.CaseResumed(by="s", status="accepted", handling_due=due, deadlines=())
        case "rated":
            return e.OutcomeRated(by="r", score=int(rest))
        case "to":
            below, above = Rung(unit="g", level=Level.GRID), Rung(unit="u", level=Level(more))
            return e.CaseEscalated(from_unit=below, to_unit=above, stage=Stage.ACCEPT, deadlines=())
        case _:
            return e.DeadlineMissed(stage=Stage(more), number=1, due=due, unit="g", level=Level.GRID)


def report_row(row: Row) -> Iterator[Happening]:
    """A report: filed as a case of its own, attached to another, or neither yet."""
    of = reported(row["report"], local(row["submitted"]))
    yield of.received_at, of.report, submission(of)
    if row["filed"]:
        at = local(row["filed"])
        yield at, f"case of {row['report']}", filed_case(of, at + timedelta(days=1), route_in("district"))
    if row["attached"]:
        yield local(row["attached"]), f"case of {rest_of(row['attached'])}", attached(of)


def entry_row(row: Row) -> Iterator[Happening]:
    """A line of a rider's ledger."""
    at, amount = local(row["time"]), int(row["points"].replace("−", "-"))
    if amount < 0:
        yield (
            at,
            row["entry"],
            PointsClawedBack(case_id="c", points=-amount, reason="false_report", day=at.date(), reversals=()),
        )
    else:
        yield (
            at,
            row["entry"],
            PointsAwarded(case_id="c", report="r", kind="filing", asked=amount, points=amount, day=at.date()),
        )


def published_row(row: Row) -> Iterator[Happening]:
    """A month in numbers, told as so many cases; what was not to be closed in it was due in the next."""
    count = {name: int(cell.replace(",", "")) for name, cell in row.items() if name not in ("published", "month")}
    start = period_of(row["month"], SHANGHAI).start
    for number in range(count["accepted"]):
        of = reported(f"report {number}", start + timedelta(minutes=number))
        yield of.received_at, of.report, submission(of)
        if number >= count["filed"]:
            continue
        case = f"case {number}"
        due = start + timedelta(days=20 if number < count["should have closed"] else 40)
        yield of.received_at, case, filed_case(of, due, route_in("district"))
        if number < count["closed"]:
            yield start + timedelta(days=21), case, closing(on_time=number < count["closed on time"])


def net_row(row: Row) -> Iterator[Happening]:
    """What a net covers of a district, said when it became current."""

    def share(column: str) -> Share:
        part, whole = (int(number.replace(",", "")) for number in row[column].split(" of "))
        return Share(part=part, whole=whole)

    covered = DistrictCoverage(
        code=row["district"],
        name_zh=row["district"],
        name_en=row["district"],
        grids_on_duty=share("grids on duty"),
        compounds_with_branch=share("with branch"),
        compounds_with_panel=share("with panel"),
        area_covered=share("m² covered"),
        area_of="outline",
        area_claimed_twice=Share(part=0, whole=1),
    )
    names = {"synthetic": True, "name_zh": "网", "name_en": "net", "scheme": CodeScheme()}
    yield (
        local(row["activated"]),
        f"net:{row['net']}",
        NetActivated(net=row["net"], units=1, grids=1, coverage=(covered,), **names),
    )


TELL = {"net": net_row, "case": case_row, "report": report_row, "entry": entry_row, "published": published_row}

# -- the pages ---------------------------------------------------------------------------------------------------------


def examples_of(page: Path) -> Iterator[tuple[list[Happening], Table]]:
    """What happened, and what is asked about it."""
    happened: list[Happening] = []
    for table in tables_of(page.read_text(encoding="utf-8")):
        if table.kind == "indicator":
            yield happened, table
            happened = []
        elif table.kind in TELL:
            happened += [happening for row in table.rows for happening in TELL[table.kind](row)]


def check(lives: Lives, row: Row) -> None:
    name, _, version = row["indicator"].partition(" ")
    period = period_of(row["period"], SHANGHAI)
    dimension, _, part = row["of"].partition(" ")
    as_of = local(row["as of"]) if row["as of"] else Question.usual(period, SHANGHAI).as_of
    answered = lives.ask(Question(period, as_of, SHANGHAI, by=(dimension,) if dimension else ()), name, version)
    (line,) = (each for each in answered.lines if not dimension or each.key[dimension] == part)
    assert shown_value(line.value, answered.unit) == row["answer"], row
    measures = {
        measure.removesuffix("_seconds"): shown_value(number, "seconds" if measure.endswith("_seconds") else "")
        for measure, number in line.measures.items()
    }
    assert ", ".join(f"{measure} {number}" for measure, number in measures.items()) == row["counts"], row


def test_every_definition_has_a_page_and_every_page_a_definition() -> None:
    assert sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_page_quotes_its_definitions(name: str) -> None:
    text = " ".join((PAGES / f"{name}.md").read_text(encoding="utf-8").replace("\n> ", " ").split())
    for each in INDICATORS:
        if each.name == name:
            for words in (each.name_zh, each.name_en, each.definition_zh, each.definition_en):
                assert words in text


@pytest.mark.parametrize("name", NAMES)
def test_a_page_lists_itself_in_the_overview(name: str) -> None:
    assert f"({name}.md)" in (PAGES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_pages_examples_come_out_as_it_says(connection: Connection, name: str) -> None:
    asked = set()
    for happened, questions in examples_of(PAGES / f"{name}.md"):
        with connection.begin_nested() as apart:
            lives = Lives(connection)
            lives.go_on(happened)
            for row in questions.rows:
                check(lives, row)
                asked.add(row["indicator"])
            apart.rollback()
    assert asked == {f"{each.name} {each.version}" for each in INDICATORS if each.name == name}
