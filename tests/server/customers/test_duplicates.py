"""Which customers are probably one place: names as people write them, and how far apart."""

from __future__ import annotations

import csv
from itertools import combinations
from math import cos, radians
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.customers.rules import (
    CLOSE_M,
    SAME_NAME_M,
    Place,
    alike_key,
    cell_of,
    cells_near,
    distance_m,
    likeness,
    probably_same,
)

LAT, LON = 51.5, -0.12


def east(metres: float, lat: float = LAT, lon: float = LON) -> tuple[float, float]:
    return lat, lon + metres / (111_320 * cos(radians(lat)))


def apart(one: str, other: str, metres: float) -> float:
    """What is made of two names that far apart."""
    return probably_same(Place(one, LAT, LON), Place(other, *east(metres)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Crown", "Crown Inn"),
        ("THE CROWN", "the crown"),
        ("Café Müller", "cafe MULLER"),
        ("Straße 9", "Strasse 9"),
        ("Smørrebrød", "Smorrebrod"),
        ("Rose & Crown", "The Rose and Crown"),
        ("Joe's Diner", "Joes  Diner."),
        ("Acme Ltd.", "ACME Limited"),
        ("ＡＢＣ商店", "abc商店"),
        ("全家便利店（人民路店）", "全家便利店(人民路店)"),
        ("上海烟酒有限公司", "上海烟酒"),
        ("ｶﾞｽﾄ", "ガスト"),
    ],
)
def test_names_that_differ_in_nothing_that_tells_places_apart_are_the_same(one: str, other: str) -> None:
    assert alike_key(one) == alike_key(other)
    assert likeness(one, other) == 1.0
    assert apart(one, other, 300)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Kings Arms", "Kings Head"),
        ("White Hart", "White Horse"),
        ("The Crown", "Crown & Anchor"),
        ("Store 12", "Store 14"),
        ("Aldi", "Lidl"),
        ("全家便利店（人民路店）", "全家便利店（南京路店）"),
        ("茶馆", "茶楼"),
        ("老吕家面包房", "老章家面包房"),
        ("第一百货", "第二百货"),
        ("ガスト", "カスト"),
        ("!!!", "???"),
    ],
)
def test_names_of_neighbours_are_not(one: str, other: str) -> None:
    assert not apart(one, other, 10)


def test_a_slip_of_the_hand_is_seen_at_one_door_and_not_down_the_street() -> None:
    assert apart("The Red Lion", "Red Lyon", 30)
    assert not apart("The Red Lion", "Red Lyon", 300)


def test_branches_of_a_chain_are_different_places() -> None:
    assert apart("Costa Coffee", "Costa Coffee", 300)
    assert not apart("Costa Coffee", "Costa Coffee", 3_000)


def test_without_coordinates_the_name_must_be_the_same_and_nothing_speak_against_it() -> None:
    def told(address: str | None = None, team: str | None = "north", name: str = "The Crown") -> Place:
        return Place(name, address=address, team_id=team)

    assert probably_same(told(), told())
    assert probably_same(told("1 High Street"), told("1 High St."))
    assert probably_same(told("1 High Street"), told("1 High Street", team="south"))
    assert probably_same(told(), Place("Crown Inn", LAT, LON, team_id="north"))
    assert not probably_same(told("1 High Street"), told("12 High Street"))
    assert not probably_same(told(), told(team="south"))
    assert not probably_same(told(team=None), told(team=None))
    assert not probably_same(told(), told(name="The Crowne"))


names = st.text(max_size=30) | st.sampled_from(
    ["The Crown", "Crown Inn", "上海烟酒", "Store 12", "a", "ab", "\u0301"]
)


@given(names, names)
def test_likeness_is_a_share_the_same_from_both_sides(one: str, other: str) -> None:
    assert likeness(one, one) == 1.0
    assert 0.0 <= likeness(one, other) == likeness(other, one) <= 1.0


@given(
    st.floats(-90, 90, allow_nan=False),
    st.floats(-180, 180) | st.floats(179.99, 180) | st.floats(-180, -179.99),
    st.floats(0, 360),
    st.floats(0, SAME_NAME_M),
)
def test_the_cells_around_a_place_hold_everything_that_near(
    lat: float, lon: float, bearing: float, metres: float
) -> None:
    if abs(lat) > 85:  # nobody sells there, and the grid is allowed to be coarse
        lat = lat / 2
    north = metres * cos(radians(bearing)) / 111_700
    sideways = metres * cos(radians(bearing - 90)) / (111_700 * cos(radians(abs(lat) + 0.01)))
    there = (lat + north, (lon + sideways + 180) % 360 - 180)
    if distance_m(lat, lon, *there) <= SAME_NAME_M:
        assert cell_of(*there) in cells_near(lat, lon)


def test_a_place_without_coordinates_is_in_no_cell() -> None:
    assert cell_of(None, 1.0) is None and cell_of(1.0, None) is None


def test_of_five_hundred_london_pubs_only_the_doubles_are_found(shared_data: Path) -> None:
    with (shared_data / "places" / "pubs_london.csv").open(newline="") as file:
        pubs = [
            Place(row["name"], float(row["latitude"]), float(row["longitude"]))
            for row in csv.DictReader(file)
            if row["latitude"].strip("\\N")
        ]
    found = {
        tuple(sorted((one.name, other.name)))
        for one, other in combinations(pubs, 2)
        if probably_same(one, other)
    }
    assert ("Euston Tap", "Euston Tap") in found
    assert ("TEQUILA MOCKINGBIRD", "Tequila Mockingbird") in found
    assert len(found) <= 6, found
    assert CLOSE_M < SAME_NAME_M
