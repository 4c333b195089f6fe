/** What the screens know of rights and authority (server: the table of kinds); the server has the last word. */

const MANAGERS: Record<string, ReadonlySet<string>> = {
  customer: new Set(['lat', 'lon', 'radius_m', 'owner_id', 'team_id', 'grade', 'lifecycle', 'code']),
  follow_up: new Set(['owner_id', 'due_date', 'due_time']),
};
const REPS: Record<string, ReadonlySet<string>> = {
  customer: new Set(['phone', 'contact']),
  visit: new Set(['outcome']),
};
const EVIDENCE: ReadonlySet<string> = new Set([
  'check_in',
  'check_out',
  'check_in_fix',
  'check_in_best_fix',
  'check_out_fix',
  'done',
]);
/** Fields whose earlier values a tap may bring back; states and evidence have ways of their own. */
const RESTORABLE: Record<string, { all: ReadonlySet<string>; lead: ReadonlySet<string> }> = {
  customer: {
    all: new Set(['name', 'address', 'phone', 'contact', 'note', 'tags']),
    lead: new Set(['lat', 'lon', 'radius_m', 'owner_id', 'team_id', 'grade', 'lifecycle', 'code']),
  },
  visit: {
    all: new Set([
      'minutes',
      'next_step',
      'outcome',
      'mode',
      'kind',
      'planned_date',
      'planned_time',
      'late_reason',
    ]),
    lead: new Set(),
  },
  follow_up: {
    all: new Set(['subject', 'note', 'kind', 'due_date', 'due_time', 'remind_before_min', 'repeat']),
    lead: new Set(['owner_id']),
  },
};
/** What a manager may set of a visit that is not theirs. */
const LEADS_VISIT: ReadonlySet<string> = new Set(['mode', 'kind', 'planned_date', 'planned_time']);

/** Whose word a field is when two meet: the rep's, the manager's, nobody's (null), or written once. */
export function authorityOf(kind: string, field: string): 'rep' | 'manager' | 'evidence' | null {
  if (MANAGERS[kind]?.has(field)) return 'manager';
  if (REPS[kind]?.has(field)) return 'rep';
  return EVIDENCE.has(field) ? 'evidence' : null;
}

/** Whether the reader may bring back a value: `lead` for managers and administrators, `own` for one's own visit. */
export function mayRestore(kind: string, field: string, reader: { lead: boolean; own: boolean }): boolean {
  const known = RESTORABLE[kind];
  if (!known) return false;
  if (kind === 'visit') return reader.own ? known.all.has(field) : reader.lead && LEADS_VISIT.has(field);
  return known.all.has(field) || (reader.lead && known.lead.has(field));
}
