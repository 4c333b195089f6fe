/** The words of places, quadrants and honours. */
const en = {
  leaderboard: 'Leaderboard of the team',
  shown: 'What reps see of places in their team',
  choices: {
    off: 'Nothing',
    own: 'Their own rank',
    all: 'Names, ranks and totals of all',
  } as Record<string, string>,
  shownNote: 'Readings and records of colleagues stay hidden in any case.',
  notKept: 'This could not be kept on this device.',
  you: 'you',
  rank: 'Rank',
  person: 'Person',
  total: 'Total',
  quadrants: 'Result and quality',
  quadrant: {
    strong: 'Result and quality',
    result_without_quality: 'Result, quality to gain',
    quality_without_result: 'Quality, result to gain',
    needs_help: 'Needs help with both',
  } as Record<string, string>,
  result: 'Result',
  quality: 'Quality',
  stands: (name: string, result: string, quality: string) => `${name}: result ${result}, quality ${quality}`,
  drawing: (n: number) =>
    `A square of result against quality with ${n} ${n === 1 ? 'person' : 'people'} in it; the list says who stands where.`,
  bound: 'The lines are at 80, where grade A begins. Somewhere to begin a talk, no judgement of anybody.',
  unplaced: (n: number) =>
    n === 1 ? '1 person is not measured on both sides.' : `${n} people are not measured on both sides.`,
  nobody: 'nobody',
  honours: 'Honours',
  honoursOf: (month: string) => `Honours of ${month}`,
  honour: {
    process_star: 'Process star',
    service_star: 'Customer-service star',
    fastest_progress: 'Fastest progress',
    best_newcomer: 'Best newcomer',
  } as Record<string, string>,
  comma: ', ',
};

export type PlaceWords = typeof en;

const zh: PlaceWords = {
  leaderboard: '团队排名',
  shown: '成员能看到的团队名次',
  choices: { off: '不显示', own: '仅自己的名次', all: '全队的姓名、名次与总分' },
  shownNote: '同事的各项指标和记录始终不显示。',
  notKept: '未能保存在本机。',
  you: '我',
  rank: '名次',
  person: '成员',
  total: '总分',
  quadrants: '结果与质量',
  quadrant: {
    strong: '结果与质量俱佳',
    result_without_quality: '有结果，质量待提高',
    quality_without_result: '有质量，结果待提高',
    needs_help: '两方面都需要帮助',
  },
  result: '结果',
  quality: '质量',
  stands: (name, result, quality) => `${name}：结果 ${result}，质量 ${quality}`,
  drawing: (n) => `结果与质量的四象限图，共 ${n} 人；各人所在象限见下方列表。`,
  bound: '分界线在 80 分，即 A 级起点。可作为面谈的开端，不是对谁的评判。',
  unplaced: (n) => `${n} 人未同时衡量两方面。`,
  nobody: '无',
  honours: '荣誉',
  honoursOf: (month) => `${month}的荣誉`,
  honour: {
    process_star: '过程之星',
    service_star: '客户服务之星',
    fastest_progress: '进步最快',
    best_newcomer: '最佳新人',
  },
  comma: '、',
};

export const placeWords = { en, zh };
