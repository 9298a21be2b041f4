import { identity } from './labels.ts';
import type { CatalogueChange, Labels } from './wire.ts';

/** The series that the server has, in the order in which the page heard of them. */
export class Catalogue {
  readonly #series = new Map<string, Labels>();
  #list: readonly Labels[] | null = null;

  /** The same array as long as they are the same series. */
  get series(): readonly Labels[] {
    this.#list ??= [...this.#series.values()];
    return this.#list;
  }

  /** The answer to a question: these, and no others. Those that were known keep their places. */
  replace(series: readonly Labels[]): void {
    const keys = new Set(series.map(identity));
    const gone = [...this.#series].filter(([key]) => !keys.has(key)).map(([, labels]) => labels);
    this.change({ added: series, gone });
  }

  change({ added, gone }: CatalogueChange): void {
    for (const labels of gone) this.#series.delete(identity(labels));
    for (const labels of added) this.#series.set(identity(labels), labels);
    this.#list = null;
  }
}
