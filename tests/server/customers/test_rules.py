import csv
from pathlib import Path

import pytest
from geopy.distance import geodesic
from hypothesis import example, given
from hypothesis import strategies as st

from server.customers.rules import distance_m


def test_distances_equal_the_published_ones_to_a_metre(shared_data: Path):
    with (shared_data / "reference" / "geodesic_distances.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 360
    for row in rows:
        found = distance_m(*(float(row[name]) for name in ("lat1", "lon1", "lat2", "lon2")))
        assert found == pytest.approx(float(row["distance_m"]), abs=1), row


LATITUDE = st.floats(-90, 90)
LONGITUDE = st.floats(-180, 180)
STEP = st.one_of(st.floats(-0.05, 0.05), st.floats(-0.4, 0.4))


@example(70.0, 0.0, 0.3, 0.4)
@example(89.9, 0.0, 0.01, 20.0)
@given(st.floats(-89, 89), LONGITUDE, STEP, STEP)
def test_the_quick_way_is_within_centimetres_of_the_geodesic(lat, lon, north, east):
    there = (lat + north, lon + east)
    exact = geodesic((lat, lon), there).meters
    assert distance_m(lat, lon, *there) == pytest.approx(exact, abs=0.02)


@given(LATITUDE, LONGITUDE, LATITUDE, LONGITUDE)
def test_a_distance_is_the_same_both_ways_and_at_most_half_the_earth(lat1, lon1, lat2, lon2):
    there = distance_m(lat1, lon1, lat2, lon2)
    assert 0 <= there <= 20_004_000
    assert distance_m(lat2, lon2, lat1, lon1) == pytest.approx(there, abs=0.001)


def test_the_date_line_is_no_obstacle():
    assert distance_m(-17.0, 179.9995, -17.0, -179.9995) == pytest.approx(106.5, abs=0.1)


def test_a_customer_is_at_no_distance_from_itself():
    assert distance_m(51.5, -0.12, 51.5, -0.12) == 0


def test_what_is_no_place_on_earth_is_refused():
    with pytest.raises(ValueError, match="latitude"):
        distance_m(91, 0, 0, 0)
