import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  central,
  drag,
  fit,
  grid,
  known,
  middleOf,
  type Position,
  project,
  round125,
  scaleBar,
  spread,
  toScreen,
  zoom,
} from './plan';

const size = { width: 400, height: 240 };
const place: fc.Arbitrary<Position> = fc.record({
  lat: fc.double({ min: -90, max: 90, noNaN: true }),
  lon: fc.double({ min: -180, max: 180, noNaN: true }),
});

function drawn(positions: Position[]) {
  const middle = middleOf(positions) as Position;
  const ground = positions.map((p) => project(p, middle));
  return ground.map((g) => toScreen(g, fit(ground, size), size));
}

describe('projection', () => {
  test('a degree of latitude is 111.2 km, one of longitude shrinks with the parallel', () => {
    expect(project({ lat: 61, lon: 25 }, { lat: 60, lon: 25 }).y).toBeCloseTo(-111_195, 0);
    expect(project({ lat: 60, lon: 26 }, { lat: 60, lon: 25 }).x).toBeCloseTo(55_598, 0);
  });

  test('two places either side of the date line are neighbours', () => {
    const places = [
      { lat: -17, lon: 179.99 },
      { lat: -17, lon: -179.99 },
    ];
    const middle = middleOf(places) as Position;
    expect(Math.abs(middle.lon)).toBeCloseTo(180);
    const [west, east] = places.map((p) => project(p, middle));
    expect((east?.x ?? 0) - (west?.x ?? 0)).toBeCloseTo(2126.8, 0);
  });

  test('at the poles everything stays finite', () => {
    for (const point of drawn([
      { lat: 90, lon: 0 },
      { lat: 89.999, lon: 120 },
      { lat: 90, lon: -120 },
    ])) {
      expect(Number.isFinite(point.x) && Number.isFinite(point.y)).toBe(true);
    }
  });

  test('what is no position is not taken for one', () => {
    expect(known({ lat: 60, lon: 25 })).toBe(true);
    expect(known({ lat: null, lon: 25 })).toBe(false);
    expect(known({ lat: 91, lon: 25 })).toBe(false);
    expect(known({ lat: 0, lon: 181 })).toBe(false);
    expect(known(null)).toBe(false);
  });
});

describe('fit', () => {
  test('all places lie inside the picture, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(place, { minLength: 1, maxLength: 20 }), (places) => {
        for (const point of drawn(places)) {
          expect(point.x).toBeGreaterThanOrEqual(-1e-6);
          expect(point.x).toBeLessThanOrEqual(size.width + 1e-6);
          expect(point.y).toBeGreaterThanOrEqual(-1e-6);
          expect(point.y).toBeLessThanOrEqual(size.height + 1e-6);
        }
      }),
    );
  });

  test('one place stands in the middle with its surroundings', () => {
    const [point] = drawn([{ lat: 51.5, lon: -0.1 }]);
    expect(point).toEqual({ x: 200, y: 120 });
    expect(fit([{ x: 0, y: 0 }], size).scale).toBeCloseTo((240 - 64) / 300);
  });

  test('the same place many times is one place', () => {
    const same = { lat: 51.5, lon: -0.1 };
    expect(drawn([same, same, same])[2]).toEqual({ x: 200, y: 120 });
  });

  test('no place at all gives a usable view', () => {
    expect(middleOf([])).toBeNull();
    expect(fit([], size).scale).toBeGreaterThan(0);
  });

  test('a picture of no size yet gives finite numbers', () => {
    const view = fit([{ x: 0, y: 0 }], { width: 0, height: 0 });
    expect(Number.isFinite(view.scale) && view.scale > 0).toBe(true);
  });

  test('one fix thrown to another continent does not shrink the day', () => {
    const round = [60.17, 60.171, 60.18, 60.175].map((lat, i) => ({ lat, lon: 24.94 + i / 100 }));
    expect(central([...round, { lat: 37.4, lon: -122.1 }])).toEqual(round);
    expect(central(round)).toEqual(round);
  });

  test('two far places are both shown: there is nothing usual yet', () => {
    const two = [
      { lat: 60.17, lon: 24.94 },
      { lat: 37.4, lon: -122.1 },
    ];
    expect(central(two)).toEqual(two);
  });
});

