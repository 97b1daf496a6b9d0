import type { UseRoom } from "enfilade/react";
import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { Avatar } from "../ui/Avatar";
import { Icon } from "../ui/Icon";
import { findMentions, matchingPeople, mentionBeingTyped, type Person } from "./people";
import type { Refusal } from "./RoomScreen";

/** As the server counts them. */
const TEXT_CHARS = 4_000;
/** From here on it says how much is left. */
const WARN_BELOW = 300;
/** Names offered at once. */
const OFFERED = 6;
/** The server takes no more. */
const MENTIONS = 50;

/** Where one writes. The draft belongs to the room, and waits there while one is elsewhere. */
export function Composer({
  room,
  people,
  me,
  refusals,
  onDismiss,
  onRefused,
}: {
  room: UseRoom;
  people: readonly Person[];
  me: string;
  refusals: readonly Refusal[];
  onDismiss: (key: string) => void;
  onRefused: (error: unknown, text?: string) => void;
}) {
  const { draft, setDraft, post, join, joined } = room;
  const [text, setText] = useDraft(draft, setDraft);
  const [caret, setCaret] = useState(0);
  const [chosen, setChosen] = useState(0);
  const [closed, setClosed] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const asked = useRef(false);
  const listId = useId();
  const hintId = useId();

  useGrowing(field, text);

  const others = people.filter(({ id }) => id !== me);
  const typed = closed ? null : mentionBeingTyped(text, caret);
  const offered = typed ? matchingPeople(others, typed.query, OFFERED) : [];
  const pick = Math.min(chosen, offered.length - 1);
  const left = TEXT_CHARS - [...text.trim()].length;
  const ready = text.trim() !== "" && left >= 0;

  const write = (next: string, at: number) => {
    setText(next);
    setCaret(at);
    setChosen(0);
    setClosed(false);
  };

  const send = () => {
    if (!ready) return;
    const body = text.trim();
    const mentions = [...new Set(findMentions(body, others).map(({ id }) => id))].slice(0, MENTIONS);
    try {
      // Once: what is sent before the answer waits behind the same join.
      if (!joined && !asked.current) join();
      asked.current = !joined;
      post(body, { mentions });
      write("", 0);
    } catch (error) {
      onRefused(error);
    }
    field.current?.focus();
  };

  const take = (person: Person) => {
    if (!typed) return;
    const before = `${text.slice(0, typed.start)}@${person.name} `;
    write(before + text.slice(caret), before.length);
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(before.length, before.length);
    });
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // An input method that is composing a character owns the Enter key.
    if (event.nativeEvent.isComposing) return;
    const person = offered[pick];
    if (person) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const by = event.key === "ArrowDown" ? 1 : -1;
        setChosen((pick + by + offered.length) % offered.length);
        return;
      }
      // A name that stands there whole needs no more taking; Enter means the message.
      const whole = person.name.toLowerCase() === typed?.query.toLowerCase();
      if ((event.key === "Enter" && !event.shiftKey && !whole) || event.key === "Tab") {
        event.preventDefault();
        take(person);
        return;
      }
      if (event.key === "Escape") {
        event.preventDefault();
        setClosed(true);
        return;
      }
    }
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      send();
    }
  };

  return (
    <div className="composer-frame">
      {refusals.map((refusal) => (
        <RefusalNote
          key={refusal.key}
          refusal={refusal}
          onDismiss={onDismiss}
          onEdit={(again) => {
            const next = text.trim() === "" ? again : `${again}\n${text}`;
            write(next, next.length);
            onDismiss(refusal.key);
            field.current?.focus();
          }}
        />
      ))}
      {offered.length > 0 && (
        <div className="mention-list" id={listId} role="listbox" aria-label="People">
          {offered.map((person, at) => (
            // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field, as its active descendant
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field handles the keys
            <div
              key={person.id}
              id={`${listId}-${at}`}
              role="option"
              aria-selected={at === pick}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(person)}
            >
              <Avatar user={person.id} name={person.name} size="s" />
              <span>{person.name}</span>
              {person.here && <span className="aside">here</span>}
            </div>
          ))}
        </div>
      )}
      <form
        className="composer"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <label className="visually-hidden" htmlFor="composer">
          Message {room.info?.name ?? ""}
        </label>
        <textarea
          id="composer"
          ref={field}
          rows={1}
          value={text}
          placeholder={joined ? `Message ${room.info?.name ?? ""}` : "Say something"}
          enterKeyHint="send"
          aria-describedby={hintId}
          aria-invalid={left < 0}
          aria-autocomplete="list"
          aria-controls={offered.length > 0 ? listId : undefined}
          aria-activedescendant={offered.length > 0 ? `${listId}-${pick}` : undefined}
          onChange={(event) => write(event.target.value, event.target.selectionStart)}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
          onBlur={() => setClosed(true)}
          onKeyDown={onKeyDown}
        />
        <button type="submit" className={joined ? "send" : "send joins"} disabled={!ready}>
          <span className={joined ? "visually-hidden" : undefined}>{joined ? "Send" : "Join and send"}</span>
          <Icon name="send" />
        </button>
      </form>
      <p id={hintId} className="composer-hint">
        {left < WARN_BELOW ? (
          <span className={left < 0 ? "left bad" : "left"} role="status">
            {left < 0 ? `${-left} characters too many` : `${left} characters left`}
          </span>
        ) : joined ? (
          <span className="keys">
            <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> makes a new line, <kbd>@</kbd> mentions
          </span>
        ) : (
          "You are reading as a visitor. Your first message joins the room."
        )}
      </p>
    </div>
  );
}

function RefusalNote({
  refusal,
  onDismiss,
  onEdit,
}: {
  refusal: Refusal;
  onDismiss: (key: string) => void;
  onEdit: (text: string) => void;
}) {
  const { key, error, text } = refusal;
  return (
    <div className="refusal" role="alert">
      <Icon name="warning" />
      <div>
        <p>
          <strong>{text === undefined ? "That was refused." : "Not sent."}</strong> {error.message}{" "}
          <code className="code">
            {error.code} {error.codeName}
          </code>
        </p>
        {text !== undefined && <p className="excerpt">{text}</p>}
      </div>
      {text !== undefined && (
        <button type="button" className="button small" onClick={() => onEdit(text)}>
          Edit again
        </button>
      )}
      <button type="button" className="icon-button small" aria-label="Dismiss" onClick={() => onDismiss(key)}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Typing is local; the room remembers it. A draft that is restored after the first paint is taken while nothing was typed. */
function useDraft(draft: string, setDraft: (text: string) => void): [string, (text: string) => void] {
  const [text, setText] = useState(draft);
  const touched = useRef(false);
  useEffect(() => {
    if (!touched.current) setText(draft);
  }, [draft]);
  return [
    text,
    (next) => {
      touched.current = true;
      setText(next);
      setDraft(next);
    },
  ];
}

function useGrowing(field: React.RefObject<HTMLTextAreaElement | null>, text: string) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height depends on the text
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [field, text]);
}
