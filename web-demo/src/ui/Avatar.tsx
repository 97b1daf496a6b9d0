/** Hues of the palette; a user keeps the same one everywhere. */
const HUES = 8;

export function Avatar({ user, name, size = "m" }: { user: string; name: string; size?: "s" | "m" | "l" }) {
  return (
    <span className={`avatar ${size}`} data-hue={hue(user)} aria-hidden="true">
      {size === "s" ? initials(name).slice(0, 1) : initials(name)}
    </span>
  );
}

export function hue(user: string): number {
  let sum = 7;
  for (const char of user) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 65_521;
  return sum % HUES;
}

function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const first = [...(words[0] ?? "?")][0] ?? "?";
  const last = words.length > 1 ? ([...(words.at(-1) ?? "")][0] ?? "") : "";
  return (first + last).toUpperCase();
}

/** The first few of those who are here, one over the other, and how many there are. */
export function AvatarStack({
  users,
  count,
  shown = 3,
}: {
  users: readonly { id: string; name: string }[];
  count: number;
  shown?: number;
}) {
  const faces = users.slice(0, shown);
  return (
    <span className="avatar-stack">
      {faces.map(({ id, name }) => (
        <Avatar key={id} user={id} name={name} size="s" />
      ))}
      {count > faces.length && (
        <span className="avatar s more">
          {faces.length > 0 && "+"}
          {Math.min(count - faces.length, 99)}
        </span>
      )}
    </span>
  );
}
