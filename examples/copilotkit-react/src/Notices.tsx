import type { Notice } from "./notices";

/** Lies over the top of the conversation, so that nothing moves when it comes or goes. */
export function Notices({ notices, onClose }: { notices: Notice[]; onClose: () => void }) {
  if (notices.length === 0) return null;
  return (
    <div className="notices" role="alert" data-testid="notices">
      <ul>
        {notices.map((notice) => (
          <li key={notice.text} data-testid="notice" data-code={notice.code}>
            {notice.text}
          </li>
        ))}
      </ul>
      <button type="button" className="icon-button" aria-label="Close" data-testid="close-notices" onClick={onClose}>
        ×
      </button>
    </div>
  );
}
