/** What the day needs of follow-ups, in one file that comes with the first of them. */
export { onToday } from './due';
export { default as FollowUpStop } from './FollowUpStop.svelte';
export { dayOfStop } from './say.svelte';
