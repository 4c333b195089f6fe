/**
 * Exact fractions. Shares of weights and quotients of counts rarely end as decimals; rounding happens once, where a
 * number is shown, half-even.
 */
export class Fraction {
  private constructor(
    /** Lowest terms, `den` above 0. */
    readonly num: bigint,
    readonly den: bigint,
  ) {}

  static readonly ZERO = new Fraction(0n, 1n);
  static readonly ONE = new Fraction(1n, 1n);
  static readonly HUNDRED = new Fraction(100n, 1n);

  /** A whole number, or the text of a decimal such as `-12.50` or `1E+2`. Throws for anything else. */
  static of(value: number | string): Fraction {
    const parts = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(String(value).trim());
    if (!parts) throw new RangeError(`not a decimal number: ${value}`);
    const [, sign, whole, after = '', power = '0'] = parts;
    const digits = BigInt(`${whole}${after}`) * (sign === '-' ? -1n : 1n);
    const places = after.length - Number(power);
    return places > 0 ? made(digits, 10n ** BigInt(places)) : made(digits * 10n ** BigInt(-places), 1n);
  }
  /** Built by the functions of this file alone. */
  static lowest(num: bigint, den: bigint): Fraction {
    if (den === 0n) throw new RangeError('division by zero');
    const sign = den < 0n ? -1n : 1n;
    const by = common(num < 0n ? -num : num, den * sign) || 1n;
    return new Fraction((num * sign) / by, (den * sign) / by);
  }

  plus(other: Fraction): Fraction {
    return made(this.num * other.den + other.num * this.den, this.den * other.den);
  }
  minus(other: Fraction): Fraction {
    return made(this.num * other.den - other.num * this.den, this.den * other.den);
  }
  times(other: Fraction): Fraction {
    return made(this.num * other.num, this.den * other.den);
  }
  over(other: Fraction): Fraction {
    return made(this.num * other.den, this.den * other.num);
  }
  /** Below 0, 0 or above 0, as sorting wants it. */
  compare(other: Fraction): number {
    const d = this.num * other.den - other.num * this.den;
    return d < 0n ? -1 : d > 0n ? 1 : 0;
  }
  get isZero(): boolean {
    return this.num === 0n;
  }
  /** For drawing, never for reckoning. */
  get near(): number {
    return Number((this.num * 1_000_000n) / this.den) / 1_000_000;
  }

  /** Decimal text with exactly `places` places, half-even. */
  fixed(places: number): string {
    const scale = 10n ** BigInt(places);
    const scaled = this.num * scale;
    const below = scaled < 0n;
    const size = below ? -scaled : scaled;
    let whole = size / this.den;
    const rest = (size % this.den) * 2n;
    if (rest > this.den || (rest === this.den && whole % 2n === 1n)) whole++;
    const digits = whole.toString().padStart(places + 1, '0');
    const text =
      places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(digits.length - places)}`;
    return below && whole !== 0n ? `-${text}` : text;
  }
  /** The same without zeros at the end: at most `places` places. */
  short(places: number): string {
    const text = this.fixed(places);
    return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  }
  /** The smallest whole number not below it. */
  ceiling(): number {
    const whole = this.num / this.den;
    return Number(whole * this.den < this.num ? whole + 1n : whole);
  }
}

const made = (num: bigint, den: bigint): Fraction => Fraction.lowest(num, den);

function common(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}
