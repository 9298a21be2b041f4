export interface ChoiceProps<T extends string | number> {
  /** Unique on the page. */
  readonly name: string;
  /** What is chosen, for screen readers. */
  readonly label: string;
  /** `icon`: the path of a picture, 16 by 16, that stands for the label. */
  readonly options: readonly { readonly value: T; readonly label: string; readonly icon?: string }[];
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
          <span title={option.icon && option.label}>
            {option.icon && (
              <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <path d={option.icon} />
              </svg>
            )}
            <span class={option.icon && 'unseen'}>{option.label}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
