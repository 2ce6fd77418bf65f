/** What stands where content will be. */
export function Skeleton() {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      <div />
      <div />
      <div />
    </div>
  );
}
