// A menu of things of which several may be chosen.
import { useEffect, useRef } from "preact/hooks";

interface Item {
  value: string;
  title: string;
  hint?: string;
}

interface Props {
  /** What the button says, "7 methods". */
  title: string;
  groups: readonly { title: string; items: readonly Item[] }[];
  chosen: readonly string[];
  /** The last one stays. */
  onChange: (chosen: string[]) => void;
}

export function CheckMenu({ title, groups, chosen, onChange }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const away = (event: Event) => {
      if (menu.current?.open && !menu.current.contains(event.target as Node)) menu.current.open = false;
    };
    addEventListener("pointerdown", away);
    addEventListener("focusin", away);
    return () => {
      removeEventListener("pointerdown", away);
      removeEventListener("focusin", away);
    };
  }, []);
  const escape = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !menu.current?.open) return;
    event.stopPropagation();
    menu.current.open = false;
    menu.current.querySelector("summary")?.focus();
  };
  const order = groups.flatMap((group) => group.items.map((item) => item.value));
  const toggle = (value: string, on: boolean) => {
    const next = on ? [...chosen, value] : chosen.filter((one) => one !== value);
    if (next.length) onChange(next.sort((a, b) => order.indexOf(a) - order.indexOf(b)));
  };
  return (
    <details class="checkmenu" ref={menu} onKeyDown={escape}>
      <summary>{title}</summary>
      <div class="choices">
        {groups.map((group) => (
          <fieldset>
            <legend>{group.title}</legend>
            {group.items.map((item) => {
              const on = chosen.includes(item.value);
              return (
                <label title={item.hint}>
                  <input
                    type="checkbox"
                    checked={on}
                    disabled={on && chosen.length === 1}
                    onChange={(event) => toggle(item.value, event.currentTarget.checked)}
                  />
                  {item.title}
                </label>
              );
            })}
          </fieldset>
        ))}
      </div>
    </details>
  );
}
