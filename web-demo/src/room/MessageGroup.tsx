import type { MessageRow } from "enfilade";
import { memo, useState } from "react";
import { clockTime, fullTime } from "../time";
import { Avatar, hue } from "../ui/Avatar";
import { Icon } from "../ui/Icon";
import { MessageActions, MessageEditor, Reactions } from "./MessageActions";
import { MessageText } from "./MessageText";
import type { Person } from "./people";

interface Props {
  messages: readonly MessageRow[];
  people: readonly Person[];
  me: string;
  onCancel: (id: string) => void;
}

/** What one person said in one go. Rendered again only when one of its messages changes. */
export const MessageGroup = memo(function MessageGroup({ messages, people, me, onCancel }: Props) {
  const first = messages[0];
  if (!first) return null;
  const { author, authorName, mine } = first;
  return (
    <li className={mine ? "group mine" : "group"}>
      {!mine && <Avatar user={author} name={authorName} />}
      <div className="group-body">
        <p className="group-head">
          <span className={mine ? "visually-hidden" : "author"} data-hue={hue(author)}>
            {mine ? "You" : authorName}
          </span>
          <time dateTime={new Date(first.at).toISOString()} title={fullTime(first.at)}>
            {clockTime(first.at)}
          </time>
        </p>
        {messages.map((message) => (
          <Message key={message.id} message={message} people={people} me={me} onCancel={onCancel} />
        ))}
      </div>
    </li>
  );
}, sameGroup);

function sameGroup(a: Props, b: Props): boolean {
  return (
    a.people === b.people &&
    a.me === b.me &&
    a.onCancel === b.onCancel &&
    a.messages.length === b.messages.length &&
    a.messages.every((message, at) => message === b.messages[at])
  );
}

const Message = memo(function Message({
  message,
  people,
  me,
  onCancel,
}: {
  message: MessageRow;
  people: readonly Person[];
  me: string;
  onCancel: (id: string) => void;
}) {
  const { id, text, mentions, status, at, cancellable } = message;
  const { edited, deleted, pinned, changing } = message;
  const toMe = mentions.includes(me) && !message.mine;
  const [editing, setEditing] = useState(false);
  return (
    <div
      className={toMe ? "message to-me" : "message"}
      data-message={id}
      data-status={status}
      data-changing={changing || undefined}
      title={fullTime(at)}
      // Where nothing can be pointed at, a tap shows the buttons.
      tabIndex={-1}
    >
      {editing ? (
        <MessageEditor message={message} onDone={() => setEditing(false)} />
      ) : (
        <div className={deleted ? "bubble deleted" : "bubble"}>
          {toMe && <span className="visually-hidden">Mentions you: </span>}
          {deleted ? (
            "Message deleted"
          ) : (
            <MessageText text={text} mentions={mentions} people={people} me={me} />
          )}
          {(edited || pinned || changing) && (
            <span className="marks">
              {edited && "edited"}
              {edited && pinned && " · "}
              {pinned && "pinned"}
              {changing && <span className="visually-hidden"> (being saved)</span>}
            </span>
          )}
        </div>
      )}
      <Reactions message={message} />
      {status === "sent" && !deleted && !editing && (
        <MessageActions message={message} onEdit={() => setEditing(true)} />
      )}
      {(status === "queued" || status === "sending") && (
        <p className="pending">
          <Icon name="clock" />
          {status === "queued" ? "Waiting to be sent" : "Sending"}
          {cancellable && (
            <button type="button" className="link-button" onClick={() => onCancel(id)}>
              Cancel<span className="visually-hidden">: {text.slice(0, 60)}</span>
            </button>
          )}
        </p>
      )}
    </div>
  );
});
