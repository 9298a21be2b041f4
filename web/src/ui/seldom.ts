/** What is seldom needed: it is no part of what opening the page costs, and comes once the page has all it needs itself. */
export { CardSheet } from './CardSheet.tsx';
export { CommandBar } from './CommandBar.tsx';
export { DataTable } from './DataTable.tsx';
export { Keys } from './Keys.tsx';
