import { type ReactNode, useEffect, useId, useRef } from "react";
import { Icon } from "./Icon";

/**
 * The browser's own modal dialog: it keeps the focus inside, makes the rest inert, closes on Esc and gives the focus
 * back. Mounted while it is open. The focus begins at what is marked `data-first`, else at the close button.
 */
export function Dialog({
  title,
  onClose,
  side = false,
  children,
}: {
  title: string;
  onClose: () => void;
  /** At the right edge, in full height. */
  side?: boolean;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  useEffect(() => {
    const dialog = ref.current;
    if (!dialog || dialog.open) return;
    dialog.showModal();
    dialog.querySelector<HTMLElement>("[data-first]")?.focus();
  }, []);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Esc is the keyboard's way, and the browser's own
    <dialog
      ref={ref}
      className={side ? "dialog side" : "dialog"}
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === ref.current) ref.current?.close();
      }}
    >
      <div className="dialog-box">
        <header className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <button
            type="button"
            className="icon-button"
            aria-label="Close"
            onClick={() => ref.current?.close()}
          >
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
