import { i18n } from '../i18n/i18n.svelte';
import { photoWords, type PhotoWords } from '../i18n/photos';

/** The words of photos in the language of the moment. */
export const words = (): PhotoWords => (i18n.language === 'zh-Hans' ? photoWords.zh : photoWords.en);

/** A share as people read it: whole percent. */
export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}
