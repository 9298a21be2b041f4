import { expect, test } from 'vitest';
import { metricsOf, near, search, textsOf } from './search.ts';

const SERIES = [
  { __name__: 'room_celsius', room: 'lab' },
  { __name__: 'room_celsius', room: 'cellar' },
  { __name__: 'train_loss', run: 'celsius-7' },
  { __name__: 'disk_room_bytes', host: 'web1' },
];
const find = (question: string) =>
  search(SERIES, question, textsOf, 10).map(l => `${l.__name__} ${Object.values(l)[1]}`);

test('names, labels and values are searched, and the best match comes first', () => {
  expect(find('room')).toEqual(['room_celsius lab', 'room_celsius cellar', 'disk_room_bytes web1']);
  expect(find('room cellar')).toEqual(['room_celsius cellar']);
  expect(find('CELSIUS')[0]).toBe('train_loss celsius-7');
  expect(find('host=web1')).toEqual(['disk_room_bytes web1']);
  expect(find('rmcls')).toEqual(['room_celsius lab', 'room_celsius cellar']);
  expect(find('room nothing')).toEqual([]);
  expect(find('')).toHaveLength(4);
});

test('a catalogue by metrics keeps its order', () => {
  expect(metricsOf(SERIES).map(({ name, series }) => [name, series.length])).toEqual([
    ['room_celsius', 2],
    ['train_loss', 1],
    ['disk_room_bytes', 1],
  ]);
});

test('a name with a slip of the pen is near the right one', () => {
  const names = ['room_celsius', 'room_humidity', 'load1', 'load15', 'train_loss'];
  expect(near('rom_celsus', names)).toEqual(['room_celsius']);
  expect(near('room', names)).toEqual(['room_celsius', 'room_humidity']);
  expect(near('load2', names)).toEqual(['load1', 'load15']);
  expect(near('quite_another', names)).toEqual([]);
});
