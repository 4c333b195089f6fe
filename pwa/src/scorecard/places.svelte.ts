import { placeWords, type PlaceWords } from '../i18n/places';
import { i18n } from '../i18n/i18n.svelte';

/** The words of places, quadrants and honours. Reactive where it is read in a component. */
export const places = (): PlaceWords => (i18n.language === 'zh-Hans' ? placeWords.zh : placeWords.en);
