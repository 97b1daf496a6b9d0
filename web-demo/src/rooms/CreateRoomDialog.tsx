import { useEnfilade } from "enfilade/react";
import { type FormEvent, useState } from "react";
import { goTo, roomHref } from "../router";
import { NAME_CHARS } from "../session";
import { Dialog } from "../ui/Dialog";

type Visibility = "public" | "unlisted" | "private";

/** A topic is a sentence or two. */
const TOPIC_CHARS = 250;

const VISIBILITIES: readonly { value: Visibility; name: string; what: string }[] = [
  { value: "public", name: "Public", what: "Listed; everybody may read and join." },
  { value: "unlisted", name: "Unlisted", what: "Not in the list; who has the link may read and join." },
  { value: "private", name: "Private", what: "Only members may read it." },
];

export function CreateRoomDialog({ onClose }: { onClose: () => void }) {
  const client = useEnfilade();
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [visibility, setVisibility] = useState<Visibility>("public");
  const [refused, setRefused] = useState<string | null>(null);

  const nameLeft = NAME_CHARS - [...name.trim()].length;
  const topicLeft = TOPIC_CHARS - [...topic.trim()].length;
  const ready = name.trim() !== "" && nameLeft >= 0 && topicLeft >= 0;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    try {
      const { id } = client.createRoom({ name: name.trim(), topic: topic.trim(), visibility });
      onClose();
      goTo(roomHref(id));
    } catch (error) {
      setRefused(error instanceof Error ? error.message : String(error));
    }
  };

  return (
    <Dialog title="New room" onClose={onClose}>
      <form className="form" onSubmit={submit}>
        <label htmlFor="room-name">Name {nameLeft < 10 && <Left count={nameLeft} />}</label>
        <input
          id="room-name"
          autoComplete="off"
          data-first
          value={name}
          aria-invalid={nameLeft < 0}
          onChange={(event) => setName(event.target.value)}
        />
        <label htmlFor="room-topic">
          Topic <span className="optional">optional</span> {topicLeft < 30 && <Left count={topicLeft} />}
        </label>
        <textarea
          id="room-topic"
          rows={2}
          value={topic}
          aria-invalid={topicLeft < 0}
          onChange={(event) => setTopic(event.target.value)}
        />
        <fieldset className="choices">
          <legend>Who may come in?</legend>
          {VISIBILITIES.map(({ value, name: label, what }) => (
            <label key={value}>
              <input
                type="radio"
                name="visibility"
                checked={visibility === value}
                onChange={() => setVisibility(value)}
              />
              <span>
                <strong>{label}</strong>
                <span className="aside">{what}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {refused && (
          <p className="hint bad" role="alert">
            {refused}
          </p>
        )}
        <div className="form-end">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={!ready}>
            Make the room
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Left({ count }: { count: number }) {
  return (
    <span className={count < 0 ? "left bad" : "left"}>
      {count < 0 ? `${-count} too many` : `${count} left`}
    </span>
  );
}
