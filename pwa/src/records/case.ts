import type { Snippet } from 'svelte';

/**
 * A thing to decide, laid out by whoever shows it: as a screen of its own on a phone, in a pane on a desktop.
 * `deeds` are the buttons, null where there is nothing to do for the reader.
 */
export type Wrap = Snippet<[{ title: string; sub: string; body: Snippet; deeds: Snippet | null }]>;
