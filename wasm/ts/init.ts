import start from "./bindgen/enfilade_wasm.js";

/** Where the WASM may come from. */
export type InitSource = string | URL | Response | BufferSource | WebAssembly.Module;

let started: Promise<void> | undefined;
let ready = false;

/**
 * Loads the WASM. Call it once, before {@link createClient}; further calls wait for the first, and a call after a
 * failure tries again.
 *
 * @param source where to load from: the file beside this module unless given.
 */
export function init(source?: InitSource): Promise<void> {
  started ??= load(source).catch((error: unknown) => {
    started = undefined;
    throw error;
  });
  return started;
}

/** Whether `init` is done. */
export function isReady(): boolean {
  return ready;
}

async function load(source: InitSource | undefined): Promise<void> {
  // Bundlers look for exactly this expression, and put the file where it can be fetched.
  const from = source ?? new URL("./bindgen/enfilade_wasm_bg.wasm", import.meta.url);
  await start({ module_or_path: typeof from === "string" || from instanceof URL ? await open(from) : from });
  ready = true;
}

/** What can be compiled, from an address. */
export async function open(from: string | URL): Promise<Response | BufferSource> {
  const url = String(from);
  if (url.startsWith("file:")) {
    // Node can't fetch its own files. Bundlers are told to leave the import alone: it never runs in a browser.
    const module = "node:fs/promises";
    const { readFile } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ module)) as {
      readFile(url: URL): Promise<Uint8Array<ArrayBuffer>>;
    };
    return readFile(new URL(url));
  }
  const response = await fetch(from);
  if (!response.ok) throw new Error(`Enfilade's WASM can't be loaded: ${url} answered ${response.status}.`);
  return response;
}
