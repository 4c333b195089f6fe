/** The words of photos. */
const en = {
  title: 'Photos',
  take: 'Take photo',
  choose: 'Choose photo',
  number: (n: number, of: number) => `Photo ${n} of ${of}`,
  working: 'Making it small',
  phone: 'On this phone',
  sending: (percent: string) => `Sending ${percent}`,
  sent: 'Sent',
  refused: 'Not taken',
  added: 'Photo saved on this phone',
  remove: 'Remove',
  removed: 'Photo removed',
  notHere: 'Not here yet',
  notHereLong: 'This photo is not on this phone. It shows when there is signal and the server has it.',
  noPhoto: 'This file is no picture that this phone can show. Nothing was added.',
  tooMany: (most: number) => `A visit may have ${most} photos. Remove one first.`,
  quota: 'No room left on this phone: the photo was not kept. Free some space, then take it again.',
  failed: 'This phone’s storage refused the photo. It was not kept.',
  about: 'Shrunk on this phone; place and camera details are taken out.',
  reasons: {
    TOO_LARGE: 'The organisation takes smaller photos only. It stays on this phone.',
    NOT_A_PHOTO: 'The server does not see a photo in it. It stays on this phone.',
    PHOTO_HAS_PLACE: 'It tells where it was taken, so the server does not take it. It stays on this phone.',
  } as Record<string, string>,
  otherReason: (code: string) => `The server answered ${code}. It stays on this phone.`,
};

export type PhotoWords = typeof en;

const zh: PhotoWords = {
  title: '照片',
  take: '拍照',
  choose: '选择照片',
  number: (n, of) => `照片 ${n}/${of}`,
  working: '正在压缩',
  phone: '仅在本机',
  sending: (percent) => `上传中 ${percent}`,
  sent: '已上传',
  refused: '未接收',
  added: '照片已存到本机',
  remove: '删除',
  removed: '照片已删除',
  notHere: '尚未上传',
  notHereLong: '这张照片不在本机。有网络且服务器已收到时即可查看。',
  noPhoto: '本机无法显示这个文件，未添加。',
  tooMany: (most) => `每次拜访最多 ${most} 张照片，请先删除一张。`,
  quota: '本机空间不足，照片未保存。腾出空间后再拍。',
  failed: '本机存储未能保存这张照片。',
  about: '已在本机压缩，并去除位置和相机信息。',
  reasons: {
    TOO_LARGE: '超出组织允许的大小，照片留在本机。',
    NOT_A_PHOTO: '服务器无法识别为照片，照片留在本机。',
    PHOTO_HAS_PLACE: '照片含有拍摄位置，服务器不接收，照片留在本机。',
  },
  otherReason: (code) => `服务器返回 ${code}。照片留在本机。`,
};

export const photoWords = { en, zh };
