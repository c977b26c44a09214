// A few choices side by side, of which one holds.
import { useId } from "preact/hooks";

interface Props<Value extends string> {
  label: string;
  options: readonly { value: Value; title: string; hint?: string }[];
  value: Value;
  onChange: (value: Value) => void;
}

export function Segmented<Value extends string>({ label, options, value, onChange }: Props<Value>) {
  const name = useId();
  return (
    <fieldset class="segmented" role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label title={option.hint} class={option.value === value ? "chosen" : ""}>
          <input type="radio" name={name} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
          {option.title}
        </label>
      ))}
    </fieldset>
  );
}
