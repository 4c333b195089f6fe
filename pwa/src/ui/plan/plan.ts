/**
 * Geometry of the plan, the map without tiles. Pure; no DOM.
 *
 * Positions are degrees (WGS 84), ground distances metres, screen distances CSS pixels with y downwards. The projection is
 * equirectangular about the middle of what is shown: exact enough for a day's round, and never a reason to ask a server.
 */

export interface Position {
  lat: number;
  lon: number;
}

/** Metres east (x) and south (y) of the projection's middle. */
export interface Ground {
  x: number;
  y: number;
}

export interface View {
  /** The ground point in the middle of the picture. */
  x: number;
  y: number;
  /** Pixels per metre. */
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Metres per degree of latitude on the mean sphere (6,371,008.8 m). */
const METRES_PER_DEGREE = (6_371_008.8 * Math.PI) / 180;
/** Never closer than this across the smaller side: one place alone is drawn with its surroundings. */
const CLOSEST_M = 300;
const MAX_SCALE = 20;
const MIN_SCALE = 1e-5;

export function known(
  position: { lat?: number | null; lon?: number | null } | null | undefined,
): position is Position {
  return (
    !!position &&
    typeof position.lat === 'number' &&
    typeof position.lon === 'number' &&
    Math.abs(position.lat) <= 90 &&
    Math.abs(position.lon) <= 180
  );
}

/** Difference of longitudes by the shorter way round, in degrees. */
function turn(from: number, to: number): number {
  return ((((to - from + 180) % 360) + 360) % 360) - 180;
}

/**
 * The middle of the smallest box round all positions; on the date line that box may reach from 179° to −179°. Null for none.
 */
export function middleOf(positions: Position[]): Position | null {
  if (positions.length === 0) return null;
  const lats = positions.map((p) => p.lat);
  const lons = positions.map((p) => p.lon).sort((a, b) => a - b);
  // The box leaves out the widest gap between neighbouring longitudes; it begins where that gap ends.
  let begin = lons[0] as number;
  let widest = begin + 360 - (lons[lons.length - 1] as number);
  for (let i = 1; i < lons.length; i++) {
    const gap = (lons[i] as number) - (lons[i - 1] as number);
    if (gap > widest) [widest, begin] = [gap, lons[i] as number];
  }
  return {
    lat: (Math.min(...lats) + Math.max(...lats)) / 2,
    lon: turn(0, begin + (360 - widest) / 2),
  };
}

/** Equirectangular about `middle`. At a pole the parallels have no length; 89.9° keeps it finite. */
export function project(position: Position, middle: Position): Ground {
  const parallel = Math.cos((Math.min(89.9, Math.abs(middle.lat)) * Math.PI) / 180);
  return {
    x: turn(middle.lon, position.lon) * parallel * METRES_PER_DEGREE,
    y: (middle.lat - position.lat) * METRES_PER_DEGREE,
  };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/**
 * The positions a plan is fitted to. A network provider can throw an honest phone to another continent; one such fix must
 * not shrink the day to a dot, so what lies more than 20 km and more than 10 times the usual distance from the median point
 * is left out (and then shown at the rim). With fewer than three there is no "usual".
 */
export function central(positions: Position[]): Position[] {
  if (positions.length < 3) return positions;
  const around = positions[0] as Position;
  const lat = median(positions.map((p) => p.lat));
  const lon = around.lon + median(positions.map((p) => turn(around.lon, p.lon)));
  const away = positions.map((p) => {
    const at = project(p, { lat, lon });
    return Math.hypot(at.x, at.y);
  });
  const limit = Math.max(20_000, 10 * median(away));
  return positions.filter((_, i) => (away[i] as number) <= limit);
}

/** The view in which all of `ground` lies inside `size` less `margin` pixels on each side. */
export function fit(ground: Ground[], size: Size, margin = 32): View {
  if (ground.length === 0) return { x: 0, y: 0, scale: Math.min(size.width, size.height) / CLOSEST_M || 1 };
  const xs = ground.map((p) => p.x);
  const ys = ground.map((p) => p.y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const inner = {
    width: Math.max(1, size.width - 2 * margin),
    height: Math.max(1, size.height - 2 * margin),
  };
  const scale = Math.min(
    inner.width / Math.max(right - left, 1e-9),
    inner.height / Math.max(bottom - top, 1e-9),
    Math.min(inner.width, inner.height) / CLOSEST_M,
  );
  return { x: (left + right) / 2, y: (top + bottom) / 2, scale: hold(scale) };
}

function hold(scale: number): number {
  return Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale));
}

export function toScreen(point: Ground, view: View, size: Size): Ground {
  return {
    x: (point.x - view.x) * view.scale + size.width / 2,
    y: (point.y - view.y) * view.scale + size.height / 2,
  };
}

/** The same view closer (factor > 1) or further, about its middle. */
export function zoom(view: View, factor: number): View {
  return { ...view, scale: hold(view.scale * factor) };
}

/** The same view after the picture was dragged by so many pixels. */
export function drag(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x - dx / view.scale, y: view.y - dy / view.scale };
}

