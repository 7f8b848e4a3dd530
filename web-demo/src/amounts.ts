// Sizes and times for people, counted as the hub counts them: a megabyte is a million bytes.

/** `4.5 MB`, `513 MB`, `1.03 GB`. */
export function fileSize(bytes: number): string {
  if (bytes < 999_500) return `${Math.round(bytes / 1e3)} kB`;
  if (bytes < 9.95e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  if (bytes < 999.5e6) return `${Math.round(bytes / 1e6)} MB`;
  return `${(bytes / 1e9).toFixed(bytes < 9.995e9 ? 2 : 1)} GB`;
}

/** `about 1 GB`, `about 8.5 GB`: of what is only estimated. */
export function roughSize(bytes: number): string {
  const [value, unit] = bytes < 995e6 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `about ${Number(value.toPrecision(2))} ${unit}`;
}

/** `about 8 s`, `about 6 min`, `about 2 h`: no more digits than such a figure is worth. */
export function roughly(seconds: number): string {
  const rounded = (value: number, step: number): number => Math.max(step, Math.round(value / step) * step);
  if (seconds < 1.5) return "about 1 s";
  if (seconds < 10) return `about ${Math.round(seconds)} s`;
  if (seconds < 90) return `about ${rounded(seconds, 5)} s`;
  if (seconds < 5400) return `about ${rounded(seconds / 60, 1)} min`;
  return `about ${rounded(seconds / 3600, 1)} h`;
}
