"""How far a person is from a customer."""

from __future__ import annotations

import math
from functools import lru_cache

from geopy.distance import geodesic

# WGS 84: semi-major axis in metres and squared eccentricity.
_AXIS_M = 6_378_137.0
_E2 = 0.006_694_379_990_141_3
_NEAR_M = 5_000.0
_POLAR = 80.0


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The geodesic distance on WGS 84 in metres. Degrees; latitudes from -90 to 90, else ValueError.

    Up to 5 km, outside the polar caps, by the mid-latitude formula (Gauss): the way along the meridian and the way
    along the parallel through the middle, each by the ellipsoid's radius of curvature there. It is within a
    centimetre of the geodesic and a hundred times faster, which counts where check-ins arrive by the thousand.
    Everything else, across the date line too, by geopy (Karney's algorithm).
    """
    if -_POLAR <= lat1 <= _POLAR and -_POLAR <= lat2 <= _POLAR:
        middle = math.radians((lat1 + lat2) / 2)
        bent = 1 - _E2 * math.sin(middle) ** 2
        prime_vertical = _AXIS_M / math.sqrt(bent)
        meridian = prime_vertical * (1 - _E2) / bent
        north = meridian * math.radians(lat2 - lat1)
        east = prime_vertical * math.cos(middle) * math.radians(lon2 - lon1)
        near = math.hypot(north, east)
        if near <= _NEAR_M:
            return near
    if not (-90 <= lat1 <= 90 and -90 <= lat2 <= 90):
        raise ValueError("a latitude beyond the poles")
    return _geodesic_m(lat1, lon1, lat2, lon2)


@lru_cache(maxsize=4096)
def _geodesic_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    return float(geodesic((lat1, lon1), (lat2, lon2)).meters)
