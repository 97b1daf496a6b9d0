import { createContext, useContext } from "react";

/** What somebody may do with a message, and how. */
export interface MessageCommands {
  /** Whether one may edit, delete and pin what others wrote. */
  moderates: boolean;
  /** Whether one has joined: who only visits reacts to nothing. */
  joined: boolean;
  edit: (id: string, text: string, mentions: readonly string[]) => void;
  remove: (id: string) => void;
  react: (id: string, reaction: string, on: boolean) => void;
  pin: (id: string, on: boolean) => void;
}

const none = () => {};

export const Commands = createContext<MessageCommands>({
  moderates: false,
  joined: false,
  edit: none,
  remove: none,
  react: none,
  pin: none,
});

export function useCommands(): MessageCommands {
  return useContext(Commands);
}
