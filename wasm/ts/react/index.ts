/**
 * Enfilade for React: a provider, and hooks that re-render by what has changed alone.
 *
 * @packageDocumentation
 */
export { useEnfilade } from "./context.js";
export {
  type UseRoom,
  type UseRoomOptions,
  useConnection,
  useNotifications,
  useRoom,
  useRooms,
} from "./hooks.js";
export { EnfiladeProvider, type EnfiladeProviderProps } from "./provider.js";
