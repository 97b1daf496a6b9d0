import { useRooms } from "enfilade/react";
import { useEffect, useState } from "react";
import { Internals } from "../internals/Internals";
import { NoRoom } from "../room/NoRoom";
import { RoomScreen } from "../room/RoomScreen";
import { CreateRoomDialog } from "../rooms/CreateRoomDialog";
import { grouped, Sidebar } from "../rooms/Sidebar";
import { goTo, roomHref, useRoomInAddress } from "../router";
import { kept } from "../store";
import { Dialog } from "../ui/Dialog";
import { Announcer } from "./announce";
import { ConnectionBanner } from "./ConnectionBanner";
import { focusComposer, focusRoomList, ShortcutsDialog, useShortcuts } from "./shortcuts";
import { PHONE, TWO_COLUMNS, useMediaQuery } from "./viewport";
import { YouDialog } from "./YouDialog";

type Open = "create" | "shortcuts" | "you" | null;

/** The one frame around everything: rooms at the left, a room in the middle, its internals at the right. */
export function Shell() {
  const roomId = useRoomInAddress();
  const phone = useMediaQuery(PHONE);
  const over = useMediaQuery(TWO_COLUMNS);
  const [beside, setBeside] = useState(() => kept.read("internals") !== "closed");
  const [above, setAbove] = useState(false);
  const [open, setOpen] = useState<Open>(null);
  const rooms = useRooms();

  const internalsShown = over ? above : beside;
  const toggleInternals = () => {
    if (over) {
      setAbove(!above);
    } else {
      kept.write("internals", beside ? "closed" : null);
      setBeside(!beside);
    }
  };

  useTitle(roomId);
  useShortcuts({
    internals: toggleInternals,
    create: () => setOpen("create"),
    help: () => setOpen("shortcuts"),
    step: (by) => {
      const { joined, others } = grouped(rooms.filter((row) => row.name !== ""));
      const order = [...joined, ...others];
      const at = order.findIndex((row) => row.id === roomId);
      const next = order[at === -1 ? 0 : (at + by + order.length) % order.length];
      if (next) goTo(roomHref(next.id));
    },
  });

  return (
    <div className="shell">
      <nav className="skip-links" aria-label="Skip">
        {(roomId === null || !phone) && (
          <button type="button" onClick={focusRoomList}>
            Skip to the rooms
          </button>
        )}
        {roomId !== null && (
          <button type="button" onClick={focusComposer}>
            Skip to the message field
          </button>
        )}
      </nav>
      <ConnectionBanner />
      <div className="columns">
        {(roomId === null || !phone) && (
          <Sidebar
            current={roomId}
            alone={phone}
            onCreate={() => setOpen("create")}
            onYou={() => setOpen("you")}
          />
        )}
        {roomId !== null ? (
          <RoomScreen key={roomId} id={roomId} internals={internalsShown} onInternals={toggleInternals} />
        ) : (
          !phone && <NoRoom onCreate={() => setOpen("create")} />
        )}
        {!over && beside && (
          <aside className="internals-column" aria-label="Room internals">
            <header className="internals-head">
              <h2>Room internals</h2>
            </header>
            <Internals roomId={roomId} />
          </aside>
        )}
      </div>
      {over && above && (
        <Dialog title="Room internals" side onClose={() => setAbove(false)}>
          <Internals roomId={roomId} />
        </Dialog>
      )}
      {open === "create" && <CreateRoomDialog onClose={() => setOpen(null)} />}
      {open === "shortcuts" && <ShortcutsDialog onClose={() => setOpen(null)} />}
      {open === "you" && (
        <YouDialog
          onClose={() => setOpen(null)}
          onShortcuts={() => setOpen("shortcuts")}
          onInternals={() => {
            setOpen(null);
            if (!internalsShown) toggleInternals();
          }}
        />
      )}
      <Announcer />
    </div>
  );
}

function useTitle(roomId: string | null) {
  const rooms = useRooms();
  const unread = rooms.reduce((sum, row) => sum + (row.following ? row.unread : 0), 0);
  const name = rooms.find((row) => row.id === roomId)?.name;
  useEffect(() => {
    const count = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : "";
    document.title = `${count}${name ? `${name} – ` : ""}Enfilade`;
  }, [unread, name]);
}
