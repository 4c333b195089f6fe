/** The words of what comes again. */
const ordinal = (n: number) => {
  const end =
    n % 10 === 1 && n !== 11
      ? 'st'
      : n % 10 === 2 && n !== 12
        ? 'nd'
        : n % 10 === 3 && n !== 13
          ? 'rd'
          : 'th';
  return `${n}${end}`;
};

const en = {
  label: 'Repeat',
  choices: {
    none: 'Once',
    daily: 'Every day',
    workdays: 'Monday to Friday',
    weekly: 'Every week on …',
    monthly: 'Every month',
    other: 'As it is',
  },
  days: 'On',
  untilLabel: 'Until (optional)',
  untilEarly: 'This is before the first day.',
  needsDay: 'What comes again needs a first day.',
  stop: 'Repeat no more',
  stopped: 'It does not come again',
  comesAgain: 'When it is done, or its time has come, the next one is made.',
  weekdays: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
  short: ['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'],
  list: (names: string[]): string =>
    names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`,
  daily: (n: number): string => (n === 1 ? 'every day' : `every ${n} days`),
  workdays: 'Monday to Friday',
  weekly: (n: number, days: string): string =>
    n === 1 ? `every ${days || 'week'}` : `every ${n} weeks${days ? ` on ${days}` : ''}`,
  monthDay: (n: number): string => (n === -1 ? 'last day' : n < 0 ? `${ordinal(-n)} last day` : ordinal(n)),
  placed: (place: number, day: string): string =>
    place === 0
      ? `every ${day}`
      : place < 0
        ? place === -1
          ? `last ${day}`
          : `${ordinal(-place)} last ${day}`
        : `${ordinal(place)} ${day}`,
  monthly: (n: number, days: string): string =>
    `${n === 1 ? 'every month' : `every ${n} months`}${days ? ` on the ${days}` : ''}`,
  yearly: (n: number): string => (n === 1 ? 'every year' : `every ${n} years`),
  until: (said: string, day: string): string => `${said} until ${day}`,
  times: (said: string, n: number): string => `${said}, ${n} times`,
};

export type RepeatWords = typeof en;

const zh: RepeatWords = {
  label: '重复',
  choices: {
    none: '不重复',
    daily: '每天',
    workdays: '周一至周五',
    weekly: '每周 …',
    monthly: '每月',
    other: '保持不变',
  },
  days: '星期',
  untilLabel: '截止（可不填）',
  untilEarly: '早于第一次的日期。',
  needsDay: '要重复，请先选择第一次的日期。',
  stop: '不再重复',
  stopped: '以后不再重复',
  comesAgain: '完成后或到时间时，会生成下一项。',
  weekdays: ['周一', '周二', '周三', '周四', '周五', '周六', '周日'],
  short: ['一', '二', '三', '四', '五', '六', '日'],
  list: (names) => names.join('、'),
  daily: (n) => (n === 1 ? '每天' : `每 ${n} 天`),
  workdays: '周一至周五',
  weekly: (n, days) => (n === 1 ? (days ? `每${days}` : '每周') : `每 ${n} 周${days ? `的${days}` : ''}`),
  monthDay: (n) => (n === -1 ? '最后一天' : n < 0 ? `倒数第 ${-n} 天` : `${n} 日`),
  placed: (place, day) =>
    place === 0
      ? `每个${day}`
      : place < 0
        ? place === -1
          ? `最后一个${day}`
          : `倒数第 ${-place} 个${day}`
        : `第 ${place} 个${day}`,
  monthly: (n, days) => `${n === 1 ? '每月' : `每 ${n} 个月`}${days ? ` ${days}` : ''}`,
  yearly: (n) => (n === 1 ? '每年' : `每 ${n} 年`),
  until: (said, day) => `${said}，至 ${day}`,
  times: (said, n) => `${said}，共 ${n} 次`,
};

export const repeatWords = { en, zh };
