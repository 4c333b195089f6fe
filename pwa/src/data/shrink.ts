/** Longest side of a photo that leaves the phone, in pixels; and of its small picture. */
export const LONG_EDGE = 1600;
const SMALL_EDGE = 320;
/** Tried in this order until the file is small enough: longest side, quality. */
const STEPS = [
  [LONG_EDGE, 0.82],
  [LONG_EDGE, 0.65],
  [1280, 0.6],
  [960, 0.5],
] as const;

export interface Shrunk {
  data: ArrayBuffer;
  thumb: ArrayBuffer;
}

/**
 * A JPEG of at most `mostBytes` from whatever picture this browser can show: upright, and drawn anew, so that nothing
 * the camera noted (place, time, model) is left. Null for what is no picture.
 */
export async function shrink(file: Blob, mostBytes: number): Promise<Shrunk | null> {
  const picture = await decode(file);
  if (!picture) return null;
  try {
    let data: ArrayBuffer | null = null;
    for (const [edge, quality] of STEPS) {
      data = await encode(picture, edge, quality);
      if (data.byteLength <= mostBytes) break;
    }
    return { data: data!, thumb: await encode(picture, SMALL_EDGE, 0.7) };
  } finally {
    if ('close' in picture) picture.close();
  }
}

async function decode(file: Blob): Promise<ImageBitmap | HTMLImageElement | null> {
  try {
    return await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    // Some browsers show more than they give as a bitmap (HEIC on iPhones).
  }
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    return image.naturalWidth > 0 ? image : null;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Width and height that fit into a square of `edge`, never larger than they are. */
export function fit(width: number, height: number, edge: number): { width: number; height: number } {
  const scale = Math.min(1, edge / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

async function encode(
  picture: ImageBitmap | HTMLImageElement,
  edge: number,
  quality: number,
): Promise<ArrayBuffer> {
  const from =
    picture instanceof ImageBitmap ? picture : { width: picture.naturalWidth, height: picture.naturalHeight };
  const { width, height } = fit(from.width, from.height, edge);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d', { alpha: false });
  if (!pen) throw new Error('no canvas');
  // JPEG knows no transparency: what was clear becomes paper.
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(picture, 0, 0, width, height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', quality));
  // Phones are short of memory for pictures; an empty canvas gives it back at once.
  canvas.width = canvas.height = 0;
  if (!blob) throw new Error('the canvas gave no picture');
  return blob.arrayBuffer();
}
