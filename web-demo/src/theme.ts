import { createStore, kept } from "./store";

export type Theme = "system" | "light" | "dark";

const store = createStore<Theme>(parse(kept.read("theme")));

/** The chosen theme; `system` follows the device. */
export const theme = {
  subscribe: store.subscribe,
  getSnapshot: store.getSnapshot,
  choose: (next: Theme) => {
    store.set(next);
    kept.write("theme", next === "system" ? null : next);
    theme.apply();
  },
  apply: () => {
    const chosen = store.getSnapshot();
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  },
};

function parse(value: string | null): Theme {
  return value === "light" || value === "dark" ? value : "system";
}
