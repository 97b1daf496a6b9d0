import type { MessageRow } from "enfilade";
import { useEffect, useRef, useState } from "react";
import { useCommands } from "./commands";

/** What is offered at once; whoever wants another writes it. */
const OFFERED = ["👍", "❤️", "😄", "🎉"];

/** The buttons of a message: there when it is pointed at, or when the keyboard is in it. */
export function MessageActions({ message, onEdit }: { message: MessageRow; onEdit: () => void }) {
  const { moderates, joined, remove, react, pin } = useCommands();
  const [asking, setAsking] = useState(false);
  const { id, mine, reactions, pinned, text } = message;
  if (!joined) return null;
  const given = (reaction: string) => reactions.some((one) => one.reaction === reaction && one.mine);
  const what = text.slice(0, 40);
  return (
    <fieldset className="message-actions" onBlur={() => setAsking(false)}>
      <legend className="visually-hidden">Message “{what}”</legend>
      {OFFERED.map((reaction) => (
        <button
          key={reaction}
          type="button"
          className="emoji-button"
          aria-pressed={given(reaction)}
          aria-label={`React with ${reaction}`}
          onClick={() => react(id, reaction, !given(reaction))}
        >
          {reaction}
        </button>
      ))}
      {(mine || moderates) && (
        <button type="button" className="link-button" onClick={onEdit}>
          Edit
        </button>
      )}
      {moderates && (
        <button type="button" className="link-button" onClick={() => pin(id, !pinned)}>
          {pinned ? "Unpin" : "Pin"}
        </button>
      )}
      {(mine || moderates) && (
        <button
          type="button"
          className={asking ? "link-button danger" : "link-button"}
          onClick={() => (asking ? remove(id) : setAsking(true))}
        >
          {asking ? "Really delete?" : "Delete"}
        </button>
      )}
    </fieldset>
  );
}

/** The reactions below a message; one's own are taken back by pressing them again. */
export function Reactions({ message }: { message: MessageRow }) {
  const { joined, react } = useCommands();
  if (message.reactions.length === 0) return null;
  return (
    <ul className="reactions" aria-label="Reactions">
      {message.reactions.map(({ reaction, users, mine }) => (
        <li key={reaction}>
          <button
            type="button"
            className="reaction"
            aria-pressed={mine}
            disabled={!joined}
            aria-label={`${reaction}: ${users.length}${mine ? ", yours among them" : ""}`}
            onClick={() => react(message.id, reaction, !mine)}
          >
            {reaction} <span>{users.length}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** A message that is being written anew: Enter saves, Escape leaves it as it was. */
export function MessageEditor({ message, onDone }: { message: MessageRow; onDone: () => void }) {
  const { edit } = useCommands();
  const [text, setText] = useState(message.text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(message.text.length, message.text.length);
  }, [message.text.length]);
  const save = () => {
    if (text.trim() && text !== message.text) edit(message.id, text, message.mentions);
    onDone();
  };
  return (
    <form
      className="message-editor"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <textarea
        ref={field}
        aria-label="Edit message"
        rows={Math.min(6, text.split("\n").length + 1)}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.nativeEvent.isComposing) return;
          if (event.key === "Enter" && !event.shiftKey) {
            event.preventDefault();
            save();
          } else if (event.key === "Escape") {
            event.stopPropagation();
            onDone();
          }
        }}
      />
      <p className="message-editor-buttons">
        <button type="submit" className="link-button">
          Save
        </button>
        <button type="button" className="link-button" onClick={onDone}>
          Cancel
        </button>
      </p>
    </form>
  );
}
