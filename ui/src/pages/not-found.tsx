import { Empty, Page } from "../design/page";

export function NotFound() {
  return (
    <Page title="Nothing here">
      <Empty title="There is no page at this address">
        <p>
          <a class="ref" href="/">
            The loop
          </a>{" "}
          leads everywhere.
        </p>
      </Empty>
    </Page>
  );
}
