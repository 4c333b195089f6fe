/** Bytes inside rows, as JSON can carry them: base64 under a name that says what it is. */
interface Packed {
  $bytes: string;
}
type Row = Record<string, unknown>;

/** The row with its bytes packed. */
export function pack(row: Row): Row {
  const entries = Object.entries(row).map(([name, value]): [string, unknown] => {
    return [name, value instanceof ArrayBuffer ? { $bytes: toBase64(new Uint8Array(value)) } : value];
  });
  return Object.fromEntries(entries);
}

export function unpack(row: Row): Row {
  const entries = Object.entries(row).map(([name, value]): [string, unknown] => {
    return [name, isPacked(value) ? fromBase64(value.$bytes) : value];
  });
  return Object.fromEntries(entries);
}

/** How many bytes a row holds. */
export function weigh(row: Row): number {
  return Object.values(row).reduce<number>(
    (sum, v) => sum + (v instanceof ArrayBuffer ? v.byteLength : 0),
    0,
  );
}

function isPacked(value: unknown): value is Packed {
  return typeof value === 'object' && value !== null && typeof (value as Packed).$bytes === 'string';
}

/** As many characters as a call takes arguments without harm. */
const PIECE = 0x8000;

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += PIECE) {
    text += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  }
  return btoa(text);
}

function fromBase64(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
}
