import { pack, unpack, weigh } from './bytes';
import { resumeCheckOuts } from './checkout';
import { instant } from './clock';
import { resumeDecisions } from './decisions';
import { draftsChanged, needDesk, openDesk, outboxChanged } from './desk';
import { device } from './device';
import { flushDrafts } from './drafts';
import { syncNow } from './exchange';
import { Outbox, type ClientState, type DraftRow, type PhotoRow, type Stored } from './outbox';
import { resumePhotos } from './photos';
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
  /** Rows of the photo queue, bytes as base64. */
  photos: PhotoRow[];
  /** Photos that would have made the file too large for a phone to write: they stay where they are. */
  photos_left_out: string[];
}
/** Bytes of photos a file carries at most. */
const MOST_BYTES = 48 * 1024 * 1024;
/** Drafts of a sensor that was being read on the other phone mean nothing here. */
const DEAD_DRAFT = /^(locate|outfix):/;

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
  const head: Omit<RescueFile, 'photos' | 'photos_left_out'> = {
    format: 'rounds-rescue',
    version: 1,
    made_at: instant(Date.now()),
    person,
    ...(await outbox.dump()),
  };
  // Written piece by piece, so that a phone never holds all photos as one text.
  const photos: string[] = [];
  const leftOut: string[] = [];
  let bytes = 0;
  for (const key of await outbox.photoKeys()) {
    const row = await outbox.photoRow(key);
    if (!row) continue;
    if (bytes + weigh(row) > MOST_BYTES) {
      leftOut.push(key);
      continue;
    }
    bytes += weigh(row);
    photos.push(`${photos.length ? ',\n' : ''}${JSON.stringify(pack(row))}`);
  }
  const text = JSON.stringify(head, null, 1).slice(0, -2);
  const end = `],\n "photos_left_out": ${JSON.stringify(leftOut)}\n}`;
  return new Blob([text, ',\n "photos": [', ...photos, end], { type: 'application/json' });
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
  const drafts = (content.drafts ?? []).filter((d) => typeof d?.key === 'string' && !DEAD_DRAFT.test(d.key));
  const mutations = content.mutations;
  const result = await saving(() => desk.outbox.takeIn(mutations, drafts));
  let photos = 0;
  for (const row of Array.isArray(content.photos) ? content.photos : []) {
    if (typeof row?.sha256 !== 'string') continue;
    if (await saving(() => desk.outbox.takePhoto(unpack(row) as PhotoRow))) photos++;
  }
  await outboxChanged(desk);
  await draftsChanged(desk);
  // What was checked out or decided there and could still be undone is recorded now.
  await resumeCheckOuts();
  resumeDecisions();
  await resumePhotos().catch(() => {});
  void syncNow();
  return { ...result, photos };
}

function whole(m: Stored): boolean {
  return typeof m?.id === 'string' && typeof m.body?.kind === 'string' && Array.isArray(m.body.ops);
}
