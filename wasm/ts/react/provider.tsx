import { type ReactNode, useEffect, useState, useSyncExternalStore } from "react";
import type { InitSource } from "../init.js";
import type { Client, ClientOptions } from "../types.js";
import { EnfiladeContext } from "./context.js";
import { HeldClient } from "./holder.js";

/** What an {@link EnfiladeProvider} is given: a client that somebody else owns, or the options for one of its own. */
export type EnfiladeProviderProps = { readonly children?: ReactNode } & (
  | {
      /** A client that the app made, connects and disposes of. */
      readonly client: Client;
    }
  | {
      /**
       * Loads the WASM, makes a client and connects it while the provider is mounted. Read once: give the provider
       * another `key` to begin anew, for another user for example.
       */
      readonly options: ClientOptions;
      /** What to load instead of the file beside the package; see `init`. */
      readonly wasm?: InitSource;
      /** Shown until there is a client, and by a server. */
      readonly fallback?: ReactNode;
    }
);

/** Gives a client to the hooks below it. What makes a client impossible is thrown to the nearest error boundary. */
export function EnfiladeProvider(props: EnfiladeProviderProps): ReactNode {
  if ("client" in props)
    return <EnfiladeContext.Provider value={props.client}>{props.children}</EnfiladeContext.Provider>;
  return <OwnClient {...props} />;
}

function OwnClient({
  options,
  wasm,
  fallback,
  children,
}: Extract<EnfiladeProviderProps, { options: ClientOptions }>): ReactNode {
  const [holder] = useState(() => new HeldClient(options, wasm));
  const { client, error } = useSyncExternalStore(
    holder.subscribe,
    holder.getSnapshot,
    holder.getServerSnapshot,
  );
  useEffect(() => holder.hold(), [holder]);
  if (error) throw error;
  if (!client) return fallback ?? null;
  return <EnfiladeContext.Provider value={client}>{children}</EnfiladeContext.Provider>;
}
