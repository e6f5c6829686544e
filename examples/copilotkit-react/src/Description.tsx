import { useLayoutEffect, useRef, useState } from "react";

/** What an agent does, in a few lines; all of it for who asks. */
export function Description({ text }: { text: string }) {
  const shown = useRef<HTMLParagraphElement>(null);
  const [isCut, setCut] = useState(false);
  const [isWhole, setWhole] = useState(false);
  useLayoutEffect(() => {
    const node = shown.current;
    if (!node || isWhole) return;
    const look = new ResizeObserver(() => setCut(node.scrollHeight > node.clientHeight));
    look.observe(node);
    return () => look.disconnect();
  }, [text, isWhole]);
  return (
    <>
      <p ref={shown} className={isWhole ? "description whole" : "description"} data-testid="description" tabIndex={isWhole ? 0 : undefined}>
        {text}
      </p>
      {isCut && (
        <button type="button" className="button plain" data-testid="more" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? "Show less" : "Show all"}
        </button>
      )}
    </>
  );
}
