/** Bytes inside rows, as JSON can carry them: base64 under a name that says what they were. */
interface Packed {
  $bytes: string;
  as: 'blob' | 'buffer' | 'view';
  type?: string;
}

/** The row with its bytes packed, and how many bytes those are. */
export async function pack(
  row: Record<string, unknown>,
): Promise<{ row: Record<string, unknown>; bytes: number }> {
  const out: Record<string, unknown> = {};
  let bytes = 0;
  for (const [name, value] of Object.entries(row)) {
    const found = await bytesOf(value);
    if (!found) out[name] = value;
    else {
      bytes += found.bytes.length;
      out[name] = { $bytes: toBase64(found.bytes), as: found.as, type: found.type } satisfies Packed;
    }
  }
  return { row: out, bytes };
}

/** How many bytes a row would pack. */
export function weigh(row: Record<string, unknown>): number {
  let sum = 0;
  for (const value of Object.values(row)) {
    if (value instanceof Blob) sum += value.size;
    else if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) sum += value.byteLength;
  }
  return sum;
}

export function unpack(row: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row)) {
    const packed = value as Packed | null;
    if (typeof packed !== 'object' || typeof packed?.$bytes !== 'string') out[name] = value;
    else {
      const bytes = fromBase64(packed.$bytes);
      out[name] =
        packed.as === 'blob'
          ? new Blob([bytes], { type: packed.type ?? '' })
          : packed.as === 'buffer'
            ? bytes.buffer
            : bytes;
    }
  }
  return out;
}

async function bytesOf(
  value: unknown,
): Promise<{ bytes: Uint8Array; as: Packed['as']; type?: string } | null> {
  if (value instanceof Blob)
    return { bytes: new Uint8Array(await value.arrayBuffer()), as: 'blob', type: value.type };
  if (value instanceof ArrayBuffer) return { bytes: new Uint8Array(value), as: 'buffer' };
  if (ArrayBuffer.isView(value))
    return { bytes: new Uint8Array(value.buffer, value.byteOffset, value.byteLength), as: 'view' };
  return null;
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

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
