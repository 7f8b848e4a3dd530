// What was named or downloaded stays: the browser is asked not to clear it away when the disk fills.

/** Asks. Resolves to whether it agreed and never rejects; a browser that refuses may still keep things for long. */
export async function askToKeep(): Promise<boolean> {
  try {
    return (await navigator.storage?.persist?.()) ?? false;
  } catch {
    return false;
  }
}

let asked = false;

/** Asks for the sake of a thing that came, once a visit: some browsers put the question to the visitor. */
export function keepThings(): void {
  if (asked) return;
  asked = true;
  void askToKeep();
}
