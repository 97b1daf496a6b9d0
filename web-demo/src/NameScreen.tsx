import { type FormEvent, useState } from "react";
import { lastName, NAME_CHARS, session } from "./session";
import { Doorways } from "./ui/Doorways";
import { Mark } from "./ui/Icon";

/** The first screen: who are you? */
export function NameScreen({ notice, busy }: { notice: string | null; busy: boolean }) {
  const [name, setName] = useState(lastName);
  const trimmed = name.trim();
  const tooLong = [...trimmed].length > NAME_CHARS;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (trimmed !== "" && !tooLong && !busy) void session.signIn(trimmed);
  };

  return (
    <main className="name-screen">
      <div className="name-art" aria-hidden="true">
        <Doorways />
      </div>
      <form className="name-form" onSubmit={submit}>
        <p className="wordmark">
          <Mark /> Enfilade
        </p>
        <h1>Rooms whose doors line up</h1>
        <p className="lead">
          The room you stand in is live. The ones you left stay close: they count what you miss, and open
          without waiting.
        </p>
        <label htmlFor="name">What should the others call you?</label>
        <div className="name-field">
          <input
            id="name"
            name="name"
            autoComplete="nickname"
            // biome-ignore lint/a11y/noAutofocus: the one field of the first screen
            autoFocus
            enterKeyHint="go"
            value={name}
            onChange={(event) => setName(event.target.value)}
            aria-invalid={tooLong || notice !== null}
            aria-describedby="name-hint"
          />
          <button type="submit" className="button primary" disabled={trimmed === "" || tooLong || busy}>
            {busy ? "One moment…" : "Come in"}
          </button>
        </div>
        <p
          id="name-hint"
          className={tooLong || notice ? "hint bad" : "hint"}
          role={notice ? "alert" : undefined}
        >
          {tooLong
            ? `At most ${NAME_CHARS} characters.`
            : (notice ?? "No account is made; the name is kept in this browser.")}
        </p>
      </form>
    </main>
  );
}
