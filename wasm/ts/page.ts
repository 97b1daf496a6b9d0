/** What the core is told of network and page; the numbers of `EnfiladeCore.network`. */
const ONLINE = 0;
const OFFLINE = 1;
const FOREGROUND = 2;
const BACKGROUND = 3;

/**
 * Tells what happens to the network and the page, where there is one. `leaving` is called when this may be the last
 * moment in which anything runs.
 *
 * @returns a function that ends it.
 */
export function watchPage(tell: (what: number) => void, leaving: () => void): () => void {
  if (typeof window === "undefined" || typeof document === "undefined") return () => {};
  const shown = () => tell(document.visibilityState === "hidden" ? BACKGROUND : FOREGROUND);
  const listeners: readonly (readonly [EventTarget, string, () => void])[] = [
    [window, "online", () => tell(ONLINE)],
    [window, "offline", () => tell(OFFLINE)],
    [window, "pageshow", shown],
    [window, "pagehide", leaving],
    [document, "visibilitychange", shown],
  ];
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  if (navigator.onLine === false) tell(OFFLINE);
  if (document.visibilityState === "hidden") tell(BACKGROUND);
  return () => {
    for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
  };
}
