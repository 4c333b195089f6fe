import type { Say } from './say';

/** What a plan says of itself; its picture is only for eyes. */
export function planWords(say: Say, places: number, note: string, none: string) {
  const { closer, further, allPlaces, planHead, plan } = say.w;
  return {
    label: plan(places),
    note,
    none,
    closer,
    further,
    all: allPlaces,
    head: planHead,
    length: say.metres,
  };
}
