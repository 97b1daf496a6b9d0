import type { Core } from "./core.js";
import { NONE } from "./empty.js";
import { share } from "./store.js";
import type { RoomRow } from "./types.js";

/** The list of rooms: rows that have changed are pulled, the others stay the objects that they are. */
export class RoomList {
  #rows = new Map<string, RoomRow>();
  #list: readonly RoomRow[] = NONE;
  /** Rooms whose rows are out of date. */
  #changed = new Set<string>();

  changed(ids: readonly string[]): void {
    for (const id of ids) this.#changed.add(id);
  }

  /** The list as it is now; the same array when nothing in it has changed. */
  pull(core: Core): readonly RoomRow[] {
    const order = core.room_order();
    const ids = order === "" ? NONE : order.split("\n");
    const wanted = ids.filter((id) => this.#changed.has(id) || !this.#rows.has(id));
    const rows = core.room_rows(wanted);
    for (const [index, id] of wanted.entries()) {
      const row = rows[index];
      if (row) this.#rows.set(id, share(this.#rows.get(id), row) ?? row);
    }
    this.#changed.clear();
    const next = ids.flatMap((id) => this.#rows.get(id) ?? NONE);
    if (next.length !== this.#list.length) this.#rows = new Map(next.map((row) => [row.id, row]));
    const same = next.length === this.#list.length && next.every((row, index) => row === this.#list[index]);
    if (!same) this.#list = next;
    return this.#list;
  }
}
