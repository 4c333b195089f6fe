import { instant } from './clock';
import { needDesk, openDesk, outboxChanged } from './desk';
import { device } from './device';
import { flushDrafts } from './drafts';
import { syncNow } from './exchange';
import { Outbox, type ClientState, type DraftRow, type Stored } from './outbox';
import { saving } from './storage';
import type { Id, Rescued } from './types';

interface RescueFile {
  format: 'rounds-rescue';
  version: 1;
  made_at: string;
  person: { id: string; name: string };
  client: ClientState;
  mutations: Stored[];
  drafts: DraftRow[];
}

/**
 * The whole outbox of the person signed in, as one JSON file; or that of `other`, somebody whose unsent work is on
 * this phone.
 */
export async function exportRescue(other?: Id): Promise<Blob> {
  await flushDrafts();
  const here = openDesk();
  if (other && other !== here?.me.person.id) return exportOther(other);
  const { me, outbox } = needDesk();
  return asFile(outbox, { id: me.person.id, name: me.person.name });
}

async function exportOther(person: Id): Promise<Blob> {
  const known = (await device.read()).known.find((k) => k.person === person);
  const outbox = new Outbox(person);
  try {
    return await asFile(outbox, { id: person, name: known?.name ?? '' });
  } finally {
    outbox.close();
  }
}

async function asFile(outbox: Outbox, person: { id: Id; name: string }): Promise<Blob> {
  const file: RescueFile = {
    format: 'rounds-rescue',
    version: 1,
    made_at: instant(Date.now()),
    person,
    ...(await outbox.dump()),
  };
  return new Blob([JSON.stringify(file, null, 1)], { type: 'application/json' });
}

/** Why a rescue file was not taken. */
export class RescueError extends Error {
  constructor(
    readonly code: 'NOT_A_RESCUE_FILE' | 'OTHER_PERSON',
    detail: string,
  ) {
    super(detail);
    this.name = 'RescueError';
  }
}

/**
 * Takes a rescue file of the same person into this phone's outbox and sends it. What the server already has is
 * recognised by its ids; drafts never overwrite a newer one here. Rejects with `RescueError`.
 */
export async function importRescue(file: Blob): Promise<Rescued> {
  const desk = needDesk();
  let content: Partial<RescueFile>;
  try {
    content = JSON.parse(await file.text()) as Partial<RescueFile>;
  } catch {
    throw new RescueError('NOT_A_RESCUE_FILE', 'This is not JSON.');
  }
  if (
    content?.format !== 'rounds-rescue' ||
    !Array.isArray(content.mutations) ||
    !content.mutations.every(whole)
  ) {
    throw new RescueError('NOT_A_RESCUE_FILE', 'This file is not a rescue file of Rounds.');
  }
  if (content.person?.id !== desk.me.person.id) {
    throw new RescueError('OTHER_PERSON', content.person?.name ?? '');
  }
  const drafts = (content.drafts ?? []).filter(
    (d) => typeof d?.key === 'string' && d.key.startsWith('text:'),
  );
  const mutations = content.mutations;
  const result = await saving(() => desk.outbox.takeIn(mutations, drafts));
  await outboxChanged(desk);
  void syncNow();
  return { ...result, photos: 0 };
}

function whole(m: Stored): boolean {
  return typeof m?.id === 'string' && typeof m.body?.kind === 'string' && Array.isArray(m.body.ops);
}
