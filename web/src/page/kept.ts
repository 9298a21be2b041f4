/** What this browser keeps of a reader's choices. Storage may be forbidden or full: choices then last as long as the page. */

/** What is kept under `key`; null for nothing. */
export function kept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Keeps `text`, or nothing any more where it is empty. */
export function keep(key: string, text: string): void {
  try {
    if (text === '') localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {}
}