/** The largest of 1, 2, 5 × 10ⁿ that is not above `most`. */
export function round125(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  // 0.999…: log10 of an exact power of ten may come out a hair too low or the quotient a hair too small.
  const lead = most / power + 1e-9;
  return (lead >= 10 ? 10 : lead >= 5 ? 5 : lead >= 2 ? 2 : 1) * power;
}

/** A scale bar of a round number of metres, at most `most` pixels long. */
export function scaleBar(view: View, most: number): { metres: number; pixels: number } {
  const metres = round125(most / view.scale);
  return { metres, pixels: metres * view.scale };
}

/** Pixel positions of grid lines, on round metres so that they move with the ground; 64 to 160 px apart. */
export function grid(view: View, size: Size): { columns: number[]; rows: number[]; metres: number } {
  const metres = round125(160 / view.scale);
  const lines = (middle: number, extent: number): number[] => {
    const half = extent / 2 / view.scale;
    const found: number[] = [];
    for (let n = Math.ceil((middle - half) / metres); n * metres <= middle + half; n++) {
      found.push((n * metres - middle) * view.scale + extent / 2);
    }
    return found;
  };
  return { columns: lines(view.x, size.width), rows: lines(view.y, size.height), metres };
}

/** A mark on the picture: where its place is, and where its number stands. */
export interface Mark {
  /** The true spot. */
  x: number;
  y: number;
  /** The number, moved aside where numbers would cover each other. */
  atX: number;
  atY: number;
  moved: boolean;
  /** The place lies outside the picture; the number stands at the rim. */
  rim: boolean;
}

/**
 * Numbers side by side instead of on top of each other: at least `apart` pixels between their middles where room allows, all
 * of them inside the picture. Deterministic: the same places always give the same picture.
 */
export function spread(points: Ground[], size: Size, apart = 30, inset = 16): Mark[] {
  const inside = (p: Ground) => p.x >= 0 && p.x <= size.width && p.y >= 0 && p.y <= size.height;
  const clampX = (x: number) => Math.min(Math.max(x, inset), Math.max(inset, size.width - inset));
  const clampY = (y: number) => Math.min(Math.max(y, inset), Math.max(inset, size.height - inset));
  const marks = points.map((p) => ({
    x: p.x,
    y: p.y,
    atX: clampX(p.x),
    atY: clampY(p.y),
    moved: false,
    rim: !inside(p),
  }));
  for (let round = 0; round < 60; round++) {
    let still = true;
    for (let i = 0; i < marks.length; i++) {
      for (let j = i + 1; j < marks.length; j++) {
        const [a, b] = [marks[i] as Mark, marks[j] as Mark];
        let dx = b.atX - a.atX;
        let dy = b.atY - a.atY;
        let distance = Math.hypot(dx, dy);
        if (distance >= apart - 0.5) continue;
        if (distance < 0.01) {
          // On the very same spot: each pair parts in its own direction, by the golden angle.
          const angle = (i * 7 + j) * 2.399963;
          [dx, dy, distance] = [Math.cos(angle), Math.sin(angle), 1];
        }
        const push = (apart - Math.hypot(b.atX - a.atX, b.atY - a.atY)) / 2 / distance;
        a.atX = clampX(a.atX - dx * push);
        a.atY = clampY(a.atY - dy * push);
        b.atX = clampX(b.atX + dx * push);
        b.atY = clampY(b.atY + dy * push);
        still = false;
      }
    }
    if (still) break;
  }
  for (const mark of marks) mark.moved = !mark.rim && Math.hypot(mark.atX - mark.x, mark.atY - mark.y) > 4;
  return marks;
}
