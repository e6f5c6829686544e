/** Cuts this tab off, as a train in a tunnel would, and lets it back. */
import { useStateClient } from "coagent-runtime/react";
import { useState } from "react";

export function OfflineSwitch() {
  const client = useStateClient();
  const [offline, setOffline] = useState(false);
  const change = (next: boolean) => {
    setOffline(next);
    client?.setOnline(!next);
  };
  return (
    <label className="switch">
      <input type="checkbox" role="switch" checked={offline} data-testid="offline" onChange={({ target }) => change(target.checked)} />
      <i aria-hidden="true" />
      <span>Work offline</span>
    </label>
  );
}
