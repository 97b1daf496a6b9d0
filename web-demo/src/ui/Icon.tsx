const PATHS = {
  back: "M12.5 4.5 7 10l5.5 5.5",
  bell: "M10 3a5 5 0 0 0-5 5v3.2L3.8 13.5h12.4L15 11.2V8a5 5 0 0 0-5-5ZM8.2 16a2 2 0 0 0 3.6 0",
  plus: "M10 4v12M4 10h12",
  close: "m5 5 10 10M15 5 5 15",
  send: "M10 16V4.5M5 9.5l5-5 5 5",
  down: "M10 4v11.5M5 10.5l5 5 5-5",
  clock: "M10 3.2a6.8 6.8 0 1 0 0 13.6 6.8 6.8 0 0 0 0-13.6ZM10 6.4V10l2.4 1.6",
  gauge: "M3.4 13.5a7 7 0 1 1 13.2 0M10 11.5l3-4",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l4 4",
  check: "m4.5 10.5 3.5 3.5 7.5-8",
  warning: "M10 3 2.6 16h14.8L10 3ZM10 8.2v3.6M10 13.9v.2",
  cloud: "M3 3l14 14M6 7.2A3.9 3.9 0 0 0 6 15h8M8.6 5.3a4.6 4.6 0 0 1 6.3 3.9 3 3 0 0 1 1.9 4.6",
  dots: "M4.6 10h.01M10 10h.01M15.4 10h.01",
  people:
    "M7.5 4.5a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2ZM2.5 16c.3-2.8 2.3-4.4 5-4.4s4.7 1.6 5 4.4M13 4.9a2.4 2.4 0 0 1 0 4.5M14.5 11.9c1.8.5 2.8 1.9 3 4.1",
} as const;

export type IconName = keyof typeof PATHS;

/** Always beside a text or within something labelled, so hidden from screen readers. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={`icon icon-${name}`} viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 24 24" aria-hidden="true">
      <path className="m1" d="M2 23V11a10 10 0 0 1 20 0v12z" />
      <path className="m2" d="M6 23V13a6 6 0 0 1 12 0v10z" />
      <path className="m3" d="M9.5 23v-8.5a2.5 2.5 0 0 1 5 0V23z" />
    </svg>
  );
}
