"""How much a phone must read before it shows its first screen."""

from tests.pages import scripts_of_the_first_load

LIMIT = 100 * 1024


def test_the_scripts_of_the_first_load_fit_into_100_kilobytes():
    sizes = scripts_of_the_first_load()
    assert sizes, "index.html names no script"
    assert sum(sizes.values()) <= LIMIT, (
        f"the first load has {sum(sizes.values()) / 1024:.1f} KB of scripts, gzipped: put what the first screen does"
        f" without behind an import(), as app/later.svelte.ts does with screens and i18n/en_later.ts with words ({sizes})"
    )
