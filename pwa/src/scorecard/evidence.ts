import { i18n } from '../i18n/i18n.svelte';
import { amount } from '../indicators/explain';
import type { Ground } from '../indicators/mine';
import { shared, words } from './ground.svelte';

/** One record behind a number, as a row shows it. */
export interface Item {
  id: string;
  title: string;
  sub?: string;
  figure?: string;
  note?: string;
  href: string | null;
  unsent: boolean;
}

/** Ids of one kind as rows, from what this phone holds, newest first. */
export function itemsOf(ground: Ground, kind: string, ids: string[], unsent: ReadonlySet<string>): Item[] {
  const t = i18n.t;
  const unknown = (id: string): Item => ({ id, title: words().elsewhere, href: null, unsent: false });
  if (kind === 'visit') {
    const known = new Map(ground.work.visits.map((v) => [v.id, v]));
    const at = (id: string) => known.get(id)?.checkInAt ?? 0;
    return [...ids]
      .sort((a, b) => at(b) - at(a))
      .map((id) => {
        const v = known.get(id);
        if (!v) return { ...unknown(id), href: `/visits/${id}` };
        return {
          id,
          title: v.customerName || t.unknownCustomer,
          sub: v.server && !unsent.has(id) ? whyText(v.server.reasons) : undefined,
          figure: v.checkInAt === null ? (v.plannedTime ?? '–') : i18n.clock(v.checkInAt, v.zone),
          note: i18n.dayShort(v.day || v.plannedDate || '', ground.today),
          href: `/visits/${id}`,
          unsent: unsent.has(id),
        };
      });
  }
  if (kind === 'follow_up') {
    const known = new Map(ground.work.followUps.map((f) => [f.id, f]));
    return ids.map((id) => {
      const f = known.get(id);
      if (!f) return { ...unknown(id), href: `/follow-ups/${id}` };
      const due = f.data['due_date'];
      return {
        id,
        title: String(f.data['subject'] ?? ''),
        note: undefined,
        figure: typeof due === 'string' ? i18n.dayShort(due, ground.today) : '–',
        href: `/follow-ups/${id}`,
        unsent: unsent.has(id),
      };
    });
  }
  if (kind === 'customer') {
    const known = new Map(ground.work.customers.map((c) => [c.id, c]));
    return ids
      .map((id) => ({
        id,
        title: String(known.get(id)?.data['name'] ?? words().elsewhere),
        sub: String(known.get(id)?.data['address'] ?? '') || undefined,
        href: `/customers/${id}`,
        unsent: unsent.has(id),
      }))
      .sort((a, b) => a.title.localeCompare(b.title, t.locale));
  }
  const known = new Map(ground.values.map((v) => [v.id, v]));
  return ids.map((id) => {
    const v = known.get(id);
    if (!v) return unknown(id);
    const source = v.data['source'];
    return {
      id,
      title: amount(String(v.data['amount']), 'count', shared()),
      sub: typeof source === 'string' ? words().valueFrom(source) : undefined,
      figure: i18n.dayShort(String(v.data['on']), ground.today),
      href: null,
      unsent: unsent.has(id),
    };
  });
}

/** The reasons of a visit, each in short. */
export function whyText(reasons: string[]): string | undefined {
  return reasons.length ? reasons.map((code) => i18n.reasonShort(code)).join(' · ') : undefined;
}
