/**
 * The process indicators, as the server lists them, and a scheme as the office wrote it: of a
 * process indicator only code and weight are needed, the table knows the rest.
 */
import told from '../../../server/indicators/catalogue.json';
import type { PeriodKind } from './periods';
import type { Direction, Indicator, Scheme } from './score';

export interface Process {
  name: string;
  name_zh: string;
  unit: 'count' | 'share' | 'hours';
  evidence: 'visit' | 'follow_up' | 'customer';
  direction: Direction;
  /** The numbers of days add up to a period's. */
  additive: boolean;
  /** A target holds for any period alike and is not spread over days. */
  level: boolean;
  target: string | null;
}

/** The file that the server's table is held against. */
export const PROCESS = told as Record<string, Process>;

const process = (code: string): Process | undefined =>
  Object.hasOwn(PROCESS, code) ? PROCESS[code] : undefined;

/** Whether a target holds for any period alike: shares and means, and whatever is not added up. */
export function levelOf(indicator: Indicator): boolean {
  return process(indicator.code)?.level ?? indicator.combine !== 'sum';
}
/** Whether a day's part of the target can be done on that day. */
export function addsUp(indicator: Indicator): boolean {
  return process(indicator.code)?.additive ?? false;
}

type Data = Record<string, unknown>;
const text = (value: unknown): string | null =>
  typeof value === 'number' ? String(value) : typeof value === 'string' && value !== '' ? value : null;

export function indicatorOf(data: Data): Indicator {
  const code = String(data['code'] ?? '');
  const known = process(code);
  const kind = text(data['kind']) ?? (known ? 'process' : 'result');
  const source = text(data['source']) ?? (kind === 'process' ? 'facts' : 'values');
  return {
    code,
    kind,
    direction: (text(data['direction']) as Direction | null) ?? known?.direction ?? 'higher',
    weight: text(data['weight']) ?? '0',
    cap: text(data['cap']),
    unit: text(data['unit']) ?? known?.unit ?? '',
    period: text(data['period']) as PeriodKind | null,
    source,
    combine: source === 'facts' ? null : (text(data['combine']) ?? 'sum'),
    target: text(data['target']),
    name: text(data['name']) ?? known?.name ?? code,
    name_zh: text(data['name_zh']) ?? known?.name_zh ?? null,
  };
}

export function schemeOf(data: Data, id = '', version = 0): Scheme {
  const rows = Array.isArray(data['indicators']) ? (data['indicators'] as Data[]) : [];
  return {
    id: text(data['id']) ?? id,
    version: typeof data['version'] === 'number' ? data['version'] : version,
    indicators: rows.map(indicatorOf),
    cap: text(data['cap']) ?? '1.5',
  };
}
