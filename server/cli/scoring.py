"""Commands about scores: run a file of schemes, targets and facts."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from server.cli.common import json_option, say_json, table
from server.indicators.case import BadCase, Case, cases_of, differences, plain, score_document
from server.indicators.score import Score


@click.command("score")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@json_option
def score_command(file: Path, as_json: bool) -> None:
    """Score a JSON file (- reads standard input): readings and total of its scheme, targets and facts.

    The file is one case, or {"cases": [...]}: scheme, targets, and facts or actuals; tests/server/indicators/golden.json
    shows them all. No database is needed. What a case expects is compared; exit code 1 tells that something differs.
    """
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        document = json.loads(text.decode("utf-8"), parse_float=Decimal)
        cases = cases_of(document)
    except BadCase as error:
        _refuse(error, as_json)
    except (ValueError, RecursionError) as error:
        _refuse(BadCase("NOT_JSON", "", f"The file is no JSON: {error}."), as_json)
    scores = [(case, case.run()) for case in cases]
    told: list[dict[str, Any]] = []
    wrong = 0
    for case, found in scores:
        document = score_document(found)
        lines = differences(case.expected, document) if case.expected is not None else []
        wrong += bool(lines)
        told.append({"name": case.name, **document, "differences": lines})
        if not as_json:
            _show(case, found, lines)
    if as_json:
        say_json({"cases": told})
    if wrong:
        if not as_json:
            click.echo(f"{wrong} of {len(scores)} cases are not as expected.", err=True)
        sys.exit(1)


def _refuse(error: BadCase, as_json: bool) -> Any:
    if as_json:
        say_json({"code": error.code, "path": error.path, "detail": error.detail})
    else:
        click.echo(f"Error: {error}", err=True)
    sys.exit(1)


def _show(case: Case, found: Score, lines: list[str]) -> None:
    period = found.period
    if case.name:
        click.echo(case.name)
    rows = [["indicator", "actual", "target", "attainment", "weight", "share", "points", "reasons"]]
    for reading in found.readings:
        numbers = (
            *(reading.actual, reading.target, reading.attainment),
            *(reading.indicator.weight, reading.share, reading.points),
        )
        shown = [plain(each) or "-" for each in numbers]
        own = f" ({reading.period.kind} {reading.period.starts_on})" if reading.period != period else ""
        rows.append([reading.indicator.code, *shown, " ".join(reading.reasons) + own])
    table(rows)
    total = "nothing measured" if found.total is None else f"{found.total} {found.grade}"
    said = " ".join(code for code in found.reasons if code != "NOTHING_MEASURED")
    click.echo(f"{period.kind} from {period.starts_on}: {total}{'  ' + said if said else ''}")
    for line in lines:
        click.echo(f"  not as expected: {line}")
    click.echo()
