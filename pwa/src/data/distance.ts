/** Mean radius of the Earth, metres (IUGG). */
const RADIUS_M = 6_371_008.8;
const RAD = Math.PI / 180;

/**
 * Metres between two WGS 84 positions by the haversine formula on a sphere: within 0.5 % of the geodesic, which
 * is enough to order a list and to say "38 m away". What counts is measured by the server.
 */
export function distanceM(a: { lat: number; lon: number }, b: { lat: number; lon: number }): number {
  const dLat = Math.sin(((b.lat - a.lat) * RAD) / 2);
  const dLon = Math.sin(((b.lon - a.lon) * RAD) / 2);
  const h = dLat * dLat + Math.cos(a.lat * RAD) * Math.cos(b.lat * RAD) * dLon * dLon;
  return 2 * RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}
