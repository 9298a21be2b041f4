export interface ChoiceProps<T extends string | number> {
  /** Unique on the page. */
  readonly name: string;
  /** What is chosen, for screen readers. */
  readonly label: string;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly chosen: T;
  readonly choose: (value: T) => void;
}

/** One of a few: a row of radio buttons, so that arrow keys and screen readers work as everywhere. */
export function Choice<T extends string | number>({ name, label, options, chosen, choose }: ChoiceProps<T>) {
  return (
    <fieldset class={`choice ${name}`}>
      <legend class="unseen">{label}</legend>
      {options.map(option => (
        <label key={option.value}>
          <input
            type="radio"
            name={name}
            checked={option.value === chosen}
            onChange={() => choose(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
