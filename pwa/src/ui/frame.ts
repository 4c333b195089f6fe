import { getContext, setContext } from 'svelte';
import type { IconName } from './icons';

/** What stands around every screen. The app fills it; parts of `ui` read it and so need no data layer. */
export interface Frame {
  readonly nav: { href: string; icon: IconName; label: string; current: boolean; count?: number }[];
  /** `href`: where what is not sent, or needs somebody, is told. */
  readonly sync: {
    unsent: number;
    needsYou: number;
    sentAt: number | null;
    contactAt: number | null;
    href: string;
  };
  /** Notices in the inbox that were not looked at. */
  readonly unread: number;
  /** The sentence of the offline strip, or null. */
  readonly offline: string | null;
  /** Lines under the header. `alert`: something was not saved. A line with `form: false` never shows over a form. */
  readonly lines: {
    id: string;
    text: string;
    alert?: boolean;
    form: boolean;
    action?: { label: string; run: () => void };
  }[];
  /** The visit that is running, for the bar above the menu; `since` is ms in server time. */
  readonly running: { href: string; name: string; since: number } | null;
  /** ms since 1970 by the server's clock as far as it is known. */
  serverNow(): number;
  /** Begins the check-in of a customer: the moment of the call is the moment that counts. */
  checkIn(request: CheckInRequest): void;
  /** The same where the customer is not known yet: keeps the moment, then asks. */
  checkInSomewhere(): void;
}

export interface CheckInRequest {
  customer: string;
  name: string;
  mode?: 'in_person' | 'online' | 'phone';
  kind?: string;
  planned?: string;
}

const KEY = Symbol('frame');
export const setFrame = (frame: Frame): Frame => setContext(KEY, frame);
export const getFrame = (): Frame => getContext<Frame>(KEY);
