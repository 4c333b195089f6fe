import Dexie, { type Table } from 'dexie';
import type { Id, Me } from './types';

/** Somebody who once signed in on this phone and whose outbox may still hold work. */
export interface Known {
  person: Id;
  name: string;
  email: string;
  organisation: string;
}
export interface DeviceState {
  me: Me | null;
  known: Known[];
  last: { organisation: string; email: string } | null;
  /** Signed out here while the server could not be told: its session must still be ended. */
  endSession: boolean;
}
const FRESH: DeviceState = { me: null, known: [], last: null, endSession: false };

/**
 * Who is signed in on this phone. Neither outbox (one per person) nor replica (disposable) can hold that, and
 * `localStorage` may lose it with a killed browser.
 */
class Device extends Dexie {
  private readonly kv!: Table<{ key: string; value: DeviceState }, string>;

  constructor() {
    super('rounds-device', { chromeTransactionDurability: 'strict' });
    this.version(1).stores({ kv: 'key' });
  }
  async read(): Promise<DeviceState> {
    return { ...FRESH, ...(await this.kv.get('state'))?.value };
  }
  async change(part: Partial<DeviceState>): Promise<DeviceState> {
    return this.transaction('rw', this.kv, async () => {
      const value = { ...(await this.read()), ...part };
      await this.kv.put({ key: 'state', value });
      return value;
    });
  }
}

export const device = new Device();
