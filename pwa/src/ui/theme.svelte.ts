export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'rounds.theme';

/** Light, dark, or as the device says. Kept on this device. */
class ThemeChoice {
  choice = $state<Theme>('auto');

  constructor() {
    try {
      const kept = localStorage.getItem(KEY);
      if (kept === 'light' || kept === 'dark') this.choice = kept;
    } catch {
      /* private browsing: the device decides */
    }
  }

  choose(theme: Theme): void {
    this.choice = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      /* the choice lasts as long as the page */
    }
    this.apply();
  }

  apply(): void {
    const root = document.documentElement;
    if (this.choice === 'auto') delete root.dataset['theme'];
    else root.dataset['theme'] = this.choice;
  }
}

export const theme = new ThemeChoice();
