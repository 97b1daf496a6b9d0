import type { CodedError, ConnectionSnapshot } from "enfilade";
import { useConnection, useEnfilade } from "enfilade/react";
import { useEffect, useRef, useState } from "react";
import { useSeconds } from "../time";
import { Icon, type IconName } from "../ui/Icon";
import { announce } from "./announce";

/** A connection that is there within this time needs no words. */
const QUIET_MS = 900;
/** How long it says that all is well again. */
const BACK_MS = 3_000;

/** The codes by which a server says that it stops. */
const STOPS = ["draining", "going_away"];

/** One line at the top, whenever the connection is not simply there. */
export function ConnectionBanner() {
  const connection = useConnection();
  const client = useEnfilade();
  const phase = usePhase(connection);

  if (phase === "quiet") return null;
  const { tone, icon } = LOOK[phase];
  return (
    <section className="banner" data-tone={tone} data-phase={phase} aria-label="State of the connection">
      <Icon name={icon} />
      <p>
        <Words phase={phase} connection={connection} />
      </p>
      {(phase === "waiting" || phase === "stopping") && (
        <button type="button" className="button small" onClick={() => client.connect()}>
          Try now
        </button>
      )}
      {phase === "failed" && (
        <button type="button" className="button small" onClick={() => client.connect()}>
          Connect again
        </button>
      )}
    </section>
  );
}

type Phase = "quiet" | "connecting" | "waiting" | "stopping" | "again" | "offline" | "failed" | "back";

const LOOK: Record<Exclude<Phase, "quiet">, { tone: "calm" | "warn" | "bad" | "good"; icon: IconName }> = {
  connecting: { tone: "calm", icon: "clock" },
  waiting: { tone: "warn", icon: "clock" },
  stopping: { tone: "warn", icon: "clock" },
  again: { tone: "warn", icon: "clock" },
  offline: { tone: "warn", icon: "cloud" },
  failed: { tone: "bad", icon: "warning" },
  back: { tone: "good", icon: "check" },
};

const SPOKEN: Partial<Record<Phase, string>> = {
  waiting: "Connection lost. Reconnecting.",
  stopping: "The server restarts. Reconnecting.",
  offline: "You are offline.",
  failed: "The connection failed.",
  back: "Back online.",
};

function Words({ phase, connection }: { phase: Phase; connection: ConnectionSnapshot }) {
  switch (phase) {
    case "connecting":
      return "Connecting…";
    case "waiting":
      return (
        <>
          <strong>Reconnecting</strong> <Countdown to={connection.retryAt} />
          <span className="aside">What you write is kept, and sent then.</span>
        </>
      );
    case "stopping":
      return (
        <>
          <strong>The server restarts.</strong> Reconnecting <Countdown to={connection.retryAt} />
          <span className="aside">Nothing is lost.</span>
        </>
      );
    case "again":
      return (
        <>
          <strong>Reconnecting…</strong> <span className="aside">What you write is kept, and sent then.</span>
        </>
      );
    case "offline":
      return (
        <>
          <strong>You are offline.</strong>{" "}
          <span className="aside">What you write is kept, and sent when you are back.</span>
        </>
      );
    case "failed":
      return (
        <>
          <strong>Not connected.</strong> {connection.error?.text ?? "The server refused the connection."}
          {connection.error && <Code code={connection.error} />}
        </>
      );
    case "back":
      return <strong>Back online</strong>;
    case "quiet":
      return null;
  }
}

function Code({ code }: { code: CodedError }) {
  return (
    <code className="code">
      {code.code} {code.codeName}
    </code>
  );
}

function Countdown({ to }: { to: number | undefined }) {
  const now = useSeconds();
  const seconds = to === undefined ? 0 : Math.max(0, Math.ceil((to - now) / 1000));
  return <span className="countdown">{seconds > 0 ? `in ${seconds} s.` : "now…"}</span>;
}

function usePhase(connection: ConnectionSnapshot): Phase {
  const troubled = useRef(false);
  const [patient, setPatient] = useState(false);
  const [back, setBack] = useState(false);
  const { state, error } = connection;

  useEffect(() => {
    if (state === "waiting" || state === "offline" || state === "failed") troubled.current = true;
    if (state !== "online") {
      setBack(false);
      const timer = setTimeout(() => setPatient(true), QUIET_MS);
      return () => clearTimeout(timer);
    }
    setPatient(false);
    if (!troubled.current) return undefined;
    troubled.current = false;
    setBack(true);
    const timer = setTimeout(() => setBack(false), BACK_MS);
    return () => clearTimeout(timer);
  }, [state]);

  const phase = phaseOf(state, error?.codeName, troubled.current, patient, back);
  useEffect(() => {
    const words = SPOKEN[phase];
    if (words) announce(words);
  }, [phase]);
  return phase;
}

function phaseOf(
  state: ConnectionSnapshot["state"],
  error: string | undefined,
  troubled: boolean,
  patient: boolean,
  back: boolean,
): Phase {
  switch (state) {
    case "online":
      return back ? "back" : "quiet";
    case "offline":
      return "offline";
    case "failed":
      return "failed";
    case "waiting":
      return error !== undefined && STOPS.includes(error) ? "stopping" : "waiting";
    case "connecting":
    case "authenticating":
    case "token-needed":
      if (troubled) return "again";
      return patient ? "connecting" : "quiet";
    case "idle":
      return "quiet";
  }
}
