import type { Component } from 'svelte';
import { i18n } from '../i18n/i18n.svelte';

// Screens differ in their props, each place passes what its own one wants.
type Screen = Component<Record<string, unknown>>;
type Load = () => Promise<{ default: unknown }>;

/** Screens that the first opening can do without; each in a file of its own, all of them kept for offline. */
const LOADS = {
  board: () => import('../board/Board.svelte'),
  customer: () => import('../customers/Customer.svelte'),
  customers: () => import('../customers/Customers.svelte'),
  'customer-new': () => import('../customers/CustomerForm.svelte'),
  'customer-edit': () => import('../customers/CustomerForm.svelte'),
  'customers-give': () => import('../customers/Give.svelte'),
  decide: () => import('../records/Decide.svelte'),
  device: () => import('../people/Device.svelte'),
  'follow-up': () => import('../followups/FollowUp.svelte'),
  'follow-ups': () => import('../followups/FollowUps.svelte'),
  inbox: () => import('../inbox/Inbox.svelte'),
  reminders: () => import('../inbox/Reminders.svelte'),
  invite: () => import('../people/Invite.svelte'),
  upload: () => import('../people/Upload.svelte'),
  me: () => import('../people/Me.svelte'),
  review: () => import('../board/Review.svelte'),
  schemes: () => import('../scorecard/Schemes.svelte'),
  score: () => import('../scorecard/Score.svelte'),
  'score-of': () => import('../scorecard/ScoreOf.svelte'),
  scores: () => import('../scorecard/Scores.svelte'),
  'sign-in': () => import('../people/SignIn.svelte'),
  targets: () => import('../scorecard/Targets.svelte'),
  values: () => import('../scorecard/Values.svelte'),
  visit: () => import('../visits/Visit.svelte'),
  visits: () => import('../visits/MyVisits.svelte'),
  'visit-past': () => import('../visits/PastVisit.svelte'),
  'visit-plan': () => import('../visits/PlanVisit.svelte'),
  insecure: () => import('../people/Insecure.svelte'),
} satisfies Record<string, Load>;
export type Later = keyof typeof LOADS;

class LaterScreens {
  #here = $state.raw<Partial<Record<Later, Screen>>>({});
  #failed = $state.raw<Partial<Record<Later, true>>>({});
  #asked = new Set<Later>();

  /** The screen, or null while it comes; asking for it fetches it. */
  get(name: Later): Screen | null {
    const here = this.#here[name];
    if (here) return here;
    if (!this.#asked.has(name)) void this.#fetch(name);
    return null;
  }

  failed(name: Later): boolean {
    return this.#failed[name] === true;
  }

  isLater(name: string): name is Later {
    return Object.hasOwn(LOADS, name);
  }

  /** Fetches what a role will want, once the first screen stands: one after the other, so that a tap gets in between. */
  prepare(names: Later[]): void {
    const left = names.filter((name) => !this.#asked.has(name));
    const next = () => {
      const name = left.shift();
      if (name === undefined) return;
      const fetched = this.#asked.has(name) ? Promise.resolve() : this.#fetch(name);
      void fetched.then(() => this.#whenIdle(next, 100));
    };
    this.#whenIdle(next, 3000);
  }

  #whenIdle(work: () => void, patienceMs: number): void {
    if ('requestIdleCallback' in window) requestIdleCallback(work, { timeout: patienceMs });
    else setTimeout(work, patienceMs / 5);
  }

  async #fetch(name: Later): Promise<void> {
    this.#asked.add(name);
    try {
      const [{ default: screen }] = await Promise.all([LOADS[name](), i18n.whole()]);
      this.#here = { ...this.#here, [name]: screen as Screen };
    } catch {
      this.#asked.delete(name);
      this.#failed = { ...this.#failed, [name]: true };
    }
  }
}

export const later = new LaterScreens();
