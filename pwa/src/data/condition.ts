import { derived, writable, type Readable } from 'svelte/store';
import { persist, persisted, room } from './storage';
import type { DeviceInfo } from './types';

/** What the exchange and the other tabs say of this phone. */
export const told = writable<Pick<DeviceInfo, 'uploadOnly' | 'wiped' | 'otherTab' | 'tooOld'>>({
  uploadOnly: null,
  wiped: false,
  otherTab: false,
  tooOld: false,
});

/** What this phone is and has room for. */
export const device: Readable<DeviceInfo> = derived([told, persisted, room], ([t, p, r]) => ({
  ...t,
  persisted: p,
  ...r,
}));

/** Asks the browser never to evict this site's storage. True: promised. False or null: no reason to stop. */
export const askPersist = persist;
