"""The golden table, played; and each example of PRODUCT worked by hand, in decimals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli.scoring import score_command
from server.indicators.case import BadCase, case_of, cases_of, differences, plain, score_document
from server.indicators.catalogue import PROCESS
from server.indicators.periods import Period
from server.indicators.score import REASONS, Actual, Indicator, Scheme, Target, grade_of, score
from server.indicators.templates import SUMS, TEMPLATES

GOLDEN = Path(__file__).with_name("golden.json")
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text("utf-8"), parse_float=Decimal)["cases"]
MARCH = Period("month", date(2026, 3, 1), date(2026, 4, 1))
CENT = Decimal("0.01")
D = Decimal


def scored(
    weights: dict[str, str], targets: dict[str, str | None], actuals: dict[str, str | None], **more: Any
) -> Any:
    """The score of result indicators, all in decimals."""
    rows = tuple(Indicator(code, "result", weight=D(weight), **more) for code, weight in weights.items())
    return score(
        Scheme("s", 1, rows),
        MARCH,
        {},
        {code: Target(D(amount)) for code, amount in targets.items() if amount is not None},
        {code: Actual(D(amount)) for code, amount in actuals.items() if amount is not None},
    )


def points(found: Any) -> list[Decimal]:
    return [reading.points for reading in found.readings]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_golden_table_says_what_a_score_is(case: dict[str, Any]) -> None:
    found = score_document(case_of(case).run())
    assert differences(case["expected"], found) == []


def test_the_golden_table_meets_every_reason() -> None:
    met = {code for case in CASES for each in case_of(case).run().readings for code in each.reasons}
    assert met == set(REASONS)


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_120_of_100_at_weight_40_gives_48_points() -> None:
    found = scored({"a": "40", "b": "60"}, {"a": "100", "b": "1"}, {"a": "120", "b": "0"})
    assert points(found) == [D(40) * D(120) / D(100), D(0)] == [D(48), D(0)]
    assert found.total == D("48.00") and found.reasons == ()


def test_weights_that_sum_to_120_are_normalised_and_it_is_said() -> None:
    found = scored({"a": "90", "b": "30"}, {"a": "100", "b": "10"}, {"a": "80", "b": "10"})
    # 90 of 120 is 75 of 100, 30 of 120 is 25 of 100.
    assert [reading.share for reading in found.readings] == [D(75), D(25)]
    assert found.total == D(75) * D(80) / D(100) + D(25) == D("85.00")
    assert found.grade == "A"
    assert all(reading.reasons == ("NORMALISED",) for reading in found.readings)
    assert (
        {name: sum(D(row["weight"]) for row in rows) for name, rows in TEMPLATES.items()}
        == {
            "balanced": D(100),
            "new_business": D(120),
            "existing_business": D(120),
            "regional": D(120),
            "field_only": D(11),
        }
        == SUMS
    )


BEHAVIOUR = {
    "valid_visits": 10,
    "response_time": 8,
    "teamwork": 7,
    **dict.fromkeys(("compliance", "product", "negotiation", "learning", "relationship"), 5),
}
"""The rows that three templates share, in percent: what PRODUCT calls behaviour and ability."""


def test_the_templates_have_the_weights_of_the_product() -> None:
    found = {name: {row["code"]: D(row["weight"]) for row in rows} for name, rows in TEMPLATES.items()}
    assert found == {
        "balanced": {
            "valid_visits": 20,
            "opportunities_done": 10,
            "deal_amount": 40,
            "orders": 10,
            "product_exam": 10,
            "customer_satisfaction": 10,
        },
        "new_business": {"new_customer_sales": 30, "new_customers": 25, "conversion": 15, **BEHAVIOUR},
        "existing_business": {"repurchase_rate": 30, "upsell": 25, "collection_rate": 15, **BEHAVIOUR},
        "regional": {"attainment": 35, "market_share": 25, "sales_per_head": 10, **BEHAVIOUR},
        "field_only": dict.fromkeys(PROCESS, 1),
    }


def test_89_995_becomes_90_00_half_even_and_is_graded_after() -> None:
    found = scored({"a": "100"}, {"a": "100"}, {"a": "89.995"})
    assert D("89.995").quantize(CENT, ROUND_HALF_EVEN) == D("90.00")
    assert (found.total, found.grade) == (D("90.00"), "S")
    below = scored({"a": "100"}, {"a": "100"}, {"a": "89.985"})
    assert D("89.985").quantize(CENT, ROUND_HALF_EVEN) == D("89.98")
    assert (below.total, below.grade) == (D("89.98"), "A")


def test_a_tie_of_thirds_is_still_a_tie() -> None:
    found = scored(
        dict.fromkeys("abc", "1"), dict.fromkeys("abc", "3"), {"a": "2.69985", "b": "2.69985", "c": "2.69985"}
    )
    # Each 2.69985/3 = 0.89995 of a third of 100; in sum 89.995, though 33.33… cannot be written.
    assert D("2.69985") / D(3) * D(100) == D("89.995")
    assert (found.total, found.grade) == (D("90.00"), "S")


def test_no_target_and_no_cases_leave_an_indicator_out() -> None:
    found = scored(
        {"a": "30", "b": "50", "c": "20"}, {"a": "10", "b": None, "c": "10"}, {"a": "8", "b": "3", "c": None}
    )
    assert points(found) == [D(100) * D(8) / D(10), D(0), D(0)]
    assert [reading.reasons for reading in found.readings] == [
        ("WEIGHT_SPREAD",),
        ("NO_TARGET",),
        ("NO_CASES",),
    ]
    assert found.total == D("80.00")


def test_what_is_left_out_is_spread_in_proportion() -> None:
    found = scored({"a": "30", "b": "50", "c": "20"}, {"a": "10", "c": "10"}, {"a": "8", "b": "3", "c": "5"})
    # 30 and 20 become 60 and 40: as they stood to each other.
    assert points(found) == [D(60) * D("0.8"), D(0), D(40) * D("0.5")] == [D(48), D(0), D(20)]


def test_lower_is_better_with_0_gives_the_cap() -> None:
    found = scored({"a": "40", "b": "60"}, {"a": "2", "b": "2"}, {"a": "0", "b": "4"}, direction="lower")
    assert points(found) == [D(40) * D("1.5"), D(60) * D(2) / D(4)] == [D(60), D(30)]
    assert found.readings[0].reasons == ("ZERO_IS_BEST",)


def test_the_cap_holds_from_above_and_nothing_from_below() -> None:
    found = scored({"a": "50", "b": "50"}, {"a": "10", "b": "10"}, {"a": "15.0001", "b": "-0.0001"})
    assert points(found) == [D(50) * D("1.5"), D(0)]
    assert [reading.reasons for reading in found.readings] == [("CAPPED",), ("BELOW_ZERO",)]


def test_with_all_left_out_there_is_no_total() -> None:
    found = scored({"a": "50", "b": "50"}, {}, {"a": "1"})
    assert (found.total, found.grade, found.reasons) == (None, None, ("NOTHING_MEASURED",))


def test_conversion_without_visits_is_0_and_counts() -> None:
    rows = [{"code": "conversion", "weight": "40"}, {"code": "new_customers", "weight": "60"}]
    won = [{"id": name, "day": "2026-03-05"} for name in "abc"]
    case = {
        "period": {"kind": "month", "starts_on": "2026-03-01"},
        "scheme": {"indicators": rows},
        "targets": {"conversion": "0.2", "new_customers": "5"},
        "facts": {"won": won},
    }
    found = case_of(case).run()
    # Not left out, as what has no case would be: the 60 of the other do not become 100.
    assert points(found) == [D(40) * D(0), D(60) * D(3) / D(5)] == [D(0), D(36)]
    assert found.readings[0].reasons == ("NO_VISITS",)
    assert found.total == D("36.00")
    visit = {"id": "v", "customer_id": "a", "day": "2026-03-05", "valid": True}
    with_one = case_of(case | {"facts": {"won": won[:1], "visits": [visit, visit | {"id": "w"}]}}).run()
    # 1 of 2 is 0.5, wanted were 0.2: 2.5, held at 1.5; and 1 of 5.
    assert points(with_one) == [D(40) * D("1.5"), D(60) * D(1) / D(5)] == [D(60), D(12)]


def test_a_quarterly_indicator_in_a_monthly_score_reads_the_last_quarter_that_is_over() -> None:
    rows = [
        {"code": "orders", "weight": "60"},
        {
            "code": "customer_satisfaction",
            "kind": "satisfaction",
            "weight": "40",
            "period": "quarter",
            "combine": "mean",
        },
    ]
    said = [("2025-11-10", "70"), ("2026-01-20", "80"), ("2026-02-20", "85"), ("2026-03-20", "96")]
    values = [
        {"id": day, "indicator": "customer_satisfaction", "on": day, "amount": amount} for day, amount in said
    ]
    values += [
        {"id": f"o{month}", "indicator": "orders", "on": f"2026-0{month}-09", "amount": "9"}
        for month in (2, 3)
    ]

    def month(starts_on: str) -> Any:
        case = {
            "period": {"kind": "month", "starts_on": starts_on},
            "scheme": {"indicators": rows},
            "targets": {"orders": "10", "customer_satisfaction": "90"},
            "facts": {"values": values},
        }
        return case_of(case).run()

    march, february = month("2026-03-01"), month("2026-02-01")
    # March ends with its quarter: (80 + 85 + 96) / 3 = 87 of 90.
    assert march.readings[1].actual == (D(80) + D(85) + D(96)) / D(3) == D(87)
    assert march.readings[1].points == (D(40) * D(87) / D(90)).quantize(D("0.000001"), ROUND_HALF_EVEN)
    assert march.total == (D(60) * D("0.9") + D(40) * D(87) / D(90)).quantize(CENT, ROUND_HALF_EVEN)
    assert march.total == D("92.67")
    # February is in the middle of one: it reads the quarter before, of which there is 70.
    assert february.readings[1].points == (D(40) * D(70) / D(90)).quantize(D("0.000001"), ROUND_HALF_EVEN)
    assert february.total == D("85.11")
    for found in (march, february):
        assert found.readings[1].reasons == ("OWN_PERIOD",) and found.readings[0].reasons == ()


@pytest.mark.parametrize(
    ("total", "grade"),
    [
        ("150", "S"),
        ("90", "S"),
        ("89.99", "A"),
        ("80", "A"),
        ("79.99", "B"),
        ("70", "B"),
        ("69.99", "C"),
        ("0", "C"),
    ],
)
def test_grades_have_half_open_bounds(total: str, grade: str) -> None:
    assert grade_of(D(total)) == grade


# -- the file and its errors -------------------------------------------------------------------------------------------

SOUND = {
    "period": {"kind": "month", "starts_on": "2026-03-01"},
    "scheme": {"indicators": [{"code": "valid_visits", "weight": "100"}]},
    "targets": {"valid_visits": "100"},
    "actuals": {"valid_visits": "90"},
}


@pytest.mark.parametrize(
    ("broken", "code", "path"),
    [
        ({"scheme": None}, "MISSING", "scheme"),
        ({"scheme": []}, "WRONG_SHAPE", "scheme"),
        ({"scheme": {"indicators": []}}, "NO_INDICATORS", "scheme.indicators"),
        ({"scheme": {"indicators": [{"code": "orders", "weight": 0}]}}, "NO_INDICATORS", "scheme.indicators"),
        ({"scheme": {"template": "none"}}, "UNKNOWN_WORD", "scheme.template"),
        ({"scheme": {"indicators": [{"code": "orders"}]}}, "MISSING", "scheme.indicators[0].weight"),
        (
            {"scheme": {"indicators": [{"code": "orders", "weight": "x"}]}},
            "NOT_A_NUMBER",
            "scheme.indicators[0].weight",
        ),
        (
            {"scheme": {"indicators": [{"code": "orders", "weight": "1e9"}]}},
            "NOT_A_NUMBER",
            "scheme.indicators[0].weight",
        ),
        (
            {"scheme": {"indicators": [{"code": "orders", "weight": "-1"}]}},
            "OUT_OF_RANGE",
            "scheme.indicators[0].weight",
        ),
        (
            {"scheme": {"indicators": [{"code": "orders", "weight": 1}] * 2}},
            "TWICE",
            "scheme.indicators[1].code",
        ),
        (
            {"scheme": {"indicators": [{"code": "walks", "weight": 1, "kind": "process"}]}},
            "UNKNOWN_INDICATOR",
            "scheme.indicators[0].code",
        ),
        (
            {"scheme": {"indicators": [{"code": "valid_visits", "weight": 1, "kind": "result"}]}},
            "UNKNOWN_INDICATOR",
            "scheme.indicators[0].code",
        ),
        (
            {"scheme": {"indicators": [{"code": "response_time", "weight": 1, "direction": "higher"}]}},
            "UNKNOWN_WORD",
            "scheme.indicators[0].direction",
        ),
        (
            {"scheme": {"indicators": [{"code": "orders", "weight": 1, "colour": 1}]}},
            "UNKNOWN_FIELD",
            "scheme.indicators[0].colour",
        ),
        ({"period": {"kind": "month", "starts_on": "2026-03-02"}}, "NOT_A_PERIOD", "period.starts_on"),
        ({"period": {"kind": "month", "starts_on": "2026-02-30"}}, "NOT_A_DAY", "period.starts_on"),
        ({"period": {"kind": "fortnight", "starts_on": "2026-03-01"}}, "UNKNOWN_WORD", "period.kind"),
        ({"period": {"kind": "year", "starts_on": "9999-01-01"}}, "NOT_A_PERIOD", "period.starts_on"),
        ({"week_start": 7}, "OUT_OF_RANGE", "week_start"),
        ({"targets": {"orders": "1"}}, "UNKNOWN_INDICATOR", "targets.orders"),
        ({"targets": {"valid_visits": "-1"}}, "OUT_OF_RANGE", "targets.valid_visits"),
        ({"actuals": {"orders": "1"}}, "UNKNOWN_INDICATOR", "actuals.orders"),
        ({"actuals": {"valid_visits": True}}, "NOT_A_NUMBER", "actuals.valid_visits"),
        ({"actuals": None}, "MISSING", "facts"),
        ({"facts": {"visits": [{"id": "v"}]}}, "MISSING", "facts.visits[0].customer_id"),
        ({"facts": {"won": [{"id": "c", "day": "2026-03-01"}] * 2}}, "TWICE", "facts.won[1].id"),
        ({"facts": {}, "as_of": "2026-03-01T00:00"}, "NOT_AN_INSTANT", "as_of"),
        ({"mood": "good"}, "UNKNOWN_FIELD", "mood"),
    ],
)
def test_a_bad_file_is_refused_with_a_stable_code_and_the_place(
    broken: dict[str, Any], code: str, path: str
) -> None:
    with pytest.raises(BadCase) as caught:
        cases_of({**SOUND, **broken})
    assert (caught.value.code, caught.value.path) == (code, path)


def test_the_command_prints_a_table_and_compares_what_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps({**SOUND, "expected": {"total": "90.00"}}), "utf-8")
    good = CliRunner().invoke(score_command, [str(file)])
    assert good.exit_code == 0
    assert good.stdout.splitlines()[1].split() == ["valid_visits", "90", "100", "0.9", "100", "100", "90"]
    assert "month from 2026-03-01: 90.00 S" in good.stdout
    file.write_text(json.dumps({"cases": [{**SOUND, "expected": {"total": "91.00"}}]}), "utf-8")
    bad = CliRunner().invoke(score_command, [str(file), "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["cases"][0]["differences"] == ["total: '90.00' was found, '91.00' expected"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", "NOT_JSON"), ("\xff", "NOT_JSON"), ("[1]", "WRONG_SHAPE"), ('{"cases": {}}', "WRONG_SHAPE")],
)
def test_the_command_refuses_a_bad_file_in_one_line(tmp_path: Path, text: str, code: str) -> None:
    file = tmp_path / "case.json"
    file.write_bytes(text.encode("latin-1"))
    found = CliRunner().invoke(score_command, [str(file)])
    assert found.exit_code == 1
    assert found.stderr.startswith(f"Error: {code} at ") and found.stderr.count("\n") == 1
    assert json.loads(CliRunner().invoke(score_command, [str(file), "--json"]).stdout)["code"] == code


def test_the_golden_file_runs_through_the_command() -> None:
    found = CliRunner().invoke(score_command, [str(GOLDEN)])
    assert (found.exit_code, found.stderr) == (0, "")


def test_the_installed_command_scores_targets_and_facts_of_a_file(tmp_path: Path) -> None:
    """As somebody else runs it: another process, no database, no settings; a year's target and facts in, readings out."""
    case = {
        "name": "March",
        "period": {"kind": "month", "starts_on": "2026-03-01"},
        "calendar": {"off": ["2026-03-10", "2026-03-11"]},
        "scheme": {
            "indicators": [
                {"code": "valid_visits", "weight": "60"},
                {"code": "deal_amount", "weight": "60", "target": "1000"},
            ]
        },
        # March has 22 working days less 2 of the year's 261 less 2: 518 x 20 / 259 = 40.
        "targets": [
            {"indicator": "valid_visits", "period": "year", "starts_on": "2026-01-01", "amount": "518"}
        ],
        "facts": {
            "visits": [
                *(
                    {"id": f"v{n}", "customer_id": "c", "day": f"2026-03-{n + 1:02}", "valid": True}
                    for n in range(30)
                ),
                {
                    "id": "brief",
                    "customer_id": "c",
                    "day": "2026-03-31",
                    "valid": False,
                    "reasons": ["TOO_SHORT"],
                },
                {"id": "april", "customer_id": "c", "day": "2026-04-01", "valid": True},
            ],
            "values": [
                {"id": "1", "indicator": "deal_amount", "on": "2026-03-31", "amount": "700.10"},
                {"id": "2", "indicator": "deal_amount", "on": "2026-03-01", "amount": "99.90"},
                {
                    "id": "3",
                    "indicator": "deal_amount",
                    "on": "2026-03-02",
                    "amount": "500",
                    "status": "confirmed",
                },
            ],
        },
    }
    file = tmp_path / "march.json"
    file.write_text(json.dumps(case), "utf-8")
    program = Path(sys.executable).with_name("rounds")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROUNDS_")}
    ran = subprocess.run(
        [program, "score", file, "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=120,
        check=True,
    )
    (found,) = json.loads(ran.stdout)["cases"]
    visits, deals = found["readings"]
    assert (visits["actual"], visits["target"], visits["attainment"]) == ("30", "40", "0.75")
    assert visits["evidence"]["not_counted"] == [{"id": "brief", "code": "TOO_SHORT"}]
    assert (deals["actual"], deals["attainment"], deals["unapproved"]) == ("800", "0.8", "500")
    assert set(deals["reasons"]) == {"DEFAULT_TARGET", "NORMALISED", "UNAPPROVED_LEFT_OUT"}
    # 60 and 60 become 50 and 50: 37.5 and 40.
    assert [one["points"] for one in found["readings"]] == ["37.5", "40"]
    assert (found["total"], found["grade"]) == ("77.50", "B")


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0"), ("-0.00", "0"), ("48.000000", "48"), ("0.10", "0.1"), ("1E+3", "1000"), ("100", "100")],
)
def test_numbers_travel_as_plain_decimals(value: str, text: str) -> None:
    assert plain(D(value)) == text
