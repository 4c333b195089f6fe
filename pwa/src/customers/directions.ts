/** Address that makes the device's own map application show the way. Pure but for the browser's name. */
export function directions(lat: number, lon: number, name: string, agent = navigator.userAgent): string {
  const at = `${lat},${lon}`;
  if (/iPhone|iPad|Macintosh/.test(agent)) return `https://maps.apple.com/?daddr=${at}`;
  if (/Android/.test(agent)) return `geo:${at}?q=${at}(${encodeURIComponent(name)})`;
  return `https://www.openstreetmap.org/directions?to=${at}`;
}
