/** Whether an element has come into view: what is further down the page is read when somebody gets there. */
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

export function useSeen(of: RefObject<Element | null>): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (of.current === null || seen) return;
    const watch = new IntersectionObserver((changes) => changes.some((one) => one.isIntersecting) && setSeen(true), {
      rootMargin: "200px",
    });
    watch.observe(of.current);
    return () => watch.disconnect();
  }, [seen]);
  return seen;
}
