/** Lines for a shell that write numbers to the server whose page is at `base`, by curl and by push. */
export function writingLines(base: string): string[] {
  const server = new URL('.', base).href;
  return [
    `curl -d 42 ${server}api/v1/push/my_number`,
    `some-program | stripchart push my_number --to ${server}`,
  ];
}
