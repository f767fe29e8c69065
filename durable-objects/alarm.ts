/** A session is deleted so long after its last use. */
export const SESSION_MS = 24 * 60 * 60 * 1000;
/** An upload that has brought nothing for so long is dropped. */
export const UPLOAD_MS = 60 * 60 * 1000;

export interface Deadlines {
  used: number;
  /** Last touch of the oldest open upload. */
  oldestOpen: number | null;
  /** When the next running question falls due. */
  nextDue: number | null;
}

/** The one alarm that an object has: the earliest of what it waits for. */
export function nextAlarm({ used, oldestOpen, nextDue }: Deadlines): number {
  const upload = oldestOpen === null ? Number.POSITIVE_INFINITY : oldestOpen + UPLOAD_MS;
  return Math.min(used + SESSION_MS, upload, nextDue ?? Number.POSITIVE_INFINITY);
}
