/** The words of customers who change hands. */
const s = (n: number) => (n === 1 ? '' : 's');

const en = {
  owner: 'Owner',
  nobody: 'Nobody',
  give: 'Give to somebody else',
  giveTitle: (name: string) => `Give ${name} to`,
  to: 'To',
  choosePerson: 'Choose a person',
  needPerson: 'Choose a person.',
  needSome: 'Choose at least one customer.',
  alongOne:
    'Visits planned there and open follow-ups go along. What is unsent on the old owner’s phone is still taken.',
  giveOne: 'Give it',
  many: 'Give customers to somebody else',
  manyTitle: 'Give customers',
  manyOf: (name: string) => `More of ${name}’s customers`,
  from: 'From',
  all: 'All',
  none: 'None',
  chosen: (n: number, of: number) => `${n} of ${of} chosen`,
  giveMany: (n: number) => `Give ${n} customer${s(n)}`,
  moved: (n: number, visits: number, followUps: number) =>
    [
      `${n} customer${s(n)} given`,
      visits ? `${visits} planned visit${s(visits)}` : '',
      followUps ? `${followUps} follow-up${s(followUps)}` : '',
    ]
      .filter(Boolean)
      .join(', '),
  refused: (n: number) => `${n} could not be given; they stay where they are.`,
  offline: 'No connection to the server. Nothing has changed; try again when there is signal.',
  failed: (code: string) => `The server answered ${code}. What has not moved stays where it is.`,
  noCustomers: 'This person owns no customers.',
  nobodyElse: 'There is nobody else to give them to.',
  merged: 'This customer was merged into another one.',
  openMerged: 'Open it',
};

export type TerritoryWords = typeof en;

const zh: TerritoryWords = {
  owner: '负责人',
  nobody: '无',
  give: '转交他人',
  giveTitle: (name) => `转交${name}`,
  to: '转给',
  choosePerson: '请选择人员',
  needPerson: '请选择人员。',
  needSome: '请至少选择一位客户。',
  alongOne: '在该客户的计划拜访和未完成的跟进会一并转交。原负责人手机上未上传的内容仍会接收。',
  giveOne: '转交',
  many: '批量转交客户',
  manyTitle: '转交客户',
  manyOf: (name) => `${name}的更多客户`,
  from: '从',
  all: '全选',
  none: '全不选',
  chosen: (n, of) => `已选 ${n} / ${of}`,
  giveMany: (n) => `转交 ${n} 位客户`,
  moved: (n, visits, followUps) =>
    [`已转交 ${n} 位客户`, visits ? `${visits} 次计划拜访` : '', followUps ? `${followUps} 项跟进` : '']
      .filter(Boolean)
      .join('，'),
  refused: (n) => `${n} 位未能转交，保持不变。`,
  offline: '无法连接服务器。没有任何改动，有网络时再试。',
  failed: (code) => `服务器返回 ${code}。未转交的保持不变。`,
  noCustomers: '此人没有负责的客户。',
  nobodyElse: '没有可转交的人员。',
  merged: '该客户已并入另一位客户。',
  openMerged: '打开',
};

export const territoryWords = { en, zh };
