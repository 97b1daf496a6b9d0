import { useSyncExternalStore } from "react";

/**
 * Keeps `--app-height` at the height that is really seen, so that the composer stands above a phone's keyboard also
 * where the keyboard covers the page instead of shrinking it.
 */
export function followViewport() {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const follow = () => {
    // Zoomed in by two fingers: the page keeps its size.
    if (viewport.scale > 1.01) return;
    document.documentElement.style.setProperty("--app-height", `${viewport.height}px`);
    window.scrollTo(0, 0);
  };
  viewport.addEventListener("resize", follow);
  follow();
}

export function useMediaQuery(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => window.matchMedia(query).matches,
  );
}

/** List and room are screens of their own. The style sheets use the same width. */
export const PHONE = "(max-width: 760px)";
/** Too narrow for three columns: the internals lie over the room. */
export const TWO_COLUMNS = "(max-width: 1119px)";
