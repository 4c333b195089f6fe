/**
 * The same value as the server's fast parser accepts it: strings well-formed Unicode without NUL, numbers finite
 * (else null), `undefined` members left out. Keyboards and pasted text do produce lone surrogates.
 */
export function clean<T>(value: T): T {
  return scrub(value) as T;
}

function scrub(value: unknown): unknown {
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(scrub);
  if (value !== null && typeof value === 'object') {
    const out: Record<string, unknown> = {};
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined) out[cleanText(key)] = scrub(member);
    }
    return out;
  }
  return value;
}

// A high surrogate without its low one, or a low one without its high one.
const LONE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;

export function cleanText(text: string): string {
  return text.replace(/\0/g, '').replace(LONE, '\uFFFD');
}
