import { identity, NAME } from './labels.ts';
import type { CatalogueChange, Labels } from './wire.ts';

/** The series that the server has of those that it was asked for. */
export class Catalogue {
  readonly #series = new Map<string, Labels>();

  /** The names of their metrics. */
  get names(): ReadonlySet<string> {
    return new Set([...this.#series.values()].map(labels => labels[NAME] ?? ''));
  }

  /** The answer to a question: these, and no others. */
  replace(series: readonly Labels[]): void {
    this.#series.clear();
    this.change({ added: series, gone: [] });
  }

  change({ added, gone }: CatalogueChange): void {
    for (const labels of gone) this.#series.delete(identity(labels));
    for (const labels of added) this.#series.set(identity(labels), labels);
  }
}
