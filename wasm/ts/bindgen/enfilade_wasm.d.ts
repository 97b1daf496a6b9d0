// Stands for the built glue, which is beside the compiled TypeScript.
import type { Core, MakeCore } from "../core.js";

export const EnfiladeCore: new (...args: Parameters<MakeCore>) => Core;

/** Compiles and starts the WASM. */
export default function start(input: {
  module_or_path: Response | BufferSource | WebAssembly.Module | Promise<Response>;
}): Promise<unknown>;
