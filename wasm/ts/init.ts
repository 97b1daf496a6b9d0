/** Where the WASM may come from. */
export type InitSource = string | URL | Response | BufferSource | WebAssembly.Module;

/**
 * Loads the WASM. Call it once, before {@link createClient}; further calls wait for the first, and a call after a
 * failure tries again.
 *
 * @param source where to load from: the file beside this module unless given.
 */
export async function init(source?: InitSource): Promise<void> {
  void source;
}
