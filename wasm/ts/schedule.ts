/** A frame at 60 Hz. What comes in faster than anybody sees is shown together. */
const FRAME_MS = 16;
/** Pages that are not shown get no animation frames; they are told by a timer. */
const HIDDEN_MS = 100;

/**
 * Decides when listeners are told: at the end of the task for what the app itself did and for the first thing that
 * comes in, and then at most once a frame.
 */
export class Schedule {
  #run: () => void;
  #last = Number.NEGATIVE_INFINITY;
  #microtask = false;
  #cancelFrame: (() => void) | undefined;
  #ended = false;

  constructor(run: () => void) {
    this.#run = run;
  }

  /** At the end of this task. */
  soon(): void {
    if (this.#microtask || this.#ended) return;
    this.#microtask = true;
    queueMicrotask(() => {
      this.#microtask = false;
      this.#fire();
    });
  }

  /** At the end of this task, or in the next frame if this one has had its turn. */
  paced(): void {
    if (this.#cancelFrame || this.#microtask || this.#ended) return;
    if (performance.now() - this.#last >= FRAME_MS) this.soon();
    else this.#cancelFrame = nextFrame(() => this.#fire());
  }

  /** Now. */
  now(): void {
    this.#fire();
  }

  end(): void {
    this.#ended = true;
    this.#cancelFrame?.();
  }

  #fire(): void {
    if (this.#ended) return;
    this.#cancelFrame?.();
    this.#cancelFrame = undefined;
    this.#last = performance.now();
    this.#run();
  }
}

/** Whichever comes first: the page may be hidden between asking for a frame and getting it. */
function nextFrame(callback: () => void): () => void {
  let frame: number | undefined;
  const timer = setTimeout(callback, typeof requestAnimationFrame === "function" ? HIDDEN_MS : FRAME_MS);
  if (typeof requestAnimationFrame === "function") frame = requestAnimationFrame(callback);
  return () => {
    clearTimeout(timer);
    if (frame !== undefined) cancelAnimationFrame(frame);
  };
}
