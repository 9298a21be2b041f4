import { expect, test } from 'vitest';
import { writingLines } from './writing.ts';

test.each([
  ['http://127.0.0.1:5000/', 'http://127.0.0.1:5000/'],
  ['http://127.0.0.1:5000/?window=15m#x', 'http://127.0.0.1:5000/'],
  ['https://lab.example/sub/', 'https://lab.example/sub/'],
])('the lines for numbers of one’s own name the server of the page %s', (page, server) => {
  expect(writingLines(page)).toEqual([
    `curl -d 42 ${server}api/v1/push/my_number`,
    `some-program | stripchart push my_number --to ${server}`,
  ]);
});
