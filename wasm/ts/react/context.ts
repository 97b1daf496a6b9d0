import { createContext, useContext } from "react";
import type { Client } from "../types.js";

/** Holds the client that the nearest provider gives. */
export const EnfiladeContext = createContext<Client | null>(null);

/** The client of the nearest `EnfiladeProvider`. Throws where there is none. */
export function useEnfilade(): Client {
  const client = useContext(EnfiladeContext);
  if (!client) throw new Error("Enfilade's hooks need an <EnfiladeProvider> above them.");
  return client;
}
