// How fast a download goes and how long it will take, over the last seconds.

import { fileSize, roughly } from "../amounts.js";

/** Milliseconds that the speed is taken over; before the first are over nothing is said. */
const WINDOW_MS = 8000;
const FIRST_MS = 2000;

/** The pace of one download. */
export class Pace {
  #points: { at: number; done: number }[] = [];
  #quarters = 0;

  constructor(private readonly total: number) {}

  /** ` · 11 MB/s · about 30 s left`; empty while nobody can know. */
  words(done: number): string {
    const now = performance.now();
    this.#points = [...this.#points.filter(({ at }) => now - at < WINDOW_MS), { at: now, done }];
    const first = this.#points[0];
    if (!first || now - first.at < FIRST_MS || done <= first.done) return "";
    const speed = (done - first.done) / ((now - first.at) / 1000);
    return ` · ${fileSize(speed)}/s · ${roughly((this.total - done) / speed)} left`;
  }

  /** 25, 50 or 75 when that share was just reached, for those who hear the page; else null. */
  quarter(done: number): number | null {
    const quarters = Math.min(3, Math.floor((4 * done) / this.total));
    if (quarters <= this.#quarters) return null;
    this.#quarters = quarters;
    return 25 * quarters;
  }
}