describe('moving', () => {
  test('zooming keeps the middle, dragging moves the ground with the hand', () => {
    const view = { x: 10, y: 20, scale: 0.5 };
    expect(zoom(view, 2)).toEqual({ x: 10, y: 20, scale: 1 });
    const before = toScreen({ x: 0, y: 0 }, view, size);
    const after = toScreen({ x: 0, y: 0 }, drag(view, 30, -12), size);
    expect(after.x - before.x).toBeCloseTo(30);
    expect(after.y - before.y).toBeCloseTo(-12);
  });

  test('zoom has ends', () => {
    expect(zoom({ x: 0, y: 0, scale: 19 }, 8).scale).toBe(20);
    expect(zoom({ x: 0, y: 0, scale: 2e-5 }, 1 / 8).scale).toBe(1e-5);
  });
});

describe('scale bar and grid', () => {
  test('the bar is a round number of metres that fits', () => {
    expect(scaleBar({ x: 0, y: 0, scale: 0.2 }, 110)).toEqual({ metres: 500, pixels: 100 });
    expect(round125(1000)).toBe(1000);
    expect(round125(999)).toBe(500);
    expect(round125(0.7)).toBe(0.5);
  });

  test('grid lines keep a readable distance at every zoom', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-5, max: 20, noNaN: true }),
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        (scale, x) => {
          const { columns, metres } = grid({ x, y: 0, scale }, size);
          expect(metres * scale).toBeGreaterThanOrEqual(63);
          expect(metres * scale).toBeLessThanOrEqual(160.001);
          for (const column of columns) expect(column >= -1e-6 && column <= size.width + 1e-6).toBe(true);
        },
      ),
    );
  });
});

describe('numbers', () => {
  test('those apart stay on their place', () => {
    const [a, b] = spread(
      [
        { x: 50, y: 50 },
        { x: 200, y: 50 },
      ],
      size,
    );
    expect(a).toMatchObject({ atX: 50, atY: 50, moved: false, rim: false });
    expect(b).toMatchObject({ atX: 200, atY: 50, moved: false });
  });

  test('those on one spot part, and each still knows its place', () => {
    const marks = spread(
      Array.from({ length: 6 }, () => ({ x: 200, y: 120 })),
      size,
    );
    for (let i = 0; i < marks.length; i++) {
      for (let j = i + 1; j < marks.length; j++) {
        const [a, b] = [marks[i], marks[j]];
        expect(Math.hypot((a?.atX ?? 0) - (b?.atX ?? 0), (a?.atY ?? 0) - (b?.atY ?? 0))).toBeGreaterThan(26);
      }
      expect(marks[i]).toMatchObject({ x: 200, y: 120 });
    }
  });

  test('a place outside the picture is kept at the rim', () => {
    const [mark] = spread([{ x: 5000, y: 100 }], size);
    expect(mark).toMatchObject({ atX: 384, atY: 100, rim: true, moved: false });
  });

  test('numbers never leave the picture, and the same places give the same picture', () => {
    const point = fc.record({ x: fc.integer({ min: -50, max: 450 }), y: fc.integer({ min: -50, max: 290 }) });
    fc.assert(
      fc.property(fc.array(point, { maxLength: 25 }), (points) => {
        const marks = spread(points, size);
        for (const mark of marks) {
          expect(mark.atX >= 16 && mark.atX <= size.width - 16).toBe(true);
          expect(mark.atY >= 16 && mark.atY <= size.height - 16).toBe(true);
        }
        expect(spread(points, size)).toEqual(marks);
      }),
    );
  });
});
