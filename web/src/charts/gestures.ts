/** What a reader does on a chart's paper. Places are CSS pixels from its left edge. */
export interface Gestures {
  /** A stretch is being selected; both ends in the order in which they were set. */
  selecting(from: number, to: number): void;
  /** The selection is done, or was given up. */
  selected(from: number, to: number, done: boolean): void;
  /** The paper is taken hold of, and then pulled to the right by `by` since. */
  grabbed(): void;
  pulled(by: number): void;
  released(): void;
  tapped(at: number): void;
  /** Back to what the page shows by itself. */
  reset(): void;
}

/** A pointer that moves less than this stays where it is, CSS pixels. */
const STILL = 5;

type Held =
  | {
      readonly kind: 'pressed';
      readonly id: number;
      readonly x: number;
      readonly y: number;
      readonly pull: boolean;
    }
  | { readonly kind: 'selecting' | 'pulling'; readonly id: number; readonly x: number };

/**
 * Tells gestures on `paper`: a mouse that is dragged selects, and pulls while Shift is held; a finger that is dragged
 * sideways pulls. Ends with `signal`.
 */
export function listenToGestures(paper: HTMLElement, gestures: Gestures, signal: AbortSignal): void {
  let held: Held | null = null;
  const place = (event: PointerEvent): number => event.clientX - paper.getBoundingClientRect().left;

  const down = (event: PointerEvent): void => {
    // A second finger, or another button: whatever was begun is given up.
    if (held || event.button !== 0) {
      end(event, false);
      return;
    }
    const pull = event.shiftKey || event.pointerType === 'touch';
    held = { kind: 'pressed', id: event.pointerId, x: place(event), y: event.clientY, pull };
  };

  const move = (event: PointerEvent): void => {
    if (!held || held.id !== event.pointerId) return;
    const x = place(event);
    if (held.kind === 'pressed') {
      if (Math.abs(x - held.x) < STILL) return;
      paper.setPointerCapture(event.pointerId);
      held = { kind: held.pull ? 'pulling' : 'selecting', id: held.id, x: held.x };
      if (held.kind === 'pulling') gestures.grabbed();
    }
    if (held.kind === 'pulling') gestures.pulled(x - held.x);
    else gestures.selecting(held.x, x);
  };

  const end = (event: PointerEvent, done: boolean): void => {
    const was = held;
    if (!was) return;
    held = null;
    const x = place(event);
    if (was.kind === 'selecting') gestures.selected(was.x, x, done && Math.abs(x - was.x) >= STILL);
    else if (was.kind === 'pulling') gestures.released();
    else if (was.kind === 'pressed' && done && Math.abs(event.clientY - was.y) < STILL)
      gestures.tapped(was.x);
  };

  paper.addEventListener('pointerdown', down, { signal });
  paper.addEventListener('pointermove', move, { signal });
  paper.addEventListener('pointerup', event => end(event, true), { signal });
  paper.addEventListener('pointercancel', event => end(event, false), { signal });
  // The events of a mouse that browsers make up after a tap would leave a pointer behind.
  paper.addEventListener('touchend', event => event.cancelable && event.preventDefault(), {
    signal,
    passive: false,
  });
  paper.addEventListener('dblclick', () => gestures.reset(), { signal });
}
