"""Public holidays by country, out of the `holidays` library: written down once, so that a later release changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import holidays

from server.people.admin import Refused

MADE_UP: Mapping[str, Any] = {"name": "Working day for a holiday", "name_zh": "调休上班", "worked": True}
"""What is told of a day of a weekend that is worked to make up for a holiday."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day, and what its day off tells besides."""

    on: date
    told: Mapping[str, Any]


def public_holidays(country: str, region: str | None, years: Sequence[int], locale: str) -> list[Holiday]:
    """A country's holidays in these years, in order; raises `Refused` for one that is not known.

    `country` ISO 3166-1, `region` a subdivision of it or None; names in the language of `locale` where there are any, else
    in English, else in the country's own.
    """
    known = holidays.list_supported_countries()
    code = country.strip().upper()
    if code not in known:
        raise Refused(f"No holidays are known for {country!r}. An ISO code is wanted, such as CN, GB or DE.")
    if region is not None and region.strip().upper() not in {one.upper() for one in known[code]}:
        raise Refused(f"{code} has no region {region!r}. It has: {', '.join(known[code]) or 'none'}.")
    subdivision = next((one for one in known[code] if region and one.upper() == region.strip().upper()), None)
    wanted = ["zh_CN", "zh", "en_US", "en"] if locale.startswith("zh") else ["en_US", "en_GB", "en"]
    spoken = holidays.list_localized_countries().get(code, [])
    language = next((one for one in wanted if one in spoken), None)
    found = holidays.country_holidays(code, subdiv=subdivision, years=list(years), language=language)
    # The library knows these of all its years, whichever were asked for.
    made_up = {day for day in getattr(found, "weekend_workdays", ()) if day.year in years}
    days = [Holiday(day, {"name": name}) for day, name in found.items()]
    days += [Holiday(day, MADE_UP) for day in made_up - found.keys()]
    return sorted(days, key=lambda one: one.on)
