import { useState } from "react";

type Props = { value: string; label: string; testId: string; disabled: boolean; className?: string; onEdit: (text: string) => void };

/** While focused it shows what is typed, so that a state update arriving meanwhile does not move the caret. */
export function EditableText({ value, label, testId, disabled, className, onEdit }: Props) {
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      type="text"
      className={`editable ${className ?? ""}`}
      aria-label={label}
      data-testid={testId}
      value={typed ?? value}
      disabled={disabled}
      onFocus={() => setTyped(value)}
      onBlur={() => setTyped(null)}
      onChange={(event) => {
        setTyped(event.target.value);
        onEdit(event.target.value);
      }}
    />
  );
}
