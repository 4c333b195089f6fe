/** How the list was left, so that coming back from a card finds it so. Lives as long as the page. */
export const list = $state({
  query: '',
  order: 'near' as 'near' | 'name',
  mine: false,
  grade: null as 'A' | 'B' | 'C' | null,
  shown: 40,
});
