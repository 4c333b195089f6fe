import type { Customer, FollowUp, Visit } from '../data';

/** The value a record has now, by the field's name on the wire; undefined for a field a screen does not hold. */
export function ofCustomer(c: Customer, field: string): unknown {
  const known: Record<string, unknown> = {
    name: c.name,
    address: c.address,
    lat: c.lat,
    lon: c.lon,
    radius_m: c.radiusM,
    owner_id: c.ownerId,
    team_id: c.teamId,
    grade: c.grade,
    phone: c.phone,
    contact: c.contact,
    lifecycle: c.lifecycle,
    code: c.code,
    note: c.note,
    tags: c.tags,
    archived: c.archived,
  };
  return known[field];
}

export function ofVisit(v: Visit, field: string): unknown {
  const known: Record<string, unknown> = {
    customer_id: v.customerId,
    rep_id: v.repId,
    mode: v.mode,
    kind: v.kind,
    planned_date: v.plannedDate,
    planned_time: v.plannedTime,
    outcome: v.outcome,
    late_reason: v.lateReason,
    minutes: v.minutes,
    next_step: v.nextStep,
    tags: v.tags,
    status: v.status,
    check_in: v.checkIn,
    check_out: v.checkOut,
    check_in_fix: v.checkInFix,
    check_in_best_fix: v.checkInBestFix,
    check_out_fix: v.checkOutFix,
  };
  return known[field];
}

export function ofFollowUp(f: FollowUp, field: string): unknown {
  const known: Record<string, unknown> = {
    customer_id: f.customerId,
    visit_id: f.visitId,
    owner_id: f.ownerId,
    kind: f.kind,
    subject: f.subject,
    note: f.note,
    due_date: f.dueDate,
    due_time: f.dueTime,
    due_zone: f.dueZone,
    status: f.status,
  };
  return known[field];
}

/** Whether two values of a field say the same; an empty text and none do. */
export function same(a: unknown, b: unknown): boolean {
  const plain = (value: unknown) => (value === undefined || value === '' ? null : value);
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}
