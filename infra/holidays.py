"""节假日 — the working calendar from the `chinese_calendar` package: public holidays and make-up workdays (调休)."""

from __future__ import annotations

from importlib.metadata import version

from chinese_calendar import constants

from domain.calendar import WorkingCalendar


def working_calendar() -> WorkingCalendar:
    """The calendar of the years that the package knows; its version names the package's and the last year."""
    last_year = max(day.year for day in constants.holidays)
    return WorkingCalendar(
        version=f"cn-{last_year}+chinesecalendar-{version('chinesecalendar')}",
        holidays=frozenset(constants.holidays),
        workdays=frozenset(constants.workdays),
        last_year=last_year,
    )
