/** What the page says where there is no conversation. */
export function Message({ title, testId, children }: { title: string; testId: string; children?: React.ReactNode }) {
  return (
    <main className="message" data-testid={testId}>
      <h1>{title}</h1>
      {children}
    </main>
  );
}
